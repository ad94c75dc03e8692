"""Sets a fresh clone up and goes on inside it: own .venv, dependencies, front-end packages, MNIST.

Standard library only, and syntax that an old Python can read, so that it can say what is missing.
Everything is done once per content of pyproject.toml and of the locks; later starts only compare a stamp and need no network.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "nabla.json"
LOCKS = ROOT / "app/locks"


def ensure(module: str, extras: Sequence[str] = ()) -> None:
    """Return inside an environment that has the dependencies and `extras`; if need be, make it and start `module` there."""
    if sys.version_info < (3, 11):
        sys.exit("Nabla needs Python 3.11 or newer; this is {}.{}. Start it with a newer python3.".format(*sys.version_info))
    if not (ROOT / "pyproject.toml").is_file():
        return  # installed from a wheel: its dependencies came with it
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    if not inside and installed_here():
        return  # somebody's own environment with `pip install -e .`
    try:
        if not is_current(extras):
            set_up(extras)
    except KeyboardInterrupt:
        sys.exit("Stopped. Start again to go on with the set-up.")
    except OSError as error:
        sys.exit(f"Could not set up {VENV}: {error.strerror or error}. Is the folder writable?")
    if not inside:
        enter(module)


def installed_here() -> bool:
    try:
        importlib.metadata.version("nabla")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def wanted(extras: Sequence[str]) -> dict[str, object]:
    """What the stamp of an environment in order says."""
    files = [ROOT / "pyproject.toml", lock([]), lock(["test"])]
    pins = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return {"pins": pins, "place": str(ROOT), "python": list(sys.version_info[:2]), "extras": sorted(extras)}


def lock(extras: Sequence[str]) -> Path:
    """What every package has to be, to the last bit. Extras beside the tests' come by their versions alone."""
    return LOCKS / ("test.txt" if "test" in extras else "run.txt")


def stamped() -> dict[str, Any]:
    try:
        stamp = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_current(extras: Sequence[str]) -> bool:
    import tomllib

    stamp, want = stamped(), wanted(extras)
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["nabla"]["vendor"]
    there = all((ROOT / to).exists() for pin in pins.values() for to in pin["files"].values())
    same = all(stamp.get(key) == want[key] for key in ("pins", "place", "python"))
    return there and same and set(extras) <= set(stamp.get("extras", ()))


def set_up(extras: Sequence[str]) -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.exit("Python's venv module is missing. On Debian or Ubuntu: sudo apt install python3-venv. Then start again.")
    print(f"Setting Nabla up in {ROOT} (once; about a minute)", flush=True)
    stamp, want = stamped(), wanted(extras)
    # A moved clone or another Python needs a new environment; new pins only need another install.
    if Path(sys.prefix).resolve() != VENV.resolve() and any(stamp.get(key) != want[key] for key in ("place", "python")):
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], "A virtual environment could not be made")
    print("Python packages{}".format(" and what the tests need" if extras else ""), flush=True)
    pip("--require-hashes", "--no-deps", "--requirement", str(lock(extras)))
    print("htmx, uPlot and the 70,000 digits of MNIST", flush=True)
    run([str(PYTHON), "-m", "app._vendor"], "The front-end packages and MNIST could not be fetched. Connect to the network and start again")
    print("Nabla itself", flush=True)
    pip("--no-build-isolation", "--editable", "{}{}".format(ROOT, "[{}]".format(",".join(extras)) if extras else ""))
    STAMP.write_text(json.dumps(want), "utf-8")
    print("Done.", flush=True)


def pip(*arguments: str) -> None:
    """pip, with one line a package in place of its pages of text."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2", "--progress-bar", "off", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["Downloading"] and words[-1].endswith("B)"):
            print("  " + " ".join(words[1:]).rpartition("/")[2], flush=True)
    errors = process.stderr.read()
    if process.wait() != 0:
        reasons = [line.strip() for line in errors.splitlines() if "error" in line.lower()] or ["pip gave no reason"]
        offline = "Temporary failure" in errors or "Connection" in errors or "No matching distribution" in errors
        advice = "Connect to the network and start again" if offline else "Start again, or run pip by hand to see more"
        sys.exit("The Python packages could not be installed ({}). {}.".format(reasons[-1].removeprefix("ERROR: ")[:200], advice))


def run(command: Sequence[str], failure: str) -> None:
    if subprocess.call(command, cwd=ROOT) != 0:
        sys.exit(failure + ".")


def enter(module: str) -> None:
    command = [str(PYTHON), "-m", module, *sys.argv[1:]]
    environment = dict(os.environ)
    # Found from any folder: the clone's top level is where `app` and `tests` are.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    if os.name == "nt":
        raise SystemExit(subprocess.call(command, env=environment))
    os.execve(PYTHON, command, environment)  # the same process: Ctrl-C and SIGTERM reach the server itself
