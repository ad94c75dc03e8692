"""What every answer of the app has to carry, looked at where it leaves the app: no route, old or new, gets past it."""

from __future__ import annotations

import re
from typing import Any

from starlette.datastructures import Headers

from app.security import CONTENT_SECURITY_POLICY

ALWAYS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
SHOWN = frozenset(
    {
        "application/json",
        "application/problem+json",
        "text/html",
        "text/event-stream",
        "image/svg+xml",
        "text/css",
        "text/javascript",
        "text/plain",
    }
)
"""What a browser may be given to show. Anything else is for the disk and says so."""
ATTACHMENT = re.compile(r'attachment; filename="[a-z0-9][a-z0-9_.-]{0,80}"')
ADDRESS = re.compile(r"/(?![/\\])[^\\\s]*")
"""A place on this very server: neither `//evil` nor `/\\evil`. (Starlette writes our own host before it.)"""


def objections(scope: Any, status: int, headers: Headers) -> list[str]:
    """What is wrong with the headers of an answer, in words; nothing where all is well."""
    path, here = scope["path"], f"{scope['scheme']}://{Headers(scope=scope).get('host')}"
    wrong = [f"{name} is {headers.get(name)!r}" for name, value in ALWAYS.items() if headers.get(name) != value]
    if not re.fullmatch("[0-9a-f]{16}", headers.get("x-request-id", "")):
        wrong.append("it has no number")
    wrong += [f"{name} lets another site in" for name in headers if name.startswith("access-control")]
    wrong += [f"{name} tells what this server is" for name in headers if name in ("server", "x-powered-by")]
    wrong += [f"it sends the browser to {place!r}" for place in places(headers, here) if not ADDRESS.fullmatch(place)]
    wrong += [f"the cookie {cookie!r}" for cookie in headers.getlist("set-cookie") if not is_kept_close(cookie)]
    kind = headers.get("content-type", "").partition(";")[0]
    if kind and kind not in SHOWN and "content-disposition" not in headers:
        wrong.append(f"{kind} is not marked as a file")
    if not ATTACHMENT.fullmatch(headers.get("content-disposition", 'attachment; filename="none"')):
        wrong.append(f"content-disposition is {headers['content-disposition']!r}")
    if not kind and status not in (204, 303, 304, 307):
        wrong.append("it does not say what it is")
    if headers.get("cache-control") not in cached(path, kind):
        wrong.append(f"cache-control is {headers.get('cache-control')!r}")
    if status in (429, 503) and not headers.get("retry-after", "").isdigit():
        wrong.append("it does not say when to try again")
    if status == 405 and "allow" not in headers:
        wrong.append("it does not say which methods there are")
    return [f"{status} {path}: {each}" for each in wrong]


def places(headers: Headers, here: str) -> list[str]:
    return [
        headers[name].removeprefix(here)
        for name in ("location", "hx-redirect", "hx-location", "hx-push-url")
        if name in headers
    ]


def cached(path: str, kind: str) -> tuple[str, ...]:
    if path.startswith("/static/"):
        return ("no-cache",)
    return ("no-store", "max-age=3600") if kind == "image/svg+xml" else ("no-store",)


def is_kept_close(cookie: str) -> bool:
    """No script may read it, and no other site's request brings it along."""
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    return "httponly" in attributes and bool({"samesite=lax", "samesite=strict"} & attributes)


class Validated:
    """An app whose answers are all looked at; `wrong` is what was found."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.wrong: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def look(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = Headers(raw=list(message.get("headers", [])))
                self.wrong += objections(scope, message["status"], headers)
            await send(message)

        await self.app(scope, receive, look)
