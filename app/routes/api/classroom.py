"""A class for programs: joining it, what it knows of oneself, and what the lecturer sees and does."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from app import answers
from app.asking import NOBODY, asking
from app.deps import ClassroomService, PeopleService, SettingsInUse
from app.errors import Conflict
from app.routes.api.answering import BODY, json_in_pieces, problems
from app.routes.bodies import JSONRoute
from app.routes.joining import join_link, number_of, token_for
from app.routes.stream import EventStream, place_for
from app.routes.visitor import COOKIE, new_visitor, remember
from app.schemas import Request as Body
from app.services.classroom import shown
from app.services.people import person_of, token_of

router = APIRouter(prefix="/api", tags=["class"], route_class=JSONRoute)

Nickname = Annotated[str, Field(max_length=200, description="Up to 40 characters; nothing else is asked of a person.")]
Hidden = Annotated[bool, Query(description="Without nicknames, and without names that students gave to their runs.")]
Labs = Annotated[bool, Query(description="With the runs that labs have made.")]


class JoinBody(Body):
    code: Annotated[str, Field(max_length=200, description="The code of the class.")]
    nickname: Nickname


class NicknameBody(Body):
    nickname: Nickname


class Me(answers.Answer):
    """All that this server knows of whoever asks."""

    person: str = Field(description="Public name, which stands in runs as `owner`.")
    nickname: str
    lecturer: bool
    joined: str | None = Field(description="UTC; null of the lecturer.")
    seen: str | None = Field(description="UTC, to ten minutes; null of the lecturer.")
    runs: int
    lab_runs: int
    drawings: int
    solved: int = Field(description="Tasks of labs.")
    token: str | None = Field(description="For programs, as `Authorization: Bearer`; null where the token itself has asked.")


class Class(answers.Answer):
    """A class as it is now."""

    code: str
    link: str
    reachable: bool = Field(description="Whether others than this machine can follow the link.")
    people: int
    runs: int
    lab_runs: int
    drawings: int
    solved: int


class Code(answers.Answer):
    code: str
    link: str
    reachable: bool


class Curve(answers.Answer):
    """base64 of one byte a value: low + (high − low) · byte / 255."""

    low: float
    high: float
    data: str


class Student(answers.Answer):
    number: int
    nickname: str | None
    online: bool
    solved: int


class BoardRun(answers.Answer):
    id: str
    kind: str
    student: int = Field(description="Number of the student; 0 is the lecturer.")
    name: str | None
    named: bool
    state: answers.RunState
    position: int | None = Field(description="In the line for a place.")
    step: int
    accuracy: float | None
    loss: float | None
    curve: Curve | None = Field(description="Training loss, in up to 40 places.")


class BoardAnswer(answers.Answer):
    counts: dict[str, int]
    students: list[Student]
    runs: list[BoardRun]


class Paused(answers.Answer):
    paused: int
    others: int = Field(description="Runs that could not be paused: they had ended, or wait for a place.")


class Cleared(answers.Answer):
    people: int
    runs: int
    lab_runs: int
    drawings: int
    solved: int


# ---- For everybody ---------------------------------------------------------------------------------------------------------------


@router.post(
    "/join",
    status_code=201,
    response_model=Me,
    operation_id="joinClass",
    summary="Join the class",
    description="The answer has the token that further requests bring along, and sets the cookie by which a browser is known.",
    responses=problems(*BODY, 409, 429, 503),
)
async def join_class(request: Request, people: PeopleService, classroom: ClassroomService, body: JoinBody) -> Response:
    if asking.get() is not NOBODY:
        raise Conflict("You have joined already. PATCH /api/me changes your nickname.", code="joined_already")
    number = number_of(request) or new_visitor()
    await people.join(number, body.code, body.nickname)
    person = people.find(person_of(number))
    known = {"person": person.person, "nickname": person.nickname, "lecturer": False}
    times = {"joined": person.joined, "seen": person.seen}
    answer = JSONResponse(known | times | await classroom.belongings_of(person.person) | {"token": token_of(number)}, 201)
    remember(answer, number)
    return answer


@router.get("/me", response_model=Me, operation_id="getMe", summary="All that is known of you", responses=problems())
async def get_me(request: Request, people: PeopleService, classroom: ClassroomService) -> Response:
    return JSONResponse(await known_of_asker(request, people, classroom))


@router.patch(
    "/me", response_model=Me, operation_id="renameMe", summary="Have another nickname", responses=problems(*BODY)
)
async def rename_me(
    request: Request, people: PeopleService, classroom: ClassroomService, body: NicknameBody
) -> Response:
    await people.rename(asking.get().person, body.nickname)
    return JSONResponse(await known_of_asker(request, people, classroom))


@router.delete(
    "/me",
    status_code=204,
    operation_id="deleteMe",
    summary="Delete all that is yours: runs, drawings, solved tasks, nickname",
    responses=problems(503),
)
async def delete_me(classroom: ClassroomService) -> Response:
    await classroom.leave(asking.get().person)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return answer


async def known_of_asker(
    request: Request, people: PeopleService, classroom: ClassroomService
) -> dict[str, Any]:
    asker = asking.get()
    person = None if asker.everything else people.find(asker.person)
    return {
        "person": asker.person,
        "nickname": asker.nickname if person is None else person.nickname,
        "lecturer": asker.everything,
        "joined": person and person.joined,
        "seen": person and person.seen,
        **await classroom.belongings_of(asker.person),
        "token": token_for(request, people),
    }


# ---- For the lecturer --------------------------------------------------------------------------------------------------------------


@router.get("/class", response_model=Class, operation_id="getClass", summary="The class", responses=problems())
async def get_class(
    request: Request, settings: SettingsInUse, people: PeopleService, classroom: ClassroomService
) -> Response:
    """How one joins it, and how much is kept of it. Only for the lecturer, as everything below /api/class."""
    link = join_link(request, settings, people.code).document()
    return JSONResponse({"code": people.code, **link, **await classroom.belongings()})


@router.get(
    "/class/runs",
    response_model=BoardAnswer,
    operation_id="listClassRuns",
    summary="Everybody's runs, with their students and their curves",
    responses=problems(422),
)
async def list_class_runs(classroom: ClassroomService, hidden: Hidden = False, labs: Labs = False) -> Response:
    board = shown(await classroom.board(), hidden=hidden, labs=labs)
    students, runs = list(board.students.values()), list(board.runs.values())
    return json_in_pieces({"counts": board.counts, "students": students, "runs": runs})


@router.get(
    "/class/events",
    operation_id="followClass",
    summary="Follow everybody's runs (server-sent events)",
    description="Each second a `class` event with what is new: `counts`, `students` (all of them when one is another), `runs` "
    "(`id` and the fields that are another) and `gone` (ids), as `GET /api/class/runs` has them. The first one "
    "of a connection is `whole`. "
    "`close` is the last one. It counts as one stream.",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **problems(422, 429, 503)},
)
async def follow_class(
    request: Request, classroom: ClassroomService, hidden: Hidden = False, labs: Labs = False
) -> Response:
    return EventStream(classroom.follow(hidden=hidden, labs=labs), *place_for(request))


@router.post(
    "/class/pause",
    response_model=Paused,
    operation_id="pauseClass",
    summary="Pause every run of the class",
    responses=problems(503),
)
async def pause_class(classroom: ClassroomService) -> Response:
    return JSONResponse(await classroom.pause_all())


@router.post(
    "/class/code",
    response_model=Code,
    operation_id="renewCode",
    summary="Another join code; whoever has joined stays",
    responses=problems(503),
)
async def renew_code(request: Request, settings: SettingsInUse, people: PeopleService) -> Response:
    await people.renew_code()
    return JSONResponse({"code": people.code, **join_link(request, settings, people.code).document()})


@router.delete(
    "/class",
    response_model=Cleared,
    operation_id="clearClass",
    summary="Clear up after class: delete all runs, drawings, solved tasks and nicknames, and make another code",
    description="What students have made goes, also what they named; the lecturer's own stays. The answer counts it.",
    responses=problems(503),
)
async def clear_class(classroom: ClassroomService) -> Response:
    return JSONResponse(await classroom.clear())
