"""Finds out who asks before any route is reached, and lets in nobody who has not joined. Only where there is a class.

Pure ASGI, inside the guard and outside everything else. Whatever is not named here needs somebody who has joined; what begins
with one of LECTURERS needs the lecturer: so a new route is closed until somebody opens it.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, State
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.asking import NOBODY, Asker, asking
from app.errors import Forbidden, Problem
from app.problems import answer
from app.routes.visitor import COOKIE, NUMBER, SECONDS
from app.services.people import People

OPEN = ("/join", "/api/join", "/static/", "/api/health", "/favicon.ico")
"""What everybody may see."""
LECTURERS = ("/lecturer", "/api/class")

FOR_LECTURERS = "This is the lecturer's. Open it by the link that was printed where the server was started."
OTHER_LINK = (
    "This link is not the lecturer's of this server. Open the one that was printed where the server was started; "
    "each data folder has its own."
)
JOIN_FIRST = "Join the class first, by its link or at /join; a program brings a token."


class Doorman:
    """`state.people` is there once the app has started."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app, self.state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        headers, people, path = Headers(scope=scope), self.state.people, scope["path"]
        try:
            asker = who_asks(headers, people, port_of(scope))
        except Problem as problem:
            return await answer(scope, problem)(scope, receive, send)
        if path == "/lecturer" and (token := token_in_address(scope)) is not None:
            response = enter(scope, token) if people.is_lecturer(token) else answer(scope, Forbidden(OTHER_LINK))
            return await response(scope, receive, send)
        if is_under(path, LECTURERS) and not asker.everything:
            return await answer(scope, Forbidden(FOR_LECTURERS))(scope, receive, send)
        if asker is NOBODY and not is_under(path, OPEN):
            if path.startswith("/api/") or scope["method"] not in ("GET", "HEAD"):
                return await answer(scope, Forbidden(JOIN_FIRST, code="join_first"))(scope, receive, send)
            return await RedirectResponse("/join", 303)(scope, receive, send)
        before = asking.set(asker)
        try:
            with people.attending(asker.person):
                await self.app(scope, receive, send)
        finally:
            asking.reset(before)


def is_under(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


def who_asks(headers: Headers, people: People, port: int) -> Asker:
    """Raises Forbidden for a token that is none."""
    cookies: SimpleCookie = SimpleCookie()
    for text in headers.getlist("cookie"):
        try:
            cookies.load(text)
        except CookieError:
            continue  # of another program on this machine
    number = cookies[COOKIE].value if COOKIE in cookies else ""
    lecturer = cookies.get(lecturer_cookie(port))
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return people.asker(
        number if NUMBER.fullmatch(number) else None,
        token.strip() if scheme.lower() == "bearer" else None,
        None if lecturer is None else lecturer.value,
    )


def token_in_address(scope: Scope) -> str | None:
    """It is taken out of the address again at once: addresses lie in histories and logs."""
    texts = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return None if texts is None else texts[0]


def enter(scope: Scope, token: str) -> RedirectResponse:
    response = RedirectResponse("/lecturer", 303)
    secure = scope["scheme"] == "https"
    name = lecturer_cookie(port_of(scope))
    response.set_cookie(name, token, max_age=SECONDS, httponly=True, samesite="strict", secure=secure)
    return response


def lecturer_cookie(port: int) -> str:
    """Cookies of one machine are shared by all of its ports."""
    return f"lecturer-{port}"


def port_of(scope: Scope) -> int:
    server = scope.get("server")
    return int(server[1]) if server and server[1] else 0
