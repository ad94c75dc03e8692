"""The page's one stream and its watch, against answers that the test gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Request

from tests.browser.digits import until
from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

HTMX = (
    '<meta name="htmx-config" content=\'{"includeIndicatorCSS": false, "history": false, "extensions": "sse"}\'>'
    '<script src="/static/vendor/htmx.min.js" defer></script><script src="/static/vendor/hx-sse.min.js" defer></script>'
)
OPEN = """async () => {
  const { RunStream } = await import('/static/js/lib/stream.js');
  window.told = [];
  const stream = new RunStream(document.getElementById('stream'), '/api/runs/r/events?views=metrics&watch=w');
  for (const name of ['state', 'metrics', 'lost', 'found', 'gone']) stream.addEventListener(name, e => told.push([name, e.detail?.step ?? null]));
  stream.open();
}"""


def events(*steps: int) -> dict[str, Any]:
    text = "".join(f"id: 1-{step}\nevent: metrics\ndata: {json.dumps({'step': step})}\n\n" for step in steps)
    return {"content_type": "text/event-stream", "body": text}


def test_named_events_arrive_decoded_and_a_broken_stream_goes_on_after_the_last_one(bench: Bench) -> None:
    asked: list[str | None] = []

    def answer(request: Request) -> dict[str, Any]:
        asked.append(request.headers.get("last-event-id"))
        return events(1, 2) if len(asked) == 1 else events(3)

    bench.answer = answer
    page = bench.open('<div id="stream"></div>', head=HTMX)
    page.evaluate(OPEN)
    bench.until("told.some(([name, step]) => step === 3)")
    assert page.evaluate("told.slice(0, 5)") == [
        ["found", None],
        ["metrics", 1],
        ["metrics", 2],
        ["lost", None],
        ["found", None],
    ]
    assert asked[:2] == [None, "1-2"]


def test_a_first_connection_that_fails_is_tried_again(bench: Bench) -> None:
    count = 0

    def answer(_: Request) -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"status": 503, "body": "{}"} if count == 1 else events(1)

    bench.answer = answer
    page = bench.open('<div id="stream"></div>', head=HTMX)
    page.evaluate(OPEN)
    bench.until("told.some(([name, step]) => step === 1)")
    assert page.evaluate("told[0][0]") == "lost"
    assert page.inner_text("#stream") == "", "nothing is swapped into the element that holds the stream"
    bench.faults.clear()  # the browser itself reports the 503


def test_attempts_become_rarer_never_end_and_come_at_different_moments(bench: Bench) -> None:
    page = bench.open("")
    pauses = page.evaluate("""async () => {
      const { pause } = await import('/static/js/lib/stream.js');
      return Array.from({ length: 40 }, (_, failed) => Array.from({ length: 200 }, () => pause(failed)));
    }""")
    for failed, found in enumerate(pauses):
        steady = min(500 * 2**failed, 8000) if failed < 12 else min(8000 * 2 ** (failed - 12), 30_000)
        assert 0.5 * steady <= min(found) < 0.7 * steady, failed
        assert 1.3 * steady < max(found) <= 1.5 * steady, failed


def test_after_a_farewell_the_page_comes_back_or_learns_that_the_run_is_gone(bench: Bench) -> None:
    count = 0

    def answer(_: Request) -> dict[str, Any]:
        nonlocal count
        count += 1
        if count < 3:
            return {
                "content_type": "text/event-stream",
                "body": 'event: close\ndata: {"reason": "The server is stopping."}\n\n',
            }
        return {"status": 404, "body": "{}"}

    bench.answer = answer
    page = bench.open('<div id="stream"></div>', head=HTMX)
    page.evaluate(OPEN)
    bench.until("told.at(-1)?.[0] === 'gone'")
    page.wait_for_timeout(1500)
    assert count == 3, "a deleted run is not asked for again"
    bench.faults.clear()  # the browser itself reports the 404


def test_points_of_several_runs_come_once_though_each_connection_brings_them_all(bench: Bench) -> None:
    asked: list[str] = []

    def lines(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        text = "".join(f"event: {name}\ndata: {json.dumps(value)}\n\n" for name, value in events)
        return {"content_type": "text/event-stream", "body": text}

    def metrics(*steps: int) -> dict[str, Any]:
        return {"points": {"step": steps, "train_loss": steps}, "latest": {}}

    def answer(request: Request) -> dict[str, Any]:
        asked.append(request.url)
        if len(asked) == 1:
            return lines(
                ("state@a", {"generation": 0}),
                ("metrics@a", metrics(1, 2)),
                ("state@b", {"generation": 3}),
                ("metrics@b", metrics(5)),
            )
        if len(asked) == 2:
            return lines(
                ("state@a", {"generation": 0}),
                ("metrics@a", metrics(1)),
                ("metrics@a", metrics(2, 3)),
                ("state@b", {"generation": 4}),
                ("metrics@b", metrics(1)),
                ("status@b", {"state": "paused"}),
                ("close@b", {"reason": "The run was deleted."}),
            )
        return {"status": 404, "body": "{}"}

    bench.answer = answer
    page = bench.open('<div id="stream"></div>', head=HTMX)
    page.evaluate("""async () => {
      const { RunsStream } = await import('/static/js/lib/runs-stream.js');
      window.told = [];
      const stream = new RunsStream(document.getElementById('stream'), ['a', 'b'], { views: 'metrics,plane', watch: 'w' });
      for (const name of ['state', 'metrics', 'status', 'close', 'gone'])
        stream.addEventListener(name, e => told.push([name, e.detail?.run ?? null, e.detail?.data.points?.train_loss ?? null]));
      stream.open();
    }""")
    bench.until("told.at(-1)?.[0] === 'gone'")
    assert asked[0].endswith("/api/events?run=a&run=b&views=metrics%2Cplane&watch=w")
    assert page.evaluate("told") == [
        ["state", "a", None],
        ["metrics", "a", [1, 2]],
        ["state", "b", None],
        ["metrics", "b", [5]],
        ["state", "a", None],
        ["metrics", "a", []],
        ["metrics", "a", [3]],
        ["state", "b", None],
        ["metrics", "b", [1]],
        ["status", "b", None],
        ["close", "b", None],
        ["gone", None, None],
    ]
    bench.faults.clear()  # the browser itself reports the 404


def test_a_watch_has_one_request_in_flight_and_sends_the_newest_wish(bench: Bench) -> None:
    page = bench.open("")
    page.evaluate("""async () => {
      let flying = 0;
      window.most = 0;
      const real = window.fetch;
      window.fetch = async (...given) => {
        most = Math.max(most, ++flying);
        await new Promise(done => setTimeout(done, 30));
        try { return await real(...given); } finally { flying--; }
      };
      const { Watch } = await import('/static/js/lib/watch.js'), watch = new Watch('r', {});
      watch.set({ tiles: [1] });
      watch.announce();
      for (let i = 2; i < 40; i++) { watch.set({ tiles: [i] }); await new Promise(done => setTimeout(done, 4)); }
    }""")

    def wishes() -> list[list[int]]:
        return [body["tiles"] for method, _, body in bench.calls if method == "PUT"]

    until(page, lambda: wishes()[-1] == [39], "the newest wish")
    assert page.evaluate("most") == 1
    assert len(wishes()) < 20
