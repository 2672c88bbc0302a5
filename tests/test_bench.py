"""``kd bench``: what is measured and told; how long anything takes is not tested."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_models import SoftmaxStudent
from test_compiled import SetTeacher

import kdcore
from kdcore import StudentSpec, TeacherSpec
from kdcore.__main__ import main
from kdcore.bench_memory import peak_memory
from kdcore.bundle import pack
from kdcore.onnx_models import linear_model
from kdcore.testing import tiny_data


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


def make_sets(task: str) -> SetTeacher:
    return SetTeacher()


def make_student(task: str) -> Linear:
    return Linear()


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tiny_data("binary", content="mixed")
    rng = np.random.default_rng(0)
    words = np.array([*"bdfhjl"], dtype=object)
    X = pd.DataFrame({"number": rng.normal(size=len(data)), "one": rng.choice(words, len(data))})
    X["two"] = rng.choice(words, len(data))
    student = Linear().fit(X, data.y)
    pack(student, X, name="s", info={"target": "y"}).save("s.kd")
    X.assign(y=data.y).to_parquet("rows.parquet")
    return X


def test_the_student_alone_and_beside_its_teacher(saved, capsys):
    spec = TeacherSpec(
        name="sets",
        summary="Sets.",
        factory="test_bench:make_sets",
        tasks=("binary",),
        handles_missing=True,
        handles_categorical=True,
    )
    assert main(["bench", "s.kd", "rows.parquet", "--seconds", "0.01", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["teacher"] is alone["compiled_teacher"] is alone["python_student"] is None
    # Its plugin is not there.
    assert "no row of the student in Python: " in alone["notes"][0]
    student = StudentSpec(
        name="s", summary="Linear.", factory="test_bench:make_student", tasks=("binary",)
    )
    with kdcore.register(spec), kdcore.register(student):
        command = ["bench", "s.kd", "rows.parquet", "--teacher", "sets", "--seconds", "0.01"]
        assert main([*command, "--json"]) == 0
        out, err = capsys.readouterr()
        found = json.loads(out)
        assert err == "" or "no treelite row: trees with BRANCH_EQ" in err
        for role in ("student", "python_student", "teacher", "compiled_teacher"):
            costs = found[role]
            assert 0 < costs["single_us"]["p50"] <= costs["single_us"]["p99"]
            assert costs["rows_per_second"] > 0
        for role in ("student", "compiled_teacher"):
            assert found[role]["size_bytes"] > 100
            # numpy and ONNX Runtime, but neither pandas nor scikit-learn.
            assert 2**24 < found[role]["peak_bytes"] < 2**29
        assert found["compiled_teacher"]["name"] == "sets"
        assert found["rows"] == len(saved)
        assert main([*command, "--save-teacher", "t.kd", "--quiet"]) == 0
        assert kdcore.load("t.kd").manifest["role"] == "teacher"
        assert main([*command, "--save-teacher", "t.kd"]) == 1
        assert "use --force" in capsys.readouterr().err
        assert main(command) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split("  ")[0] for line in lines[1:]] == [
            "student",
            "python student",
            "teacher",
            "compiled teacher",
        ]


def test_a_teacher_that_cannot_be_compiled_is_noted(saved, capsys, monkeypatch):
    spec = TeacherSpec(
        name="sets",
        summary="Sets.",
        factory="test_bench:make_sets",
        tasks=("binary",),
        handles_missing=True,
        handles_categorical=True,
    )
    monkeypatch.delattr(SetTeacher, "to_onnx")
    with kdcore.register(spec):
        command = ["bench", "s.kd", "rows.parquet", "--teacher", "sets", "--seconds", "0.01"]
        assert main([*command, "--json"]) == 0
        assert main([*command, "--save-teacher", "t.kd", "--json"]) == 1
        out, err = capsys.readouterr()
        assert out.count("\n") > 5
        assert "must define to_onnx" in err.splitlines()[-1]
    assert json.loads(out)["compiled_teacher"] is None
    assert "no compiled teacher" in err


def test_what_cannot_be_measured_is_refused_in_one_line(saved, capsys):
    saved.to_parquet("nolabels.parquet")
    saved.drop(columns="one").to_parquet("lacks.parquet")
    for arguments, reason in (
        ("s.kd none.parquet", "there is no file"),
        ("s.kd lacks.parquet", "lacks 1 column"),
        ("s.kd nolabels.parquet --teacher xgboost", "no target column 'y'"),
        ("s.kd rows.parquet --teacher no_such", "no_such"),
        ("s.kd rows.parquet --teacher-param a=1", "no teacher"),
        ("none.kd rows.parquet", "there is no bundle"),
    ):
        assert main(["bench", *arguments.split(), "--seconds", "0.01"]) == 1, arguments
        out, err = capsys.readouterr()
        assert out == ""
        assert reason in err
        assert len(err.strip().splitlines()) == 1


def test_memory_is_that_of_a_process_of_its_own(saved, tmp_path):
    """A child must not be charged for what its parent held when it was started."""
    ballast = np.ones(2**26)
    assert peak_memory("s.kd", saved) < ballast.nbytes
