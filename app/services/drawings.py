"""Drawings that a visitor labels and keeps: what a network can be judged on and taught beside everybody's digits.

Ink goes through `engine.ink` in a thread: the server's event loop never touches an array.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Sequence
from typing import Any

from app.clock import utc_now
from app.errors import Conflict, NotFound, Unprocessable
from app.services.keeping import check_disk
from app.settings import Limits
from app.store import drawings as rows
from app.store.database import Database
from app.store.drawings import StoredDrawing
from app.wire.arrays import unpack_ink
from engine.errors import ShapeError
from engine.ink import preprocess
from engine.specs.pictures import MOST_IN_ADDRESS, pack_drawings


class Drawings:
    """Between the API and the store."""

    def __init__(self, store: Database, limits: Limits) -> None:
        self._store, self._limits = store, limits

    async def list(self, visitor: str | None) -> dict[str, Any]:
        """Oldest first; and `packed`, all of them as a run's dataset and the lab take them, or the newest that fit."""
        kept = [] if visitor is None else await self._store.call(rows.of, visitor)
        return {"items": [described(drawing) for drawing in kept], "packed": await asyncio.to_thread(packed, kept)}

    async def keep(self, visitor: str, label: int, ink: dict[str, Any]) -> dict[str, Any]:
        """The drawing as it is kept. Unprocessable where nothing is drawn, Conflict where there are too many, NoRoom on a full disk."""
        check_disk(self._store, self._limits)
        try:
            pixels = await asyncio.to_thread(pixels_of, ink)
        except ShapeError as error:
            raise Unprocessable(str(error), field="/ink") from None
        if pixels is None:
            raise Unprocessable("Nothing is drawn: draw a digit first.", code="nothing_drawn", field="/ink")
        drawing = StoredDrawing(secrets.token_hex(8), label, pixels, utc_now())
        most, altogether = self._limits.drawings, self._limits.drawings_stored
        if not await self._store.call(rows.add, visitor, drawing, most, altogether):
            raise Conflict(f"You keep {most} drawings already. Delete one to make room.", code="too_many_drawings")
        return described(drawing)

    async def delete(self, visitor: str | None, id: str) -> None:
        if visitor is None or not await self._store.call(rows.delete, visitor, id):
            raise NotFound("You keep no such drawing.", code="no_such_drawing")

    async def clear(self, visitor: str | None) -> None:
        if visitor is not None:
            await self._store.call(rows.delete, visitor, None)


def pixels_of(ink: dict[str, Any]) -> bytes | None:
    """28×28 bytes as the network will see them; None when nothing is drawn."""
    drawing = preprocess(unpack_ink(ink))
    return None if drawing is None else drawing.pixels


def described(drawing: StoredDrawing) -> dict[str, Any]:
    image = base64.b64encode(drawing.pixels).decode()
    return {"id": drawing.id, "label": drawing.label, "image_base64": image, "created": drawing.created}


def packed(kept: Sequence[StoredDrawing]) -> str:
    """The newest drawings that fit, oldest first; empty without any."""
    for first in range(len(kept)):
        text = pack_drawings([(drawing.label, drawing.pixels) for drawing in kept[first:]])
        if len(text) <= MOST_IN_ADDRESS:
            return text
    return ""
