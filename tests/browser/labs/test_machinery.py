"""What every lab's page does: it comes back by itself when a run or an answer is lost, and calls its runs by one name."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Route

from tests.browser.conftest import Faults
from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


def test_a_lab_whose_run_was_deleted_opens_again_where_it_stood(
    lesson: Lesson, api: httpx.Client, faults: Faults
) -> None:
    faults.expect("Not Found|Conflict")  # what the page tells the server of the run may meet its end
    lesson.open("gradient", "learning_rate=0.05&at=3.4.5")
    before, ids = lesson.figures["points"], lesson.runs
    with lesson.page.expect_navigation():
        api.delete(f"/runs/{ids['stochastic']}")
    until(lesson.page, lambda: lesson.address.endswith("at=3.4.5"), "as many updates")
    lesson.settled()
    assert ids["stochastic"] not in lesson.runs.values()
    assert lesson.figures["points"] == before


def test_what_was_set_while_no_answer_came_is_sent_again(lesson: Lesson, faults: Faults) -> None:
    faults.expect("ERR_FAILED|Failed to fetch")
    lesson.open("gradient", "at=3.4.5")
    refused: list[str] = []
    streams: list[str] = []
    lesson.page.on("request", lambda request: streams.append(request.url) if "/api/events" in request.url else None)

    def refuse(route: Route) -> None:
        if route.request.method != "POST" or refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    lesson.page.route("**/labs/gradient", refuse)
    lesson.choose("view", "bowl")
    assert refused
    assert "view=bowl" in lesson.address
    assert streams == [], "a form that was lost is no broken stream"


def test_slow_motion_calls_the_runs_as_the_run_bar_does(lesson: Lesson) -> None:
    lesson.open("activation-functions", "at=1.1.1")
    lesson.page.locator(".slow-motion summary").click()
    for function in ("tanh", "softplus"):
        lesson.choose("function", function)
        called = lesson.page.locator("slow-motion option").all_inner_texts()
        assert called == ["logistic", "ReLU", function]
        assert called == lesson.page.locator("#readouts dt").all_inner_texts()[1:]
