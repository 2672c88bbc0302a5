"""Knowledge crosses from boosted trees to networks, and from networks to what can be read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits

import kdcore
from kdcore.__main__ import main

QUICK = {
    "xgboost": ["n_estimators=30"],
    "pytorch_mlp": ["max_iter=300", "hidden_layer_sizes=[64]"],
    "pytorch_cnn": ["max_iter=120", "channels=[8,16]", "hidden_layer_sizes=[]"],
}


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = load_digits(as_frame=True).frame
    table.to_csv("digits.csv", index=False)
    return table


@pytest.mark.parametrize(
    ("teacher", "student", "agreement"),
    [
        ("xgboost", "pytorch_cnn", 0.85),
        ("xgboost", "pytorch_mlp", 0.85),
        ("pytorch_mlp", "decision_tree", 0.7),
        ("pytorch_mlp", "logistic_regression", 0.85),
        ("pytorch_cnn", "pytorch_mlp", 0.85),
    ],
)
def test_a_pair_is_distilled_and_its_bundle_predicts(digits, capsys, teacher, student, agreement):
    command = ["distill", "digits.csv", "-t", "target", "--teacher", teacher, "--student", student]
    for name, flag in ((teacher, "--teacher-param"), (student, "--student-param")):
        for value in QUICK.get(name, []):
            if not (name == "pytorch_mlp" and flag == "--student-param" and "hidden" in value):
                command += [flag, value]
    recipe = "fast" if (teacher, student) == ("xgboost", "pytorch_mlp") else "plain"
    options = ["--recipe", recipe, "--folds", "2", "-o", "out", "--json"]
    assert main([*command, *options]) == 0
    result = json.loads(capsys.readouterr()[0])
    assert result["student"]["fidelity"]["agreement"] > agreement
    assert result["parity"]["flipped"] == 0
    bundle = kdcore.load("out/student.kd")
    assert (bundle.predict(digits) == digits["target"]).mean() > agreement


TEACHERS = ("xgboost", "lightgbm", "catboost", "random_forest", "pytorch_cnn", "pytorch_mlp")
STUDENTS = ("logistic_regression", "svm", "decision_tree", "sklearn_mlp", *TEACHERS[-2:])
SMALL_TEACHERS = {
    "xgboost": {"n_estimators": 15},
    "lightgbm": {"n_estimators": 15},
    "catboost": {"iterations": 40},
    "random_forest": {"n_estimators": 15},
    "pytorch_cnn": {"max_iter": 60, "channels": (8,), "hidden_layer_sizes": ()},
    "pytorch_mlp": {"max_iter": 120, "hidden_layer_sizes": (64,)},
}
SMALL_STUDENTS = {
    "sklearn_mlp": {"max_iter": 150},
    "pytorch_mlp": {"max_iter": 150},
    "pytorch_cnn": {"max_iter": 80, "channels": (8,)},
}


def compared(table, teachers, students):
    return kdcore.compare(
        table, target="target", teachers=teachers, students=students, recipe="plain", folds=2,
        teacher_params=SMALL_TEACHERS, student_params=SMALL_STUDENTS, n_jobs=1,
    ).to_dict()["pairs"]  # fmt: skip


@pytest.mark.parametrize(
    ("teachers", "students"),
    [(TEACHERS[4:], STUDENTS), (TEACHERS[:4], STUDENTS[4:])],
    ids=["networks teach", "networks learn"],
)
def test_networks_and_all_other_kinds_learn_from_each_other(teachers, students):
    table = load_digits(n_class=5, as_frame=True).frame[:400]
    for pair in compared(table, teachers, students):
        names = pair["teacher"]["name"], pair["student"]["name"]
        assert "error" not in pair, (names, pair.get("error"))
        assert pair["student"]["fidelity"]["agreement"] > 0.75, names


def test_networks_predict_values_and_pictures_of_values_are_refused_where_there_are_none():
    table = load_diabetes(as_frame=True).frame
    pairs = compared(table, ("pytorch_mlp", "pytorch_cnn"), ("ridge", "pytorch_mlp"))
    for pair in pairs:
        if pair["teacher"]["name"] == "pytorch_cnn":
            assert "img_size: 10 columns with input_channels=1 are no square" in pair["error"]
        else:
            assert pair["student"]["fidelity"]["r2_to_teacher"] > 0.6


def test_columns_that_are_no_picture_are_refused_in_one_line(digits, capsys):
    pd.concat([digits.iloc[:, :63], digits["target"]], axis=1).to_csv("cut.csv", index=False)
    command = ["distill", "cut.csv", "-t", "target", "--teacher", "pytorch_cnn"]
    assert main([*command, "--student", "decision_tree"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "img_size: 63 columns with input_channels=1 are no square picture" in err


SLOW = """
import pathlib
from torch import nn

def network(n_inputs, n_outputs):
    pathlib.Path("training").touch()
    return nn.Sequential(nn.Linear(n_inputs, 64), nn.ReLU(), nn.Linear(64, n_outputs))
"""


def test_ctrl_c_in_training_leaves_no_half_written_file(digits, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "kdcore", "distill", "digits.csv", "-t", "target", "--teacher",
         "random_forest", "--teacher-param", "n_estimators=10", "--student", "pytorch_mlp",
         "--student-param", "module=slow:network", "--student-param", "max_iter=1000000",
         "--recipe", "plain", "--folds", "2", "-o", "out"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "training").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
