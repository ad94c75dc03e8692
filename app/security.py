"""What stands between the network and the app: who may ask, how much they may send, and what every answer carries.

Pure ASGI and outermost, so that nothing (static files, the stream, a 500) gets past it. Decisions are made on
`scope["path"]` and on parsed hosts, never by pattern.

Host.    A page of another site can point its own name at 127.0.0.1 (DNS rebinding) and would then be same-origin with
         this server. So the Host header must be a loopback address, `localhost`, the host this server was told to
         listen on, or a name configured at start-up; the port is ignored. Any other name: 403 before routing.
         A server that listens on all addresses also answers to any literal address, for no site can take one over.
Origin.  For methods that change something, and for streams: `Sec-Fetch-Site` must be same-origin or none; where a
         browser does not send it (plain HTTP beyond loopback), `Origin` must be this very host and port; where both
         are missing it is not a browser. `same-site` is refused too: ports of one machine are same-site.
Bodies.  Counted while they are read, refused as soon as they are over the limit or too slow; never inflated.
Answers. A CSP that allows what the pages need and nothing else, and no CORS header at all. `Referrer-Policy` is
         same-origin and not no-referrer, because the latter makes browsers send `Origin: null` on our own forms.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BadRequest, Forbidden, Problem, TooLarge, UnsupportedMedia
from app.problems import answer
from app.settings import Limits, Settings

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data: blob:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
TABLE = re.compile(r"/api/datasets|/(plane|curve)/(open|csv|runs/[a-z0-9]+/experiment)")
PORTION = 64 * 2**10
LARGE_NUMERIC = re.compile(r"/(predictions|drawings|watches/[a-z0-9]+)")


class Guard:
    """Checks Host and Origin, numbers the request and adds the headers that every answer carries."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.names = {"localhost", settings.host.lower(), *settings.allowed_hosts}
        self.any_address = settings.host in ("0.0.0.0", "::")
        if self.any_address:
            self.names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        problem = self.objection(scope)
        if scope["type"] == "websocket":
            if problem is not None:
                return await send({"type": "websocket.close", "code": 1008})
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        if problem is not None:
            return await answer(scope, problem)(scope, receive, send_with_headers)
        await self.app(scope, receive, send_with_headers)

    def objection(self, scope: Scope) -> Problem | None:
        """Why this request is refused, or None."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.is_allowed(hosts[0]):
            return Forbidden(
                "This server does not answer to that name. Use http://localhost with the right port, "
                "or start it with NABLA_ALLOWED_HOSTS set to the name you use.",
                code="host_not_allowed",
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if (changes or scope["path"].endswith("/events")) and not is_own_page(headers, hosts[0]):
            return Forbidden(
                "This request comes from a page of another site; it was not carried out.", code="cross_origin"
            )
        return None

    def is_allowed(self, host: str) -> bool:
        match = HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].lower().strip("[]")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return address.is_loopback or self.any_address or name in self.names


def is_own_page(headers: Headers, host: str) -> bool:
    """Whether a browser says that the request comes from this server's own pages, or it is no browser at all."""
    site = headers.get("sec-fetch-site")
    origins = headers.getlist("origin")
    if site is not None:
        return site in ("same-origin", "none")
    if not origins:
        return True
    scheme, _, netloc = origins[0].partition("://")
    return len(origins) == 1 and scheme in ("http", "https") and netloc.lower() == host.lower()


def add_headers(scope: Scope, headers: MutableHeaders) -> None:
    headers["x-request-id"] = scope["state"]["request_id"]
    headers["content-security-policy"] = CONTENT_SECURITY_POLICY
    headers["x-content-type-options"] = "nosniff"
    headers["referrer-policy"] = "same-origin"
    headers["cross-origin-resource-policy"] = "same-origin"
    headers.setdefault("cache-control", "no-cache" if scope["path"].startswith("/static/") else "no-store")


class Bodies:
    """Counts the bytes of a body while the app reads it and answers 413 as soon as there are too many, 408 when they stay away.

    Whatever the app makes of the interruption, its answer is replaced. A body with a Content-Encoding is refused:
    nothing is ever inflated here.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    def limit(self, path: str) -> int:
        if path.endswith("/models"):
            return self.limits.model_bytes
        if path.endswith(("/report", "/verification")):
            return self.limits.report_bytes
        if path == "/labs/verify":
            return self.limits.reports_bytes
        if TABLE.fullmatch(path):
            return self.limits.table_bytes
        return self.limits.drawing_bytes if LARGE_NUMERIC.search(path) else self.limits.body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.limit(scope["path"])
        refusal = first_refusal(Headers(scope=scope), limit)
        if refusal is not None:
            return await answer(scope, refusal)(scope, receive, send)
        body = Body(receive, limit, self.limits.body_seconds)
        started = False

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if body.refusal is None or started:
                started = True
                await send(message)

        await self.app(scope, body.receive, unless_refused)
        if body.refusal is not None and not started:
            await answer(scope, body.refusal)(scope, receive, send)


class Body:
    """One body while the app reads it. `refusal` says why no more of it is read; to the app its sender has left by then."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self.limit = limit
        self.seconds = self._patience = seconds
        self.received = 0
        self.ended = False
        self.refusal: Problem | None = None

    async def receive(self) -> Message:
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        if self.ended:
            return await self._receive()  # until the client leaves
        loop = asyncio.get_running_loop()
        start = loop.time()  # only what is spent waiting counts: the app may read slowly
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            self.refusal = too_slow(self.seconds)
            return {"type": "http.disconnect"}
        self._patience -= loop.time() - start
        portions = self.received // PORTION
        self.received += len(message.get("body", b""))
        if self.received // PORTION > portions:
            self._patience = self.seconds
        if self.received > self.limit:
            self.refusal = too_large(self.limit)
            return {"type": "http.disconnect"}
        self.ended = not message.get("more_body", False)
        return message


def first_refusal(headers: Headers, limit: int) -> Problem | None:
    """What can be said of a body by its headers alone."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        return UnsupportedMedia("Compressed bodies are not read here; send the text itself.", code="content_encoding")
    if "content-length" in headers and "transfer-encoding" in headers:  # which of them a proxy believed, nobody knows
        refusal = BadRequest("The body has a Content-Length and a Transfer-Encoding; a body has one of them.")
        refusal.headers["connection"] = "close"
        return refusal
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        return BadRequest("The Content-Length header is not a number.")
    return too_large(limit) if len(length) > 15 or int(length) > limit else None


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"That is more than the {size(limit)} that are read here.")


def too_slow(seconds: float) -> Problem:
    detail = f"The body was not there after {seconds:g} seconds without 64 KiB of it. Send it again."
    return Problem(408, "too_slow", "Too slow", detail, headers={"connection": "close"})


def size(count: int) -> str:
    return f"{count / 2**20:g} MiB" if count >= 2**20 else f"{count / 2**10:g} KiB"
