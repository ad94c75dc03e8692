"""The pictures in the README: what a visitor sees after a network has learned for a while.

They are taken with the long tests, to see that they can be; `python3 -m tests --shots` puts them into shots/.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx
import pytest
from playwright.sync_api import BrowserContext, ViewportSize, expect

from tests.browser.digits import PHONE, Digits
from tests.browser.points import Bench
from tests.browser.server import Server, running_server

pytestmark = [pytest.mark.browser, pytest.mark.long]

THREE = [[(0.3, 0.27), (0.42, 0.17), (0.6, 0.17), (0.68, 0.28), (0.62, 0.42), (0.46, 0.48), (0.62, 0.53), (0.7, 0.66), (0.62, 0.8), (0.45, 0.84), (0.3, 0.76)]]
WIDE = ViewportSize(width=1440, height=1500)
LEARNED = 1_500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(__file__).parent / "shots" if os.environ.get("NABLA_SHOTS") else tmp_path


@pytest.fixture(scope="module")
def run(api: httpx.Client) -> str:
    """One run for all pictures: it has learned, and stands still, so that a picture shows one moment."""
    made = api.post("/runs", json={"preset": "digits", "stop": {"steps": LEARNED}}).json()["id"]
    return str(made)


def take(context: BrowserContext, server: Server, api: httpx.Client, run: str, path: Path) -> None:
    page = context.new_page()
    page.add_init_script("localStorage.setItem('nabla.hint', 'closed')")
    digits = Digits(page, api, run)
    digits.open(server.url)
    expect(digits.state).to_have_text("Finished", timeout=90_000)
    expect(page.get_by_role("table", name="Rows: true class")).to_be_visible(timeout=30_000)
    digits.draw(THREE)
    expect(digits.answer()).not_to_have_text("Its answer", timeout=10_000)
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(2, 2)
    page.screenshot(path=path)
    assert path.stat().st_size > 20_000


@pytest.mark.parametrize(("name", "scheme", "size"), [("digits-light", "light", WIDE), ("digits-dark", "dark", WIDE), ("digits-narrow", "light", PHONE)])
def test_the_digits_page(name: str, scheme: str, size: ViewportSize, run: str, folder: Path, server: Server, api: httpx.Client, new_context: Callable[..., BrowserContext]) -> None:
    context = new_context(viewport=size, color_scheme=scheme)
    take(context, server, api, run, folder / f"{name}.png")


@pytest.mark.usefixtures("run")
def test_the_list_of_runs(folder: Path, server: Server, new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(viewport=ViewportSize(width=1440, height=700)).new_page()
    page.goto(f"{server.url}/runs")
    expect(page.get_by_role("heading", name="My runs")).to_be_visible()
    page.screenshot(path=folder / "runs-light.png")


SPIRALS = "/plane?data=spiral&noise=0.05&points=400&features=x,y,sin_x,sin_y&network=8.tanh,6.tanh&optimizer=adam&lr=0.01&batch=10&seed=2&stop_steps=6000"
BENT = "/curve?data=x_sin_x&noise=0.03&points=60&train=0.7&network=8.tanh,8.tanh&optimizer=adam&lr=0.01&batch=10&stop_steps=6000"


@pytest.mark.parametrize(
    ("name", "address", "scheme", "size"),
    [
        ("plane-light", SPIRALS, "light", ViewportSize(width=1440, height=1330)),
        ("plane-dark", SPIRALS, "dark", ViewportSize(width=1440, height=1330)),
        ("plane-narrow", SPIRALS, "light", PHONE),
        ("curve-light", BENT, "light", ViewportSize(width=1440, height=1250)),
    ],
)
def test_the_pages_of_points(
    name: str, address: str, scheme: str, size: ViewportSize, folder: Path, server: Server, api: httpx.Client, new_context: Callable[..., BrowserContext]
) -> None:
    bench = Bench(new_context(viewport=size, color_scheme=scheme).new_page(), server.url, api).open(address)
    expect(bench.state).to_have_text("Finished", timeout=90_000)
    for views in ("loss-chart canvas", "hidden-space canvas", "confusion-matrix", "unit-histograms"):
        if bench.page.locator(views).count():
            bench.page.locator(views).first.scroll_into_view_if_needed()
    expect(bench.page.locator("unit-histograms")).to_contain_text(" of ")
    bench.page.evaluate("scrollTo(0, 0)")
    bench.page.mouse.move(2, 2)
    bench.page.wait_for_timeout(500)  # the last frame fades in
    path = folder / f"{name}.png"
    bench.page.screenshot(path=path)
    assert path.stat().st_size > 20_000


STUDENTS = ("Bright Otter", "Calm Heron", "Keen Puffin", "Lucky Wren", "Merry Fox", "Quiet Lynx", "Silver Jay", "Swift Seal", "Wise Gecko")
NETWORKS = ("spiral", "circle", "xor", "gaussians", "digits-quick", "moons")


def test_the_pages_of_a_class(folder: Path, tmp_path: Path, new_context: Callable[..., BrowserContext]) -> None:
    """Of a server of its own; each student trains a network or two, and some have ended."""
    chance = Random(4)
    with running_server(tmp_path / "class", "--class", "--workers", "2") as server:
        while len(server.lines) < 3:
            server.listening.wait()
        code, token = (line.rpartition(end)[2] for line, end in zip(server.lines[-2:], ("/join/", "?token="), strict=True))
        joining = new_context(viewport=ViewportSize(width=1000, height=620)).new_page()
        joining.goto(f"{server.url}/join/{code}")
        joining.get_by_role("textbox", name="Nickname").fill("Quick Robin")
        joining.screenshot(path=folder / "join-light.png")
        for nickname in STUDENTS:
            with httpx.Client(base_url=f"{server.url}/api", timeout=60) as student:
                student.post("/join", json={"code": code, "nickname": nickname}).raise_for_status()
                for _ in range(chance.choice((1, 2))):
                    preset = chance.choice(NETWORKS)
                    made = student.post("/runs", json={"preset": preset, "stop": {"steps": chance.choice((1_500, 10**7))}}).json()["id"]
                    student.patch(f"/runs/{made}", json={"updates_per_second": chance.choice((40, 120, None))})
        page = new_context(viewport=ViewportSize(width=1440, height=1000)).new_page()
        page.goto(f"{server.url}/lecturer?token={token}")
        expect(page.locator(".run-card .chip", has_text="Finished").first).to_be_visible(timeout=90_000)
        page.mouse.move(2, 2)
        page.screenshot(path=folder / "lecturer-light.png")
        assert (folder / "lecturer-light.png").stat().st_size > 20_000
