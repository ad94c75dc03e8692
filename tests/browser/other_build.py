"""The server as it is after an update of its pages: `python -m tests.browser.other_build --port 0 …` has another build id."""

from __future__ import annotations

import sys


def main() -> int:
    from app import templating

    templating.build_id = lambda: "0123456789ab"  # type: ignore[assignment]  # before anything else imports it
    templating.environment.globals["build_id"] = templating.build_id

    from app.serve import serve
    from app.settings import Settings

    return serve(Settings.from_command_line(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
