"""What routes ask for: the services, made once in app.main's lifespan, and ids that have been looked at."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

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


def runs(request: Request) -> Runs:
    service: Runs = request.app.state.runs
    return service


def datasets(request: Request) -> Datasets:
    service: Datasets = request.app.state.datasets
    return service


def labs(request: Request) -> Labs:
    service: Labs = request.app.state.labs
    return service


def miniatures(request: Request) -> Miniatures:
    service: Miniatures = request.app.state.miniatures
    return service


def drawings(request: Request) -> Drawings:
    service: Drawings = request.app.state.drawings
    return service


def reports(request: Request) -> Reports:
    service: Reports = request.app.state.reports
    return service


def verification(request: Request) -> Verification:
    service: Verification = request.app.state.verification
    return service


def people(request: Request) -> People:
    """Only where there is a class."""
    service: People = request.app.state.people
    return service


def classroom(request: Request) -> Classroom:
    """Only where there is a class."""
    service: Classroom = request.app.state.classroom
    return service


def settings(request: Request) -> Settings:
    chosen: Settings = request.app.state.settings
    return chosen


RunsService = Annotated[Runs, Depends(runs)]
DatasetsService = Annotated[Datasets, Depends(datasets)]
LabsService = Annotated[Labs, Depends(labs)]
MiniaturesService = Annotated[Miniatures, Depends(miniatures)]
DrawingsService = Annotated[Drawings, Depends(drawings)]
ReportsService = Annotated[Reports, Depends(reports)]
VerificationService = Annotated[Verification, Depends(verification)]
PeopleService = Annotated[People, Depends(people)]
ClassroomService = Annotated[Classroom, Depends(classroom)]
SettingsInUse = Annotated[Settings, Depends(settings)]

RunId = Annotated[str, Path(pattern="^[a-z0-9]{16}$", description="The run's id.")]
Expected = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{12}$",
        description="The run's `version` that the change was made of. If it has another by now, the answer is 409 `overtaken` "
        "with the present one, and nothing is changed.",
    ),
]
WatchId = Annotated[str, Path(pattern="^[a-z0-9]{1,32}$", description="Chosen by the page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(pattern="^[!-~]{1,128}$", description="The same key twice creates one run."),
]
