"""Who is asking: an anonymous number in a cookie, which is all that this server knows of a person.

It is made when something is first to be remembered, not when a page is looked at.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated

from fastapi import Depends, Request, Response

from app.asking import asking

COOKIE = "visitor"
SECONDS = 400 * 86_400
"""As long as browsers keep a cookie at most."""
NUMBER = re.compile(r"[a-z0-9]{32}")


def known_visitor(request: Request) -> str | None:
    """The visitor's number, if the browser has brought one; in a class the public name of who asks."""
    if (asker := asking.get()).in_class:
        return asker.person
    number = request.cookies.get(COOKIE, "")
    return number if NUMBER.fullmatch(number) else None


def visitor(request: Request, response: Response) -> str:
    """The visitor's number; a new visitor is given one with the answer."""
    if (number := known_visitor(request)) is None:
        number = new_visitor()
        remember(response, number)
    return number


def new_visitor() -> str:
    return secrets.token_hex(16)


def remember(response: Response, number: str) -> None:
    response.set_cookie(COOKIE, number, max_age=SECONDS, httponly=True, samesite="lax")


Visitor = Annotated[str, Depends(visitor)]
KnownVisitor = Annotated[str | None, Depends(known_visitor)]
