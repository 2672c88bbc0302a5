"""Run all that must hold before a change goes in, in an environment that is made for it.

Usage: python3 scripts/test.py [OPTION OF PYTEST]...
The steps are ruff, mypy, the core alone, the core with each plugin and with MLflow alone, and at
last the tests of everything together, which the options are for. `tox -e all` runs every test so.
A step that fails does not stop the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from environment import ROOT, prepare

# As in tox.ini. One thread each, so that results repeat; bytecode, so that new processes start
# quickly.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "SCIPY_ARRAY_API": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}

#: Tests of the core that depend on what is installed beside it.
LOOK_AROUND = (
    "bench", "bundle", "c_export", "cli_plugins", "docs", "lazy_imports", "packaging", "plugins",
    "registry", "sharing", "testing_kit",
)  # fmt: skip

_lines: list[str] = []
_failed: list[str] = []


def step(name: str, *command: str | Path) -> None:
    """Run one step, and note how long it took and whether it failed."""
    print(f"=== {name}", flush=True)
    start = time.monotonic()
    environ = {**os.environ, **SETTINGS}
    code = subprocess.call([str(word) for word in command], cwd=ROOT, env=environ)
    if code:
        _failed.append(name)
    _note(name, start, "FAILED" if code else "ok")


def _note(name: str, start: float, result: str) -> None:
    _lines.append(f"{name:26} {time.monotonic() - start:5.0f} s  {result}")


def main(options: list[str]) -> int:
    """Run every step; return 1 if any failed."""
    start = time.monotonic()
    commands = prepare()
    _note("setup", start, "ok")
    plugins = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

    step("ruff check", commands / "ruff", "check", ".")
    step("ruff format", commands / "ruff", "format", "--check", ".")
    step("mypy", commands / "mypy", "kdcore", *(plugin / "src" for plugin in plugins))

    # tox keeps its environments; they are made anew when what they install has changed.
    sources = [ROOT / name for name in ("tox.ini", "constraints.txt", "pyproject.toml")]
    sources += [plugin / "pyproject.toml" for plugin in plugins]
    state = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    stamp = ROOT / ".tox" / "state"
    same = stamp.exists() and stamp.read_text(encoding="utf-8") == state
    alone = ",".join(["core", *(plugin.name for plugin in plugins), "mlflow"])
    again = [] if same else ["--recreate"]
    tox = [commands / "tox", "run-parallel", "-p", "auto", "--parallel-no-spinner", *again]
    step("core and each plugin alone", *tox, "-e", alone)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(state, encoding="utf-8")

    print("=== so far", *_lines, sep="\n", flush=True)
    # The core's and the plugins' own tests have run already; what looks at all that is installed
    # has seen a part of it only.
    tests = ["tests/integration", *(f"tests/test_{name}.py" for name in LOOK_AROUND)]
    workers = ["-n", str(min(os.cpu_count() or 1, 8))]
    step("all together", commands / "python", "-m", "pytest", *workers, *tests, *options)
    if _failed:
        print("failed:", ", ".join(_failed), flush=True)
    return 1 if _failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
