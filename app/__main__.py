"""`python3 -m app`: sets itself up on a fresh machine, then serves. From another folder: `python3 path/to/app`."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # started as a folder: make `app` importable as a package
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> int:
    """Also the `nabla` command of an installed wheel. Returns the exit code."""
    from app.serve import serve
    from app.settings import Settings

    return serve(Settings.from_command_line(sys.argv[1:]))


if __name__ == "__main__":
    from app._bootstrap import ensure

    ensure("app")
    sys.exit(main())
