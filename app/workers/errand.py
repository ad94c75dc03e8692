"""Something to be worked out beside the runs, in portions, for one who waits for the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import isgenerator
from time import monotonic
from typing import Any

from app.workers.messages import Answer, Refusal
from app.workers.refusals import refusal_for

log = logging.getLogger(__name__)


class Errand:
    """`function(*arguments)`; what a generator function returns is the answer, and it may be put off at each yield."""

    def __init__(self, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._number = number
        self._begin: Callable[[], Any] = lambda: function(*arguments)
        self._portions: Any = None

    def go_on(self, *, until: float, interrupted: Callable[[], bool]) -> Answer | Refusal | None:
        """Work until that moment (monotonic seconds) or until something else has come in; None while there is more to do."""
        try:
            if self._portions is None:
                outcome = self._begin()
                if not isgenerator(outcome):
                    return Answer(self._number, outcome)
                self._portions = outcome
            while True:
                next(self._portions)
                if interrupted() or monotonic() >= until:
                    return None
        except StopIteration as end:
            return Answer(self._number, end.value)
        except Exception as error:
            refusal = refusal_for(self._number, error, None)
            if refusal.kind == "fault":
                log.error("something could not be worked out", exc_info=error)
            return refusal
