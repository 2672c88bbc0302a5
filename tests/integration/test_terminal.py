"""What a person at a terminal has: examples that run, completion, progress, and silence."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.shell_completion import ShellComplete

from kdcore.__main__ import main
from kdcore.cli import cli

#: Appended to an example where its command has the option, so that it takes less time.
CHEAPER = {
    "--folds": "2",
    "--trials": "2",
    "--parts": "1",
    "--seconds": "0.01",
    "--teacher-param": "n_estimators=5",
}
DISTILL = ["distill", "adult.parquet", "-t", "target", "--student", "decision_tree", "-q"]
DISTILL += ["--teacher-param", "n_estimators=10", "--recipe", "fast", "--folds", "2"]


def examples() -> list[str]:
    """The command lines under "Examples:" of every help text."""
    found = []

    def visit(command: click.Command) -> None:
        text = (command.help or "").partition("Examples:")[2]
        lines = [re.split(r" {2,}", line.strip())[0] for line in text.splitlines()]
        lines = [line for line in lines if line.startswith("kd ")]
        assert lines, f"{command.name}: the help text has no example"
        found.extend(lines)
        for child in getattr(command, "commands", {}).values():
            visit(child)

    visit(cli)
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that examples name: tables, and a finished distillation."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    adult = pd.DataFrame(rng.normal(size=(160, 4)), columns=["age", "hours", "gain", "loss"])
    adult["job"] = rng.choice(["clerk", "cook", "smith"], 160)
    adult["target"] = np.where(adult["age"] + (adult["job"] == "cook") > 0, ">50K", "<=50K")
    houses = adult.drop(columns="target").assign(price=adult["age"] * 3 + adult["hours"])
    os.chdir(folder)
    for name in ("adult", "june", "new", "some"):
        table = adult.rename(columns={"target": "bought"}) if name == "june" else adult
        table.to_csv(f"{name}.csv", index=False)
        adult.to_parquet(f"{name}.parquet")
    houses.to_csv("houses.csv", index=False)
    assert main([*DISTILL, "-o", "made"]) == 0
    for file in ("labels.csv", "labels.parquet"):
        common = ["label", "adult.parquet", "-t", "target", "--folds", "2", "-q"]
        assert main([*common, "--teacher-param", "n_estimators=10", "-o", file]) == 0
    return folder


@pytest.fixture(autouse=True)
def where_it_was() -> object:
    before = Path.cwd()
    yield
    os.chdir(before)


@pytest.mark.parametrize("example", examples())
def test_every_example_of_a_help_text_runs(example: str, prepared: Path, tmp_path, capsys) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    os.chdir(tmp_path)
    line, _, file = example.partition(" > ")
    words = shlex.split(line)[1:]
    if words[:1] == ["COMMAND"]:
        words = ["distill", *words[1:]]
    command = cli
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    if command.name not in ("distill", "search", "compare", "label"):
        # These make what the others read.
        shutil.copytree("made", "out", dirs_exist_ok=True)
        shutil.copy("made/student.kd", "student.kd")
        shutil.copytree("made", "kd-out/digits-decision_tree", dirs_exist_ok=True)
    elif command.name == "label":
        Path("labels.parquet").unlink()
    if words[-1] != "--help":
        known = {option for p in command.params for option in p.opts}
        cheaper = {key: value for key, value in CHEAPER.items() if key in known}
        if command.name == "compare":
            cheaper["--teacher-param"] = "xgboost:n_estimators=5"
        if "--teacher-proba" in words or (command.name == "bench" and "--teacher" not in words):
            del cheaper["--teacher-param"]
        words += [word for option in cheaper.items() for word in option]
        if command.name in ("distill", "compare"):
            words += ["--recipe", "fast"]
    assert main(words) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert out.strip() or "-o" in words
    if file:
        assert len(out.splitlines()) == 161


def complete(*typed: str) -> list[str]:
    *before, incomplete = typed
    found = ShellComplete(cli, {}, "kd", "_KD_COMPLETE").get_completions(list(before), incomplete)
    return [item.value for item in found]


def test_names_and_columns_are_completed(prepared: Path) -> None:
    os.chdir(prepared)
    assert "xgboost" in complete("distill", "--teacher", "xg")
    assert complete("compare", "--students", "ridge,decision_t") == ["ridge,decision_tree"]
    assert "teacher_prior" in complete("distill", "--selector", "teacher_p")
    assert complete("distill", "--loss", "hub") == ["huber"]
    for table in ("adult.csv", "adult.parquet"):
        assert complete("distill", table, "-t", "ta") == ["target"]
        assert complete("distill", table, "--keep", "age,ho") == ["age,hours"]
    assert complete("distill", "none.csv", "-t", "ta") == []
    assert complete("distill", "sklearn:wine", "-t", "") == []
    [item] = ShellComplete(cli, {}, "kd", "_KD_COMPLETE").get_completions(["distill"], "ad")
    assert item.type == "file"


def test_the_shell_gets_a_script(prepared: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("kd")],
        env={**os.environ, "_KD_COMPLETE": "bash_source"},
        capture_output=True,
        text=True,
    )
    assert "complete -o nosort -F _kd_completion kd" in done.stdout


def test_stages_are_told_with_their_seconds_to_whoever_asks(
    prepared: Path, tmp_path, capsys
) -> None:
    os.chdir(prepared)
    common = [*(w for w in DISTILL if w != "-q"), "--no-cache", "-o", str(tmp_path / "out")]
    assert main([*common]) == 0
    assert "Fitting the teacher" not in capsys.readouterr().err
    assert main([*common, "-v", "--force"]) == 0
    err = capsys.readouterr().err
    assert re.search(r"^Fitting the teacher: \d+\.\d s, 3 steps$", err, re.M)
    assert "Judging on held-out rows: " in err
    assert main([*common, "-q", "--force"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*common, "-q", "-v", "--force"]) == 2
    assert "contradict" in capsys.readouterr().err


def on_a_terminal(arguments: list[str], **environ: str) -> tuple[str, str]:
    """Stdout and what a terminal shows of stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kdcore", *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environ},
        text=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, shown
    return out, shown.decode(errors="replace")


def test_a_terminal_shows_how_far_it_is_and_the_time_left(prepared: Path, tmp_path) -> None:
    os.chdir(prepared)
    arguments = ["distill", "adult.parquet", "-t", "target", "--student", "decision_tree"]
    arguments += ["--recipe", "fast", "--no-cache", "-o", str(tmp_path / "out"), "--json"]
    arguments += ["--teacher-param", "n_estimators=20"]
    out, shown = on_a_terminal(arguments, NO_COLOR="1")
    assert out.startswith("{")
    assert "Fitting the teacher" in shown
    assert re.search(r"left.*\d:\d\d:\d\d", shown)
    assert not re.search(r"\x1b\[[0-9;]*[34]\d[;m]", shown), "colours in spite of NO_COLOR"
