"""The data of a report's pictures: what readers conclude from them is true of the rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.evaluation import metrics, row_losses
from kdcore.pictures import collect, collect_or_say
from kdcore.pictures.classes import MOST_CLASSES, agreement, calibration
from kdcore.pictures.intervals import intervals, share_interval
from kdcore.pictures.models import learning
from kdcore.pictures.segments import segments
from kdcore.pictures.values import predicted, residuals
from kdcore.splits import Data, prepare


def data_of(frame: pd.DataFrame, task: str = "auto") -> Data:
    return prepare(frame, target="y", task=task, test_size=0.5, random_state=0)


def table(n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "city": pd.Categorical(rng.choice(["Ulm", "Bonn", "Kiel"], n)),
            "flag": rng.random(n) < 0.3,
            "few": rng.integers(0, 3, n),
        }
    )
    frame.loc[::9, "age"] = np.nan
    return frame.assign(y=rng.choice(["no", "yes"], n))


def proba(right: np.ndarray, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probability 0.8 of the true class where ``right``, else of the other one."""
    true = np.searchsorted(classes, y)
    named = np.where(right, true, 1 - true)
    return np.where(np.arange(2) == named[:, None], 0.8, 0.2)


def test_the_group_on_which_the_student_fails_is_found_with_its_true_counts():
    held = data_of(table()).held
    X, good = held.X, np.random.default_rng(1).random(len(held)) < 0.9
    bad = (X["city"] == "Kiel").to_numpy()
    outputs = {
        "teacher": proba(good, held.y, held.classes),
        "student": proba(good & ~bad, held.y, held.classes),
    }
    losses = {k: row_losses(v, held.y, held.classes) for k, v in outputs.items()}
    found = segments(held, outputs, losses)
    for worst in (found["worst"][0], found["behind"][0]):
        assert (worst["column"], worst["value"]) == ("city", "Kiel")
        assert worst["rows"] == bad.sum()
        assert worst["errors_student"] == 1
        assert worst["errors_teacher"] == pytest.approx(1 - good[bad].mean())
    assert found["overall"]["errors_student"] == pytest.approx(1 - (good & ~bad).mean())


def test_gaps_and_ranges_of_numbers_are_groups_too():
    held = data_of(table()).held
    age = held.X["age"].to_numpy()
    for bad in (np.isnan(age), age > np.nanquantile(age, 0.8)):
        outputs = {"student": proba(~bad, held.y, held.classes)}
        losses = {k: row_losses(v, held.y, held.classes) for k, v in outputs.items()}
        found = segments(held, outputs, losses)
        worst = found["worst"][0]
        assert worst["column"] == "age"
        assert worst.get("missing", False) == np.isnan(age[bad]).all()
        assert abs(worst["rows"] - bad.sum()) < 0.1 * bad.sum()
        assert found["behind"] is None


def test_a_student_that_errs_by_chance_is_not_blamed_for_any_group():
    """Of hundreds of groups some look bad by luck; a reader would go after ghosts."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(1200, 60)), columns=[f"c{i}" for i in range(60)])
    held = data_of(frame.assign(y=rng.choice(["no", "yes"], 1200))).held
    outputs = {"student": proba(rng.random(len(held)) < 0.7, held.y, held.classes)}
    losses = {k: row_losses(v, held.y, held.classes) for k, v in outputs.items()}
    found = segments(held, outputs, losses)
    assert found["tested"] == 300
    assert found["worst"] == []


@given(st.integers(2, 40), st.integers(1, 200), st.integers(0, 9))
def test_matrices_count_every_row_once_however_many_classes(k, n, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, n)
    outputs = {name: rng.dirichlet(np.ones(k), n) for name in ("teacher", "student")}
    found = agreement(outputs, codes, np.arange(k).astype(str))
    size = len(found["classes"]) + (found["others"] > 0)
    assert size == min(k, MOST_CLASSES)
    assert len(found["classes"]) + found["others"] == k
    for key in ("teacher_student", "truth_student", "truth_teacher"):
        assert np.shape(found[key]) == (size, size)
        assert np.sum(found[key]) == n
    if k <= MOST_CLASSES:
        same = outputs["teacher"].argmax(axis=1) == outputs["student"].argmax(axis=1)
        assert np.trace(found["teacher_student"]) == same.sum()


def test_honest_probabilities_lie_on_the_line_of_the_calibration_curve():
    rng = np.random.default_rng(0)
    chance = rng.random(20_000)
    codes = (rng.random(20_000) < chance).astype(int)
    outputs = {"student": np.stack([1 - chance, chance], axis=1)}
    found = calibration(outputs, codes, np.array(["no", "yes"]))
    assert found["of"] == "yes"
    curve = np.array(found["curves"]["student"])
    assert curve[:, 2].sum() == 20_000
    np.testing.assert_allclose(curve[:, 0], curve[:, 1], atol=0.04)


def test_intervals_hold_the_scores_that_they_belong_to():
    rng = np.random.default_rng(2)
    y, classes = rng.choice(["a", "b", "c"], 500), np.array(["a", "b", "c"])
    output, weight = rng.dirichlet(np.ones(3), 500), rng.random(500)
    values = rng.normal(size=500)
    for found, scores in (
        (intervals(output, y, classes, weight), metrics(output, y, classes, weight)),
        (intervals(values, values + 1, None), metrics(values, values + 1, None)),
    ):
        for metric, (low, high) in found.items():
            assert low - 1e-12 <= scores[metric] <= high + 1e-12, metric
    # Of rows of equal weight, AUC and R2 vary as much as their intervals say.
    noisy, sharp = values + rng.normal(size=500), output + 0.3 * np.eye(3)[classes.searchsorted(y)]
    sharp /= sharp.sum(axis=1, keepdims=True)
    for metric, told in (("roc_auc", (sharp, y, classes)), ("r2", (noisy, values, None))):
        low, high = intervals(*told)[metric]
        drawn = [
            metrics(told[0][i], told[1][i], told[2])[metric]
            for i in rng.integers(0, 500, (150, 500))
        ]
        assert high - low == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.2), metric
    # Wilson's interval of 9 of 10, as in the literature.
    assert share_interval(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)


def test_regression_pictures_count_every_row_even_beyond_their_edges():
    rng = np.random.default_rng(0)
    y = rng.standard_t(2, 3000)
    outputs = {name: y + rng.standard_t(2, 3000) for name in ("teacher", "plain", "student")}
    grid = predicted(outputs, y)
    for name, cells in grid["cells"].items():
        assert sum(n for _, _, n in cells) + grid["outside"][name] == 3000
    errors = residuals(outputs, y)
    assert all(sum(counts) == 3000 for counts in errors["counts"].values())
    assert sum(band[4] for band in errors["bands"]) == 3000
    assert all(low <= middle <= high for _, low, middle, high, _ in errors["bands"])


class Trained:
    loss_curve_ = (3.0, 2.0, 1.5, 1.25)


def test_learning_curves_are_thinned_but_keep_their_ends():
    assert learning(Trained()) == {"steps": [1, 2, 3, 4], "loss": [3.0, 2.0, 1.5, 1.25]}
    long = type("Long", (), {"loss_curve_": np.linspace(1, 0, 5000)})()
    curve = learning(long)
    assert len(curve["steps"]) == len(curve["loss"]) == 200
    assert (curve["steps"][0], curve["steps"][-1]) == (1, 5000)
    assert learning(object()) is None


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("case", ["few rows", "constant", "all missing"])
def test_odd_tables_give_pictures_that_are_still_json(task, case):
    n = 24 if case == "few rows" else 100
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": np.ones(n), "gap": np.full(n, np.nan)})
    y: Any = rng.choice(["u", "v"], n) if task == "classification" else rng.normal(size=n)
    if case == "constant" and task == "regression":
        y = np.where(np.arange(n) % 50, 1.0, 2.0)
    data = data_of(frame.assign(y=y), task)
    held = data.held
    if task == "classification":
        output = np.tile([1.0, 0.0], (len(held), 1))
    else:
        output = held.y.copy() if case == "constant" else np.zeros(len(held))
    found = collect(data, {"teacher": output, "plain": output, "student": output})
    json.dumps(found, allow_nan=False)


def test_a_fault_in_a_picture_costs_a_note_and_not_the_distillation():
    found, notes = collect_or_say(data_of(table()), {})
    assert found is None
    assert "no pictures: KeyError" in notes[0]
