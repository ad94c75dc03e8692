"""A computation written down: functions with their arguments, to be called one after the other, any number of times.

For arrays of a few dozen numbers the arithmetic takes less time than asking for it: attributes, checks, new views. A
list of calls has all of that behind it; its arguments are arrays, or views of arrays, that stay where they are:

    for function, arguments in calls:
        function(*arguments)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of NumPy with its arguments, the last of which takes the result."""
