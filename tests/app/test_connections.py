"""What a connection leaves behind when it is closed."""

from __future__ import annotations

import asyncio
import gc

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config

from app.connections import Connection, Places
from app.settings import Limits


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    answer = await reader.readuntil(b"hello")
    writer.close()
    await writer.wait_closed()
    return answer


async def left_by_connections() -> list[str]:
    config, places = Config(hello, log_config=None), Places(Limits())
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, places, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await ask(port)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(3):
            assert (await ask(port)).startswith(b"HTTP/1.1 200")
        while places.count:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        return [type(each).__name__ for each in gc.garbage if type(each).__module__.startswith(("app.", "uvicorn.", "h11."))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        server.close()


def test_a_closed_connection_leaves_nothing_to_the_search_for_garbage() -> None:
    assert asyncio.run(left_by_connections()) == []
