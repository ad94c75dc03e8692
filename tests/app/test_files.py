"""Saved networks: their names and media types, what the page offers, and how a refusal is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.errors import Unprocessable
from app.workers import files
from engine import formats
from engine.errors import FormatError
from engine.formats import FORMATS, FormatName
from engine.specs import Dense, RunSpec
from engine.trainer import fresh_state
from tests.app.double import RunsDouble, app_with, client_of


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["My run 2", "../../etc/passwd", '"; x="', "数字", "a\r\nSet-Cookie: b", "x" * 80, "3 layers"])
def test_a_file_name_is_plain_whatever_the_run_is_called(format: FormatName, name: str) -> None:
    filename, media_type, content = files.export(fresh_state(RunSpec(name=name, network=(Dense(units=10),))), format)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]{3,70}", filename)
    assert "/" in media_type
    assert content
    if filename.endswith(".py"):
        assert filename.removesuffix(".py").isidentifier()


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(FormatError, match="one of: native, convnetjs, safetensors, onnx, pytorch, numpy"):
        files.export(fresh_state(RunSpec()), "pickle")  # type: ignore[arg-type]


async def page(runs: RunsDouble) -> str:
    run = await runs.create(RunSpec(), state="paused")
    async with client_of(app_with(runs)) as client:
        return (await client.get(f"/?run={run['id']}")).text


def options(html: str) -> dict[str, str]:
    """The formats that can be chosen: attributes and title of each by its name."""
    select = html.partition('<select id="save-format"')[2].partition("</select>")[0]
    return dict(re.findall(r'<option value="(\w+)"(.*?)</option>', select))


@pytest.mark.anyio
async def test_the_page_offers_every_format_and_says_what_is_inside() -> None:
    html = await page(RunsDouble())
    assert options(html) == {name: f">{format.title}" for name, format in FORMATS.items()}
    assert html.count("The network with its weights and the preparation of its inputs") == 1


@pytest.mark.anyio
async def test_a_format_whose_package_is_missing_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _name: None)
    found = options(await page(RunsDouble()))
    assert found.pop("onnx") == " disabled>ONNX (install nabla[export])"
    assert not any("disabled" in option for option in found.values())


class Refusing(RunsDouble):
    async def export(self, id: str, format: str) -> Any:
        await self.get(id)
        raise Unprocessable(f"{format} cannot hold this network.", code="unreadable_network")


@pytest.mark.anyio
async def test_a_person_reads_on_a_page_why_a_network_cannot_be_saved() -> None:
    runs = Refusing()
    run = await runs.create(RunSpec(), state="paused")
    async with client_of(app_with(runs)) as client:
        response = await client.get(f"/runs/{run['id']}/model?format=onnx", headers={"accept": "text/html"})
        assert response.status_code == 422
        assert "onnx cannot hold this network." in response.text
        assert response.headers["content-type"].startswith("text/html")
        unknown = await client.get(f"/runs/{run['id']}/model?format=pickle", headers={"accept": "text/html"})
        assert unknown.status_code == 422
