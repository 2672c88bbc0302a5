"""Selected columns with every student: the file asks for them alone, and so does the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from integration.tables import load

import kdcore
from kdcore.__main__ import main
from kdcore.registry import default_registry

STUDENTS = [
    (name, task)
    for name, spec in default_registry().specs("student").items()
    if spec.input == "table"
    for task in ("binary", "regression")
    if task in spec.tasks
]
#: So that a student takes a second, not ten.
QUICK: dict[str, dict[str, Any]] = {
    "pytorch_mlp": {"max_iter": 30},
    "sklearn_mlp": {"max_iter": 60},
    "catboost": {"iterations": 10, "depth": 3},
    "lightgbm": {"n_estimators": 10},
    "xgboost": {"n_estimators": 10},
}


@pytest.fixture(scope="module")
def adult() -> pd.DataFrame:
    return load("adult").head(240)


@pytest.mark.parametrize(("name", "task"), STUDENTS)
def test_the_file_of_every_student_asks_for_what_was_chosen_and_no_more(
    name: str, task: str, adult: pd.DataFrame, tmp_path: Path
) -> None:
    regression = task == "regression"
    data = load("housing").head(240) if regression else adult
    kept, dropped = ("ocean_proximity", "latitude") if regression else ("workclass", "age")
    result = kdcore.distill(
        data,
        target="target",
        teacher="random_forest",
        teacher_params={"n_estimators": 10},
        student=name,
        student_params=QUICK.get(name),
        folds=2,
        recipe="fast",
        augment=1,
        max_features=0.4,
        keep=[kept],
        drop=[dropped],
        output=tmp_path / "out",
    )
    read = result.student.get_selected_features()
    budget = int(0.4 * (data.shape[1] - 1))
    assert len(read) <= budget
    assert kept in read
    assert dropped not in read
    bundle = kdcore.load(tmp_path / "out" / "student.kd")
    assert bundle.features == read
    alone = data[read]
    spoilt = data.drop(columns="target").assign(**{c: "?" for c in data if c not in read})
    np.testing.assert_array_equal(bundle.predict(alone), bundle.predict(spoilt))
    one, other = (np.asarray(m.predict(alone)) for m in (result.student, bundle))
    if regression:
        np.testing.assert_allclose(one, other, rtol=1e-3)
    else:
        assert (one == other).mean() > 0.97


def test_the_command_takes_budget_selector_and_wishes(
    tmp_path: Path, adult: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    adult.to_csv(tmp_path / "adult.csv", index=False)
    command = ["distill", str(tmp_path / "adult.csv"), "-t", "target", "--no-cache", "-q", "--json"]
    command += ["--teacher", "random_forest", "--teacher-param", "n_estimators=10"]
    command += ["--student", "decision_tree", "--folds", "2", "--recipe", "fast"]
    wishes = ["--max-features", "5", "--selector", "mrmr", "--keep", "workclass,sex"]
    wishes += ["--drop", "age", "--cost", "education=9", "--max-cost", "6", "--tolerance", "one_se"]
    # With alpha set by hand, labels alone do not take the place of the new ones.
    wishes += ["--relabel", "always", "--alpha", "0.7"]
    assert main([*command, *wishes, "-o", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    chosen = told["student"]["features"]
    assert {"workclass", "sex"} <= set(chosen)
    assert not {"age", "education"} & set(chosen)
    assert len(chosen) <= 5
    assert told["recipe"]["selector"] == "mrmr"
    assert told["recipe"]["max_features"] == 5
    assert told["selection"]["columns"] == chosen
    assert sum(p["chosen"] for p in told["selection"]["path"]) == 1
    assert told["selection"]["all_columns_loss"] > 0
    assert told["selection"]["relabel"]["used"] == "new"
    assert kdcore.load(tmp_path / "out" / "student.kd").manifest["relabelled"] is True


@pytest.mark.parametrize(
    ("wishes", "code", "words"),
    [
        (["--max-features", "many"], 2, "neither a number of columns"),
        (["--max-features", "1.5"], 1, "use a whole number"),
        (["--max-features", "2", "--keep", "agee"], 1, "Did you mean 'age'?"),
        (["--max-features", "2", "--selector", "mmr"], 1, "mrmr"),
        (["--max-features", "1", "--keep", "age,sex"], 1, "keep names 2 columns"),
        (["--max-cost", "3"], 1, "belong together"),
        (
            ["--max-features", "3", "--selector", "budgeted_elimination"],
            1,
            "does not allow; use a filter such as 'prior_backward'",
        ),
        (
            ["--student", "pytorch_mlp", "--max-features", "3", "--selector", "sigmoid_l1:l1=2"],
            1,
            "l1_lambda",
        ),
    ],
)
def test_the_command_refuses_in_one_line_what_cannot_be_meant(
    wishes: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    adult: pd.DataFrame,
    capsys: pytest.CaptureFixture[str],
) -> None:
    adult.to_csv(tmp_path / "adult.csv", index=False)
    command = ["distill", str(tmp_path / "adult.csv"), "-t", "target", "--no-cache"]
    if "--student" not in wishes:
        command += ["--student", "decision_tree"]
    assert main([*command, *wishes, "-o", str(tmp_path / "out")]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("teacher", ["xgboost", "lightgbm", "catboost"])
def test_contributions_of_boosted_teachers_choose_columns(
    teacher: str, adult: pd.DataFrame
) -> None:
    few = {"catboost": "iterations"}.get(teacher, "n_estimators")
    result = kdcore.distill(
        adult,
        target="target",
        teacher=teacher,
        teacher_params={few: 20},
        student="decision_tree",
        folds=2,
        recipe="plain",
        max_features=3,
        selector="teacher_shap",
    )
    assert {p["ranking"] for p in result.report.selection["path"]} == {"contributions"}
    assert 1 <= len(result.report.student["features"]) <= 3


def test_a_teacher_without_contributions_is_named_with_what_to_use(adult: pd.DataFrame) -> None:
    with pytest.raises(kdcore.KDError, match="use the selector 'teacher_prior'"):
        kdcore.distill(
            adult,
            target="target",
            teacher="random_forest",
            teacher_params={"n_estimators": 5},
            student="decision_tree",
            max_features=3,
            selector="teacher_shap",
        )
