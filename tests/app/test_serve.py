"""The server as a process of its own, with real sockets and signals."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.listening import listen
from app.serve import serve
from app.settings import Settings, SettingsError

ROOT = Path(__file__).resolve().parents[2]
MAIN = "import sys\nfrom app.serve import serve\nfrom app.settings import Settings\nsys.exit(serve(Settings.from_command_line(sys.argv[1:])))\n"
MAIN = "if __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in MAIN.splitlines())


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    script = folder / "main.py"
    script.write_text(MAIN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    return subprocess.Popen(
        [sys.executable, str(script), "--data", str(folder / "data"), "--workers", "1", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = command(folder, "--port", "0")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_sigterm_ends_a_training_run_and_its_open_streams_in_time(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address), httpx.Client(base_url=address, timeout=20) as client:
        run = client.post("/api/runs", json={}).json()["id"]
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(client.stream("GET", f"/api/runs/{run}/events")) for _ in range(20)]
            readers = [stream.iter_lines() for stream in streams]
            assert all("retry" in next(reader) for reader in readers)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            endings = ["\n".join(reader) for reader in readers]
            assert process.wait(10) == 0
            assert time.monotonic() - start < 3
        assert all("event: close" in ending for ending in endings)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_whoever_waits_for_a_worker_at_the_end_is_told_so(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address), httpx.Client(base_url=address, timeout=20) as client:
        run = client.post("/api/runs", json={}).json()["id"]
        with ThreadPoolExecutor() as pool:
            # Its steps are many enough to be under way for longer than the server has.
            client.patch(f"/api/runs/{run}", json={"state": "paused"}).raise_for_status()
            waiting = pool.submit(client.post, f"/api/runs/{run}/steps", json={"count": 1_000})
            while client.get(f"/api/runs/{run}").json()["step"] == 0:
                assert not waiting.done()
            process.send_signal(signal.SIGTERM)
            answer = waiting.result(timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
        assert "retry-after" in answer.headers
        assert process.wait(5) == 0


def test_ctrl_c_ends_it_and_a_run_is_there_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address):
        run = httpx.post(f"{address}/api/runs", json={"state": "paused"}, timeout=20).json()["id"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    with running(tmp_path) as (_, address):
        assert httpx.get(f"{address}/api/runs/{run}", timeout=20).json()["state"] == "paused"


def test_a_client_that_stops_reading_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address):
        run = httpx.post(f"{address}/api/runs", json={}, timeout=20).json()["id"]
        host, port = address.removeprefix("http://").split(":")
        sockets = []
        for _ in range(10):
            silent = socket.create_connection((host, int(port)))
            silent.sendall(f"GET /api/runs/{run}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            sockets.append(silent)
        half = socket.create_connection((host, int(port)))
        half.sendall(b"GET / HTTP/1.1\r\nHost:")
        time.sleep(0.5)
        start = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - start < 3
        for each in (*sockets, half):
            each.close()


def test_an_endless_body_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    with running(tmp_path) as (_, address):
        host, port = address.removeprefix("http://").split(":")
        for length in ("Content-Length: 1000000000", "Transfer-Encoding: chunked"):
            with socket.create_connection((host, int(port)), 20) as sender:
                head = f"POST /api/runs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
                sender.sendall(head.encode())
                piece = b" " * 60_000
                with contextlib.suppress(OSError):
                    for _ in range(20):
                        sender.sendall(piece if "Length" in length else b"%x\r\n" % len(piece) + piece + b"\r\n")
                assert b" 413 " in sender.recv(100)


def fails(process: subprocess.Popen[str]) -> str:
    """The one line that a start which cannot work leaves on stderr."""
    out, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert out == ""
    assert "Traceback" not in err
    assert err.count("\n") == 1, err
    return err


def test_a_port_in_use_is_one_line_with_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = fails(command(tmp_path, "--port", str(port)))
    assert f"Port {port} is in use" in line
    assert f"--port {port + 1}" in line


def test_a_host_that_is_not_here_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(Settings(host="203.0.113.7", port=0)) == 1
    assert capsys.readouterr().err == "This machine does not have the address “203.0.113.7”. Try --host 127.0.0.1.\n"
    assert serve(Settings(host="..", port=0)) == 1
    assert capsys.readouterr().err == "There is no address for the host “..”. Try --host 127.0.0.1.\n"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can drop its rights for a moment")
def test_a_port_of_the_administrators_is_refused_in_words() -> None:
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        try:
            listen("127.0.0.1", 80)
        except SettingsError as error:
            os._exit(7 if "above 1023" in str(error) or "in use" in str(error) else 8)
        os._exit(9)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 9:
        pytest.skip("this system lets everybody have low ports")
    assert status == 7


def test_listening_sockets_notice_the_silent_and_the_vanished() -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 64 * 2**10
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 12_000


def test_arguments_come_before_the_environment() -> None:
    environment = {"NABLA_HOST": "0.0.0.0", "NABLA_PORT": "9000", "NABLA_DATA": "/tmp/x", "NABLA_WORKERS": "3"}
    settings = Settings.from_command_line(["--port", "0"], environment)
    assert (settings.host, settings.port, settings.data, settings.workers) == ("0.0.0.0", 0, Path("/tmp/x"), 3)
    assert Settings.from_command_line([], {}).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--port", "70000"], {}),
        (["--port", "x"], {}),
        (["--workers", "0"], {}),
        ([], {"NABLA_PORT": "eight"}),
        ([], {"NABLA_WORKERS": "-1"}),
        (["--nothing"], {}),
    ],
)
def test_a_choice_that_cannot_be_used_ends_with_a_line(
    arguments: list[str], environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        Settings.from_command_line(arguments, environment)
    assert ending.value.code == 2
    assert capsys.readouterr().err.rstrip()
