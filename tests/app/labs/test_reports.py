"""Reports: what a student saves holds when it is computed again, and nothing that a report says is believed."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import Unprocessable
from app.labs.catalogue import LABS
from app.labs.lesson import Lab, Verdict
from app.routes import report_files
from app.routes.report_files import file_of
from app.services import reports as making
from app.services import verification
from app.services.labs import Labs
from app.services.reports import Reports
from app.services.verification import Outcome, Verification, first_difference, read_report
from app.settings import Limits
from tests.app.labs.example import Settings, lab
from tests.app.small_runs import service, small

VISITOR = "v" * 32
LIMITS = Limits()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab with two runs in the place of all others; its task is solved at update 20."""
    made = lab(plays=False)
    monkeypatch.setattr(making, "ALL", (made,))
    monkeypatch.setattr(verification, "LABS", {made.name: made})
    monkeypatch.setattr(report_files, "LABS", {made.name: made})
    return made


def scenario(folder: Path, work: Callable[[Labs], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with service(folder) as runs:
            return await work(Labs(runs, runs.store))

    return asyncio.run(go())


async def solved_report(labs: Labs, example: Lab, updates: int = 20) -> dict[str, Any]:
    """Of a student who went to that update and saved the lab there."""
    settings = Settings(learning_rate=0.02)
    opened = await labs.visit(example, settings, ids={}, visitor=VISITOR, command="open")
    visit = await labs.visit(example, settings, ids=opened.ids, visitor=VISITOR, command="step", count=updates)
    picture = {"label": "A line.", "image": "data:image/png;base64,AAAA"}
    return await Reports(labs, labs._runs).of_lab(
        example, settings, ids=visit.ids, at="", pictures=[picture], visitor=VISITOR, student="Ada <b>"
    )


async def outcomes(labs: Labs, *bodies: bytes, limits: Limits = LIMITS) -> list[Outcome]:
    files = {f"{number}.json": body for number, body in enumerate(bodies)}
    return [outcome async for outcome in Verification(labs, limits).check(files)]


def written(report: dict[str, Any]) -> bytes:
    return json.dumps(report).encode()


def test_what_was_saved_holds_when_it_is_computed_again(tmp_path: Path, example: Lab) -> None:
    async def work(labs: Labs) -> None:
        report = await solved_report(labs, example)
        assert report["student"] == "Ada <b>"
        (part,) = report["labs"]
        assert part["state"]["at"] == [20, 20]
        assert part["state"]["settings"]["learning_rate"] == "0.02"
        assert [(run["name"], run["updates"], run["seed"]) for run in part["state"]["runs"]] == [
            ("all", 20, 1),
            ("some", 20, 1),
        ]
        assert part["state"]["formulas"][0]["numbers"] == "α = 0.02"
        (task,) = part["tasks"]
        assert (task["solved"], task["at"], task["note"]) == (True, [20, 20], "20 updates at 0.02.")

        page = file_of(report, "example", "html").body
        assert b"Ada &lt;b&gt;" in page
        assert b"data:image/png;base64,AAAA" in page
        for body in (written(report), bytes(page)):
            state, task_again = await outcomes(labs, body)
            assert (state.verdict, state.student) == ("holds", "Ada <b>")
            assert (task_again.verdict, task_again.said, task_again.found) == ("holds", task["note"], task["note"])
            assert task_again.page == "/labs/example?learning_rate=0.02&at=20.20"
        assert (await labs._runs.list())["items"][2:] == [], "the runs of the verification are gone"

    scenario(tmp_path, work)


def test_all_labs_are_saved_with_what_solved_their_tasks(tmp_path: Path, example: Lab) -> None:
    async def work(labs: Labs) -> None:
        before = await Reports(labs, labs._runs).of_all(VISITOR, "")
        assert [task["solved"] for task in before["labs"][0]["tasks"]] == [False]
        assert await outcomes(labs, written(before)) == []
        await solved_report(labs, example)
        after = await Reports(labs, labs._runs).of_all(VISITOR, "")
        assert after["labs"][0]["state"] is None
        (task,) = await outcomes(labs, written(after))
        assert task.verdict == "holds"
        assert (await Reports(labs, labs._runs).of_all(None, ""))["labs"][0]["tasks"][0]["solved"] is False

    scenario(tmp_path, work)


def test_a_lab_without_its_runs_at_hand_is_trained_to_where_it_is_to_be_saved(tmp_path: Path, example: Lab) -> None:
    async def work(labs: Labs) -> None:
        report = await Reports(labs, labs._runs).of_lab(
            example, Settings(), ids={}, at="3.4", pictures=[], visitor=None, student=""
        )
        assert [run["updates"] for run in report["labs"][0]["state"]["runs"]] == [3, 4]

    scenario(tmp_path, work)


def test_only_the_labs_own_runs_are_saved(tmp_path: Path, example: Lab) -> None:
    async def work(labs: Labs) -> None:
        opened = await labs.visit(example, Settings(), ids={}, visitor=VISITOR, command="open")
        strange = (await labs._runs.create(small(), state="paused"))["id"]
        for settings, ids in (
            (Settings(learning_rate=0.02), opened.ids),
            (Settings(), {**opened.ids, "all": strange}),
            (Settings(), {**opened.ids, "more": strange}),
            (Settings(), {"all": opened.ids["all"]}),
        ):
            with pytest.raises(Unprocessable, match="There is no run"):
                await Reports(labs, labs._runs).of_lab(
                    example, settings, ids=ids, at="", pictures=[], visitor=None, student=""
                )

    scenario(tmp_path, work)


def test_what_is_claimed_and_not_true_is_told(tmp_path: Path, example: Lab) -> None:
    async def work(labs: Labs) -> None:
        report = await solved_report(labs, example)

        def forged(**changes: Any) -> bytes:
            made = copy.deepcopy(report)
            made["labs"][0]["tasks"][0] |= changes
            return written(made)

        def found(result: list[Outcome]) -> tuple[str, str]:
            return result[-1].verdict, result[-1].found

        assert found(await outcomes(labs, forged(at=[5, 5]))) == ("fails", "5 updates at 0.02.")
        assert found(await outcomes(labs, forged(note="900 updates."))) == ("differs", "20 updates at 0.02.")
        changed = json.loads(written(report))
        changed["labs"][0]["state"]["figures"]["weights"]["all"][0] += 0.5
        (state, _) = await outcomes(labs, written(changed))
        assert state.verdict == "differs"
        assert state.found.startswith("weights all 1: ")

    scenario(tmp_path, work)


UNCHECKED: list[tuple[dict[str, Any], str]] = [
    ({"settings": {"learning_rate": "7"}}, "learning rate cannot be used"),
    ({"settings": {"start": "1," * 50_001}}, "settings of a state of Example cannot be read"),
    ({"settings": 3}, "settings of a state of Example cannot be read"),
    ({"settings": {"learning_rate": 0.1}}, "settings of a state of Example cannot be read"),
    ({"at": "20"}, "updates of a state of Example cannot be read"),
    ({"at": [1] * 100_000}, "updates of a state of Example cannot be read"),
    ({"at": [True, 1]}, "updates of a state of Example cannot be read"),
    ({"at": [20]}, "2 whole numbers"),
    ({"at": [10**8, 1]}, "at most 200,000 updates"),
    ({"task": "other"}, "a task that Example has not"),
    ({"task": {}}, "a task that Example has not"),
]


def test_a_claim_that_cannot_be_checked_says_why(tmp_path: Path, example: Lab) -> None:
    whole = {"task": "far", "solved": True, "settings": {}, "at": [20, 20], "note": ""}
    tasks = [whole | changes for changes, _ in UNCHECKED]
    body = written(REPORT | {"labs": [{"lab": example.name, "tasks": tasks}]})
    found = scenario(tmp_path, lambda labs: outcomes(labs, body))
    for outcome, (_, words) in zip(found, UNCHECKED, strict=True):
        assert outcome.verdict == "unchecked"
        assert words in outcome.found


REPORT = {"format": "nabla-report", "version": 1, "labs": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "neither the JSON file nor the HTML file"),
        (b"\xff\xfe", "not a text file"),
        (b"<html><p>Hello</p></html>", "neither the JSON file nor the HTML file"),
        (b'<pre id="nabla-report" hidden>{"format": 1,</pre>', "damaged"),
        (b'<pre id="nabla-report">' * 500_000, "damaged"),
        (b'<pre id="nabla-report"' * 500_000, "neither"),
        (b'{"format": "nabla-report", "labs": [', "damaged"),
        (b'{"x": NaN}', "damaged"),
        (b'{"x": ' + b"9" * 5_000 + b"}", "damaged"),
        (b"[" * 150_000, "neither"),
        (b'{"x": ' + b"[" * 150_000, "damaged"),
        (b'{"x": [' + b"[]," * 200_000 + b"[]]}", "more than 200,000 lists"),
        (b" " * (LIMITS.report_bytes + 1), "larger than the 12 MiB"),
        (b"{}", "not a report of the labs"),
        (written(REPORT | {"labs": {}}), "not a report of the labs"),
        (written(REPORT | {"version": 9}), "another version"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_report_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        read_report(body, LIMITS.report_bytes)
    assert words in refusal.value.detail


@pytest.mark.parametrize("part", [None, 3, "x", [], {}, {"lab": "nowhere"}, {"lab": []}])
def test_parts_that_mean_nothing_here_are_named_and_the_others_checked(example: Lab, part: Any) -> None:
    body = written(REPORT | {"student": ["x"], "labs": [part, {"lab": example.name, "state": 3, "tasks": "none"}]})
    assert read_report(body, LIMITS.report_bytes) == ("", ["It speaks of a lab that there is not here."])


def test_too_much_at_once_and_what_takes_too_long_is_left(tmp_path: Path, example: Lab) -> None:
    def claim(steps: int) -> dict[str, Any]:
        return {"task": "far", "solved": True, "settings": {}, "at": [steps, steps], "note": ""}

    async def work(labs: Labs) -> None:
        body = written(REPORT | {"labs": [{"lab": example.name, "tasks": [claim(1), claim(1), claim(2), claim(3)]}]})
        found = await outcomes(labs, body, limits=Limits(claims=2))
        assert [outcome.verdict for outcome in found] == ["fails", "fails", "unchecked"]
        assert "fewer files" in found[-1].found
        late = await outcomes(labs, body, limits=Limits(verifications_seconds=0))
        assert [outcome.claim for outcome in late] == ["The rest"]
        long = written(REPORT | {"labs": [{"lab": example.name, "tasks": [claim(200_000)]}]})
        (slow,) = await outcomes(labs, long, limits=Limits(verification_seconds=0.3))
        assert (slow.verdict, slow.found) == ("unchecked", "It takes more than 0.3 seconds to compute.")
        async with asyncio.timeout(10):
            while (await labs._runs.list())["items"]:
                await asyncio.sleep(0.01)

    scenario(tmp_path, work)


def test_a_lab_that_fails_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Verdict:
        raise ZeroDivisionError

    task = lab().tasks[0].__class__(name="far", question="?", hint="?", check=broken)
    monkeypatch.setattr(verification, "LABS", {"example": lab(tasks=(task,))})
    claim = {"task": "far", "solved": True, "settings": {}, "at": [1, 1], "note": ""}
    body = written(REPORT | {"labs": [{"lab": "example", "tasks": [claim]}]})
    (outcome,) = scenario(tmp_path, lambda labs: outcomes(labs, body))
    assert (outcome.verdict, outcome.found) == ("unchecked", "It cannot be computed here.")


def test_times_are_no_figures_to_compare() -> None:
    assert first_difference({"a": [1.0], "seconds": 3}, {"a": [1.0 + 1e-6], "seconds": 5}) is None
    assert first_difference({"a": [1.0]}, {"a": [1.001]}) == "a 1: 1 in the report, 1.001 here"
    assert first_difference({"a": [1.0]}, {"a": [1.0, 2.0]}) == "a: another length"
    assert first_difference({"a": 1}, {"b": 1}) == "The figures: other names"
    assert first_difference({"a": {"b": "x"}}, {"a": {"b": "y"}}) == "a b: x in the report, y here"
    assert first_difference({"a": None}, {"a": 0.0}) == "a: None in the report, 0 here"
    assert first_difference({"a": True}, {"a": False}) is not None


def test_a_lab_without_runs_is_saved_and_holds(tmp_path: Path) -> None:
    async def work(labs: Labs) -> None:
        real = LABS["convolution"]
        settings = replace(real.settings(), kernel=(1.0, -2.0, 1.0))
        await labs.visit(real, settings, ids={}, visitor=VISITOR)
        report = await Reports(labs, labs._runs).of_lab(
            real, settings, ids={}, at="", pictures=[], visitor=VISITOR, student=""
        )
        body = bytes(file_of(report, real.name, "html").body)
        assert [outcome.verdict for outcome in await outcomes(labs, body)] == ["holds", "holds"]

    scenario(tmp_path, work)
