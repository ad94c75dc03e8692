"""Reports over HTTP: files to save, the page that verifies them, and what neither lets in."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.services.verification import Outcome
from tests.app.double import app_with, client_of

pytestmark = pytest.mark.anyio
PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_all_labs_are_saved_as_json_and_as_a_page_that_needs_no_other_file() -> None:
    async with client_of(app_with()) as client:
        saved = await client.get("/api/labs/report?student=Ada")
        page = await client.get("/api/labs/report?student=Ada&format=html")
    assert saved.headers["content-disposition"] == 'attachment; filename="nabla-labs.json"'
    assert saved.json()["student"] == "Ada"
    assert page.headers["content-disposition"] == 'attachment; filename="nabla-labs.html"'
    assert "<b>Ada</b>" in page.text
    assert "<style>" in page.text
    assert 'src="/' not in page.text
    assert "href=" not in page.text


async def test_a_name_is_text_and_nothing_else() -> None:
    async with client_of(app_with()) as client:
        page = await client.get(
            "/api/labs/report", params={"format": "html", "student": "</pre><script>alert(1)</script>"}
        )
    assert "<script>" not in page.text
    assert page.text.count("</pre>") == 1


@pytest.mark.parametrize(
    "picture",
    ["https://example.org/a.png", "data:text/html;base64,AAAA", 'data:image/png;base64,AA" onload="x', "javascript:1"],
)
async def test_only_pictures_are_taken_along(picture: str) -> None:
    async with client_of(app_with()) as client:
        body = {"pictures": [{"label": "x", "image": picture}]}
        assert (await client.post("/api/labs/convolution/report", json=body)).status_code == 422
        assert (await client.post("/api/labs/nowhere/report", json={})).status_code == 404


async def posted(client: httpx.AsyncClient, *files: tuple[str, bytes]) -> httpx.Response:
    return await client.post("/labs/verify", files=[("reports", (name, body, "text/html")) for name, body in files])


async def test_the_table_names_every_file_and_counts_in_the_end() -> None:
    app = app_with()

    async def check(files: dict[str, bytes]) -> Any:
        for file, body in files.items():
            yield Outcome(
                file=file, student="Ada & Bob", lab="Loss", claim="A task", verdict="holds" if body == b"1" else "fails",
                said="<0.1>", found="0.1", page="/labs/loss?at=3&n=2",
            )  # fmt: skip

    app.state.verification.check = check
    async with client_of(app) as client:
        empty = await client.get("/labs/verify")
        none = await client.post("/labs/verify", files=[("other", ("a", b"", "text/plain"))])
        one = await posted(client, ("a.html", b"1"))
        page = await posted(client, ("a.html", b"1"), ("a.html", b"2"), ("b.json", b"1"))
    assert "1 claim of 1 file<" in one.text
    assert empty.status_code == 200
    assert none.status_code == 422
    assert "Choose one report or more first." in none.text
    assert page.text.count("<tr data-verdict=") == 3
    assert "a.html (2)" in page.text
    assert "Ada &amp; Bob" in page.text
    assert "&lt;0.1&gt;" in page.text
    assert 'href="/labs/loss?at=3&amp;n=2"' in page.text
    assert "3 claims of 3 files" in page.text
    assert "2 hold, 0 with other figures, 1 do not hold, 0 not checked." in page.text
    assert page.text.rstrip().endswith("</html>")


async def test_what_is_no_report_is_a_row_and_no_error() -> None:
    async with client_of(app_with(report_bytes=1_000)) as client:
        page = await posted(client, ("holiday.jpg", b"\xff\xd8\xff"), ("large.json", b"{" + b" " * 1_000))
        api = await client.post(
            "/api/labs/verification", content=b'{"format": 1}', headers={"content-type": "text/html"}
        )
        other = await client.post("/api/labs/verification", content=b"x", headers={"content-type": "text/csv"})
    assert page.status_code == 200
    assert "It is not a text file." in page.text
    assert "It is larger than" in page.text
    assert [claim["verdict"] for claim in api.json()] == ["unchecked"]
    assert other.status_code == 415


async def test_a_saved_file_goes_straight_back_in() -> None:
    async with client_of(app_with()) as client:
        saved = await client.get("/api/labs/report?format=html")
        claims = await client.post(
            "/api/labs/verification", content=saved.content, headers={"content-type": "text/html"}
        )
        body = json.dumps({"settings": {}, "pictures": [{"label": "x", "image": "data:image/png;base64,AAA"}] * 13})
        many = await client.post("/api/labs/loss/report", content=body, headers={"content-type": "application/json"})
    assert claims.json() == []
    assert many.status_code == 422
