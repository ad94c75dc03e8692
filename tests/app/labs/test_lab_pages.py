"""A lab's page over HTTP: what a link asks for that cannot be is said plainly, and the lab is there all the same."""

from __future__ import annotations

import gc

import pytest

from app.labs.catalogue import ALL
from tests.app.double import app_with, client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_link_with_a_setting_that_cannot_be_is_told_so() -> None:
    async with client_of(app_with()) as client:
        page = await client.get("/labs/gradient?learning_rate=abc&batch=8&foreign=1")
        usual = await client.get("/labs/gradient?learning_rate=0.1")
    assert page.status_code == usual.status_code == 200
    assert "Learning rate must be a number. The lab opens with its usual value instead." in page.text
    assert 'class="problem"' not in usual.text


async def test_updates_that_a_link_names_wrongly_are_counted_for_whoever_wrote_it() -> None:
    async with client_of(app_with()) as client:
        one = await client.post("/labs/weights", data={"command": "open", "at": "1.2"})
        none = await client.get("/labs/nothing")
    assert one.json()["detail"] == "“at” says how many updates each run has done: a whole number."
    assert none.status_code == 404


@pytest.mark.parametrize("name", [lab.name for lab in ALL if lab.trains])
async def test_a_page_leaves_nothing_to_the_search_for_garbage(name: str) -> None:
    async with client_of(app_with()) as client:
        await client.get(f"/labs/{name}")  # what is made once and stays
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            page = await client.get(f"/labs/{name}")
            gc.collect()
            left = [type(each) for each in gc.garbage if type(each).__module__.startswith(("app.", "jinja2."))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
    assert page.status_code == 200
    assert left == []
