"""The small pictures of the map of the lecture."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from app.deps import MiniaturesService

router = APIRouter(include_in_schema=False)


@router.get("/labs/{name}/miniature.svg")
async def miniature(name: str, miniatures: MiniaturesService) -> Response:
    """Of a lab, or of one of the stops that are pages of their own: kernels, demo, plane."""
    return Response(await miniatures.of(name), media_type="image/svg+xml", headers={"cache-control": "max-age=3600"})
