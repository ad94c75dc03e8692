"""E7, E8: a disk that is full, failing or read-only, a folder that is somebody else's, no home. Real file systems, small ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import NoRoom
from app.services.runs import Runs
from app.store import metrics, runs
from app.store.database import Database
from tests.app.small_runs import service, small
from tests.app.test_store import points, stored
from tests.faults.figures import note
from tests.faults.processes import serving
from tests.faults.test_database_files import check_file, opened, until

NOBODY = 65_534

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts, limits and accounts of Linux")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can mount, or become somebody else"
)


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, but: int = 0) -> Path:
    """A file that takes all that is free, `but` so many bytes."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    left = shutil.disk_usage(folder).free - but
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while left > 0:
            left -= file.write(b"\0" * min(left, 2**16))
    return ballast


async def notice(app: Runs) -> Any:
    return (await app.health())["notice"]


@as_root
def test_runs_train_on_while_the_disk_fills_and_are_saved_when_there_is_room_again(tmp_path: Path) -> None:
    async def scenario(folder: Path) -> str:
        async with service(folder) as app:
            app.store._retry_seconds = 0.05
            first = (await app.create(small(), state="paused"))["id"]
            await app.step(first, 20)
            _, _, network = await app.export(first, "native")
            assert await notice(app) is None

            fill(folder, but=40 * 2**20)  # less is free than is left alone
            assert (await app.step(first, 20))["step"] == 40
            sentence = (await app.get(first))["sentence"]
            assert "only 40.0 MiB are free" in sentence
            assert "Training goes on in memory" in sentence
            with pytest.raises(NoRoom, match="nothing more is taken in") as refusal:
                await app.import_model(network, "network.json")
            assert refusal.value.status == 507

            ballast = fill(folder)
            second = (await app.create(small(), state="paused"))["id"]
            for _ in range(4):
                await app.step(second, 50)
            with contextlib.suppress(TimeoutError):
                await until(app.store, lambda notice: notice is not None)
            assert "disk is full" in await notice(app)
            assert [run["id"] for run in (await app.list())["items"]] == [second, first]
            assert (await app.metrics(second))["step"] == list(range(10, 201, 10))

            ballast.unlink()
            await until(app.store, lambda notice: notice is None)
            assert (await app.step(second, 10))["step"] == 210
            assert (await app.step(first, 10))["step"] == 50
            assert "free" not in (await app.get(first))["sentence"]
            return str(second)

    with mounted(tmp_path / "disk", 64) as folder:
        second = asyncio.run(scenario(folder))
        check_file(folder / "nabla.sqlite3")

        async def again() -> None:
            async with service(folder) as app:
                assert (await app.get(second))["step"] == 210
                assert (await app.metrics(second))["step"] == list(range(10, 211, 10))
                assert (await app.step(second, 1))["step"] == 211

        asyncio.run(again())
    note(
        "Disk faults", "full disk: trained on in memory, 507 for uploads, saved by itself when there was room", met=True
    )


@as_root
@pytest.mark.parametrize("earlier", [False, True])
def test_a_start_on_a_full_disk_is_a_start_in_memory(tmp_path: Path, earlier: bool) -> None:
    with mounted(tmp_path / "disk", 1) as folder:
        if earlier:
            with opened(folder) as database:
                asyncio.run(database.call(runs.insert, stored("a")))
        ballast = fill(folder)
        with opened(folder) as database:
            asyncio.run(database.call(runs.insert, stored("b")))
            assert database.notice is not None
            ids = [run.id for run in asyncio.run(database.call(runs.newest, 9, None))]
            assert ids[0] == "b"
        ballast.unlink()
        with opened(folder) as database:
            assert database.notice is None
            found = [run.id for run in asyncio.run(database.call(runs.newest, 9, None))]
            assert ("a" in found) == earlier


def test_a_file_that_may_not_grow_costs_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: SQLite calls it an error of input and output, and not a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def live(database: Database) -> None:
        await database.call(runs.insert, stored("a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            await database.call(metrics.append, "a", points(*range(1, 2001)))
            assert database.notice is not None
            assert await database.call(metrics.read, "a") == points(*range(1, 2001))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await until(database, lambda notice: notice is None)
        assert await database.call(metrics.read, "a") == points(*range(1, 2001))

    with opened(tmp_path) as database:
        asyncio.run(live(database))
    check_file(tmp_path / "nabla.sqlite3")


@as_root
def test_a_file_system_that_becomes_read_only_costs_nothing(tmp_path: Path) -> None:
    def remount(folder: Path, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True, capture_output=True)

    with mounted(tmp_path / "disk", 8) as folder:
        with opened(folder) as database:
            asyncio.run(database.call(runs.insert, stored("a")))
        remount(folder, "ro")
        with opened(folder) as database:
            assert database.in_memory
            assert database.notice is not None
            assert str(folder) in database.notice
            asyncio.run(database.call(runs.insert, stored("b")))
        remount(folder, "rw")
        with opened(folder) as database:
            assert [run.id for run in asyncio.run(database.call(runs.newest, 9, None))] == ["a"]


def theirs(folder: Path) -> None:
    """Somebody else's, to look at."""
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)


def unreadable(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)


def history_of_another(folder: Path) -> None:
    """The folder is one's own, the history in it is not."""
    with opened(folder) as database:
        asyncio.run(database.call(runs.insert, stored("a")))
    database.path.chmod(0o600)
    os.chown(database.path, NOBODY, NOBODY)


def nowhere_to_make_it(folder: Path) -> None:
    theirs(folder.parent / "theirs")
    folder.symlink_to(folder.parent / "theirs" / "data")


def a_file(folder: Path) -> None:
    folder.write_text("not a folder")


@as_root
@pytest.mark.faults
@pytest.mark.parametrize("how", [theirs, unreadable, history_of_another, nowhere_to_make_it, a_file])
def test_without_rights_to_the_folder_the_app_is_usable(tmp_path: Path, how: Callable[[Path], None]) -> None:
    data = tmp_path / "data"
    how(data)
    use_powerless(tmp_path, "--data", str(data), words=str(data))
    note("Disk faults", f"{how.__name__.replace('_', ' ')}: usable, in memory, with the folder named", met=True)


@as_root
@pytest.mark.faults
def test_without_a_home_of_ones_own_the_app_is_usable(tmp_path: Path) -> None:
    theirs(tmp_path / "home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    use_powerless(tmp_path, words=str(tmp_path / "home"), environment=environment)


def test_an_account_without_a_home_works_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python leaves the `~` in a path as it is when the system knows no home."""
    monkeypatch.chdir(tmp_path)
    with opened(Path("~/.local/share/nabla")) as database:
        assert database.notice is not None
        assert "no home folder" in database.notice
        asyncio.run(database.call(runs.insert, stored("a")))
        assert database.checkpoints.parent.is_dir()
    assert not database.checkpoints.parent.exists()
    assert list(tmp_path.iterdir()) == []


def use_powerless(tmp_path: Path, *arguments: str, words: str, environment: dict[str, str] | None = None) -> None:
    temporary = set(Path("/tmp").glob("nabla-*"))
    with (
        serving(
            *arguments,
            "--workers",
            "1",
            errors=tmp_path / "errors",
            powerless=True,
            environment=environment,
            folder=Path("/"),
        ) as server,
        server.client as client,
    ):
        health = client.get("/api/health").json()
        assert words in health["notice"]
        assert "--data" in health["notice"]
        body = {"dataset": {"name": "plane"}, "network": [{"type": "dense", "units": 2}], "state": "paused"}
        made = client.post("/api/runs", json=body)
        assert made.status_code == 201, made.text
        id = made.json()["id"]
        assert client.post(f"/api/runs/{id}/steps", json={"count": 30}).json()["step"] == 30
        assert [run["id"] for run in client.get("/api/runs").json()["items"]] == [id]
        assert client.get("/").status_code == 200
        made = set(Path("/tmp").glob("nabla-*")) - temporary
        assert any((folder / "checkpoints" / id / "run.checkpoint").is_file() for folder in made)
    assert server.process.returncode == 0
    assert not any(folder.joinpath("checkpoints", id).exists() for folder in made)
    assert "Traceback" not in server.errors.read_text()
