"""Something to be worked out beside the runs, in portions, for one who waits for the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import isgenerator
from time import thread_time
from typing import Any

from app.workers.messages import Answer, Refusal
from app.workers.refusals import refusal_for
from app.workers.tasks import URGENT_SECONDS

log = logging.getLogger(__name__)


class Errand:
    """`function(*arguments)`; what a generator function returns is the answer, and it may be put off at each yield."""

    def __init__(self, number: int, owner: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.id, self.owner = f"errand {number}", owner
        self._number = number
        self._spent = 0.0
        self._begin: Callable[[], Any] = lambda: function(*arguments)
        self._portions: Any = None

    @property
    def is_urgent(self) -> bool:
        return self._spent < URGENT_SECONDS

    def go_on(self, *, interrupted: Callable[[], bool]) -> Answer | Refusal | None:
        """Work until something else is due; None while there is more to do."""
        started = thread_time()
        try:
            if self._portions is None:
                outcome = self._begin()
                if not isgenerator(outcome):
                    return Answer(self._number, outcome)
                self._portions = outcome
            while True:
                next(self._portions)
                if interrupted():
                    return None
        except StopIteration as end:
            return Answer(self._number, end.value)
        except Exception as error:
            refusal = refusal_for(self._number, error, None)
            if refusal.kind == "fault":
                log.error("something could not be worked out", exc_info=error)
            return refusal
        finally:
            self._spent += thread_time() - started
