"""Ports and addresses that cannot be had: one line that says why and what to do, and an exit code that is not 0."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from app.listening import bind_error, listen, listen_on_a_free_port
from app.settings import DEFAULT_PORT, FURTHER_PORTS, Settings, SettingsError
from tests.browser.server import ROOT

ROOT_ON_LINUX = sys.platform == "linux" and os.geteuid() == 0


def taken(stack: ExitStack, host: str = "127.0.0.1", port: int = 0) -> int:
    held = stack.enter_context(socket.socket())
    held.bind((host, port))
    held.listen()
    return int(held.getsockname()[1])


def row_of_free_ports(count: int) -> int:
    """The first of so many that nobody holds, one after the other."""
    for first in range(20_000, 60_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    taken(stack, port=port)
            except OSError:
                continue
            return first
    raise AssertionError("no such row")


def refused(settings: Settings) -> str:
    with pytest.raises(SettingsError) as error:
        listen_on_a_free_port(settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def bound(settings: Settings) -> int:
    sockets = listen_on_a_free_port(settings)
    try:
        return int(sockets[0].getsockname()[1])
    finally:
        for each in sockets:
            each.close()


def test_the_next_free_port_only_where_none_was_asked_for() -> None:
    asked = Settings.from_command_line(["--port", str(DEFAULT_PORT)], {})
    named = Settings.from_command_line([], {"NABLA_PORT": str(DEFAULT_PORT)})
    unasked = Settings.from_command_line([], {})
    assert (asked.further_ports, named.further_ports, unasked.further_ports) == (0, 0, FURTHER_PORTS)
    assert asked.port == named.port == unasked.port
    first = row_of_free_ports(4)
    with ExitStack() as stack:
        taken(stack, port=first)
        taken(stack, port=first + 1)
        assert (
            refused(Settings(port=first))
            == f"Port {first} is in use. Start with --port {first + 1}, or with --port 0 for any free one."
        )
        assert refused(Settings(port=first, further_ports=1)) == (
            f"Ports {first} to {first + 1} are all in use. Start with --port 0 for any free one."
        )
        assert bound(Settings(port=first, further_ports=3)) == first + 2
        assert bound(Settings(port=0)) > 0
    assert bound(Settings(port=first, further_ports=3)) == first, "free again"


def test_the_last_port_of_all_has_no_next_one() -> None:
    assert "--port 8000" in str(bind_error(OSError(errno.EADDRINUSE, "in use"), "127.0.0.1", 65_535))


def test_other_programs_of_all_addresses_are_noticed() -> None:
    with ExitStack() as stack:
        port = taken(stack, "0.0.0.0")
        assert f"Port {port} is in use." in refused(Settings(port=port))


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("203.0.113.7", "This machine does not have the address “203.0.113.7”. Try --host 127.0.0.1."),
        ("no-such-host.invalid", "There is no address for the host “no-such-host.invalid”. Try --host 127.0.0.1."),
        ("..", "There is no address for the host “..”. Try --host 127.0.0.1."),
        ("a" * 70 + ".example", "There is no address for the host"),
        ("127.0.0.1:8000", "There is no address for the host “127.0.0.1:8000”. Try --host 127.0.0.1."),
    ],
)
def test_hosts_that_are_none(host: str, words: str) -> None:
    assert refused(Settings(host=host, port=0)).startswith(words)


def test_a_name_is_served_where_any_of_its_addresses_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("203.0.113.7", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert bound(Settings(host="both", port=0)) > 0
    found.pop()
    assert (
        refused(Settings(host="both", port=0)) == "This machine does not have the address “both”. Try --host 127.0.0.1."
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "reserved for administrators"),
        (errno.EAFNOSUPPORT, "IPv6 is switched off"),
        (errno.EINVAL, "Could not listen"),
    ],
)
def test_each_reason_has_its_words(number: int, words: str) -> None:
    assert words in str(bind_error(OSError(number, os.strerror(number)), "::1", 80))


@pytest.mark.skipif(not ROOT_ON_LINUX, reason="only root can drop its rights for a moment")
def test_a_port_of_the_administrators() -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        pytest.skip("this system lets everybody have low ports")
    pid = os.fork()
    if pid == 0:
        os.setuid(65_534)
        try:
            listen("127.0.0.1", 81)
        except SettingsError as error:
            os._exit(7 if str(error).startswith("Port 81 is reserved for administrators.") else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def without_ipv6(*arguments: str) -> list[str]:
    """The server in a network of its own, in which IPv6 is switched off and localhost is ::1, too."""
    inside = 'ip link set lo up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && exec "$@"'
    return ["unshare", "--net", "sh", "-c", inside, "sh", sys.executable, "-m", "app", *arguments]


@pytest.mark.faults
@pytest.mark.skipif(
    not ROOT_ON_LINUX or not shutil.which("unshare") or not shutil.which("ip"),
    reason="needs root, unshare and ip for a network of its own",
)
def test_without_ipv6_localhost_is_served_and_what_is_ipv6_alone_is_refused_in_words(tmp_path: Path) -> None:
    options = ("--port", "0", "--data", str(tmp_path), "--workers", "1")
    refused = subprocess.run(
        without_ipv6("--host", "::1", *options), cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert refused.stderr == "This machine does not have the address “::1”. Try --host 127.0.0.1.\n"
    process = subprocess.Popen(
        without_ipv6("--host", "localhost", *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Nabla is at http://localhost:")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.faults
def test_the_start_line_says_that_another_port_was_taken(tmp_path: Path) -> None:
    """At the default port, whoever may hold it."""
    with ExitStack() as stack:
        with suppress(OSError):  # held by somebody else: as good
            taken(stack, port=DEFAULT_PORT)
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "--data", str(tmp_path), "--workers", "1"],
            cwd=ROOT, env={name: value for name, value in os.environ.items() if name != "NABLA_PORT"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert f"(port {DEFAULT_PORT} is in use)" in line
    assert not line.startswith(f"Nabla is at http://localhost:{DEFAULT_PORT} ")
