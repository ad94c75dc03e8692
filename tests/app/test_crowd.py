"""A crowd of requests is begun little by little, in order, and what else there is to do has its turn between them."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

from app.crowd import TOGETHER
from app.requests import Turnstile

CROWD = 5 * TOGETHER


async def nothing() -> Message:
    raise AssertionError


async def sent(_: Message) -> None:
    raise AssertionError


def crowd(*, gone: tuple[int, ...] = ()) -> tuple[list[int], list[int]]:
    """Who was begun, in order, and how many of them in each round of the event loop; the `gone` leave while they wait."""
    begun: list[int] = []
    counts: list[int] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        begun.append(scope["number"])

    async def scenario() -> None:
        turnstile = Turnstile(app)
        asked = [
            asyncio.create_task(turnstile({"type": "http", "number": number}, nothing, sent)) for number in range(CROWD)
        ]
        await asyncio.sleep(0)
        for number in gone:
            asked[number].cancel()
        before = 0
        while not all(task.done() for task in asked):
            counts.append(len(begun) - before)
            before = len(begun)
            await asyncio.sleep(0)
        counts.append(len(begun) - before)

    asyncio.run(scenario())
    return begun, counts


def test_of_a_crowd_so_many_are_begun_in_one_round() -> None:
    begun, counts = crowd()
    assert begun == list(range(CROWD))
    assert max(counts) <= TOGETHER
    assert sum(count > 0 for count in counts) == CROWD // TOGETHER


def test_who_leaves_the_crowd_holds_up_nobody() -> None:
    gone = (TOGETHER, CROWD // 2, CROWD - 1)
    begun, counts = crowd(gone=gone)
    assert begun == [number for number in range(CROWD) if number not in gone]
    assert max(counts) <= TOGETHER


def test_the_next_crowd_finds_it_open() -> None:
    begun: list[str] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        begun.append(scope["type"])

    async def scenario() -> None:
        turnstile = Turnstile(app)
        for _ in range(3):
            await asyncio.gather(*(turnstile({"type": "http"}, nothing, sent) for _ in range(TOGETHER + 1)))
        await turnstile({"type": "lifespan"}, nothing, sent)

    asyncio.run(scenario())
    assert begun == ["http"] * 3 * (TOGETHER + 1) + ["lifespan"]
