"""`--config` and `--print-config`: an experiment as a file, with no option lost or invented."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kdcore.__main__ as program
from kdcore.cli import cli
from kdcore.cli.config import config_text

RESULTS = sorted(name for name, c in cli.commands.items() if not isinstance(c, click.Group))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("config"))


def kd(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = program.main(list(arguments))
    return code, *capsys.readouterr()


def seen(command: str, *arguments: str) -> tuple[dict[str, Any], str]:
    """What the function of a command would be called with, and that as a file."""
    context = cli.commands[command].make_context(command, list(arguments))
    return context.params, config_text(context)


@pytest.mark.parametrize("command", RESULTS)
def test_every_result_command_takes_its_options_from_a_file_and_prints_one(command: str) -> None:
    names = {option for p in cli.commands[command].params for option in p.opts}
    assert {"--config", "--print-config"} <= names


value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**50), 2**50)
    | st.floats(allow_nan=False)
    # Whatever can be typed; surrogates cannot.
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab. é", min_size=1), inner)
    ),
    max_leaves=5,
)
name = st.text("abyz_.é-", min_size=1).filter(lambda n: not n.startswith("-"))


@given(
    params=st.dictionaries(name, value, max_size=4), target=st.text("a\"'\\\n\x7f é", min_size=1)
)
def test_what_is_printed_gives_the_same_run(params: dict[str, Any], target: str) -> None:
    typed = [f"--student-param={k}={json.dumps(v)}" for k, v in params.items()]
    typed += ["--keep=a,b", "--max-features=0.3", "--folds=3", "--force", "--cost", "a=2"]
    first, text = seen("distill", "data.csv", f"--target={target}", *typed)
    assert first["student_params"] == params
    Path("exp.toml").write_text(text, encoding="utf-8", newline="\n")
    again, printed = seen("distill", "--config", "exp.toml")
    assert again == first
    assert printed == text


def test_parameters_of_several_models_survive_the_round_trip() -> None:
    typed = ["d.csv", "-t", "y", "--teachers", "a,b", "--students", "c", "--teacher-param", "a:x=1"]
    first, text = seen("compare", *typed, "--student-param", 'c:z="1"')
    assert tomllib.loads(text)["teacher-param"] == {"a": {"x": 1}}
    Path("exp.toml").write_text(text, encoding="utf-8")
    assert seen("compare", "--config", "exp.toml")[0] == first


def test_what_is_typed_wins_over_the_file(capsys) -> None:
    Path("e.toml").write_text('data = "d.csv"\ntarget = "y"\nfolds = 3\nmax_features = 9\n')
    params, _ = seen("distill", "--config", "e.toml", "--folds", "4", "other.csv")
    assert (params["folds"], params["max_features"], params["data"]) == (4, 9, "other.csv")


def test_printing_neither_reads_nor_writes_anything_else(capsys) -> None:
    code, out, err = kd(capsys, "distill", "none.csv", "-t", "y", "--print-config")
    assert (code, err) == (0, "")
    assert tomllib.loads(out)["data"] == "none.csv"
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("temprature = 3", "Did you mean 'temperature'?"),
        ("nothing_like_it = 3", "--print-config"),
        ("debug = true", "'debug' is no option"),
        ("folds = [3]", "must not be a list"),
        ("folds = {a = 3}", "must not be a table"),
        ("force = 1", "must be true or false"),
        ("target = true", "must be text or a number"),
        ("keep = [[1]]", "must be text or a number"),
        ("student-param = {a = 1979-05-27}", "date"),
        ("max-features = 3\nmax_features = 4", "twice"),
        ("folds = ", "not a TOML file"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_line(capsys, content, message) -> None:
    if content is not None:
        Path("e.toml").write_text(content + "\n")
    code, out, err = kd(capsys, "distill", "d.csv", "-t", "y", "--config", "e.toml")
    assert (code, out) == (1, "")
    assert "e.toml" in err
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_value_out_of_range_in_a_file_is_refused_as_one_that_is_typed(capsys) -> None:
    Path("e.toml").write_text('data = "d.csv"\ntarget = "y"\nseed = 1.5\n')
    code, _, err = kd(capsys, "distill", "--config", "e.toml")
    assert code == 2
    assert "'--seed': '1.5'" in err
