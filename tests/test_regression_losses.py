"""Losses of regression: what a user with heavy tails, quantiles or wrong labels relies on."""

import functools

import numpy as np
import pytest
from scipy.optimize import minimize

from kdcore.builtin import kd_losses
from kdcore.errors import ParameterError
from kdcore.loss_choice import make_loss
from kdcore.losses import Blend
from kdcore.regression_losses import DampedBlend, Huber, Quantile, TeacherBounded, robust_scale
from kdcore.targets import SoftTargets
from kdcore.testing import iter_checks

OURS = [s for s in kd_losses() if s.factory.startswith("kdcore.regression_losses")]
CHECKS = [pytest.param(check, id=name) for spec in OURS for name, check in iter_checks(spec)]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check):
    check()


def fitted_constant(loss, targets):
    """The one number that minimises a loss."""
    loss = loss.prepared(targets)

    def value(z):
        return float(loss.value_and_grad(np.full(len(targets), z[0]), targets)[0])

    return minimize(value, [np.median(targets.labels)], method="Nelder-Mead").x[0]


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_the_minimum_of_the_pinball_loss_is_the_quantile(q):
    y = np.random.default_rng(0).exponential(size=999)
    found = fitted_constant(Quantile(alpha=0.0, q=q), SoftTargets(labels=y))
    assert found == pytest.approx(np.quantile(y, q), abs=0.02)


def test_one_wild_label_moves_huber_little_and_the_squared_error_much():
    y = np.r_[np.random.default_rng(0).standard_normal(99), 1e4]
    targets = SoftTargets(labels=y)
    assert abs(fitted_constant(Huber(), targets) - np.median(y)) < 0.2
    assert abs(y.mean() - np.median(y)) > 50


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_hubers_delta_follows_the_unit_of_the_target(scale):
    """A fixed delta would turn house prices into medians and rates into means."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal(500) * scale
    labels = teacher + 0.5 * scale * rng.standard_normal(500)
    ready = Huber().prepared(SoftTargets(labels=labels, teacher=teacher, provenance="given"))
    assert ready.delta == pytest.approx(1.345 * 0.5 * scale, rel=0.15)
    plain = Huber().prepared(SoftTargets(labels=labels))
    assert plain.delta == pytest.approx(1.345 * 0.5 * np.std(labels), rel=0.15)
    assert Huber(delta=3.0).prepared(SoftTargets(labels=labels)).delta == 3.0


def test_a_robust_scale_counts_a_row_of_weight_two_as_two_rows():
    rng = np.random.default_rng(0)
    values, counts = rng.standard_normal(101), rng.integers(1, 4, 101)
    repeated = np.repeat(values, counts)
    assert robust_scale(values, counts) == robust_scale(repeated, np.ones(len(repeated)))
    assert robust_scale(np.zeros(5), np.ones(5)) == 1.0
    assert robust_scale(np.array([0.0, 0, 0, 2]), np.ones(4)) == 0.5


def test_damping_leaves_good_labels_alone_and_takes_wrong_ones_from_the_target():
    """A mistyped price must not be learned, where an out-of-fold teacher knows better."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal(400)
    labels = teacher + 0.1 * rng.standard_normal(400)
    labels[7] += 1000.0
    targets = SoftTargets(labels=labels, teacher=teacher, provenance="given")
    plain, damped = Blend(alpha=0.5).blend(targets), DampedBlend(alpha=0.5).blend(targets)
    near = np.abs(labels - teacher) < 0.2
    np.testing.assert_allclose(damped[near], plain[near])
    assert abs(plain[7] - teacher[7]) == pytest.approx(500, abs=1)
    assert abs(damped[7] - teacher[7]) < 1
    np.testing.assert_allclose(DampedBlend(alpha=0.0).blend(targets), labels)


def test_a_prepared_loss_says_the_same_of_a_batch_as_of_all_rows():
    """Scales are those of the training rows, not of the batch that an optimiser happens to draw."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal(64)
    labels = teacher + rng.standard_t(2, 64)
    targets = SoftTargets(labels=labels, teacher=teacher, provenance="given")
    logits = rng.standard_normal(64)
    for loss in (Huber(), Quantile(q=0.8), DampedBlend()):
        ready = loss.prepared(targets)
        whole = ready.value_and_grad(logits, targets)[1]
        half = ready.value_and_grad(logits[:32], targets.take(slice(0, 32)))[1]
        np.testing.assert_allclose(half, 2 * whole[:32])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("quantile:q=2", r"q=2.0 must lie in \(0, 1\)"),
        ("quantile:p=0.9", "the loss 'quantile' has no parameter 'p'. It has: q"),
        ("huber:delta", "write parameters as in 'huber:delta=2'"),
        ("huber:delta=wide", "delta='wide' must be a number above 0"),
        ("damped_blend:threshold=0", "threshold=0.0 must be a number above 0"),
        ("teacher_bounded:nu=0", "nu=0.0 must be a number above 0"),
        ("teacher_bounded:margin=inf", "margin=inf must be a finite number"),
        ("blend:delta=1", "the loss 'blend' has no parameter 'delta'. It has: none"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(loss, message):
    with pytest.raises(ParameterError, match=message):
        make_loss(loss, alpha=0.5, temperature=1.0, task="regression")


def test_parameters_reach_a_loss_by_its_name_and_by_a_partial():
    common = {"alpha": 0.5, "temperature": 1.0, "task": "regression"}
    assert make_loss("quantile:q=0.9", **common).q == 0.9
    assert make_loss(functools.partial(Quantile, q=0.9), **common).q == 0.9
    assert make_loss("huber : delta = 2", **common).delta == 2.0
    assert make_loss("damped_blend:threshold=4", gradient=False, **common).threshold == 4.0


def test_a_student_without_gradients_is_told_which_losses_it_can_use():
    with pytest.raises(ParameterError, match="use one of blend, damped_blend"):
        make_loss("huber", alpha=0.5, temperature=1.0, task="regression", gradient=False)


def test_a_bounded_student_hears_the_label_only_where_the_teacher_is_the_better_one():
    labels = np.zeros(4)
    teacher = np.array([1.0, 1.0, -1.0, 0.0])
    student = np.array([3.0, 0.5, -0.9, 0.2])
    targets = SoftTargets(labels=labels, teacher=teacher, provenance="given")
    value, grad = TeacherBounded(alpha=0.5, nu=0.4).value_and_grad(student, targets)
    heard = np.array([8.0, 0.0, 0.0, 0.04])
    expected = 0.5 * (student - teacher) ** 2 + 0.5 * 0.4 * heard
    assert value == pytest.approx(expected.mean())
    slope = 0.5 * (student - teacher) + 0.5 * 0.4 * np.array([3.0, 0.0, 0.0, 0.2])
    np.testing.assert_allclose(grad, 2 * slope / 4)
    wide = TeacherBounded(alpha=0.5, nu=0.4, margin=0.05).value_and_grad(student, targets)[1]
    assert wide[3] == pytest.approx(2 * 0.5 * 0.2 / 4)
    eager = TeacherBounded(alpha=0.5, nu=0.4, margin=-0.9).value_and_grad(student, targets)[1]
    assert eager[1] == pytest.approx(2 * (0.5 * -0.5 + 0.5 * 0.4 * 0.5) / 4)


def test_a_bounded_loss_without_a_say_of_the_teacher_is_the_plain_squared_error():
    """A plain student, to which a distilled one is compared, must not be bounded by anything."""
    rng = np.random.default_rng(0)
    labels, teacher, student = rng.standard_normal((3, 20))
    plain = Blend().value_and_grad(student, SoftTargets(labels=labels))[0]
    taught = SoftTargets(labels=labels, teacher=teacher, provenance="given")
    for loss, targets in (
        (TeacherBounded(alpha=0.0), taught),
        (TeacherBounded(alpha=0.7), SoftTargets(labels=labels)),
    ):
        assert loss.value_and_grad(student, targets)[0] == pytest.approx(plain)


def test_the_bound_has_no_jump_at_which_a_line_search_would_stop():
    targets = SoftTargets(labels=[0.0], teacher=[1.0], provenance="given")
    loss = TeacherBounded(alpha=0.2)
    near = [loss.value_and_grad(np.array([z]), targets)[0] for z in (1 - 1e-9, 1 + 1e-9)]
    assert near[0] == pytest.approx(near[1], abs=1e-8)
