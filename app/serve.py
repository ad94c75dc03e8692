"""Listens and serves until told to stop; whatever goes wrong at the start is one line and an exit code.

uvicorn waits for open requests before it stops, and a stream never ends by itself. So the first SIGTERM or Ctrl-C ends
the streams and only then lets uvicorn wait; a second one ends the process at once (workers notice and follow).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

import uvicorn

from app.connections import Connection, Places
from app.listening import accepted_at_once, allow_many_files, fitting, listen_on_a_free_port, outward_name
from app.main import Nabla, create_app
from app.rounds import new_event_loop
from app.settings import Settings, SettingsError
from app.store.opening import StartupError
from app.templating import build_id, environment
from app.workers.pool import site_of

GARBAGE_THRESHOLDS = 2_000, 5, 500
"""New objects before the young ones are looked through, and how often that happens before it is the turn of older and of all.

Each search holds up everybody: of 10,000 objects for 8 to 15 ms, of all that a class of 300 is made of for 70 to 100.
"""
LAST_RESORT_SECONDS = 10.0
"""A server that was told to stop and is still here by then ends without having saved everything."""

EXPECTED = (
    "ASGI callable returned without completing response",  # a stream whose reader stalled is let go on purpose
    "Invalid HTTP request received",  # told to whoever sent it; a line for each would fill the disk
    "Unsupported upgrade request",
    "No supported WebSocket library",
)
"""How lines of uvicorn begin that tell nothing which somebody should do something about."""

HANDLED = (signal.SIGINT, signal.SIGTERM)


def serve(settings: Settings) -> int:
    """Serve until stopped; the exit code of the process."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for each damaged form would fill the disk
    logging.getLogger("uvicorn.error").addFilter(lambda line: not line.getMessage().startswith(EXPECTED))
    try:
        site_of(settings)  # what a cluster lacks is told before anything begins
        sockets = listen_on_a_free_port(settings)
    except SettingsError as error:
        return fail(str(error))
    files = allow_many_files()
    limits, warning = fitting(settings.limits, files)
    if warning is not None:
        sys.stderr.write(f"{warning}\n")
    settings = replace(settings, limits=limits)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run(create_app(settings), settings, sockets, accepted_at_once(files)))
    except (StartupError, SettingsError) as error:
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


async def run(app: Nabla, settings: Settings, sockets: list[socket.socket], backlog: int) -> None:
    """Start the services, serve, and end the services; signals are handled from the first moment to the last."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",  # it is entered here, so that its errors are ours to put into words
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=backlog,
        timeout_graceful_shutdown=round(settings.limits.shutdown_seconds),
    )
    server = Server(config, app)
    with server.handling_signals():
        async with app.router.lifespan_context(app):
            threading.Thread(target=warm_up, args=(app,), name="warm-up").start()  # an exit waits for it
            host, port = sockets[0].getsockname()[:2]
            name = (
                "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
            )
            taken = f"   (port {settings.port} is in use)" if port != settings.port and settings.port else ""
            sys.stdout.write(f"Nabla is at http://{name}:{port}{taken}   (Ctrl-C stops it)\n")
            if settings.class_mode:
                people, seen_from_afar = app.state.people, outward_name(host, name)
                sys.stdout.write(f"The class joins at http://{seen_from_afar}:{port}/join/{people.code}\n")
                sys.stdout.write(f"The lecturer's page: http://{name}:{port}/lecturer?token={people.lecturer_token}\n")
            sys.stdout.flush()
            await server.serve(sockets)


def warm_up(app: Nabla) -> None:
    """Makes ready what is made at its first use: else the first visitor of each page would hold up all the others.

    Whatever goes wrong here goes wrong again where somebody waits for it, and is told there.
    """
    with suppress(Exception):
        for name in environment.list_templates():
            environment.get_template(name)
        build_id()
        app.openapi()  # which goes through all routes
    # What is there now stays to the end, and of hundreds of runs and requests hardly any is garbage. To look through all of it
    # again and again would hold up everybody for a tenth of a second each time.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


class Server(uvicorn.Server):
    """A uvicorn server that ends the streams when it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: Nabla) -> None:
        super().__init__(config)
        self.server_state = Places(app.state.settings.limits)
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
