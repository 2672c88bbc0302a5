"""Boosted teachers that stop early: on rows of their own, never on those that they are to label."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, root_mean_squared_error

import kdcore
from kdcore.errors import ParameterError
from kdcore.folds import fold_plan
from kdcore.labels import out_of_fold
from kdcore.resolve import resolve_teacher
from kdcore.teachers import stopping_rows
from kdcore.testing import tiny_data

TEACHERS = ("xgboost", "lightgbm", "catboost")
every_teacher = pytest.mark.parametrize("name", TEACHERS)


def teacher(name: str, task: str, **more: Any) -> Any:
    rounds = "iterations" if name == "catboost" else "n_estimators"
    params = {rounds: 400, "learning_rate": 0.3, "early_stopping_rounds": 5, **more}
    return resolve_teacher(name, task=task, params=params, random_state=0).estimator


def rounds_of(model: Any) -> int:
    inner = model.model_
    if hasattr(inner, "get_booster"):
        return int(inner.get_booster().num_boosted_rounds())
    return int(inner.tree_count_ if hasattr(inner, "tree_count_") else inner.best_iteration_)


def last_loss(model: Any) -> float:
    """The loss of the best round on the rows that the library was given to stop on."""
    inner = model.model_
    results = inner.evals_result() if hasattr(inner, "get_booster") else None
    if results is None:
        results = getattr(inner, "evals_result_", None) or inner.get_evals_result()
    (history,) = next(v for k, v in results.items() if "valid" in k).values()
    return float(min(history))


@every_teacher
def test_a_label_does_not_depend_on_the_targets_of_its_own_fold(name: str) -> None:
    data = tiny_data("regression")
    plan = fold_plan(data.y, classes=None, folds=3, random_state=0)
    held = plan[1][1]
    spoiled, weight = data.y.copy(), np.ones(len(data))
    spoiled[held] = 1e6
    weights = weight.copy()
    weights[held] = 50.0
    labels = [
        out_of_fold(
            teacher(name, "regression"), data.X, y, classes=None, folds=3, sample_weight=w
        ).values[held]
        for y, w in ((data.y, weight), (spoiled, weights))
    ]
    assert np.array_equal(*labels)


@every_teacher
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_rows_to_stop_on_count_with_their_weights(name: str, task: str) -> None:
    data = tiny_data(task, n_rows=240)
    weight = np.random.default_rng(0).uniform(0.1, 10, len(data))
    model = teacher(name, task).fit(data.X, data.y, weight)
    y = data.y if task == "regression" else np.unique(data.y, return_inverse=True)[1]
    _, stop = stopping_rows(y, fraction=0.1, random_state=0, classify=task != "regression")
    rows, own = data.X.iloc[stop], weight[stop]
    if task == "regression":
        seen = root_mean_squared_error(y[stop], model.predict(rows), sample_weight=own)
        # LightGBM tells the square.
        seen = seen**2 if name == "lightgbm" else seen
    else:
        seen = log_loss(y[stop], model.predict_proba(rows), sample_weight=own)
    assert last_loss(model) == pytest.approx(seen, rel=1e-5)


@every_teacher
def test_a_teacher_stops_and_keeps_its_best_round_only(name: str) -> None:
    data, fresh = tiny_data("multiclass", labels="text"), tiny_data("multiclass", seed=1)
    model = teacher(name, "multiclass").fit(data.X, data.y)
    best = rounds_of(model)
    assert 1 <= best < 100
    # No trace of the later rounds: the model in a file is the one that predicts.
    whole = teacher(name, "multiclass", early_stopping_rounds=None).fit(data.X, data.y)
    assert model.model_bytes() < whole.model_bytes() / 2
    again = pickle.loads(pickle.dumps(teacher(name, "multiclass").fit(data.X, data.y)))
    assert np.array_equal(again.predict_proba(fresh.X), model.predict_proba(fresh.X))


@every_teacher
def test_weights_of_one_are_no_weights(name: str) -> None:
    data = tiny_data("binary")
    models = [teacher(name, "binary").fit(data.X, data.y, w) for w in (None, np.ones(len(data)))]
    first, second = (m.predict_proba(data.X) for m in models)
    assert np.allclose(first, second, atol=1e-6)


@every_teacher
def test_too_few_rows_to_stop_on_are_refused(name: str) -> None:
    data = tiny_data("regression").take(np.arange(4))
    with pytest.raises(ParameterError, match=r"validation_fraction=0\.1 of 4 rows leaves none to"):
        teacher(name, "regression").fit(data.X, data.y)


@every_teacher
def test_a_distillation_takes_it_from_the_command_lines_parameters(name: str) -> None:
    data = tiny_data("binary", n_rows=200)
    result = kdcore.distill(
        data.X.assign(target=data.y),
        target="target",
        teacher=name,
        teacher_params={"early_stopping_rounds": 5},
        student="decision_tree",
    )
    assert rounds_of(result.teacher) < 300
    assert result.report.teacher["labels"] == "out-of-fold"


def test_lightgbms_dart_cannot_stop_early() -> None:
    with pytest.raises(ParameterError, match="boosting_type='dart'"):
        teacher("lightgbm", "binary", boosting_type="dart")
