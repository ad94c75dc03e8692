"""What can go wrong inside the engine.

    EngineError
    ├── SpecError            a network, optimizer or run that cannot be built; names the field or layer
    ├── ShapeError           an array of the wrong shape was handed to a layer, loss or network
    ├── DatasetError         a data file is missing, damaged or not what it claims to be
    ├── FormatError          a saved network or checkpoint could not be read
    └── DivergedError        the loss stopped being a finite number

Every message is a sentence for the person: what happened, the value that caused it, what to do next.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of everything the engine raises on purpose."""


class SpecError(EngineError):
    """A spec that cannot be built.

    `field` is a JSON pointer into the spec (`/network/3/kernel_size`), so that a form can mark the place;
    `code` is stable and meant for programs.
    """

    def __init__(self, message: str, *, field: str | None = None, code: str = "impossible_spec") -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class ShapeError(EngineError):
    """An array whose shape does not fit; the message gives both shapes."""


class DatasetError(EngineError):
    """A data file is missing, damaged or not what it claims to be."""


class FormatError(EngineError):
    """A saved network or checkpoint could not be read; nothing was changed.

    `field` is a JSON pointer to the part that is wrong, where one part is.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class DivergedError(EngineError):
    """What the update `step` works with or leads to stopped being finite numbers."""

    def __init__(self, step: int) -> None:
        super().__init__(
            f"The loss stopped being a number at update {step:,}. The steps were too large for this network: "
            "go back to the last good weights and train on with a smaller learning rate."
        )
        self.step = step
