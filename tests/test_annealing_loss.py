"""Annealing: the two phases of a training, and the students that can go through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import SoftmaxStudent

from kdcore import SoftTargets
from kdcore.annealing_loss import Annealing
from kdcore.errors import ParameterError
from kdcore.loss_choice import make_loss
from kdcore.losses import KL, Blend, LogitMSE
from kdcore.targets import softmax
from kdcore.testing import tiny_data, tiny_targets


def problem() -> tuple[np.ndarray, SoftTargets]:
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(9) % 3 == 0, -1, rng.integers(0, 4, 9))
    targets = SoftTargets(
        labels, softmax(rng.normal(size=(9, 4))), rng.uniform(1, 2, 9), np.arange(4)
    )
    return rng.normal(size=(9, 4)), targets


def centred(z: np.ndarray) -> np.ndarray:
    return z - z.mean(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("progress", "phi"), [(0, 0.2), (0.09, 0.2), (0.11, 0.4), (0.39, 0.8), (0.49, 1.0)]
)
def test_in_the_first_phase_the_teacher_grows_and_no_label_is_heard(
    progress: float, phi: float
) -> None:
    z, targets = problem()
    loss = Annealing(alpha=0.5, max_temperature=5).at(progress)
    rows = ((centred(z) - phi * centred(np.log(targets.teacher))) ** 2).mean(axis=1) / 2
    value = loss.value_and_grad(z, targets)[0]
    np.testing.assert_allclose(value, np.average(rows, weights=targets.sample_weight))


@pytest.mark.parametrize("progress", [0.5, 0.8, 1.0])
def test_in_the_second_phase_rows_with_a_label_hear_it_alone(progress: float) -> None:
    z, targets = problem()
    grad = Annealing(alpha=0.5).at(progress).value_and_grad(z, targets)[1]
    known = ~targets.unlabeled
    label = KL(alpha=0).value_and_grad(z, targets)[1]
    teacher = LogitMSE(alpha=1).value_and_grad(z, targets)[1]
    np.testing.assert_allclose(grad[known], label[known])
    np.testing.assert_allclose(grad[~known], teacher[~known], atol=1e-12)


def test_alpha_of_one_and_of_zero_keep_to_one_phase() -> None:
    """With alpha=1 no label may be heard, not even at the last step."""
    z, targets = problem()
    labels = SoftTargets(targets.labels, targets.teacher, targets.sample_weight, targets.classes)
    end = Annealing(alpha=1.0).at(1.0).value_and_grad(z, labels)[1]
    np.testing.assert_allclose(end, LogitMSE(alpha=1).value_and_grad(z, labels)[1], atol=1e-12)
    start = Annealing(alpha=0.0).at(0.0).value_and_grad(z, labels)[1]
    np.testing.assert_allclose(start, LogitMSE(alpha=0).value_and_grad(z, labels)[1], atol=1e-12)


@pytest.mark.parametrize("unit", [1e-3, 1e5])
def test_in_regression_the_teacher_grows_out_of_its_mean_whatever_the_unit(unit: float) -> None:
    """Prices around a million shrunk to a tenth would teach a tenth of a million."""
    rng = np.random.default_rng(0)
    teacher = unit * (100 + rng.normal(size=40))
    targets = SoftTargets(teacher + unit * rng.normal(size=40), teacher)
    loss = Annealing(alpha=0.5, max_temperature=4).prepared(targets)
    goal = teacher.mean() + 0.25 * (teacher - teacher.mean())
    for rows in (slice(0, 40), slice(0, 7)):
        part = targets.take(rows)
        grad = loss.at(0.0).value_and_grad(goal[rows], part)[1]
        np.testing.assert_allclose(grad / unit, 0, atol=1e-9)
    z = rng.normal(size=40)
    end = loss.at(1.0).value_and_grad(z, targets)[1]
    np.testing.assert_allclose(end, Blend(alpha=0).value_and_grad(z, targets)[1])


def test_a_long_training_keeps_one_set_of_constants_for_each_step_of_the_teacher() -> None:
    """An optimiser with one batch asks hundreds of times on the same targets."""
    z, targets = problem()
    loss = Annealing(alpha=0.7, max_temperature=5)
    for step in range(200):
        loss.at(step / 200).value_and_grad(z, targets)
    parts = [key for key in targets._cache if "pale" in key]
    assert len(parts) == 5
    assert all(len(targets._cache[key]._cache) < 8 for key in parts)


def test_a_student_that_optimises_in_one_go_is_refused_with_the_losses_that_work() -> None:
    data = tiny_data("binary", content="numbers")
    with pytest.raises(ParameterError, match="changes in the course of the training") as told:
        SoftmaxStudent(loss="annealing").fit(data.X, tiny_targets(data))
    assert "does not train step by step; use one of brier, kl, label_smoothing" in str(told.value)
    with pytest.raises(ParameterError, match="the loss Annealing changes in the course"):
        SoftmaxStudent(loss=Annealing).fit(data.X, tiny_targets(data))


class StepwiseStudent(SoftmaxStudent):
    """Plain gradient descent, which tells the loss where it is."""

    uses_steps = True

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Any) -> None:
        rows = np.hstack([Z.astype(float), np.ones((len(Z), 1))])
        self.weights_ = np.zeros((rows.shape[1], targets.n_classes))
        for step in range(200):
            now = loss.at(step / 200)
            self.weights_ -= rows.T @ now.value_and_grad(rows @ self.weights_, targets)[1]


def test_a_student_that_trains_step_by_step_ends_with_the_labels() -> None:
    data = tiny_data("multiclass", content="numbers")
    wrong = np.roll(data.teacher, 1, axis=1)
    targets = SoftTargets(tiny_targets(data).labels, wrong, classes=data.classes)
    agrees = {}
    for alpha in (0.1, 1.0):
        student = StepwiseStudent(loss="annealing", alpha=alpha).fit(data.X, targets)
        agrees[alpha] = (student.predict(data.X) == data.y).mean()
    assert agrees[0.1] > 0.7
    assert agrees[1.0] < 0.3


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("annealing:max_temperature=0", "max_temperature=0.0 must be a whole number of at least 1"),
        ("annealing:max_temperature=2.5", "max_temperature=2.5 must be a whole number"),
        ("annealing:clip=1", r"clip=1.0 must lie in \(0, 0.5\)"),
    ],
)
def test_wrong_parameters_are_refused(loss: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_loss(loss, alpha=0.5, temperature=1.0, task="binary", n_classes=2, steps=True)


def test_a_progress_beyond_the_end_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"progress=1.2 must lie in \[0, 1\]"):
        Annealing().at(1.2)
