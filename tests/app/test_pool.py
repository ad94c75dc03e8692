"""Worker processes: their manners, their ends, and that none is left behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.settings import Settings
from app.workers.exits import classify
from app.workers.handover import MOST_WAITING, Handover
from app.workers.messages import (
    Answer,
    Change,
    Compute,
    Evaluate,
    Notification,
    Open,
    Predict,
    Ready,
    Request,
    Restored,
    Step,
)
from app.workers.pool import Death, Pool, RefusedError, WorkerDiedError
from app.workers.process import Bounds, Pulse, main
from tests.app.small_runs import small

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


FLOOD = 5_000


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
            assert b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes(), "forked, it would share the server's locks"
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


def test_the_runs_of_one_owner_live_together_and_owners_are_shared_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, workers=3) as (workers, _):
            for number in range(50):
                workers.settle(f"a-{number}", "a")
            for owner in "bcdef":
                workers.settle(f"{owner}-only", owner)
            homes = {owner: {workers._homes[run] for run in workers.settled if run[0] == owner} for owner in "abcdef"}
            assert all(len(slots) == 1 for slots in homes.values())
            assert sorted(slot for slots in homes.values() for slot in slots) == [0, 0, 1, 1, 2, 2], (
                "the last one joins the one with many, though others have fewer runs"
            )
            pid = workers.workers[homes["a"].pop()].process.pid  # type: ignore[attr-defined]
            assert await workers.ask(Compute(function=os.getpid, arguments=(), owner="a")) == pid
            for run in workers.settled:
                workers.forget(run)
            workers.settle("again", "a")
            assert workers._homes == {"again": 0}

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


def test_a_server_that_was_held_up_itself_ends_no_worker(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, hang_seconds=0.2) as (workers, ear):
            await open_run(workers)
            link = workers.workers[0]
            await asyncio.sleep(0)
            time.sleep(1.7)  # as a page that takes far too long would
            link.beat, link.pulse.allowance = link.pulse.beat, 0.0
            await asyncio.sleep(0.05)
            await workers.ask(Step(run="a", count=1))
            assert not link.hung
            assert ear.deaths.empty()

    asyncio.run(scenario())


def test_runs_that_come_to_a_worker_that_does_not_start_are_not_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path) as (workers, ear):
            workers.workers[0].ready = False
            workers.workers[0].kill()
            while not workers.workers[0].ended:
                await asyncio.sleep(0)
            workers.settle("a")
            with pytest.raises(WorkerDiedError):
                await workers.ask(Step(run="a", count=1))
            assert (await ear.death()).runs == ["a"]
            assert not workers.is_settled("a")
            workers.workers[0].kill()
            while not workers.workers[0].ended:
                await asyncio.sleep(0)
            async with asyncio.timeout(2):
                await workers.close()  # nothing is left to wait for

    asyncio.run(scenario())


def test_a_flood_of_notifications_stops_neither_the_loop_nor_the_memory() -> None:
    async def scenario() -> tuple[list[int], float, int]:
        taken: list[int] = []
        most = 0

        def take(number: int) -> None:
            nonlocal most
            most = max(most, len(handover._waiting))
            taken.append(number)
            time.sleep(1e-4)

        handover = Handover(asyncio.get_running_loop(), take)
        thread = threading.Thread(target=lambda: [handover.put(number) for number in range(FLOOD)], daemon=True)
        thread.start()
        longest, before = 0.0, time.monotonic()
        while len(taken) < FLOOD:
            await asyncio.sleep(0)
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        return taken, longest, most

    taken, longest, most = asyncio.run(scenario())
    assert taken == list(range(FLOOD))
    assert longest < 0.1
    assert most <= MOST_WAITING


def test_a_notification_that_cannot_be_taken_does_not_stop_the_next() -> None:
    async def scenario() -> tuple[list[int], list[str]]:
        taken: list[int] = []
        wrong: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: wrong.append(str(context["exception"])))

        def take(number: int) -> None:
            if number == 1:
                raise ValueError("not this one")
            taken.append(number)

        handover = Handover(loop, take)
        for number in range(3):
            assert handover.put(number)
        while len(taken) < 2:
            await asyncio.sleep(0)
        return taken, wrong

    assert asyncio.run(scenario()) == ([0, 2], ["not this one"])


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
from app.workers.process import Bounds, Pulse, main
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


def test_a_worker_that_nobody_hears_any_more_ends_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where the pipe breaks before anything else says that the server is gone."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    bounds = Bounds(run_seconds=60, memory_bytes=2**30)
    worker = context.Process(target=main, args=(theirs, context.RawValue(Pulse), os.getpid(), tmp_path, bounds))
    worker.start()
    theirs.close()
    ours.send(Request(1, Open(run="a", spec=small(), state="running", sentence="")))
    while not isinstance(ours.recv(), Answer):
        pass
    with socket.socket(fileno=os.dup(ours.fileno())) as end:
        end.shutdown(socket.SHUT_RD)
    worker.join(10)
    assert worker.exitcode == 1
    assert capfd.readouterr().err == ""


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
