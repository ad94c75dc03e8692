"""Figures as a person reads them: three significant digits, a comma at the thousands, a true minus, "–" for no value.

The same rules stand in `static/js/lib/format.js`, so that nothing changes when a page comes alive.
"""

from __future__ import annotations

import math

NO_VALUE = "–"
THIN = "\u2009"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fixed(value: float, digits: int = 2) -> str:
    """With a fixed count of digits after the point; −0.00 is written 0.00."""
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−" if any(digit in text for digit in "123456789") else "")


def significant(value: float) -> str:
    """Three significant digits: 3,460 · 21.5 · 0.0683 · 1.2×10⁻⁵ · 3.4×10⁸."""
    size = abs(value)
    power = math.floor(math.log10(size)) if size else 0
    if size and not 1e-4 <= size < 1e7:
        return f"{fixed(value / 10**power, 1)}×10{str(power).translate(SUPERSCRIPTS)}"
    return fixed(value, min(6, max(0, 2 - power)) if size else 0)


def duration(value: float) -> str:
    """21 s · 3 min 20 s · 2 h 5 min."""
    if value < 60:
        return f"{fixed(value, 1 if value < 10 else 0)}{THIN}s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {seconds}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


def figure(value: float | None, style: str = "number", digits: int | None = None) -> str:
    """A figure as it stands on the page; `style` and `digits` are the element's data-format and data-digits."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    match style:
        case "integer":
            return fixed(value, 0)
        case "percent":
            return f"{fixed(100 * value, 1 if digits is None else digits)}{THIN}%"
        case "ms":
            return f"{fixed(value, 2 if digits is None else digits)}{THIN}ms"
        case "seconds":
            return duration(value)
        case _:
            return significant(value) if digits is None else fixed(value, digits)
