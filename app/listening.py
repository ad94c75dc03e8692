"""The sockets that the server listens on, and how many connections the system lets it have.

What a listening socket is set to is inherited by every connection: a small send buffer, so that a page that stops reading
is noticed after 64 KiB and not after megabytes, and a time limit on bytes nobody acknowledges, so that a laptop whose lid
was closed is gone within half a minute (the next sign of life on its stream, and 12 s) and not after a quarter of an hour.

Every connection is an open file. The limits promise no more of them than there can be.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import replace

from app.settings import DEFAULT_PORT, Limits, Settings, SettingsError

SEND_BUFFER = 64 * 2**10
UNACKNOWLEDGED_MILLISECONDS = 12_000
BACKLOG = 2048
"""Connections that may wait to be accepted, and are accepted in one turn of the event loop at most."""
MOST_FILES = 65_536
OTHER_FILES = 256
"""Open files that are no connections: workers' pipes, the database, checkpoints, static files being sent."""

SKIPPED = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""A name stands for an address that this machine has not: localhost is ::1, too, also where IPv6 is switched off."""


def listen_on_a_free_port(settings: Settings) -> list[socket.socket]:
    """On the port that was asked for, or on the first free one where none was. Raises SettingsError with a line to print."""
    last = min(settings.port + settings.further_ports, 65_535)
    for port in range(settings.port, last + 1):
        try:
            return listen(settings.host, port)
        except PortInUseError:
            if not settings.further_ports:
                raise
    raise SettingsError(f"Ports {settings.port} to {last} are all in use. Start with --port 0 for any free one.")


class PortInUseError(SettingsError):
    """Another program listens there."""


def listen(host: str, port: int) -> list[socket.socket]:
    """A listening socket for every address that `host` stands for. Raises SettingsError with a line to print."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise SettingsError(f"There is no address for the host “{host}”. Try --host 127.0.0.1.") from None
    sockets: list[socket.socket] = []
    skipped: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            sockets.append(listening_socket(family, kind, protocol, address))
        except OSError as error:
            if error.errno in SKIPPED:
                skipped = error
                continue
            for each in sockets:
                each.close()
            raise bind_error(error, host, port) from None
        if port == 0:
            break  # each address would get another port
    if skipped is not None and not sockets:
        raise bind_error(skipped, host, port)
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


def bind_error(error: OSError, host: str, port: int) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65_535 else DEFAULT_PORT
        return PortInUseError(f"Port {port} is in use. Start with --port {other}, or with --port 0 for any free one.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SettingsError(
            f"Port {port} is reserved for administrators. Choose one above 1023, such as --port {DEFAULT_PORT}."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return SettingsError(f"This machine does not have the address “{host}”. Try --host 127.0.0.1.")
    if error.errno == errno.EAFNOSUPPORT:
        return SettingsError(f"IPv6 is switched off on this machine, so not “{host}”. Try --host 127.0.0.1.")
    return SettingsError(f"Could not listen on {host}, port {port}: {error.strerror}.")


def outward_name(host: str, name: str) -> str:
    """What others call this machine: its address in their network, where it listens to them."""
    if host not in ("0.0.0.0", "::"):
        return name
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: nothing is sent, only a way there is chosen
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


# ---- Open files ----------------------------------------------------------------------------------------------------------


def allow_many_files() -> int:
    """As many open files as the system lets us have, and as there is a use for; how many that are."""
    if os.name != "posix":
        return MOST_FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    for count in (wanted, 10_240):  # macOS promises an unlimited number and allows fewer
        if soft < count:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
                return count
    return soft


def accepted_at_once(files: int) -> int:
    """Connections that wait at most, which asyncio accepts in one turn: for that moment they have no place yet."""
    return min(BACKLOG, files // 4)


def fitting(limits: Limits, files: int) -> tuple[Limits, str | None]:
    """The limits that so many open files allow, and a line where those are narrower. Streams leave pages a quarter."""
    room = files - accepted_at_once(files) - OTHER_FILES
    if room >= limits.connections:
        return limits, None
    room = max(room, OTHER_FILES)
    narrower = replace(
        limits,
        connections=room,
        connections_per_address=min(limits.connections_per_address, room),
        streams=min(limits.streams, room * 3 // 4),
        streams_per_client=min(limits.streams_per_client, room * 3 // 4),
    )
    wanted = limits.connections + BACKLOG + OTHER_FILES
    warning = (
        f"This system lets a program open {files:,} files, so at most {narrower.connections:,} connections and "
        f"{narrower.streams:,} live streams are served at a time. “ulimit -n {wanted}” before the start makes it more."
    )
    return narrower, warning
