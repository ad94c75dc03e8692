"""A calculator for the sums that lessons print: what comes out, and how far off it may be for the digits printed."""

from __future__ import annotations

import re
from math import exp, sqrt, tanh

from engine.lessons.by_hand import DIGITS, DUST, Line, written

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:·10(?P<power>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?")
NORMAL = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
KNOWN = {"exp": exp, "tanh": tanh, "max": max, "sqrt": sqrt}


def value_and_half_digit(text: str) -> tuple[float, float]:
    """A printed number, and half of its last digit where it was rounded; short ones are exact but for float64's dust."""
    mantissa, _, power = text.partition("·10")
    scale = 10.0 ** int(power.translate(NORMAL)) if power else 1.0
    digits = len(mantissa.replace(".", "").lstrip("0"))
    places = len(mantissa.partition(".")[2])
    value = float(mantissa) * scale
    return value, 0.5 * 10.0**-places * scale if digits >= DIGITS else DUST * value


def as_python(text: str) -> str:
    """Numbers are taken out before: they stand as {0}, {1}, …"""
    text = re.sub(r"e\^\(", "exp(", text)
    text = re.sub(r"√(\{\d+\}|\()", r"sqrt\1", text)
    text = re.sub(r"sqrt(\{\d+\})", r"sqrt(\1)", text)
    return text.replace("²", "**2").replace("^", "**").replace("·", "*").replace("−", "-")


def reckoned(text: str) -> tuple[float, float]:
    """What a printed sum comes to, and how much of it the rounding of its numbers can be responsible for."""
    numbers: list[tuple[float, float]] = []

    def taken(match: re.Match[str]) -> str:
        numbers.append(value_and_half_digit(match.group()))
        return f"{{{len(numbers) - 1}}}"

    # The 2 of x² is no number of its own, and stays; e is a function; both are safe, for NUMBER wants plain digits.
    pattern = as_python(NUMBER.sub(taken, text))

    def evaluate(values: list[float]) -> float:
        return float(eval(pattern.format(*(f"({value!r})" for value in values)), {"__builtins__": {}}, KNOWN))

    middle = [value for value, _ in numbers]
    here = evaluate(middle)
    slack = 0.0
    for place, (value, half) in enumerate(numbers):
        if half:
            ends = [evaluate([*middle[:place], value + sign * half, *middle[place + 1 :]]) for sign in (-1, 1)]
            slack += max(abs(end - here) for end in ends)
    return here, 1.1 * slack  # the little more is for two roundings that act together


def check_line(line: Line) -> None:
    """What is printed on the right is what the printed numbers come to, within their digits."""
    here, slack = reckoned(line.numbers)
    result = written(line.value)
    printed, half = value_and_half_digit(result.removeprefix("−"))
    printed *= -1 if result.startswith("−") else 1
    assert abs(here - printed) <= slack + half + 1e-12 * abs(here), (
        f"{line.name}: {line.numbers} = {result}, not {here}"
    )
