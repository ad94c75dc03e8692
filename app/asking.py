"""Who is asking, for the length of one request; the one place where it is decided who may see and who may steer a run.

It is a context variable and not an argument, so that a route cannot forget to pass it on: `app.doorman` sets it before any
route is reached, and `app.services.live` asks it whenever a run is looked up.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

LOCAL = "local"
"""Who owns everything where there is no class."""


@dataclass(frozen=True, slots=True)
class Asker:
    """`person` is a public name of somebody, made of nothing but chance; `everything`: all runs may be seen and steered."""

    person: str
    everything: bool = False
    nickname: str = ""

    @property
    def in_class(self) -> bool:
        """Whether there is a class at all."""
        return self.person != LOCAL

    def may_see(self, owner: str, shared: bool) -> bool:
        return self.everything or shared or owner == self.person

    def may_steer(self, owner: str) -> bool:
        return self.everything or owner == self.person


HOST = Asker(LOCAL, everything=True)
"""The server itself, and everybody who reaches it where there is no class."""
LECTURER = Asker("lecturer", everything=True, nickname="Lecturer")
NOBODY = Asker("")
"""Has not joined the class, and sees only how to."""

asking: ContextVar[Asker] = ContextVar("asking", default=HOST)
