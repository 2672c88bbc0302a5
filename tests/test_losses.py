"""Losses: their gradients, their formulas, and who may use which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore import Loss, LossSpec, SoftTargets, register
from kdcore.errors import ParameterError, SpecError, UnknownNameError
from kdcore.loss_choice import make_loss
from kdcore.losses import KL, Blend, Brier, LogitMSE
from kdcore.registry import default_registry
from kdcore.targets import logits_of, softmax

CLASSIFICATION = (KL, LogitMSE, Brier)
LOSSES = (*CLASSIFICATION, Blend)


@st.composite
def problems(
    draw: st.DrawFn, losses: tuple[type[Loss], ...] = LOSSES, **fixed: Any
) -> tuple[Loss, np.ndarray, SoftTargets]:
    """A loss, a student's logits, and targets with gaps, weights and classes of every sort."""
    kind = draw(st.sampled_from(losses))
    alpha = fixed.get("alpha", draw(st.sampled_from([0.0, 0.3, 0.7, 1.0])))
    temperature = 1.0
    if kind.uses_temperature:
        temperature = fixed.get("temperature", draw(st.sampled_from([1.0, 0.5, 2.0, 5.0])))
    n, k = draw(st.integers(1, 5)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    weight = rng.uniform(0.1, 3, n) if draw(st.booleans()) else None
    taught = draw(st.booleans()) or "alpha" in fixed
    unlabeled = (rng.random(n) < 0.3) & taught
    spread = draw(st.sampled_from([0.1, 1.0, 4.0]))
    if kind is Blend:
        labels = np.where(unlabeled, np.nan, rng.normal(0, spread, n))
        teacher = rng.normal(0, spread, n) if taught else None
        targets = SoftTargets(labels, teacher, weight)
        return kind(alpha=alpha), rng.normal(0, spread, n), targets
    labels = np.where(unlabeled, -1, rng.integers(0, k, n))
    teacher = softmax(rng.normal(0, spread, (n, k))) if taught else None
    targets = SoftTargets(labels, teacher, weight, np.arange(k))
    made = kind(alpha=alpha, temperature=temperature)
    return made, rng.normal(0, spread, (n, k)), targets


def differences(f: Callable[[np.ndarray], float], x: np.ndarray, step: float) -> np.ndarray:
    out = np.empty_like(x)
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] += step
        above = f(moved)
        moved[i] -= 2 * step
        out[i] = (above - f(moved)) / (2 * step)
    return out


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (p * np.log(p / q)).sum(axis=1)


@given(problems())
def test_the_gradient_is_that_of_the_value(problem: tuple[Loss, np.ndarray, SoftTargets]) -> None:
    loss, z, targets = problem
    _, grad = loss.value_and_grad(z, targets)
    assert grad.shape == z.shape
    by_steps = differences(lambda x: loss.value_and_grad(x, targets)[0], z, 1e-5)
    np.testing.assert_allclose(grad, by_steps, rtol=1e-6, atol=1e-8)


@given(problems())
def test_the_hessian_bound_is_not_below_the_curvature(
    problem: tuple[Loss, np.ndarray, SoftTargets],
) -> None:
    loss, z, targets = problem
    bound = loss.hessian_bound(z, targets)
    assert bound.shape == z.shape
    for i in np.ndindex(z.shape):
        ahead, behind = z.copy(), z.copy()
        ahead[i] += 1e-5
        behind[i] -= 1e-5
        slopes = [loss.value_and_grad(x, targets)[1][i] for x in (ahead, behind)]
        assert bound[i] >= (slopes[0] - slopes[1]) / 2e-5 - 1e-7


@given(problems(alpha=1.0))
def test_a_student_equal_to_its_teacher_has_no_loss_left(
    problem: tuple[Loss, np.ndarray, SoftTargets],
) -> None:
    loss, _, targets = problem
    z = targets.teacher if targets.classes is None else logits_of(targets.teacher)
    value, grad = loss.value_and_grad(np.array(z), targets)
    np.testing.assert_allclose(value, 0, atol=1e-12)
    np.testing.assert_allclose(grad, 0, atol=1e-9)


@given(problems())
def test_no_loss_is_below_zero(problem: tuple[Loss, np.ndarray, SoftTargets]) -> None:
    loss, z, targets = problem
    assert loss.value_and_grad(z, targets)[0] >= -1e-12


@given(problems(losses=(KL,)))
def test_kl_softens_both_sides_and_keeps_the_factor_t_squared(
    problem: tuple[KL, np.ndarray, SoftTargets],
) -> None:
    """Others soften one side only (TabTune), or divide by the number of classes as well."""
    loss, z, targets = problem
    t = loss.temperature
    share = targets.row_alpha(loss.alpha)
    rows = -(1 - share) * (targets.one_hot * np.log(softmax(z))).sum(axis=1)
    if targets.teacher is not None:
        soft = targets.teacher ** (1 / t)
        soft /= soft.sum(axis=1, keepdims=True)
        rows += share * t**2 * kl(soft, softmax(z / t))
    expected = np.average(rows, weights=targets.sample_weight)
    np.testing.assert_allclose(loss.value_and_grad(z, targets)[0], expected, rtol=1e-6, atol=1e-9)


def test_kl_is_not_the_reverse_one() -> None:
    p, q = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    targets = SoftTargets([0], p, classes=np.arange(2))
    value, _ = KL(alpha=1).value_and_grad(np.log(q), targets)
    np.testing.assert_allclose(value, kl(p, q)[0])
    assert abs(value - kl(q, p)[0]) > 0.1


def test_the_size_of_the_gradient_does_not_fade_with_temperature() -> None:
    rng = np.random.default_rng(0)
    targets = SoftTargets(np.zeros(40), softmax(rng.normal(size=(40, 5))), classes=np.arange(5))
    z = rng.normal(size=(40, 5))
    size = [
        np.abs(KL(alpha=1, temperature=t).value_and_grad(z, targets)[1]).sum() for t in (1, 4, 20)
    ]
    assert 0.5 < size[1] / size[0] < 2
    assert 0.5 < size[2] / size[0] < 2


def test_kl_becomes_the_logit_mse_when_it_is_hot() -> None:
    rng = np.random.default_rng(1)
    targets = SoftTargets(np.zeros(30), softmax(rng.normal(size=(30, 4))), classes=np.arange(4))
    z = rng.normal(size=(30, 4))
    hot = KL(alpha=1, temperature=1e3).value_and_grad(z, targets)[1]
    mse = LogitMSE(alpha=1, clip=1e-9).value_and_grad(z, targets)[1]
    np.testing.assert_allclose(hot, mse, rtol=0, atol=2e-3 * np.abs(mse).max())


@given(problems(losses=(KL, Brier, Blend), temperature=1.0))
def test_a_plain_target_teaches_the_same_as_the_loss_itself(
    problem: tuple[Loss, np.ndarray, SoftTargets],
) -> None:
    """What a target-only student minimises differs from the loss by a constant alone."""
    loss, z, targets = problem
    mix = loss.blend(targets)

    def to_the_blend(x: np.ndarray) -> float:
        if isinstance(loss, KL):
            rows = -(mix * np.log(softmax(x))).sum(axis=1)
        elif isinstance(loss, Brier):
            rows = ((softmax(x) - mix) ** 2).sum(axis=1)
        else:
            rows = (x - mix) ** 2
        return float(np.average(rows, weights=targets.sample_weight))

    other = z[::-1] + 0.5
    gap = [loss.value_and_grad(x, targets)[0] - to_the_blend(x) for x in (z, other)]
    np.testing.assert_allclose(gap[0], gap[1], rtol=1e-9, atol=1e-9)


def test_logit_mse_and_brier_are_their_formulas() -> None:
    rng = np.random.default_rng(2)
    p, z = softmax(rng.normal(size=(6, 3))), rng.normal(size=(6, 3))
    y, weight = rng.integers(0, 3, 6), rng.uniform(0.5, 2, 6)
    targets = SoftTargets(y, p, weight, np.arange(3))
    hard = np.eye(3)[y]
    z_t = np.log(p) - np.log(p).mean(axis=1, keepdims=True)
    z_s = z - z.mean(axis=1, keepdims=True)
    entropy = -(hard * np.log(softmax(z))).sum(axis=1)
    expected = 0.6 * ((z_s - z_t) ** 2).mean(axis=1) / 2 + 0.4 * entropy
    value, _ = LogitMSE(alpha=0.6).value_and_grad(z, targets)
    np.testing.assert_allclose(value, np.average(expected, weights=weight))
    q = softmax(z)
    expected = 0.6 * ((q - p) ** 2).sum(axis=1) + 0.4 * ((q - hard) ** 2).sum(axis=1)
    value, _ = Brier(alpha=0.6).value_and_grad(z, targets)
    np.testing.assert_allclose(value, np.average(expected, weights=weight))


@given(problems(), st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_a_whole_weight_is_a_row_repeated(
    problem: tuple[Loss, np.ndarray, SoftTargets], times: list[int]
) -> None:
    loss, z, targets = problem
    weight = np.array(times[: len(z)])
    rows = np.repeat(np.arange(len(z)), weight)
    weighted = SoftTargets(targets.labels, targets.teacher, weight, targets.classes)
    repeated = SoftTargets(
        targets.labels[rows],
        None if targets.teacher is None else targets.teacher[rows],
        None,
        targets.classes,
    )
    value, grad = loss.value_and_grad(z, weighted)
    again, parts = loss.value_and_grad(z[rows], repeated)
    np.testing.assert_allclose(value, again, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        grad, np.add.reduceat(parts, np.cumsum(weight) - weight), rtol=1e-9, atol=1e-12
    )


@given(problems())
def test_a_row_of_weight_zero_teaches_nothing(
    problem: tuple[Loss, np.ndarray, SoftTargets],
) -> None:
    loss, z, targets = problem
    weight = np.append(targets.sample_weight, 0.0)
    rows = np.append(np.arange(len(z)), 0)
    more = SoftTargets(
        targets.labels[rows],
        None if targets.teacher is None else targets.teacher[rows],
        weight,
        targets.classes,
    )
    value, grad = loss.value_and_grad(z[rows], more)
    np.testing.assert_allclose(value, loss.value_and_grad(z, targets)[0], rtol=1e-12)
    assert (grad[-1] == 0).all()


@given(problems(losses=CLASSIFICATION))
def test_only_differences_of_logits_matter(
    problem: tuple[Loss, np.ndarray, SoftTargets],
) -> None:
    loss, z, targets = problem
    value, grad = loss.value_and_grad(z, targets)
    np.testing.assert_allclose(loss.value_and_grad(z + 3, targets)[0], value, atol=1e-9)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-9)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_certain_teacher_and_extreme_logits_stay_finite(kind: type[Loss]) -> None:
    if kind is Blend:
        targets, z = SoftTargets([1e6, -1e6], [1e6, 0.0]), np.array([-1e6, 1e6])
    else:
        targets = SoftTargets([0, 1], np.eye(2), classes=np.arange(2))
        z = np.array([[-500.0, 500], [500, -500]])
    value, grad = kind(alpha=0.5).value_and_grad(z, targets)
    assert np.isfinite(value)
    assert np.isfinite(grad).all()


def test_single_precision_in_gives_single_precision_out() -> None:
    targets = SoftTargets([0, 1], [[0.8, 0.2], [0.3, 0.7]], classes=np.arange(2))
    for kind in CLASSIFICATION:
        value, grad = kind().value_and_grad(np.zeros((2, 2), dtype=np.float32), targets)
        double, _ = kind().value_and_grad(np.zeros((2, 2)), targets)
        assert grad.dtype == np.float32
        np.testing.assert_allclose(value, double, rtol=1e-6)


def test_two_losses_on_the_same_targets_do_not_share_constants() -> None:
    targets = SoftTargets([0, 1], [[0.8, 0.2], [0.3, 0.7]], classes=np.arange(2))
    z = np.array([[1.0, 0], [0, 1]])
    made = [kind(alpha=alpha) for kind in CLASSIFICATION for alpha in (0.2, 0.9)] + [
        KL(temperature=3.0),
        LogitMSE(clip=0.3),
    ]
    first = [loss.value_and_grad(z, targets)[0] for loss in made]
    fresh = [loss.value_and_grad(z, targets.take(np.arange(2)))[0] for loss in made]
    assert first == fresh
    assert len({round(v, 12) for v in first}) == len(first)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), "half", None])
def test_alpha_out_of_range_is_refused(bad: Any) -> None:
    with pytest.raises(ParameterError, match=r"alpha=.* must .*\[0, 1\]"):
        KL(alpha=bad)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "hot", None])
def test_temperature_out_of_range_is_refused(bad: Any) -> None:
    with pytest.raises(ParameterError, match=r"temperature=.* must be a number above 0"):
        KL(temperature=bad)


@pytest.mark.parametrize("kind", [LogitMSE, Brier, Blend])
def test_a_temperature_that_a_loss_cannot_use_is_refused_not_ignored(kind: type[Loss]) -> None:
    with pytest.raises(ParameterError, match=f"temperature=2 .* the loss {kind.__name__}"):
        kind(temperature=2)


def test_a_temperature_is_refused_where_the_student_cannot_soften_its_own_side() -> None:
    with pytest.raises(ParameterError, match="temperature=2 cannot be used by my tree"):
        make_loss(
            "kl",
            alpha=0.5,
            temperature=2,
            task="binary",
            n_classes=2,
            gradient=False,
            student="my tree",
        )


def test_a_loss_without_plain_targets_is_refused_for_students_that_need_them() -> None:
    common = {"alpha": 0.5, "temperature": 1, "task": "binary", "n_classes": 2}
    with pytest.raises(ParameterError, match=r"'logit_mse' cannot .* use one of .*\bkl\b"):
        make_loss("logit_mse", gradient=False, **common)
    assert isinstance(make_loss("logit_mse", gradient=True, **common), LogitMSE)
    with pytest.raises(ParameterError, match="cannot be given as plain targets"):
        LogitMSE().blend(SoftTargets([0], classes=np.arange(2)))


def test_a_loss_for_another_task_is_refused_with_those_that_work() -> None:
    common = {"alpha": 0.5, "temperature": 1}
    with pytest.raises(ParameterError, match=r"'kl' is not for regression tasks; use one of blend"):
        make_loss("kl", task="regression", **common)
    with pytest.raises(ParameterError, match="'blend' is not for multiclass"):
        make_loss("blend", task="multiclass", n_classes=3, **common)
    with pytest.raises(UnknownNameError, match="Did you mean"):
        make_loss("logit_mes", task="binary", n_classes=2, **common)


def test_a_loss_that_degenerates_for_two_classes_is_refused_there() -> None:
    spec = LossSpec(
        name="needs_three",
        summary="Three classes or more.",
        factory="kdcore.losses:KL",
        tasks=("binary", "multiclass"),
        min_classes=3,
        target_only=True,
    )
    common = {"alpha": 0.5, "temperature": 1}
    with register(spec):
        with pytest.raises(ParameterError, match="degenerates below 3 classes, and there are 2"):
            make_loss("needs_three", task="binary", n_classes=2, **common)
        made = make_loss("needs_three", task="multiclass", n_classes=3, **common)
    assert isinstance(made, KL)


def test_every_built_in_loss_keeps_the_promise_of_its_spec() -> None:
    for name, spec in default_registry().specs("loss").items():
        loss = default_registry().create("loss", name, alpha=0.5, temperature=1.0)
        if "regression" in spec.tasks:
            targets = SoftTargets([1.0], [2.0])
        else:
            targets = SoftTargets([0], [[0.5, 0.5]], classes=np.arange(2))
        if spec.target_only:
            assert loss.blend(targets).shape == (1,) if targets.classes is None else (1, 2)
        else:
            with pytest.raises(ParameterError):
                loss.blend(targets)


class OnlyGradient(Loss):
    """A user's loss without plain targets."""

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        return 0.0 * logits.sum(), 0.0 * logits


class OnlyBlend(Loss):
    """A user's loss without a gradient."""

    def blend(self, targets: SoftTargets) -> np.ndarray:
        return targets.blended(self.alpha)


def test_a_users_own_loss_is_built_with_alpha_and_temperature() -> None:
    common = {"alpha": 0.25, "temperature": 1, "task": "binary", "n_classes": 2}
    made = make_loss(OnlyGradient, **common)
    assert isinstance(made, OnlyGradient)
    assert made.alpha == 0.25
    targets = SoftTargets([0, 1], sample_weight=[1, 3], classes=np.arange(2))
    np.testing.assert_array_equal(
        made.hessian_bound(np.zeros((2, 2)), targets), [[0.25, 0.25], [0.75, 0.75]]
    )


def test_a_users_own_loss_that_the_student_cannot_use_is_refused_before_the_long_work() -> None:
    common = {"alpha": 0.25, "temperature": 1, "task": "binary", "n_classes": 2}
    with pytest.raises(ParameterError, match="OnlyGradient cannot be given as plain targets"):
        make_loss(OnlyGradient, gradient=False, **common)
    with pytest.raises(
        ParameterError, match="the loss OnlyBlend has no gradient, which this student"
    ):
        make_loss(OnlyBlend, gradient=True, **common)
    with pytest.raises(ParameterError, match=r"loss=.* must be a name"):
        make_loss(KL(), **common)
    with pytest.raises(ParameterError, match="OnlyBlend has no gradient"):
        OnlyBlend().value_and_grad(np.zeros((1, 2)), SoftTargets([0], classes=np.arange(2)))


def test_a_spec_cannot_promise_plain_targets_of_a_loss_that_changes_on_the_way() -> None:
    with pytest.raises(SpecError, match="plain targets cannot change in the course"):
        LossSpec(
            name="both",
            summary="Both.",
            factory="m:f",
            tasks=("binary",),
            progress=True,
            target_only=True,
        )
    with pytest.raises(SpecError, match="curvature='no' is not valid; use True or False"):
        LossSpec(name="vague", summary="Vague.", factory="m:f", tasks=("binary",), curvature="no")
