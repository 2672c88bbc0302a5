"""Every classical teacher with every classical student, on tables of four kinds: 112 cells.

Adult, letter and soybean are subsamples of the public tables; the regression is made after the
Californian census of 1990 (see `tables`).
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from integration.tables import TABLES, load

import kdcore

#: Few trees: what is tested is that each pair works, not how well.
TEACHERS: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 10, "max_depth": 3, "learning_rate": 0.3},
    "lightgbm": {"n_estimators": 10, "num_leaves": 7, "learning_rate": 0.3},
    "catboost": {"iterations": 10, "depth": 3, "learning_rate": 0.5},
    "random_forest": {"n_estimators": 10, "max_depth": 8},
}
STUDENTS: dict[str, dict[str, Any]] = {
    # What the user sets is not tuned, which would take most of the time.
    "logistic_regression": {"C": 1.0},
    "svm": {},
    "decision_tree": {},
    "sklearn_mlp": {"hidden_layer_sizes": (16,), "max_iter": 200},
    "xgboost": {"n_estimators": 8},
    "lightgbm": {"n_estimators": 8},
    "catboost": {"iterations": 8, "depth": 3},
}
TASKS = {
    "adult": "binary",
    "letter": "multiclass",
    "soybean": "multiclass",
    "housing": "regression",
}


def params_of(student: str, task: str) -> dict[str, Any]:
    return {} if (student, task) == ("logistic_regression", "regression") else STUDENTS[student]


def finite(values: dict[str, Any]) -> bool:
    return all(v is not None and math.isfinite(v) for v in values.values())


def unsound(pair: dict[str, Any], task: str) -> str | None:
    """What is wrong with a cell, or None."""
    if "error" in pair:
        return str(pair["error"])
    for who in ("teacher", "plain", "student"):
        if not finite(pair[who]["metrics"]):
            return f"the metrics of the {who} are not finite: {pair[who]['metrics']}"
    if not finite(pair["student"]["fidelity"]):
        return f"the fidelity is not finite: {pair['student']['fidelity']}"
    if pair["task"] != task:
        return f"the task was taken for {pair['task']}"
    if pair["teacher"]["labels"] != "out-of-fold":
        return f"the labels are {pair['teacher']['labels']}"
    if pair["parity"] is None or pair["parity"]["flipped"]:
        return f"the bundle does not say what the student says: {pair['parity']}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("table", TABLES)
def test_a_teacher_can_be_distilled_into_every_student(table: str, teacher: str) -> None:
    task = TASKS[table]
    # Tuning, encodings and synthetic rows take most of the time: with one teacher of each table.
    fast = teacher == "xgboost"
    result = kdcore.compare(
        load(table),
        target="target",
        teachers=[teacher],
        students=list(STUDENTS),
        folds=3,
        recipe="fast" if fast else "plain",
        augment=1 if fast else None,
        teacher_params={teacher: TEACHERS[teacher]},
        student_params={s: params_of(s, task) for s in STUDENTS},
    )
    names = ["ridge" if (s, task) == ("logistic_regression", "regression") else s for s in STUDENTS]
    assert [pair["student"]["name"] for pair in result.pairs] == names
    wrong = {p["student"]["name"]: unsound(p, task) for p in result.pairs}
    assert {name: reason for name, reason in wrong.items() if reason} == {}
    # The labels were made once: every student had the same teacher.
    assert len({str(pair["teacher"]) for pair in result.pairs}) == 1
