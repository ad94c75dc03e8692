"""Sums as one does them by hand: a formula, the same with numbers put in, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DIGITS = 5
"""Significant digits of a number that had to be rounded; one with fewer digits is exact."""

DUST = 1e-12
"""What float64 itself leaves of a sum of short decimals: 1.4000000000000001 is 1.4."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step of a calculation. `numbers` is what stands right of the last “=” of `latex`, with numbers put in.

    name: which number it is, stable; about: the units and weights that light up with it, as words with spaces between;
    note: what there is to say about it.
    """

    name: str
    latex: str
    numbers: str
    value: float
    about: str = ""
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON, with the `result` as it is written."""
        return {**asdict(self), "result": written(self.value)}


def written(number: float) -> str:
    """A number as it is put into a formula: all of it if it has few digits, else `DIGITS` of them, zeros at the end too.

    So 0.5 is a half, and 0.50000 is a half to five digits. A large or a tiny one is written 1.2346·10⁻⁷.
    """
    short = f"{number:.{DIGITS}g}"
    text = short if abs(float(short) - number) <= DUST * abs(number) else f"{number:#.{DIGITS}g}"
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.removesuffix(".").replace("-", "−")
    return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if exponent else mantissa


def factor(number: float) -> str:
    """As `written`, in brackets where a sign or a power of ten would be misread beside what stands next to it."""
    text = written(number)
    return f"({text})" if text.startswith("−") or "·" in text else text


def sum_of_products(pairs: Sequence[tuple[float, float]], most: int = 6) -> str:
    """`a · b + c · d + …` with the `most` products that count most; what the others come to is the last number."""
    order = sorted(range(len(pairs)), key=lambda place: -abs(pairs[place][0] * pairs[place][1]))
    shown = sorted(order[:most])
    rest = sum(pairs[place][0] * pairs[place][1] for place in order[most:])
    products = [f"{factor(pairs[place][0])} · {factor(pairs[place][1])}" for place in shown]
    return " + ".join([*products, factor(rest)] if len(pairs) > most else products)


def shortest(number: float) -> float:
    """The shortest decimal that stands for the same float32: 0.3, and not 0.30000001192092896."""
    return float(str(np.float32(number)))
