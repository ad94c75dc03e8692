"""Save a network and load it again, in every format that is read, as a file or pasted: it predicts the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Faults
from tests.browser.digits import ONE, Digits

pytestmark = pytest.mark.browser


def trained(visit: Callable[..., Digits]) -> Digits:
    """Paused, after 100 updates."""
    digits = visit(state="paused")
    digits.button("100 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("100")
    return digits


def answers(digits: Digits, run: str) -> np.ndarray:
    """Probabilities for ten images of the test set."""
    items: list[dict[str, Any]] = digits.api.get(f"/runs/{run}/examples?split=test&limit=10").json()["items"]
    return np.array([[share for _, share in item["top"]] for item in items])


def save(digits: Digits, kind: str) -> Path:
    digits.page.get_by_role("combobox", name="Format").select_option(kind)
    with digits.page.expect_download() as download:
        digits.button("Download").click()
    path = Path(download.value.path())
    assert re.search(r"\.(json|safetensors)$", download.value.suggested_filename)
    return path


def loaded(digits: Digits, before: str) -> Digits:
    digits.page.wait_for_url(lambda url: url != before)
    made = Digits(digits.page, digits.api, digits.page.url.rpartition("=")[2])
    made.connected()
    expect(made.state).to_have_text("Paused")
    return made


@pytest.mark.parametrize("kind", ["Nabla, with optimizer state", "convnetjs JSON", "safetensors"])
def test_a_saved_network_predicts_the_same_when_loaded(visit: Callable[..., Digits], kind: str) -> None:
    digits = trained(visit)
    file = save(digits, kind)
    before = digits.page.url
    digits.page.get_by_label("Network file").set_input_files({"name": "net", "mimeType": "application/octet-stream", "buffer": file.read_bytes()})
    digits.button("Load").click()
    made = loaded(digits, before)
    assert made.run != digits.run
    np.testing.assert_allclose(answers(digits, made.run), answers(digits, digits.run), atol=1e-5)
    if kind.startswith("Nabla"):
        expect(made.figure("Update", section="Run")).to_have_text("100")
        for run in (digits.run, made.run):  # its own file goes on exactly where the run was
            digits.api.post(f"/runs/{run}/steps", json={"count": 5}).raise_for_status()
        weights = [digits.api.get(f"/runs/{run}/layers/0").json()["weights"] for run in (digits.run, made.run)]
        assert weights[0] == weights[1]
    made.draw(ONE)
    expect(made.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    made.page.goto("about:blank")
    digits.api.delete(f"/runs/{made.run}")


@pytest.mark.long
def test_a_network_can_be_pasted(visit: Callable[..., Digits]) -> None:
    digits = trained(visit)
    text = save(digits, "convnetjs JSON").read_text("utf-8")
    before = digits.page.url
    digits.page.get_by_text("Paste it instead").click()
    digits.page.get_by_role("textbox", name="The network as JSON").fill(text)
    digits.button("Load").click()
    made = loaded(digits, before)
    np.testing.assert_allclose(answers(digits, made.run), answers(digits, digits.run), atol=1e-5)
    made.page.goto("about:blank")
    digits.api.delete(f"/runs/{made.run}")


@pytest.mark.long
def test_damaged_files_are_refused_in_words(visit: Callable[..., Digits], faults: Faults) -> None:
    faults.expect("the server responded with a status of 4")
    digits = trained(visit)
    whole = save(digits, "Nabla, with optimizer state").read_text("utf-8")
    document = json.loads(whole)
    document["step"] = "many"
    for name, content in (
        ("cut.json", whole[:5000]),
        ("step.json", json.dumps(document)),
        ("other.json", '{"hello": 1}'),
        ("image.json", "\x89PNG"),
    ):
        digits.page.get_by_label("Network file").set_input_files(
            {"name": name, "mimeType": "application/json", "buffer": content.encode("latin-1", "replace")}
        )
        digits.button("Load").click()
        alert = digits.page.locator("#problems").get_by_role("alert")
        expect(alert).to_contain_text(re.compile(r"[a-z]{3,} [a-z]+"))
        print(f"{name}: {alert.inner_text()!r}")
        alert.get_by_role("button", name="Dismiss").click()
        expect(alert).to_be_hidden()
    digits.page.get_by_label("Network file").set_input_files([])
    digits.button("Load").click()
    expect(digits.page.locator("#problems").get_by_role("alert")).to_contain_text("Choose a file or paste a network first.")
    assert digits.page.url.endswith(digits.run)
