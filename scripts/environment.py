"""Install kdcore, all its plugins and the development tools, in editable form.

Usage: python3 scripts/environment.py
They go into the active virtual environment, or into .venv, which is made when there is none.
Nothing is done when nothing has changed since the last time. Needs Python 3.11 or newer, and pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL

ROOT = Path(__file__).resolve().parents[1]
# Beside the tools, what only the tests of everything together need.
TOOLS = ("ruff", "mypy", "pandas-stubs", "tox", "skl2onnx", "pytest-xdist", "playwright")
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def prepare() -> Path:
    """Bring the environment up to date and return the directory of its commands."""
    if sys.version_info < (3, 11):  # noqa: UP036 - it runs on whatever python3 there is
        sys.exit(f"kdcore needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    environment, active = ROOT / ".venv", os.environ.get("VIRTUAL_ENV")
    if active:
        environment = Path(active)
    elif sys.prefix != sys.base_prefix:
        environment = Path(sys.prefix)
    python = environment / SCRIPTS / Path("python").with_suffix(".exe" if os.name == "nt" else "")
    if environment == ROOT / ".venv" and not active and not _works(python):
        _make(environment, python)
    plugins = sorted(ROOT.glob("plugins/*/pyproject.toml"))
    sources = [Path(__file__), ROOT / "constraints.txt", ROOT / "pyproject.toml", *plugins]
    state = "\n".join([str(ROOT), *(path.read_text(encoding="utf-8") for path in sources)])
    stamp = environment / ".kdcore-state"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != state:
        print(f"Installing kdcore, its plugins and tools into {environment}", flush=True)
        # Compiling every installed file would take longer than installing it.
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        editable = [word for path in plugins for word in ("-e", str(path.parent))]
        core = ["-e", f"{ROOT}[testing,polars,plot,search,treelite]"]
        _run([*pip, "--no-compile", "-c", ROOT / "constraints.txt", *core, *editable, *TOOLS])
        stamp.write_text(state, encoding="utf-8")
    return environment / SCRIPTS


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.call([python, "-m", "pip", "--version"], stdout=DEVNULL, stderr=DEVNULL) == 0


def _make(environment: Path, python: Path) -> None:
    print(f"Making {environment} with Python {sys.version.split()[0]}", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    venv = [sys.executable, "-m", "venv"]
    if subprocess.call([*venv, environment], stdout=DEVNULL, stderr=DEVNULL):
        # Some systems ship Python without ensurepip: let their pip install itself.
        _run([*venv, "--clear", "--without-pip", environment])
        _run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "pip"])


def _run(command: list[str | Path]) -> None:
    if subprocess.call(list(map(str, command))):
        sys.exit("The environment could not be made; the reason stands above.")


if __name__ == "__main__":
    prepare()
