"""``kd`` and ``kd plugins``: what is printed, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner

import kdcore
import kdcore.__main__ as program
from kdcore.cli import cli
from kdcore.cli.common import CommandGroup
from kdcore.errors import PluginError
from kdcore.plugins import discover
from kdcore.registry import Registry
from kdcore.testing.isolation import FakeDistribution, installed_in_process, run_kd

KEYS = ["name", "distribution", "version", "status", "reason", "provides", "exports"]

SOURCE = """
from kdcore import {kind}, hookimpl

@hookimpl
def {hook}():
    yield {kind}(name="{name}", summary="A fake.", factory="{factory}", tasks=("binary",))

def make(task):
    return task
"""


@dataclass
class Result:
    """A row of the conformance kit, as the command reads it."""

    id: str
    status: str
    message: str


def fake(name: str, kind: str, hook: str, factory: str | None = None) -> FakeDistribution:
    module = f"fake_{name}"
    source = SOURCE.format(kind=kind, hook=hook, name=name, factory=factory or f"{module}:make")
    return FakeDistribution(f"kdcore-{name}", {name: module}, {module: source})


TEACHER = fake("my_teacher", "TeacherSpec", "kd_teachers")
STUDENT = fake("my_student", "StudentSpec", "kd_students")
LOST = fake("my_lost", "TeacherSpec", "kd_teachers", "fake_my_lost:not_there")
BAD = FakeDistribution("kdcore-bad", {"bad": "fake_bad"}, {"fake_bad": "1 / 0"})


def rows(*args: str, distributions: list[FakeDistribution], **env: str) -> dict[str, Any]:
    done = run_kd("plugins", "--json", *args, distributions=distributions, env=env)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert all(list(row) == KEYS for row in listed)
    return {row["name"]: row for row in listed}


def test_the_json_has_the_keys_that_programs_rely_on() -> None:
    listed = rows(distributions=[TEACHER, BAD])
    assert listed["my_teacher"] == {
        "name": "my_teacher",
        "distribution": "kdcore-my_teacher",
        "version": "0.1.0",
        "status": "ok",
        "reason": None,
        "provides": ["teacher: my_teacher"],
        "exports": {},
    }
    assert listed["bad"]["status"] == "broken"
    assert "ZeroDivisionError" in listed["bad"]["reason"]


def test_built_ins_are_shown_only_on_request() -> None:
    assert "builtin" not in rows(distributions=[])
    builtin = rows("--all", distributions=[])["builtin"]
    assert builtin["distribution"] == "kdcore"
    assert builtin["version"] == kdcore.__version__
    assert "loss: kl" in builtin["provides"]


def test_kind_keeps_what_provides_it_and_what_nobody_can_tell_of() -> None:
    listed = rows("--kind", "student", distributions=[TEACHER, STUDENT, BAD])
    assert "my_student" in listed
    assert "bad" in listed
    assert "my_teacher" not in listed
    assert "builtin" in rows("--kind", "loss", "--all", distributions=[])


def test_the_table_is_aligned_and_a_bad_plugin_has_its_reason_below() -> None:
    done = run_kd("plugins", distributions=[TEACHER, BAD])
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "version", "status", "provides"]
    good = next(line for line in lines if line.startswith("my_teacher"))
    bad = next(line for line in lines if line.startswith("bad"))
    assert good[lines[0].index("status") :].startswith("ok ")
    assert good[lines[0].index("provides") :] == "teacher: my_teacher"
    assert bad[lines[0].index("status") :] == "broken"
    reason = lines[lines.index(bad) + 1]
    assert reason.startswith("    importing it failed with ZeroDivisionError")


def use(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdcore.registry.default_registry", lambda: registry)


def test_without_any_plugin_the_list_is_empty_and_the_way_on_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Registry(discover(entry_points=[], environ={})), monkeypatch)
    assert program.main(["plugins", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert program.main(["plugins", "--kind", "teacher"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "No plugin for a teacher is installed; try `pip install kdcore-xgboost" in err


def test_a_broken_plugin_fails_only_the_check() -> None:
    assert run_kd("plugins", distributions=[BAD]).returncode == 0
    done = run_kd("plugins", "--check", "--json", distributions=[BAD])
    assert done.returncode == 1
    assert {row["name"]: row["status"] for row in json.loads(done.stdout)}["bad"] == "broken"


def test_the_check_finds_a_factory_that_leads_nowhere() -> None:
    assert rows(distributions=[LOST])["my_lost"]["status"] == "ok"
    done = run_kd("plugins", "--check", "--json", distributions=[LOST])
    row = next(row for row in json.loads(done.stdout) if row["name"] == "my_lost")
    assert done.returncode == 1
    assert list(row) == KEYS
    assert row["status"] == "broken"
    assert "fake_my_lost:not_there" in row["reason"]


def test_the_check_passes_a_disabled_plugin() -> None:
    done = run_kd("plugins", "--check", distributions=[BAD], env={"KD_DISABLE_PLUGINS": "*"})
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([], 0),
        ([Result("check_light", "passed", "")], 0),
        ([Result("check_light", "failed", "it imports numpy")], 1),
    ],
)
def test_the_check_runs_the_conformance_kit(
    results: list[Result],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []
    monkeypatch.setattr(
        "kdcore.testing.check_plugin", lambda name, *, cheap: asked.append(name) or results
    )
    with installed_in_process(TEACHER):
        use(Registry(discover(environ={"KD_DISABLE_PLUGINS": ""})), monkeypatch)
        assert program.main(["plugins", "--kind", "teacher", "--check"]) == code
    assert "my_teacher" in asked
    assert ("check_light failed: it imports numpy" in capsys.readouterr().out) == bool(code)


def test_the_check_reports_a_kit_that_cannot_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_plugin(name: str, *, cheap: bool) -> None:
        raise RuntimeError("no data")

    monkeypatch.setattr("kdcore.testing.check_plugin", check_plugin)
    with installed_in_process(TEACHER):
        use(Registry(discover(environ={})), monkeypatch)
        assert program.main(["plugins", "--check"]) == 1
    assert "cannot be run (RuntimeError: no data)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["plugin"], "Did you mean 'plugins'?"),
        (["plugins", "--jsn"], "--json"),
        (["plugins", "--kind", "model"], "'teacher', 'student', 'loss', 'selector'"),
        (["plugins", "surplus"], "surplus"),
    ],
)
def test_a_slip_on_the_command_line_exits_with_2_and_says_what_was_meant(
    args: list[str], words: str
) -> None:
    done = run_kd(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_had_by_both_flags_everywhere(flag: str) -> None:
    for args in ([flag], ["plugins", flag]):
        done = run_kd(*args)
        assert done.returncode == 0
        assert "Examples:" in done.stdout


def test_version_tells_python_and_every_plugin_without_importing_it() -> None:
    done = run_kd("--version", distributions=[TEACHER, BAD])
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"kdcore {kdcore.__version__}")
    assert lines[1].startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}.")
    assert any(line.startswith("kdcore-bad 0.1.0 at ") for line in lines)


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """Run ``kd fail``, a command that raises."""

    @click.group(cls=CommandGroup)
    def group() -> None:
        pass

    @group.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(program, "cli", group)
    return program.main([*args, "fail"])


def test_an_error_for_users_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(PluginError("it broke;\nmend it"), monkeypatch) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Error: it broke; mend it\n")


def test_debug_adds_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(PluginError("it broke"), monkeypatch, "--debug") == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("Error: it broke\n")


def test_debug_is_taken_before_and_after_the_command() -> None:
    for args in (["--debug", "plugins"], ["plugins", "--debug"]):
        assert run_kd(*args).returncode == 0
        done = run_kd(*args, distributions=[BAD], env={"KD_STRICT_PLUGINS": "1"})
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr
        assert "Traceback" in done.stderr


def test_a_fault_of_the_program_is_one_line_that_tells_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(ValueError("a\nb"), monkeypatch) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "unexpected ValueError: a b" in err
    assert "--debug" in err


def test_a_file_that_cannot_be_read_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = FileNotFoundError(2, "No such file or directory", "data.csv")
    assert fail_with(error, monkeypatch) == 1
    assert capsys.readouterr().err == "Error: No such file or directory: data.csv\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_exits_with_130_and_no_traceback(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(error, monkeypatch) == 130
    assert capsys.readouterr().err.strip() == "Aborted."


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "kdcore", "plugins", "--all"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_no_color_is_honoured_and_colour_is_for_terminals_only() -> None:
    coloured = CliRunner().invoke(cli, ["plugins", "--all"], color=True)
    assert "\x1b[" in coloured.output
    plain = CliRunner().invoke(cli, ["plugins", "--all"], color=True, env={"NO_COLOR": "1"})
    assert "\x1b[" not in plain.output
    assert click.unstyle(coloured.output) == plain.output
    assert "\x1b[" not in run_kd("plugins", "--all").stdout
