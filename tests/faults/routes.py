"""A request that means something to every route of the app, made from the app's own table of routes.

Tests of what holds for all routes walk over these, so that a new route cannot forget it: a route that stands in none of the
tables below makes the walk itself fail, with a word on what to write here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.routing import BaseRoute, Mount, Route

LAB = "gradient"

PARAMETERS: Mapping[str, str] = {
    "/runs/{id}": "/runs/{run}",
    "/runs/{run_id}": "/runs/{run}",
    "/drawings/{id}": "/drawings/{drawing}",
    "/datasets/{name}": "/datasets/mnist",
    "/labs/{name}": f"/labs/{LAB}",
    "/layers/{index}": "/layers/0",
    "/watches/{watch}": "/watches/w",
    "/{page}/sets/{kind}.svg": "/plane/sets/circle.svg",
    "/{page}/": "/plane/",
    "/join/{code}": "/join/2345abcd",
}
"""What a path's parameters are; `{run}` and `{drawing}` are made by the test."""

QUERIES: Mapping[str, str] = {
    "/api/events": "run={run}",
    "/api/datasets/{name}/examples": "split=test&limit=1",
    "/api/runs/{id}/boundary": "resolution=20",
    "/labs/backpropagation/weight": "run={run}",
}
"""What a route that is read needs beside its path."""

OF_IMAGES = frozenset({"/api/runs/{id}/examples", "/runs/{run_id}/trainer"})
"""Routes that are for runs on digits; all others do with points, which are quicker."""

OF_A_CLASS = ("/join", "/me", "/lecturer", "/api/join", "/api/me", "/api/class")
"""Without `--class` there is nothing at these addresses."""

MOUNTS: Mapping[str, str] = {"/static": "/static/css/base.css"}

NOWHERE = ("/nowhere", "/api/nowhere", "/static/nowhere.js", "/runs/nowhere/at/all")

Body = tuple[str, bytes]
"""Media type and content."""

NOTHING: Body = ("", b"")


def in_json(value: Any) -> Body:
    return "application/json", json.dumps(value).encode()


def form(**fields: str) -> Body:
    return "application/x-www-form-urlencoded", urlencode(fields).encode()


def upload(field: str, filename: str, content: bytes) -> Body:
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'
    return "multipart/form-data; boundary=edge", head.encode() + content + b"\r\n--edge--\r\n"


CSV = b"x,y,c\n1,2,red\n2,1,blue\n3,1,blue\n1,3,red\n"
NETWORK = b"layer_defs = [{type:'input', out_sx:24, out_sy:24, out_depth:1}, {type:'softmax', num_classes:10}];"
POINTS = {"preset": "circle", "state": "paused"}
EXPERIMENT = "kind=circle&points=60&layers=4"

BODIES: Mapping[tuple[str, str], Body] = {
    ("POST", "/api/runs"): in_json(POINTS),
    ("PATCH", "/api/runs/{id}"): in_json({"name": "another"}),
    ("DELETE", "/api/runs/{id}"): NOTHING,
    ("PUT", "/api/runs/{id}/spec"): in_json({"dataset": {"name": "plane", "points": 40}, "network": [{"type": "dense", "units": 2}]}),
    ("POST", "/api/runs/{id}/steps"): in_json({"count": 1}),
    ("POST", "/api/runs/{id}/narration"): NOTHING,
    ("POST", "/api/runs/{id}/reset"): in_json({}),
    ("PUT", "/api/runs/{id}/watches/{watch}"): in_json({"weights": True}),
    ("PUT", "/api/runs/{id}/layers/{index}/weights"): in_json({"changes": [{"unit": 0, "input": 0, "value": 0.5}]}),
    ("POST", "/api/runs/{id}/predictions"): in_json({"inputs": [[0.5, 0.5]]}),
    ("POST", "/api/runs/{id}/gradient-check"): NOTHING,
    ("POST", "/api/datasets"): ("text/csv", CSV),
    ("POST", "/api/models"): ("text/plain", NETWORK),
    ("POST", "/api/network"): in_json({"network": [{"type": "dense", "units": 10}]}),
    ("POST", "/api/drawings"): in_json({"label": 3, "ink": [[0.0] * 14 + [1.0] * 14] * 28}),
    ("DELETE", "/api/drawings/{id}"): NOTHING,
    ("DELETE", "/api/drawings"): NOTHING,
    ("POST", "/api/labs/{name}/report"): in_json({}),
    ("POST", "/api/labs/verification"): in_json({}),
    ("POST", "/api/labs/{name}/checks"): in_json({}),
    ("POST", "/{page}/open"): form(query=EXPERIMENT),
    ("POST", "/{page}/runs/{run_id}/experiment"): form(query=EXPERIMENT),
    ("POST", "/{page}/csv"): upload("file", "points.csv", CSV),
    ("POST", "/runs"): form(preset="circle"),
    ("POST", "/models"): upload("file", "network.js", NETWORK),
    ("PATCH", "/runs/{run_id}/state"): form(state="paused"),
    ("POST", "/runs/{run_id}/steps"): form(count="1"),
    ("POST", "/runs/{run_id}/reset"): form(seed="same"),
    ("PATCH", "/runs/{run_id}/trainer"): form(l2="0.001"),
    ("PATCH", "/runs/{run_id}/name"): form(name="another"),
    ("PATCH", "/runs/{run_id}/shared"): form(shared="true"),
    ("DELETE", "/runs/{run_id}"): NOTHING,
    ("POST", "/network/builder"): form(),
    ("POST", "/network/text"): form(text=NETWORK.decode()),
    ("POST", "/labs/verify"): upload("reports", "report.json", b"{}"),
    ("POST", "/labs/forget"): NOTHING,
    ("POST", "/labs/{name}"): form(),
    ("POST", "/labs/backpropagation/gradient-check"): form(of="{run}"),
    ("POST", "/join"): form(code="2345abcd", nickname="Ada"),
    ("POST", "/me"): form(nickname="Ada"),
    ("POST", "/me/delete"): NOTHING,
    ("POST", "/api/join"): in_json({"code": "2345abcd", "nickname": "Ada"}),
    ("PATCH", "/api/me"): in_json({"nickname": "Ada"}),
    ("DELETE", "/api/me"): NOTHING,
    ("POST", "/api/class/pause"): NOTHING,
    ("POST", "/api/class/code"): NOTHING,
    ("DELETE", "/api/class"): NOTHING,
}  # fmt: skip
"""What every route that is not merely read is sent, so that it does what it is there for."""

LOOKING = frozenset(
    {
        ("PUT", "/api/runs/{id}/watches/{watch}"),
        ("POST", "/api/runs/{id}/predictions"),
        ("POST", "/api/runs/{id}/gradient-check"),
        ("POST", "/labs/backpropagation/gradient-check"),
    }
)
"""Those that change nothing of the run. Every other that is not a GET or HEAD is taken to steer it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; `path` and `body` may still hold `{run}` and `{drawing}`."""

    method: str
    route: str
    path: str
    media_type: str = ""
    body: bytes = b""

    @property
    def changes(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @property
    def streams(self) -> bool:
        return self.route.endswith("/events")

    @property
    def of_a_run(self) -> bool:
        return "{run}" in self.path or b"%7Brun%7D" in self.body

    @property
    def steers(self) -> bool:
        return self.of_a_run and self.changes and (self.method, self.route) not in LOOKING

    def filled(self, *, run: str, drawing: str = "0" * 16) -> Asked:
        path = self.path.replace("{run}", run).replace("{drawing}", drawing)
        body = self.body.replace(b"%7Brun%7D", run.encode())
        return Asked(self.method, self.route, path, self.media_type, body)

    def options(self, **headers: str) -> dict[str, Any]:
        """Arguments for httpx's `request` beside method and path."""
        kind = {"content-type": self.media_type} if self.media_type else {}
        return {"content": self.body, "headers": kind | headers}


def every_request(app: Any) -> list[Asked]:
    """Of every route and method one; static files stand for their mount, and what is nowhere is asked for, too."""
    found = [asked(method, route) for route in flat(app.routes) for method in sorted(methods_of(route))]
    return [*found, *(Asked("GET", path, path) for path in NOWHERE)]


def flat(routes: Any) -> Iterator[BaseRoute]:
    for route in routes:
        if hasattr(route, "original_router"):  # FastAPI keeps an included router as one route
            yield from flat(route.original_router.routes)
        else:
            yield route


def methods_of(route: BaseRoute) -> set[str]:
    if isinstance(route, Mount):
        return {"GET"}
    assert isinstance(route, Route), f"{route!r} is of a kind that no test of all routes can ask: say here how."
    return set(route.methods or {"GET"})


def asked(method: str, route: BaseRoute) -> Asked:
    if isinstance(route, Mount):
        assert route.path in MOUNTS, f"Say in MOUNTS which file stands for {route.path}."
        return Asked("GET", MOUNTS[route.path], MOUNTS[route.path])
    assert isinstance(route, Route)
    path = route.path
    for parameter, value in PARAMETERS.items():
        path = path.replace(parameter, value)
    left = path.replace("{run}", "").replace("{drawing}", "")
    assert "{" not in left, f"Say in PARAMETERS what the parameters of {route.path} are."
    if route.path in QUERIES:
        path += "?" + QUERIES[route.path]
    if method in ("GET", "HEAD"):
        return Asked(method, route.path, path)
    assert (method, route.path) in BODIES, f"Say in BODIES what {method} {route.path} is sent."
    return Asked(method, route.path, path, *BODIES[method, route.path])
