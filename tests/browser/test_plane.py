"""Journeys on the plane: from the first look to one's own points, a lesson's link and back."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Faults
from tests.browser.digits import PHONE
from tests.browser.points import Bench
from tests.browser.server import Server
from tests.browser.test_accessible import LOOKS, overflow, violations

pytestmark = pytest.mark.browser

SMALL = "/plane?data=xor&points=120&network=4.tanh&optimizer=adam&lr=0.03&batch=10"
PAUSED = f"{SMALL}&play=0"


@pytest.fixture
def bench(page: Page, server: Server, api: httpx.Client) -> Iterator[Bench]:
    made = Bench(page, server.url, api)
    yield made
    if page.url.startswith("http") and made.form.count() and made.run:
        run = made.run
        page.goto("about:blank")
        api.delete(f"/runs/{run}")


@pytest.fixture
def elsewhere(new_context: Callable[..., BrowserContext], server: Server, api: httpx.Client) -> Callable[[], Bench]:
    """Another person's browser."""
    return lambda: Bench(new_context().new_page(), server.url, api)


def colours(bench: Bench, selector: str) -> int:
    """How many different colours a canvas shows, as far as ten are told apart."""
    found: int = bench.page.locator(selector).first.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), found = new Set();
          for (let i = 0; i < data.length && found.size < 10; i += 64) found.add(`${data[i]},${data[i + 1]},${data[i + 2]},${data[i + 3]}`);
          return found.size;
        }"""
    )
    return found


# ---- The first look --------------------------------------------------------------------------------------------------------


def test_the_first_visit_trains_at_once_and_shows_it_everywhere(bench: Bench) -> None:
    bench.open()
    expect(bench.state).to_have_text("Training")
    bench.until(lambda: (bench.readout("Test accuracy") or 0) >= 95, "95 % of the test points")
    bench.until(lambda: colours(bench, "plane-plot canvas") >= 10, "regions in shades")
    bench.until(lambda: colours(bench, "button.neuron canvas") > 2, "a neuron's picture")
    bench.page.locator("hidden-space").scroll_into_view_if_needed()
    bench.until(lambda: colours(bench, "hidden-space canvas") > 2, "the space inside")
    expect(bench.page.locator("confusion-matrix table")).to_be_visible()
    expect(bench.page.locator("unit-histograms")).to_contain_text("0 of 6")


def test_hyperparameters_change_without_a_reset_and_layers_with_one(bench: Bench) -> None:
    bench.open(SMALL)
    bench.until_update(300)
    bench.page.get_by_label("Learning rate", exact=True).fill("0.001")
    bench.page.keyboard.press("Tab")
    bench.until(lambda: bench.document["optimizer"]["learning_rate"] == 0.001, "the new rate")
    assert bench.document["step"] >= 300
    generation = bench.document["generation"]
    bench.button("More neurons in layer 1").click()
    bench.until(lambda: bench.document["network"][0]["units"] == 5, "five neurons")
    assert bench.document["generation"] == generation + 1
    expect(bench.page.get_by_role("button", name=re.compile("^Layer 1, neuron 5"))).to_be_visible()
    bench.button("More layers").click()
    bench.until(lambda: len(bench.document["network"]) == 5, "another layer")


def test_every_one_of_ten_quick_presses_counts(bench: Bench) -> None:
    bench.open(SMALL)
    more = bench.button("More neurons in layer 1")
    for _ in range(10):
        more.dispatch_event("click")
    bench.until(lambda: bench.document["network"][0]["units"] == 14, "ten neurons more")
    bench.settled()
    expect(bench.page.get_by_role("button", name=re.compile("^Layer 1, neuron"))).to_have_count(14)


def test_new_points_keep_the_weights(bench: Bench) -> None:
    bench.open(PAUSED)
    bench.button("Update").click()
    bench.until(lambda: bench.document["step"] == 1, "one update")
    points = bench.points()["values"]
    bench.button("New points").click()
    bench.until(lambda: bench.points()["values"] != points, "new points")
    assert bench.document["step"] == 1


def test_an_epoch_is_all_training_points_once(bench: Bench) -> None:
    bench.open(PAUSED)
    bench.button("Epoch").click()
    bench.until(lambda: bench.document["step"] == 6, "60 points in batches of 10")
    bench.button("Reset").click()
    bench.until(lambda: bench.document["step"] == 0, "the beginning")


def test_it_can_be_watched_update_by_update(bench: Bench) -> None:
    bench.open(SMALL)
    bench.page.locator("select[name=speed]").select_option(label="1 update a second")
    bench.until(lambda: bench.document["updates_per_second"] == 1, "one update a second")
    before = bench.document["step"]
    bench.page.wait_for_timeout(2200)  # what is tested is time itself
    assert 1 <= bench.document["step"] - before <= 4


# ---- Points of one's own ----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_four_painted_classes_are_learned(bench: Bench) -> None:
    bench.open("/plane?data=gaussians&classes=4&points=8&train=1&network=8.tanh&optimizer=adam&lr=0.05&batch=10&play=0&name=corners")
    bench.page.get_by_text("Paint points").click()
    for index, (x, y) in enumerate([(-3.5, 3.5), (3.5, 3.5), (3.5, -3.5), (-3.5, -3.5)]):
        bench.page.get_by_role("radio", name=f"Class {'ABCD'[index]}").check(force=True)
        for turn in range(6):
            bench.click(x + 1.2 * math.cos(turn), y + 1.2 * math.sin(turn))
    bench.until(lambda: len(bench.points()["labels"]) == 32, "24 points more")
    assert set(bench.points()["labels"]) == {0, 1, 2, 3}
    assert "data=own" in bench.address
    bench.button("Train").click()
    bench.until(lambda: bench.document["metrics"]["train_accuracy"] is not None and bench.document["step"] > 1500, "1,500 updates")
    painted = bench.api.get(f"/runs/{bench.run}/evaluation", params={"split": "train"}).json()
    assert painted["accuracy"] >= 0.8  # the eight of the set lie anywhere


def test_points_come_in_and_go_out_as_csv(bench: Bench) -> None:
    rows = [(round(math.cos(i), 3), round(math.sin(i) * (i % 3), 3), "cat" if i % 2 else "dog") for i in range(30)]
    text = "a,b,animal\n" + "\n".join(f"{x},{y},{kind}" for x, y, kind in rows[:10]) + "\n1,oops,cat\n"
    text += "\n".join(f"{x},{y},{kind}" for x, y, kind in rows[10:])
    bench.open(PAUSED)
    bench.button("Your own data (CSV)").click()
    bench.page.get_by_label("Or paste the rows").fill(text)
    bench.button("Read").click()
    dialog = bench.page.get_by_role("dialog")
    expect(dialog).to_contain_text("30 points of a, b; 2 classes")
    expect(dialog).to_contain_text("1 row was left out")
    expect(dialog.get_by_role("row", name=re.compile("12"))).to_contain_text("oops")
    bench.button("Use these points").click()
    bench.until(lambda: bench.document["dataset"]["columns"] == ["a", "b"], "the columns")
    with bench.page.expect_download() as download:
        bench.page.get_by_role("link", name="Download").click()
    saved = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert saved[0] == ["a", "b", "animal"]
    assert [(float(x), float(y), kind) for x, y, kind in saved[1:]] == rows


def test_only_the_keyboard_is_needed(bench: Bench) -> None:
    bench.open(PAUSED)
    keyboard = bench.page.keyboard
    bench.page.get_by_role("radio", name="Gauss").focus()
    keyboard.press("ArrowRight")
    bench.until(lambda: bench.document["dataset"]["kind"] == "spiral", "the next set")
    bench.settled()
    bench.page.get_by_text("Paint points").focus()
    keyboard.press("Enter")
    bench.plot.locator("[tabindex='0']").first.focus()
    keyboard.press("2")
    for _ in range(3):
        keyboard.press("ArrowUp")
    keyboard.press("Enter")
    bench.until(lambda: len(bench.points()["labels"]) == 121, "one point more")
    assert bench.points()["labels"][-1] == 1
    bench.button("Train").focus()
    keyboard.press("Enter")
    bench.until_update(50)
    bench.page.locator("body").press("Space")
    expect(bench.state).to_have_text("Paused")


# ---- Weights ---------------------------------------------------------------------------------------------------------------


def test_a_weight_typed_into_the_diagram_is_the_networks(bench: Bench) -> None:
    bench.open(PAUSED)
    neuron = bench.page.get_by_role("button", name=re.compile("^Layer 1, neuron 1"))
    field = bench.page.locator(".weight-card").get_by_label("x", exact=True)

    def opened() -> bool:
        """The card has fields once the first frame has brought the weights."""
        neuron.focus()
        neuron.press("Enter")
        if not field.is_visible():
            bench.page.keyboard.press("Escape")
        return field.is_visible()

    bench.until(opened, "a field for the weight")
    field.fill("1.75")
    field.press("Enter")
    first = f"/runs/{bench.run}/layers/0"
    bench.until(lambda: bench.api.get(first, params={"what": "weights"}).json()["weights"]["values"][0][0] == 1.75, "the typed number")


# ---- Addresses -------------------------------------------------------------------------------------------------------------


def test_a_link_opens_the_same_run_elsewhere_to_the_last_bit(bench: Bench, elsewhere: Callable[[], Bench]) -> None:
    bench.open(PAUSED)
    bench.page.get_by_text("Paint points").click()
    bench.click(0.4, 0.6)
    bench.until(lambda: len(bench.points()["labels"]) == 121, "a painted point")
    bench.button("More neurons in layer 1").click()
    bench.until(lambda: bench.document["network"][0]["units"] == 5, "five neurons")
    bench.settled()
    bench.button("Share").click()
    link = bench.page.locator("#share-link").input_value()
    assert link.startswith(bench.url)
    other = elsewhere()
    other.open(link.removeprefix(other.url))
    assert other.run != bench.run
    assert other.spec == bench.spec
    losses = []
    for each in (bench, other):
        each.api.post(f"/runs/{each.run}/reset", json={}).raise_for_status()
        run = each.api.post(f"/runs/{each.run}/steps", json={"count": 500}).raise_for_status().json()
        losses.append((run["metrics"]["train_loss"], run["metrics"]["test_loss"]))
    assert losses[0] == losses[1]


def test_back_and_forward_walk_through_the_experiment(bench: Bench) -> None:
    bench.open(PAUSED)
    bench.choose("Data set", "Spiral")
    bench.until(lambda: bench.document["dataset"]["kind"] == "spiral", "the spiral")
    bench.until(lambda: "data=spiral" in bench.page.url, "its address")
    bench.page.wait_for_timeout(1600)  # changes that follow each other at once are one entry
    bench.choose("Data set", "Moons")
    bench.until(lambda: "data=moons" in bench.page.url, "its address")
    bench.page.go_back()
    bench.until(lambda: bench.document["dataset"]["kind"] == "spiral", "the spiral again")
    bench.page.go_forward()
    bench.until(lambda: bench.document["dataset"]["kind"] == "moons", "the moons again")


def test_a_set_stays_chosen_when_the_run_bar_is_swapped_meanwhile(bench: Bench) -> None:
    bench.open(PAUSED)
    held: list[Route] = []
    bench.page.route("**/experiment", lambda route: held.append(route))
    bench.page.get_by_role("group", name="Data set").get_by_text("Spiral", exact=True).click()
    bench.until(lambda: held, "the form on its way")
    bench.page.evaluate("run => htmx.ajax('GET', `/runs/${run}/commands`, { target: '#commands', swap: 'outerMorph' })", bench.run)
    held[0].continue_()
    bench.page.unroute("**/experiment")
    bench.until(lambda: bench.document["dataset"]["kind"] == "spiral", "the spiral")
    bench.settled()
    expect(bench.page.get_by_role("radio", name="Spiral")).to_be_checked()
    bench.button("More neurons in layer 1").click()
    bench.until(lambda: bench.document["network"][0]["units"] == 5, "five neurons")
    assert bench.document["dataset"]["kind"] == "spiral"


def test_a_reload_finds_the_same_run(bench: Bench) -> None:
    bench.open(PAUSED)
    bench.button("Update").click()
    bench.until(lambda: bench.document["step"] == 1, "one update")
    run = bench.run
    bench.page.reload()
    bench.settled()
    assert bench.run == run
    assert bench.document["step"] == 1


def test_a_lesson_hides_and_locks(bench: Bench) -> None:
    bench.open(f"{PAUSED}&hide=noise,speed&lock=layers")
    expect(bench.page.get_by_text("Some controls are locked for this lesson.")).to_be_visible()
    expect(bench.page.get_by_role("slider", name=re.compile("Noise"))).to_have_count(0)
    expect(bench.page.locator("select[name=speed]")).to_have_count(0)
    expect(bench.button("More layers")).to_be_disabled()


def test_a_link_of_tensorflow_playground_is_understood(bench: Bench) -> None:
    bench.open("/plane#activation=relu&batchSize=12&dataset=spiral&regDataset=reg-plane&learningRate=0.01&regularizationRate=0"
               "&noise=10&networkShape=5,3&seed=0.5&showTestData=false&discretize=true&percTrainData=70&x=true&y=true&sinX=true&problem=classification")  # fmt: skip
    bench.until(lambda: bench.run and bench.document["dataset"].get("kind") == "spiral", "Playground's spiral")
    run = bench.document
    assert run["dataset"]["features"] == ["x", "y", "sin_x"]
    assert (run["dataset"]["noise"], run["dataset"]["train_share"], run["batch_size"]) == (0.1, 0.7, 12)
    assert [layer["type"] for layer in run["network"][:4]] == ["dense", "relu", "dense", "relu"]
    assert [layer["units"] for layer in run["network"] if "units" in layer][:2] == [5, 3]


# ---- What goes wrong -------------------------------------------------------------------------------------------------------


def test_a_wrong_number_stands_at_its_field_and_changes_nothing(bench: Bench, faults: Faults) -> None:
    faults.expect("status of 422")
    bench.open(PAUSED)
    spec = bench.spec
    rate = bench.page.get_by_label("Learning rate", exact=True)
    rate.fill("a lot")
    rate.press("Tab")
    expect(bench.page.get_by_role("alert").filter(has_text=re.compile("number"))).to_be_visible()
    expect(rate).to_have_value("a lot")
    assert bench.spec == spec


def test_a_network_that_diverges_says_so_and_goes_on_from_before(bench: Bench) -> None:
    bench.open("/plane?data=plane&network=8.relu,8.relu&optimizer=sgd&lr=3&batch=10")
    expect(bench.state).to_have_text("Diverged")
    accident = bench.page.locator("#accident")
    expect(accident).to_contain_text("learning rate")
    assert "NaN" not in bench.page.locator("body").inner_text()
    accident.get_by_role("button").first.click()
    bench.until(lambda: bench.document["state"] in ("running", "paused"), "going on")


def test_an_experiment_whose_run_is_deleted_is_opened_again(bench: Bench, faults: Faults) -> None:
    faults.expect("status of 40[49]")  # what was asked about it just then
    bench.open(PAUSED)
    run = bench.run
    bench.api.delete(f"/runs/{run}")
    bench.page.get_by_role("link", name="Open this experiment again").click()
    bench.settled()
    bench.until(lambda: bench.run != run, "another run")
    assert bench.document["dataset"]["kind"] == "xor"


# ---- For everybody ---------------------------------------------------------------------------------------------------------


@LOOKS
@pytest.mark.parametrize("path", ["/plane", "/curve"])
def test_the_pages_of_points_are_clean(
    new_context: Callable[..., BrowserContext], server: Server, api: httpx.Client, viewport: object, scheme: str, path: str
) -> None:
    bench = Bench(new_context(viewport=viewport, color_scheme=scheme).new_page(), server.url, api).open(f"{path}?play=0")
    for summary in bench.page.locator("details:not([open]) > summary").all():
        if summary.is_visible():
            summary.evaluate("summary => summary.click()")
    bench.page.locator("unit-histograms").scroll_into_view_if_needed()
    assert violations(bench.page) == []
    assert overflow(bench.page) == []


@pytest.mark.parametrize("width", [1279, 1152, 1024, 768, 641, 375])
def test_the_run_bar_cuts_no_figure_off(new_context: Callable[..., BrowserContext], server: Server, api: httpx.Client, width: int) -> None:
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    bench = Bench(page, server.url, api).open(PAUSED)
    readouts = page.locator("#readouts")
    for figure in readouts.locator("[data-figure=step]").all():
        figure.evaluate("e => { e.textContent = '1,234,567' }")
    assert readouts.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.locator(".runbar > div").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.locator("select[name=speed]").is_visible(), "the speed is chosen at every width"
    assert overflow(bench.page) == []


def test_on_a_phone_the_output_comes_first(new_context: Callable[..., BrowserContext], server: Server, api: httpx.Client) -> None:
    bench = Bench(new_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page(), server.url, api).open(PAUSED)
    tops = [bench.page.get_by_role("heading", name=name, exact=True).bounding_box() for name in ("Output", "Data", "Network")]
    assert all(tops)
    assert [box["y"] for box in tops if box] == sorted(box["y"] for box in tops if box)
    scroller = bench.page.locator("network-diagram .scroller")
    assert scroller.evaluate("e => e.scrollWidth > e.clientWidth"), "the network scrolls in its own box"
    assert overflow(bench.page) == []
