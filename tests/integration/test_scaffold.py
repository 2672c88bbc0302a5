"""Packages that `kd plugins new` writes are installed and work as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kdcore.scaffold import Scaffold, write_plugin
from kdcore.testing.isolation import FakeDistribution, run_python


def run(*command: str, path: Path) -> str:
    environ = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=environ,
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_teacher_is_installed_listed_and_used_in_four_commands(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    run("kdcore", "plugins", "new", "my-teacher", path=site)
    package = "./kdcore-my-teacher"
    # A folder of its own instead of the environment of the tests.
    run("pip", "install", "-q", "--no-deps", "--target", str(site), package, path=site)
    [listed] = [
        plugin
        for plugin in json.loads(run("kdcore", "plugins", "--check", "--json", path=site))
        if plugin["name"] == "my_teacher"
    ]
    assert (listed["status"], listed["provides"]) == ("ok", ["teacher: my_teacher"])
    trial = Scaffold("my-other").trial.replace("my_other", "my_teacher").split()[1:]
    result = json.loads(run("kdcore", *trial, "--recipe", "fast", "--json", path=site))
    assert result["teacher"]["name"] == "my_teacher"
    assert result["teacher"]["metrics"]["accuracy"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["teacher", "student", "loss", "selector"])
def test_the_tests_of_a_new_package_pass(kind: str, tmp_path: Path) -> None:
    folder, scaffold = write_plugin(f"my-{kind}", kind, tmp_path / "package")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    plugin = FakeDistribution(
        project["name"],
        entry_points=project["entry-points"]["kdcore"],
        modules={
            path[len("src/") : -len(".py")].removesuffix("/__init__").replace("/", "."): text
            for path, text in scaffold.files().items()
            if path.startswith("src/")
        },
        version=project["version"],
        requires=project["dependencies"],
    )
    tested = run_python(
        f"""
        import os, sys, pytest
        os.chdir({str(folder)!r})
        sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-W", "error"]))
        """,
        distributions=[plugin],
    )
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout
