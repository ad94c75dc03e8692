"""What holds for every test."""

from __future__ import annotations

import os

# One BLAS thread each, as in the workers: two test processes share two cores. It is read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
