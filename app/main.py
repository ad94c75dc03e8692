"""The app: services made and ended in the lifespan, routes, static files, and the guard around all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app import __version__, problems
from app.answers import FieldProblem, ProblemAnswer
from app.doorman import Doorman
from app.requests import Heads, Stopping, Turnstile
from app.routes import docs, joining, labs, lecturer, miniatures, network, one_weight, pages, plane, stream, verify
from app.routes import runs as run_pages
from app.routes.api import catalogue, classroom, drawings, points, predictions, reports, runs
from app.routes.api import labs as labs_api
from app.routes.bodies import BODIES_A_TURN
from app.routes.stream import Streams
from app.security import Bodies, Guard
from app.services.classroom import Classroom
from app.services.datasets import Datasets
from app.services.drawings import Drawings
from app.services.labs import Labs
from app.services.miniatures import Miniatures
from app.services.people import People
from app.services.reports import Reports
from app.services.runs import Runs
from app.services.verification import Verification
from app.settings import Settings
from app.store.database import Database
from app.templating import ROOT, compile_templates
from app.watchdog import watching
from app.workers.pool import Pool

DESCRIPTION = """Whatever a person can do on a page of this server, a program can do here.

Errors are problem documents (RFC 9457) with a stable `code` and the `field` they are about. Unknown fields are errors.
Images are row-major, 0 for background and 1 for ink; times are UTC; ids are opaque."""


class Nabla(FastAPI):
    """The guard stands outside the whole stack, even of the handler for unexpected errors; a turnstile before it."""

    def build_middleware_stack(self) -> ASGIApp:
        settings: Settings = self.state.settings
        bodies = Bodies(super().build_middleware_stack(), settings.limits)
        inner: ASGIApp = Stopping(Heads(bodies), self.state.streams)
        return Turnstile(Guard(Doorman(inner, self.state) if settings.class_mode else inner, settings))

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document with our problems in the place of its own validation errors."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            for model in (ProblemAnswer, FieldProblem):
                schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas[ProblemAnswer.__name__].pop("$defs")
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for operations in document["paths"].values():
                for operation in operations.values():
                    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                        del operation["responses"]["422"]  # its only parameters are in the path: 404
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(settings: Settings, runs_service: Runs | None = None) -> Nabla:
    """`runs_service` is made (and its workers started) in the lifespan unless one is given."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = runs_service or Runs(Pool(settings), Database(settings.data), settings)
        app.state.runs = service
        app.state.labs = Labs(service, service.store)
        app.state.miniatures = Miniatures(service)
        app.state.reports = Reports(app.state.labs, service)
        app.state.verification = Verification(app.state.labs, settings.limits)
        app.state.drawings = Drawings(service.store, settings.limits)
        await service.start()
        if settings.class_mode:
            app.state.people = People(service.store, settings.limits)
            await app.state.people.start()
            app.state.classroom = Classroom(app.state.people, service, settings.limits)
        try:
            async with watching():
                compiling = asyncio.create_task(asyncio.to_thread(compile_templates))
                yield
                await compiling
        finally:
            await service.close()

    app = Nabla(
        title="Nabla",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_tags=[
            {"name": "runs", "description": "One run is one training: what it is made of, its seed and its history."},
            {"name": "predictions", "description": "What a run's network thinks."},
            {
                "name": "points",
                "description": "Points in the plane or on a curve: a run's own, and tables of one's own.",
            },
            {"name": "models", "description": "Networks as files."},
            {"name": "datasets", "description": "What runs learn from."},
            {"name": "drawings", "description": "Digits drawn by yourself, to judge and to teach a network."},
            {"name": "labs", "description": "The lecture's labs, and whether their tasks are solved."},
            {"name": "catalogue", "description": "What runs can be made of."},
            {"name": "server", "description": "How this server is, and its limits."},
            *([{"name": "class", "description": "Joining a class, and what its lecturer does."}] if settings.class_mode else []),
        ],
    )
    app.state.settings = settings
    app.state.bodies = asyncio.Semaphore(BODIES_A_TURN)
    app.state.streams = Streams(settings.limits)
    app.state.datasets = Datasets()
    problems.install(app)
    for router in (
        runs.router,
        predictions.router,
        points.router,
        runs.models,
        catalogue.router,
        drawings.router,
        reports.router,
        labs_api.router,
        stream.router,
    ):
        app.include_router(router)
    for router in (
        docs.router,
        pages.router,
        plane.router,
        run_pages.router,
        network.router,
        verify.router,
        labs.router,
        one_weight.router,
        miniatures.router,
    ):
        app.include_router(router)
    if settings.class_mode:
        for router in (classroom.router, joining.router, lecturer.router):
            app.include_router(router)
    app.mount("/static", StaticFiles(directory=ROOT / "static"), name="static")
    return app
