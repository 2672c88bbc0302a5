"""Build every distribution, install the files into this environment, and try them.

Usage: python check_wheels.py REPOSITORY DIST
Run it outside the repository, so that the installed files are used and not the sources.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SMOKE = """
import pathlib, sys, kdcore
package = pathlib.Path(kdcore.__file__).parent
assert package.is_relative_to(sys.prefix), f"{package} is not the installed one"
assert (package / "py.typed").exists()
assert (package / "webpage" / "templates" / "report.html.j2").exists()
print("kdcore", kdcore.__version__, "from its wheel")
"""


def run(*command: str | Path) -> None:
    """Run a command, show it, and stop at its first failure."""
    print("$", *(str(part).strip().partition("\n")[0] for part in command), flush=True)
    if subprocess.call([str(part) for part in command]):
        sys.exit("check_wheels: the last command failed")


def main(root: Path, dist: Path) -> None:
    """Build, check the files, install them, and run the smoke test."""
    shutil.rmtree(dist, ignore_errors=True)
    projects = [root, *sorted(path.parent for path in root.glob("plugins/*/pyproject.toml"))]
    for project in projects:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, project)
    wheels = sorted(dist.glob("*.whl"))
    sdists = sorted(dist.glob("*.tar.gz"))
    if not len(wheels) == len(sdists) == len(projects):
        sys.exit(f"{len(projects)} projects gave {len(wheels)} wheels and {len(sdists)} sdists")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    run(*pip, "--constraint", root / "constraints.txt", *wheels)
    run(*pip, "--force-reinstall", "--no-deps", *wheels)
    run(sys.executable, "-c", SMOKE)
    kd = Path(sys.executable).with_name("kd")
    run(kd, "--version")
    run(kd, "plugins", "--check")
    demo, out = ["sklearn:breast_cancer", "--target", "target"], dist.parent / "demo"
    for teacher, student in (("xgboost", "decision_tree"), ("pytorch_mlp", "pytorch_mlp")):
        models = ["--teacher", teacher, "--student", student, "--recipe", "plain"]
        run(kd, "distill", *demo, *models, "--folds", "2", "--output", out, "--force")
        run(kd, "predict", out / "student.kd", demo[0], "--output", out / "rows.csv", "--force")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
