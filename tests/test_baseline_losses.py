"""Baselines without a teacher: a comparison must not give them knowledge by the back door."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from small_models import SoftmaxStudent, TreeStudent

import kdcore
from kdcore.baseline_losses import LabelSmoothing, TfKD
from kdcore.errors import DataError, ParameterError
from kdcore.loss_choice import make_loss
from kdcore.losses import KL
from kdcore.targets import SoftTargets, softmax
from kdcore.testing import tiny_data, tiny_targets

BASELINES = ["label_smoothing", "tf_kd"]


def problem(k: int = 4) -> tuple[np.ndarray, SoftTargets]:
    rng = np.random.default_rng(0)
    targets = SoftTargets(
        rng.integers(0, k, 9), softmax(rng.normal(size=(9, k))), rng.uniform(1, 2, 9), np.arange(k)
    )
    return rng.normal(size=(9, k)), targets


def test_label_smoothing_is_cross_entropy_to_smoothed_labels() -> None:
    z, targets = problem()
    goal = 0.8 * targets.one_hot + 0.2 / 4
    loss = LabelSmoothing(smoothing=0.2)
    np.testing.assert_allclose(loss.blend(targets), goal)
    logp = np.log(softmax(z))
    expected = softmax(z) - goal
    weight = targets.sample_weight / targets.sample_weight.sum()
    np.testing.assert_allclose(loss.value_and_grad(z, targets)[1], weight[:, None] * expected)
    value = -(weight @ (goal * logp).sum(axis=1)) + 0.2 * np.log(1 / 4)
    np.testing.assert_allclose(loss.value_and_grad(z, targets)[0], value)


@pytest.mark.parametrize("t", [1.0, 20.0])
def test_tf_kd_is_kl_to_a_teacher_that_is_always_right(t: float) -> None:
    z, targets = problem()
    virtual = np.where(targets.one_hot == 1, 0.94, 0.02)
    taught = SoftTargets(targets.labels, virtual, targets.sample_weight, targets.classes)
    expected = KL(alpha=0.3, temperature=t).value_and_grad(z, taught)
    got = TfKD(alpha=0.3, temperature=t, correct=0.94).value_and_grad(z, targets)
    np.testing.assert_allclose(got[0], expected[0])
    np.testing.assert_allclose(got[1], expected[1])


@pytest.mark.parametrize("loss", BASELINES)
@pytest.mark.parametrize("student", [SoftmaxStudent, TreeStudent])
def test_a_student_of_a_baseline_is_the_same_with_and_without_a_teacher(
    loss: str, student: Any
) -> None:
    """Nor may the teacher reach it through the encoder, or through rows that only it labelled."""
    data = tiny_data("multiclass", content="mixed")
    unlabeled = np.arange(len(data)) % 3 == 0
    taught = student(loss=loss).fit(data.X, tiny_targets(data, unlabeled=unlabeled))
    known = data.take(~unlabeled)
    plain = student(loss=loss).fit(known.X, known.y)
    np.testing.assert_allclose(
        taught.predict_proba(data.X), plain.predict_proba(data.X), atol=1e-12
    )
    usual = student(loss="kl", alpha=0).fit(known.X, known.y)
    assert np.abs(usual.predict_proba(data.X) - plain.predict_proba(data.X)).max() > 1e-3


def test_a_report_compares_a_baseline_with_what_a_user_would_have_had() -> None:
    """With the same loss on both sides, every baseline would seem to gain exactly nothing."""
    data = tiny_data("multiclass", content="numbers", n_rows=200)
    table = data.X.assign(target=data.y)
    result = kdcore.distill(
        table,
        target="target",
        teacher=RandomForestClassifier(5, random_state=0),
        student=SoftmaxStudent(loss="tf_kd", temperature=10.0, alpha=0.9),
        folds=2,
    )
    report = result.report
    assert report.plain["metrics"]["log_loss"] != report.student["metrics"]["log_loss"]
    assert any("the loss TfKD ignores the teacher" in note for note in report.notes)
    assert (result.plain.loss, result.plain.temperature, result.plain.alpha) == (None, 1.0, 0.9)
    assert result.student.temperature == 10.0


def test_rows_without_any_label_are_refused_not_learned_from() -> None:
    data = tiny_data("binary", content="numbers")
    nothing = tiny_targets(data, unlabeled=np.ones(len(data), dtype=bool))
    with pytest.raises(DataError, match="LabelSmoothing learns from labels alone, and no row"):
        SoftmaxStudent(loss="label_smoothing").fit(data.X, nothing)


@pytest.mark.parametrize("kind", [LabelSmoothing, TfKD])
def test_a_batch_without_a_label_moves_nothing(kind: Any) -> None:
    """Optimisers draw such batches where few rows have a label."""
    z, targets = problem()
    blind = SoftTargets(np.full(9, -1), targets.teacher, classes=targets.classes)
    value, grad = kind().value_and_grad(z, blind)
    assert value == 0
    assert (grad == 0).all()
    assert (kind().hessian_bound(z, blind) > 0).all()
    np.testing.assert_allclose(kind().blend(blind), 0.25)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("label_smoothing:smoothing=1", r"smoothing=1.0 must lie in \[0, 1\)"),
        ("tf_kd:correct=1", r"correct=1.0 must lie in \(0, 1\)"),
        ("tf_kd:correct=sure", r"correct='sure' must lie in \(0, 1\)"),
    ],
)
def test_wrong_parameters_are_refused(loss: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_loss(loss, alpha=0.5, temperature=1.0, task="binary", n_classes=2)


def test_a_virtual_teacher_below_chance_is_refused() -> None:
    z, targets = problem()
    with pytest.raises(ParameterError, match=r"correct=0\.2 is no more than chance with 4 classes"):
        TfKD(correct=0.2).value_and_grad(z, targets)


def test_label_smoothing_has_no_temperature() -> None:
    with pytest.raises(ParameterError, match="temperature=2 cannot be used by the loss LabelS"):
        LabelSmoothing(temperature=2)
