"""Listens and serves until told to stop; whatever goes wrong at the start is one line and an exit code.

The listening sockets are made here because what they are set to is inherited by every connection: a small send buffer,
so that a page that stops reading is noticed after 64 KiB and not after megabytes, and a time limit on bytes nobody
acknowledges, so that a laptop whose lid was closed is gone after 15 s and not after a quarter of an hour.

uvicorn waits for open requests before it stops, and a stream never ends by itself. So the first SIGTERM or Ctrl-C ends
the streams and only then lets uvicorn wait; a second one ends the process at once (workers notice and follow).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from app.main import Nabla, create_app
from app.settings import DEFAULT_PORT, Settings, SettingsError
from app.store.database import StartupError

SEND_BUFFER = 64 * 2**10
UNACKNOWLEDGED_MILLISECONDS = 15_000
BACKLOG = 2048
LAST_RESORT_SECONDS = 10.0
"""A server that was told to stop and is still here by then ends without having saved everything."""

HANDLED = (signal.SIGINT, signal.SIGTERM)


def serve(settings: Settings) -> int:
    """Serve until stopped; the exit code of the process."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    # A stream whose reader stalled is let go on purpose, in the middle of its response.
    logging.getLogger("uvicorn.error").addFilter(lambda line: "without completing response" not in line.getMessage())
    try:
        sockets = listen(settings.host, settings.port)
    except SettingsError as error:
        return fail(str(error))
    raise_file_limit()
    try:
        asyncio.run(run(create_app(settings), settings, sockets))
    except StartupError as error:
        return fail(str(error))
    except OSError as error:
        return fail(
            f"The data folder {settings.data} cannot be used: {error.strerror or error}. Choose another with --data."
        )
    finally:
        for each in sockets:
            each.close()
    return 0


def fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


async def run(app: Nabla, settings: Settings, sockets: list[socket.socket]) -> None:
    """Start the services, serve, and end the services; signals are handled from the first moment to the last."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",  # it is entered here, so that its errors are ours to put into words
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(settings.limits.shutdown_seconds),
    )
    server = Server(config, app)
    with server.handling_signals():
        async with app.router.lifespan_context(app):
            host, port = sockets[0].getsockname()[:2]
            name = (
                "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
            )
            sys.stdout.write(f"Nabla is at http://{name}:{port}   (Ctrl-C stops it)\n")
            sys.stdout.flush()
            await server.serve(sockets)


class Server(uvicorn.Server):
    """A uvicorn server that ends the streams when it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: Nabla) -> None:
        super().__init__(config)
        self.app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own handlers would be in force only while it serves, and raise the signal again afterwards."""
        yield

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def handle(number: int, _frame: FrameType | None) -> None:
            if self.should_exit:
                os._exit(128 + number)
            self.should_exit = True
            last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, (1,))
            last_resort.daemon = True
            last_resort.start()
            loop.call_soon_threadsafe(self.end_streams)

        before = {number: signal.signal(number, handle) for number in HANDLED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end_streams(self) -> None:
        self.app.state.streams.stopping = True
        if hasattr(self.app.state, "runs"):
            self.app.state.runs.end_streams()


def listen(host: str, port: int) -> list[socket.socket]:
    """A listening socket for every address that `host` stands for. Raises SettingsError with a line to print."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise SettingsError(f"There is no address for the host “{host}”. Try --host 127.0.0.1.") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in found if port else found[:1]:
            sockets.append(listening_socket(family, kind, protocol, address))
    except OSError as error:
        for each in sockets:
            each.close()
        raise SettingsError(bind_error(error, host, port)) from None
    return sockets


def listening_socket(family: int, kind: int, protocol: int, address: object) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
        made.bind(address)  # type: ignore[arg-type]
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def bind_error(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65_535 else DEFAULT_PORT
        return f"Port {port} is in use. Start with --port {other}, or with --port 0 for any free one."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} is reserved for administrators. Choose one above 1023, such as --port {DEFAULT_PORT}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine does not have the address “{host}”. Try --host 127.0.0.1."
    return f"Could not listen on {host}, port {port}: {error.strerror}."


def raise_file_limit() -> None:
    """As many open files as the system lets us have: every stream is one."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
