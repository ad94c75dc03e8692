"""The time of day, which people read and nothing is measured with: it jumps, by an hour or by years, whenever it likes.

Durations, deadlines and their order come from `time.monotonic` and from counters. A test holds all other modules to that.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time


def now() -> datetime:
    return datetime.now(UTC)


def utc_now() -> str:
    """To the second, as it is stored and shown: 2025-01-31T12:00:00Z."""
    return text(now())


def days_ago(days: float) -> str:
    """As `utc_now`, to be compared with what was stored."""
    return text(now() - timedelta(days=days))


def milliseconds() -> float:
    """Since 1970, as a browser's clock counts: a page can tell how old its picture is."""
    return round(time() * 1000, 1)


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
