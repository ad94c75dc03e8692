"""How one joins a class, and what it knows of whoever has joined: all of it, and a button that deletes it.

Both pages work without JavaScript. There is no parameter that leads anywhere else: whoever has joined begins at `/`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.asking import NOBODY, asking
from app.deps import ClassroomService, PeopleService
from app.errors import Problem
from app.listening import outward_name
from app.routes.runs import typed
from app.routes.visitor import COOKIE, NUMBER, new_visitor, remember
from app.services.people import NICKNAME_CHARACTERS, People, person_of, token_of
from app.settings import Settings
from app.templating import render

router = APIRouter(include_in_schema=False)

FIRST = "/labs"
"""Where somebody who has joined arrives: the map. The digits page would train a run at once for each of three hundred."""


# ---- Joining -------------------------------------------------------------------------------------------------------------------


@router.get("/join")
@router.get("/join/{code}")
async def joining(people: PeopleService, code: str = "") -> HTMLResponse:
    return join_page(people, code=code)


@router.post("/join")
async def join(request: Request, people: PeopleService) -> Response:
    """Joins, or gives one who has joined another nickname. What is refused stands beside the form."""
    form = await typed(request)
    asker = asking.get()
    code, nickname = form.get("code", ""), form.get("nickname", "")
    try:
        if asker is not NOBODY:
            await people.rename(asker.person, nickname)
            return RedirectResponse(FIRST, 303)
        number = number_of(request) or new_visitor()
        await people.join(number, code, nickname)
    except Problem as problem:
        page = join_page(people, code=code, nickname=nickname, problem=problem)
        page.headers.update(problem.headers)
        return page
    response = RedirectResponse(FIRST, 303)
    remember(response, number)
    return response


def join_page(
    people: People, *, code: str = "", nickname: str | None = None, problem: Problem | None = None, farewell: bool = False
) -> HTMLResponse:
    values = {
        "active": "join",
        "code": code[:40],
        "nickname": people.suggestion() if nickname is None else nickname[: 4 * NICKNAME_CHARACTERS],
        "problem": problem,
        "farewell": farewell,
        "most": NICKNAME_CHARACTERS,
    }
    return render("join.html", values, status=200 if problem is None else problem.status)


def number_of(request: Request) -> str | None:
    """The visitor's number, if the browser has brought one."""
    number = request.cookies.get(COOKIE, "")
    return number if NUMBER.fullmatch(number) else None


# ---- What is known of oneself ----------------------------------------------------------------------------------------------------


@router.get("/me")
async def me(request: Request, people: PeopleService, classroom: ClassroomService) -> HTMLResponse:
    return await me_page(request, people, await classroom.belongings_of(asking.get().person))


@router.post("/me")
async def rename(request: Request, people: PeopleService, classroom: ClassroomService) -> Response:
    nickname = (await typed(request)).get("nickname", "")
    person = asking.get().person
    try:
        await people.rename(person, nickname)
    except Problem as problem:
        return await me_page(request, people, await classroom.belongings_of(person), nickname, problem)
    return RedirectResponse("/me", 303)


@router.post("/me/delete")
async def delete(people: PeopleService, classroom: ClassroomService) -> HTMLResponse:
    """Everything of whoever asks, at once."""
    await classroom.leave(asking.get().person)
    page = join_page(people, farewell=True)
    page.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return page


async def me_page(
    request: Request, people: People, belongings: dict[str, int], nickname: str | None = None, problem: Problem | None = None
) -> HTMLResponse:
    address, token = str(request.base_url), token_for(request, people)
    lecturer = asking.get().everything
    person = None if lecturer else people.find(asking.get().person)
    values = {
        "active": "me",
        "person": person,
        "nickname": nickname if nickname is not None else person.nickname if person else "",
        "problem": problem,
        "belongings": belongings,
        "token": token,
        "snippets": snippets(address, token or "<your token>"),
        "most": NICKNAME_CHARACTERS,
    }
    return render("me.html", values, status=200 if problem is None else problem.status)


def token_for(request: Request, people: People) -> str | None:
    """What programs of whoever asks bring along; None for a program that has brought it, for it stands nowhere here."""
    if asking.get().everything:
        return people.lecturer_token
    number = number_of(request)
    return token_of(number) if number is not None and person_of(number) == asking.get().person else None


def snippets(address: str, token: str) -> dict[str, str]:
    """A first request with the token."""
    curl = f"curl {address}api/runs -H 'Authorization: Bearer {token}'"
    python = "\n".join(
        (
            "import httpx",
            "",
            f'nabla = httpx.Client(base_url="{address}api", headers={{"Authorization": "Bearer {token}"}}, timeout=60)',
            'run = nabla.post("/runs", json={"preset": "circle"}).json()',
            'print(run["id"], nabla.get("/me").json()["nickname"])',
        )
    )
    return {"curl": curl, "python": python}


# ---- Where the class comes in --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JoinLink:
    """`reachable`: by others than this machine."""

    address: str
    reachable: bool

    @property
    def place(self) -> str:
        """As one reads it from a blackboard, without the code."""
        return self.address.partition("://")[2].rpartition("/")[0]

    def document(self) -> dict[str, Any]:
        return {"link": self.address, "reachable": self.reachable}


def join_link(request: Request, settings: Settings, code: str) -> JoinLink:
    """As the lecturer's browser calls this server if others can call it so, else by this machine's address in its network."""
    name = request.url.hostname or "localhost"
    if not is_loopback(name):
        return JoinLink(f"{request.base_url}join/{code}", reachable=True)
    if is_loopback(settings.host):
        return JoinLink(f"{request.base_url}join/{code}", reachable=False)
    port = (request.scope.get("server") or ("", settings.port))[1]
    return JoinLink(f"http://{outward_name(settings.host, settings.host)}:{port}/join/{code}", reachable=True)


def is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"
