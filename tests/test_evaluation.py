"""Metrics are those that everyone computes; fidelity is about the teacher, not the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from kdcore.evaluation import (
    classification_metrics,
    fidelity,
    metrics,
    regression_metrics,
    row_losses,
)
from kdcore.targets import softmax


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Probabilities, labels, classes and weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    k = draw(st.integers(2, 5))
    n = draw(st.integers(3 * k, 60))
    classes = np.array(["ant", "bee", "cat", "dog", "eel"])[:k]
    y = rng.permutation(classes[np.arange(n) % k])
    weight = rng.uniform(0.1, 3, n) if draw(st.booleans()) else None
    return softmax(rng.normal(0, 2, (n, k))), y, classes, weight


@given(scored())
def test_classification_metrics_are_those_of_scikit_learn(
    case: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None],
) -> None:
    proba, y, classes, weight = case
    ours = classification_metrics(proba, y, classes, weight)
    best = classes[proba.argmax(axis=1)]
    assert ours["accuracy"] == pytest.approx(theirs.accuracy_score(y, best, sample_weight=weight))
    loss = theirs.log_loss(y, proba, labels=classes, sample_weight=weight)
    assert ours["log_loss"] == pytest.approx(loss)
    # Half the squared error for two classes, all of it for more: as in scikit-learn.
    score = proba[:, 1] if len(classes) == 2 else proba
    pos_label = classes[1] if len(classes) == 2 else None
    brier = theirs.brier_score_loss(
        y,
        score,
        sample_weight=weight,
        pos_label=pos_label,
        labels=None if len(classes) == 2 else classes,
    )
    assert ours["brier"] == pytest.approx(brier)
    auc = theirs.roc_auc_score(y, score, multi_class="ovr", average="macro", sample_weight=weight)
    assert ours["roc_auc"] == pytest.approx(auc)


@given(st.integers(0, 2**20), st.booleans())
def test_regression_metrics_are_those_of_scikit_learn(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    y, values = rng.normal(5, 3, 40), rng.normal(5, 3, 40)
    weight = rng.uniform(0.1, 3, 40) if weighted else None
    ours = regression_metrics(values, y, weight)
    mse = theirs.mean_squared_error(y, values, sample_weight=weight)
    assert ours["rmse"] == pytest.approx(np.sqrt(mse))
    mae = theirs.mean_absolute_error(y, values, sample_weight=weight)
    assert ours["mae"] == pytest.approx(mae)
    assert ours["r2"] == pytest.approx(theirs.r2_score(y, values, sample_weight=weight))


def test_metrics_choose_by_whether_there_are_classes() -> None:
    y = np.array([0, 1])
    assert metrics(np.array([0.0, 3.0]), y, None)["rmse"] == pytest.approx(np.sqrt(2))
    assert metrics(np.eye(2), y, np.arange(2))["accuracy"] == 1


def test_one_confident_mistake_does_not_make_the_log_loss_infinite() -> None:
    loss = row_losses(np.eye(2), np.array(["a", "a"]), np.array(["a", "b"]))
    np.testing.assert_allclose(loss, [0, -np.log(1e-7)])
    np.testing.assert_allclose(row_losses(np.array([1.0, 2]), np.array([1.0, 5]), None), [0, 9])


def test_expected_calibration_error_by_hand() -> None:
    # Confidence 0.9 and three of four right; confidence 0.6 and one of two right.
    top = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    proba = np.stack([top, 1 - top], axis=1)
    y = np.array([0, 0, 0, 1, 0, 1])
    score = classification_metrics(proba, y, np.arange(2))
    assert score["ece"] == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    weight = np.array([1.0, 1, 1, 1, 4, 4])
    score = classification_metrics(proba, y, np.arange(2), weight)
    assert score["ece"] == pytest.approx((4 * 0.15 + 8 * 0.1) / 12)
    certain = classification_metrics(np.eye(2)[y], y, np.arange(2))
    assert certain["ece"] == 0


def test_held_out_rows_without_one_of_the_classes_still_get_scores() -> None:
    proba = softmax(np.random.default_rng(0).normal(size=(20, 3)))
    y = np.array(["a", "c"] * 10)
    score = classification_metrics(proba, y, np.array(["a", "b", "c"]))
    by_hand = np.mean([theirs.roc_auc_score(y == k, proba[:, j]) for k, j in (("a", 0), ("c", 2))])
    assert score["roc_auc"] == pytest.approx(by_hand)
    assert np.isfinite(score["log_loss"])
    one = classification_metrics(proba, np.full(20, "b"), np.array(["a", "b", "c"]))
    assert one["roc_auc"] is None
    assert regression_metrics(np.arange(3.0), np.ones(3))["r2"] is None


def test_fidelity_compares_with_the_teacher_whatever_the_truth() -> None:
    teacher = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    student = np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    rows = (teacher * np.log(teacher / student)).sum(axis=1)
    assert fidelity(teacher, teacher) == {"agreement": 1, "kl": 0}
    scores = fidelity(student, teacher)
    assert scores["agreement"] == pytest.approx(2 / 3)
    assert scores["kl"] == pytest.approx(rows.mean())
    weighted = fidelity(student, teacher, np.array([1.0, 2, 1]))
    assert weighted["agreement"] == pytest.approx(1 / 2)
    assert weighted["kl"] == pytest.approx(rows @ [0.25, 0.5, 0.25])
    zeros = fidelity(np.eye(2), np.eye(2)[::-1])
    assert np.isfinite(zeros["kl"])


def test_fidelity_of_a_regression() -> None:
    teacher = np.array([1.0, 2, 3, 4])
    student = np.array([1.0, 2, 3, 6])
    scores = fidelity(student, teacher)
    assert scores["rmse_to_teacher"] == pytest.approx(1)
    assert scores["r2_to_teacher"] == pytest.approx(theirs.r2_score(teacher, student))
