"""What can go wrong on the web side, and the words in which a person hears of it.

    Problem                  status  code                  when
    ├── BadRequest           400     bad_request           the body could not be read as what it claims to be
    ├── Forbidden            403     forbidden             another site, or another name for this server, is asking
    ├── NotFound             404     not_found             no such run, dataset, layer or page
    │   └── NoSuchRun        404     no_such_run
    ├── Conflict             409     conflict              the run is in a state that does not allow this; carries the state
    │   └── Overtaken        409     overtaken             somebody else changed the run meanwhile; carries its version
    ├── TooLarge             413     too_large             more bytes than the limit
    ├── UnsupportedMedia     415     unsupported_media     a body of another kind than the route reads
    ├── Unprocessable        422     unprocessable         readable, but it asks for something impossible; names the field
    ├── Busy                 429/503 busy                  over a limit that passes by itself; carries Retry-After
    ├── NoRoom               507     disk_full             the disk, or what runs may take of it, is full
    └── Internal             500     internal              our own fault; the log has the details under the request id

Every problem becomes an RFC 9457 document (`application/problem+json`) of `type title status detail code field
request_id`; a request made by htmx gets the same words as an escaped HTML fragment. `code` is stable and meant for
programs; `field` is a JSON pointer into the request's body, or null. `detail` is a sentence for a person: what
happened and what to do next. It never holds a traceback, a path of this machine or the request's own input at length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal or failure that is told to whoever asked."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self, request_id: str) -> dict[str, Any]:
        """The RFC 9457 members, then this problem's own."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "field": self.field,
            "request_id": request_id,
            **self.extra,
        }


class BadRequest(Problem):
    def __init__(self, detail: str, *, code: str = "bad_request", field: str | None = None) -> None:
        super().__init__(400, code, "The request could not be read", detail, field)


class Forbidden(Problem):
    def __init__(self, detail: str, *, code: str = "forbidden") -> None:
        super().__init__(403, code, "Refused", detail)


class NotFound(Problem):
    def __init__(self, detail: str = "There is nothing at this address.", *, code: str = "not_found") -> None:
        super().__init__(404, code, "Not found", detail)


class NoSuchRun(NotFound):
    """The same words for an id that does not exist and for one that cannot."""

    def __init__(self) -> None:
        super().__init__("There is no such run. It may have been deleted.", code="no_such_run")


class Conflict(Problem):
    """`state` is the run's present state, so that the one who lost a race need not ask again."""

    def __init__(self, detail: str, *, state: str | None = None, code: str = "conflict") -> None:
        super().__init__(409, code, "Not possible now", detail, extra={} if state is None else {"state": state})


class Overtaken(Conflict):
    """A change that was made of what the run no longer is. `version` is the run's present one."""

    def __init__(self, version: str, *, state: str) -> None:
        super().__init__(
            "This run was changed meanwhile, in another tab or by a program. Look at what it is now, and change that.",
            state=state,
            code="overtaken",
        )
        self.extra["version"] = version


class TooLarge(Problem):
    def __init__(self, detail: str, *, code: str = "too_large") -> None:
        # The rest of the body is not read, so the connection cannot carry another request.
        super().__init__(413, code, "Too large", detail, headers={"connection": "close"})


class UnsupportedMedia(Problem):
    def __init__(self, detail: str, *, code: str = "unsupported_media") -> None:
        super().__init__(415, code, "Not a kind of body read here", detail)


class Unprocessable(Problem):
    """`errors` lists the first few fields that are wrong, where there are several."""

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        code: str = "unprocessable",
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(422, code, "Not possible", detail, field, extra={"errors": errors} if errors else {})


class Busy(Problem):
    """503 when the server as a whole is full, 429 when this client asks for too much; `retry_after` in seconds."""

    def __init__(self, detail: str, *, retry_after: int = 5, status: int = 503, code: str = "busy") -> None:
        super().__init__(status, code, "Busy", detail, headers={"retry-after": str(retry_after)})


class NoRoom(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__(507, "disk_full", "There is no room on the disk", detail)


class Internal(Problem):
    def __init__(self) -> None:
        super().__init__(
            500,
            "internal",
            "Something went wrong here",
            "This is a fault of the program, not of what you did. Try again; the log tells more under the request id.",
        )
