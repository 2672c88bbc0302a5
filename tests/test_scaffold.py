"""`kd plugins new`: what it writes and refuses; that it works is tested with the plugins."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import kdcore.__main__ as program
from kdcore.errors import ParameterError
from kdcore.registry import ROLES
from kdcore.scaffold import Scaffold


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def kd(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = program.main(list(arguments))
    return code, *capsys.readouterr()


@pytest.mark.parametrize("kind", ROLES)
def test_every_kind_gets_all_files_of_a_package_with_nothing_left_to_fill_in(kind: str) -> None:
    files = Scaffold("my-thing", kind).files()
    assert set(files) == {
        "README.md",
        "pyproject.toml",
        "src/kdcore_my_thing/__init__.py",
        f"src/kdcore_my_thing/{kind}.py",
        "tests/test_conformance.py",
        f"tests/test_{kind}.py",
        "tox.ini",
    }
    for path, text in files.items():
        assert "$" not in text, path
        assert text.endswith("\n"), path
        if path.endswith(".py"):
            compile(text, path, "exec")
            assert max(map(len, text.splitlines())) <= 100, path
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["entry-points"]["kdcore"] == {"my_thing": "kdcore_my_thing"}


def test_the_package_is_written_where_the_user_says_and_the_next_steps_are_told(capsys) -> None:
    code, out, err = kd(capsys, "plugins", "new", "my-teacher", "-o", "here/it is")
    assert (code, err) == (0, "")
    assert Path("here/it is/pyproject.toml").is_file()
    assert "pip install -e './here/it is[testing]'" in out
    assert "--teacher my_teacher" in out


def test_programs_are_told_what_was_written(capsys) -> None:
    code, out, _ = kd(capsys, "plugins", "new", "kdcore-my-loss", "--kind", "loss", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["folder"], told["name"]) == ("kdcore-my-loss", "my_loss")
    assert sorted(told["files"]) == sorted(
        path.relative_to(told["folder"]).as_posix()
        for path in Path(told["folder"]).rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My-Teacher"], "lower-case"),
        (["../escape"], "lower-case"),
        (["my--teacher"], "lower-case"),
        (["7th"], "lower-case"),
        (["xgboost"], "already"),
        (["kl", "--kind", "loss"], "already"),
        (["forest"], "a plugin of kdcore"),
        (["mine"], "'kdcore-mine' exists"),
        (["mine", "-o", "kdcore-mine/file/below"], "cannot write"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(capsys, arguments, message) -> None:
    Path("kdcore-mine").mkdir()
    Path("kdcore-mine/file").touch()
    code, out, err = kd(capsys, "plugins", "new", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert [p.as_posix() for p in Path().rglob("*")] == ["kdcore-mine", "kdcore-mine/file"]


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="'model' is none of"):
        Scaffold("mine", "model")


def test_options_of_the_listing_before_a_command_are_not_ignored(capsys) -> None:
    code, _, err = kd(capsys, "plugins", "--json", "new", "mine")
    assert code == 2
    assert "put options after it" in err
