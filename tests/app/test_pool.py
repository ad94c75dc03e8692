"""Worker processes: their manners, their ends, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.settings import Settings
from app.workers.exits import classify
from app.workers.messages import Change, Evaluate, Notification, Open, Predict, Ready, Restored, Step
from app.workers.pool import Death, Pool, RefusedError, WorkerDiedError
from tests.app.small_runs import small

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Ear:
    """What a pool tells, and a way to wait for it."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []
        self.deaths: asyncio.Queue[Death] = asyncio.Queue()

    async def death(self) -> Death:
        async with asyncio.timeout(10):
            return await self.deaths.get()


@asynccontextmanager
async def pool(folder: Path, *, workers: int = 1, hang_seconds: float = 10.0) -> AsyncIterator[tuple[Pool, Ear]]:
    ear = Ear()
    pool = Pool(Settings(data=folder, workers=workers), hang_seconds=hang_seconds)
    await pool.start(ear.notifications.append, ear.deaths.put_nowait)
    try:
        yield pool, ear
    finally:
        await pool.close()


async def open_run(pool: Pool, run: str = "a", state: str = "paused") -> None:
    pool.settle(run)
    await pool.ask(Open(run=run, spec=small(), state=state, sentence=""))


def gone(pid: int, seconds: float = 5) -> bool:
    """Wait for the end of any process, ours or not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def test_a_worker_has_one_thread_for_blas_low_priority_and_ignores_ctrl_c(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path) as (workers, _):
            await open_run(workers)
            pid = workers.workers[0].process.pid
            assert pid is not None
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            assert b"OPENBLAS_NUM_THREADS=1" in environment
            assert b"OMP_NUM_THREADS=1" in environment
            assert os.getpriority(os.PRIO_PROCESS, pid) - os.getpriority(os.PRIO_PROCESS, 0) == 10
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(pid, number)
            await workers.ask(Step(run="a", count=1))  # still here
        assert gone(pid)

    asyncio.run(scenario())


def test_every_notification_of_a_command_comes_before_its_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path) as (workers, ear):
            await open_run(workers)
            assert any(isinstance(heard, Restored) for heard in ear.notifications)
            assert not any(isinstance(heard, Ready) for heard in ear.notifications), "the pool's own affair"

    asyncio.run(scenario())


def test_runs_are_shared_out_evenly_and_unknown_ones_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, workers=2) as (workers, _):
            for run in "abcd":
                workers.settle(run)
            assert sorted(workers._homes.values()) == [0, 0, 1, 1]
            with pytest.raises(RefusedError) as refused:
                await workers.ask(Step(run="a", count=1))
            assert refused.value.refusal.kind == "conflict"
            with pytest.raises(WorkerDiedError):
                await workers.ask(Step(run="nowhere", count=1))

    asyncio.run(scenario())


def test_a_killed_worker_is_named_and_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path) as (workers, ear):
            await open_run(workers, "a", "running")
            await open_run(workers, "b")
            evaluation = asyncio.ensure_future(workers.ask(Evaluate(run="a", split="test", crops=16)))
            await asyncio.sleep(0)
            workers.workers[0].process.kill()
            death = await ear.death()
            assert death.exit.message.startswith("The worker was ended by SIGKILL")
            assert (sorted(death.runs), death.culprit) in ((["a", "b"], "a"), (["a", "b"], None))
            with pytest.raises(WorkerDiedError):
                await evaluation
            assert not workers.is_settled("a")
            await open_run(workers, "a")

    asyncio.run(scenario())


def test_a_worker_that_hangs_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, hang_seconds=0.2) as (workers, ear):
            await open_run(workers, "a", "paused")
            await workers.ask(Change(run="a", values={}))
            workers.workers[0].pulse.allowance = 0.0
            pid = workers.workers[0].process.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            workers.workers[0].pulse.allowance = 0.0
            death = await ear.death()
            assert death.exit.cause == "hang"
            assert gone(pid)

    asyncio.run(scenario())


def test_a_prediction_is_answered_while_other_runs_train(tmp_path: Path) -> None:
    async def scenario() -> list[float]:
        async with pool(tmp_path) as (workers, _):
            loop = asyncio.get_running_loop()
            for run in "abc":
                await open_run(workers, run, "running")
            waits = []
            for _ in range(20):
                asked = loop.time()
                await workers.ask(Predict(run="b", inputs=[[[0.5] * 12] * 12]))
                waits.append(loop.time() - asked)
            return waits

    assert sorted(asyncio.run(scenario()))[10] < 0.05


ORPHANS = """
import asyncio, sys
from pathlib import Path
from app.settings import Settings
from app.workers.messages import Open
from app.workers.pool import Pool
from tests.app.small_runs import small

async def main():
    pool = Pool(Settings(data=Path(sys.argv[1]), workers=2))
    await pool.start(lambda notification: None, lambda death: None)
    for run in "ab":
        pool.settle(run)
        await pool.ask(Open(run=run, spec=small(), state="running", sentence=""))
    print(*(worker.process.pid for worker in pool.workers), flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_no_worker_outlives_a_killed_server(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(ORPHANS)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, script, tmp_path], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        pids = [int(pid) for pid in server.stdout.readline().split()]
        assert len(pids) == 2
        server.kill()
        assert all(gone(pid, 2) for pid in pids)


def test_an_end_is_put_into_words_without_guessing() -> None:
    assert "SIGSEGV" in classify(-11, hung=False).message
    assert "compiled code" in classify(-11, hung=False).message
    assert "out of memory" not in classify(-9, hung=False).message
    assert "exit code 3" in classify(3, hung=False).message
    assert "signal 77" in classify(-77, hung=False).message
    assert classify(-9, hung=True).cause == "hang"


def test_a_worker_that_is_still_starting_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def scenario() -> list[int | None]:
        workers = Pool(Settings(data=tmp_path, workers=2))
        await workers.start(lambda _: None, lambda _: None)
        await workers.close()
        return [worker.process.exitcode for worker in workers.workers]

    assert asyncio.run(scenario()) == [-signal.SIGKILL] * 2
