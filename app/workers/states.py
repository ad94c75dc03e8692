"""The life of a run: which state may follow which, and what each says to the person.

queued -> running <-> paused -> stopped
              |--> finished, time-limit --> running again
              `--> diverged, interrupted, out-of-memory, worker-crashed --> running again
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACCIDENTS = frozenset({"diverged", "interrupted", "out-of-memory", "worker-crashed"})
"""How a run may end that nobody asked for."""

MAY_BECOME: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "running": frozenset({"running", "paused", "finished", "time-limit", *ACCIDENTS}),
        "paused": frozenset({"running", "paused"}),
        "stopped": frozenset({"running", "paused", "stopped", "time-limit", *ACCIDENTS}),
    }
)
"""A state that can be asked for -> the states from which it can be reached. Asking for the present one is no error."""

STEPPABLE = frozenset({"paused"})

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "queued": "Waiting for a worker.",
        "running": "Training.",
        "paused": "Paused. Run it on, or take single updates.",
        "stopped": "Stopped. Its weights are kept; reset it to train from the beginning.",
    }
)
"""What the plain states say; the others tell their own story where they arise."""


IN_WORDS = {"time-limit": "at its time limit", "out-of-memory": "out of memory"}


def refusal(wish: str, state: str) -> str:
    """Why a run in `state` cannot do what is wished, with what to do."""
    advice = {
        "running": "Pause it first.",
        "stopped": "Reset it, or start a new run.",
        "finished": "Run it on, or reset it.",
        "diverged": "Lower the learning rate and run it on, or reset it.",
        "time-limit": "Run it on for as long again, or reset it.",
        "interrupted": "Run it on, or reset it.",
        "out-of-memory": "Stop another run and run it on, or reset it.",
        "worker-crashed": "Run it on to try once more, or reset it.",
    }.get(state, "Try again in a moment.")
    return f"{wish} is not possible while the run is {IN_WORDS.get(state, state)}. {advice}"
