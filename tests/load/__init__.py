"""A whole class at once, and visits by the hundred, against a real server: `python3 -m tests --load`."""

from __future__ import annotations

import os

FULL = os.environ.get("NABLA_LOAD") == "full"
"""Whether it lasts as long as a lesson and an afternoon do."""
