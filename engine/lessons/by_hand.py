"""Sums as one does them by hand: a formula, the same with numbers put in, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIGITS = 5
"""Significant digits of a number that had to be rounded; one with fewer digits is exact."""

_DUST = 1e-12
"""What float64 itself leaves of a sum of short decimals: 1.4000000000000001 is 1.4."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step of a calculation. `numbers` is what stands right of the last “=” of `latex`, with numbers put in.

    name: which number it is, stable; about: the units and weights that light up with it, as words with spaces between.
    """

    name: str
    about: str
    latex: str
    numbers: str
    value: float


def written(number: float) -> str:
    """A number as it is put into a formula: all of it if it has few digits, else `DIGITS` of them, zeros at the end too.

    So 0.5 is a half, and 0.50000 is a half to five digits. A large or a tiny one is written 1.2346·10⁻⁷.
    """
    short = f"{number:.{DIGITS}g}"
    text = short if abs(float(short) - number) <= _DUST * abs(number) else f"{number:#.{DIGITS}g}"
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.removesuffix(".").replace("-", "−")
    return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if exponent else mantissa


def factor(number: float) -> str:
    """As `written`, in brackets where a sign or a power of ten would be misread beside what stands next to it."""
    text = written(number)
    return f"({text})" if text.startswith("−") or "·" in text else text


def shortest(number: float) -> float:
    """The shortest decimal that stands for the same float32: 0.3, and not 0.30000001192092896."""
    return float(str(np.float32(number)))
