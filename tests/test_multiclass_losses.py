"""Losses for three classes and more: their formulas, their slopes, and who may use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.errors import ParameterError
from kdcore.loss_choice import make_loss
from kdcore.losses import KL
from kdcore.multiclass_losses import DIST, DKD, LogitStandardization
from kdcore.targets import SoftTargets, logits_of, softmax

MAKES: dict[str, Any] = {
    "dkd": DKD,
    "dkd, other weights": lambda **p: DKD(target_weight=0.5, non_target_weight=2, **p),
    "dist": DIST,
    "dist, rows alone": lambda **p: DIST(intra=0.0, **p),
    "dist, classes alone": lambda **p: DIST(inter=0.0, **p),
    "standardized": LogitStandardization,
    "standardized dkd": lambda **p: LogitStandardization(base="dkd", **p),
    "standardized, other weights": lambda **p: LogitStandardization(
        base="dkd", non_target_weight=0.5, **p
    ),
}


@st.composite
def problems(draw: st.DrawFn, **fixed: Any) -> tuple[Any, np.ndarray, SoftTargets]:
    """A loss, a student's logits, and targets with gaps, weights and several spreads."""
    make = MAKES[draw(st.sampled_from(fixed.get("names", sorted(MAKES))))]
    alpha = fixed.get("alpha", draw(st.sampled_from([0.0, 0.3, 1.0])))
    loss = make(alpha=alpha, temperature=draw(st.sampled_from([1.0, 0.5, 4.0])))
    n, k = draw(st.integers(1, 5)), draw(st.integers(3, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    spread = draw(st.sampled_from([0.3, 1.0, 3.0]))
    taught = draw(st.booleans()) or "alpha" in fixed
    labels = np.where((rng.random(n) < 0.3) & taught, -1, rng.integers(0, k, n))
    teacher = softmax(rng.normal(0, spread, (n, k))) if taught else None
    targets = SoftTargets(labels, teacher, rng.uniform(0.1, 3, n), np.arange(k))
    return loss, rng.normal(0, spread, (n, k)), targets


def differences(f: Any, x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    out = np.empty_like(x)
    for i in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += step
        behind[i] -= step
        out[i] = (f(ahead) - f(behind)) / (2 * step)
    return out


@given(problems())
def test_the_gradient_is_that_of_the_value(problem: tuple[Any, np.ndarray, SoftTargets]) -> None:
    loss, z, targets = problem
    grad = loss.value_and_grad(z, targets)[1]
    by_steps = differences(lambda x: loss.value_and_grad(x, targets)[0], z)
    scale = 1 + np.abs(grad).max()
    np.testing.assert_allclose(grad, by_steps, rtol=1e-5, atol=1e-6 * scale)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-9 * scale)


@given(problems(names=["dkd", "dkd, other weights"]))
def test_boosters_never_step_further_than_the_whole_curvature_of_dkd_allows(
    problem: tuple[Any, np.ndarray, SoftTargets],
) -> None:
    """A diagonal that exceeds the diagonal alone lets joint steps in all classes overshoot."""
    loss, z, targets = problem
    bound = loss.hessian_bound(z, targets)
    size = z.size
    full = np.empty((size, size))
    for j in range(size):
        move = np.zeros(size)
        move[j] = 1e-5
        move = move.reshape(z.shape)
        ahead, behind = (loss.value_and_grad(z + s * move, targets)[1] for s in (1, -1))
        full[:, j] = ((ahead - behind) / 2e-5).ravel()
    least = np.linalg.eigvalsh(np.diag(bound.ravel()) - (full + full.T) / 2).min()
    assert least >= -1e-5 * (1 + np.abs(full).max())


@given(problems(alpha=1.0))
def test_a_student_equal_to_its_teacher_has_no_loss_left(
    problem: tuple[Any, np.ndarray, SoftTargets],
) -> None:
    loss, z, targets = problem
    assert loss.value_and_grad(z, targets)[0] >= -1e-9
    value, grad = loss.value_and_grad(logits_of(np.array(targets.teacher)), targets)
    np.testing.assert_allclose(value, 0, atol=1e-9)
    np.testing.assert_allclose(grad, 0, atol=1e-6)


def random_targets(n: int = 8, k: int = 4, seed: int = 0) -> tuple[np.ndarray, SoftTargets]:
    rng = np.random.default_rng(seed)
    teacher = softmax(2 * rng.normal(size=(n, k)))
    targets = SoftTargets(rng.integers(0, k, n), teacher, rng.uniform(0.5, 2, n), np.arange(k))
    return rng.normal(size=(n, k)), targets


def kl(p: Any, q: Any) -> Any:
    return (p * np.log(p / q)).sum(axis=1)


def row_term(loss: Any, z: np.ndarray, targets: SoftTargets) -> float:
    """The teacher's term of a loss with alpha 0.6, when that of the label is taken off."""
    rows = -np.log(softmax(z))[np.arange(len(z)), targets.labels]
    label = np.average(rows, weights=targets.sample_weight)
    return float(loss.value_and_grad(z, targets)[0] - 0.4 * label) / 0.6


@pytest.mark.parametrize("t", [1.0, 4.0])
def test_dkd_is_its_formula(t: float) -> None:
    z, targets = random_targets()
    top = np.eye(4, dtype=bool)[targets.teacher.argmax(axis=1)]
    p_t, p_s = softmax(np.log(targets.teacher) / t), softmax(z / t)
    pairs = [np.stack([p[top], 1 - p[top]], axis=1) for p in (p_t, p_s)]
    rest = [p[~top].reshape(-1, 3) / (1 - p[top])[:, None] for p in (p_t, p_s)]
    rows = t * t * (0.5 * kl(*pairs) + 3 * kl(*rest))
    expected = np.average(rows, weights=targets.sample_weight)
    loss = DKD(alpha=0.6, temperature=t, target_weight=0.5, non_target_weight=3)
    np.testing.assert_allclose(row_term(loss, z, targets), expected)


def test_dkd_hears_more_of_the_other_classes_than_kl_does_where_the_teacher_is_sure() -> None:
    """That is what it is for: KL weighs the other classes by what the teacher leaves them."""
    teacher = np.array([[0.98, 0.015, 0.005]])
    targets = SoftTargets([0], teacher, classes=np.arange(3))
    z = np.log([[0.98, 0.01, 0.01]])
    plain = KL(alpha=1).value_and_grad(z, targets)[1]
    split = DKD(alpha=1, non_target_weight=1).value_and_grad(z, targets)[1]
    assert abs(split[0, 1] - split[0, 2]) > 20 * abs(plain[0, 1] - plain[0, 2])


@pytest.mark.parametrize("t", [1.0, 2.0])
def test_dist_is_its_formula(t: float) -> None:
    z, targets = random_targets(n=9)
    p_t, p_s = softmax(np.log(targets.teacher) / t), softmax(z / t)
    weight = targets.sample_weight
    rows = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p_s, p_t, strict=True)]
    classes = []
    for a, b in zip(p_s.T, p_t.T, strict=True):
        cov = np.cov(a, b, aweights=weight)
        classes.append(1 - cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
    expected = t * t * (0.5 * np.average(rows, weights=weight) + 3 * np.mean(classes))
    loss = DIST(alpha=0.6, temperature=t, inter=0.5, intra=3)
    np.testing.assert_allclose(row_term(loss, z, targets), expected, rtol=1e-3)


def test_dist_takes_a_student_that_is_less_sure_in_the_same_proportions() -> None:
    """Where KL has much left to say, the correlation is complete."""
    _, targets = random_targets(n=30)
    paler = np.log(0.3 * targets.teacher + 0.7 / 4)
    own = DIST(alpha=1).value_and_grad(paler, targets)[0]
    assert own < 1e-3
    assert KL(alpha=1).value_and_grad(paler, targets)[0] > 0.2


def test_alpha_of_dist_does_not_reach_rows_without_a_label() -> None:
    """A correlation over all rows would tie them to the rows that have one."""
    z, targets = random_targets(n=9)
    labels = np.where(np.arange(9) < 4, -1, targets.labels)
    mixed = SoftTargets(labels, targets.teacher, targets.sample_weight, targets.classes)
    one, other = (DIST(alpha=a).value_and_grad(z, mixed)[1][:4] for a in (0.1, 0.9))
    np.testing.assert_allclose(one, other)
    assert np.abs(one).max() > 1e-3


@pytest.mark.parametrize("base", ["kl", "dkd"])
def test_standardization_is_the_base_loss_between_standardised_logits(base: str) -> None:
    z, targets = random_targets()

    def standard(x: np.ndarray) -> np.ndarray:
        return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=1, keepdims=True)

    inner = SoftTargets(
        targets.labels,
        softmax(standard(np.log(targets.teacher))),
        targets.sample_weight,
        targets.classes,
    )
    kind = {"kl": KL, "dkd": DKD}[base]
    expected = kind(alpha=1, temperature=2).value_and_grad(standard(z), inner)[0]
    loss = LogitStandardization(alpha=0.6, temperature=2, base=base)
    np.testing.assert_allclose(row_term(loss, z, targets), expected, rtol=1e-5)
    if base == "dkd":
        other = DKD(alpha=1, temperature=2, non_target_weight=3).value_and_grad(standard(z), inner)
        loss = LogitStandardization(alpha=0.6, temperature=2, base=base, non_target_weight=3)
        np.testing.assert_allclose(row_term(loss, z, targets), other[0], rtol=1e-5)
    of_teacher = LogitStandardization(alpha=1, temperature=2, base=base)
    values = [of_teacher.value_and_grad(factor * z + 5, targets)[0] for factor in (0.1, 1, 10)]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize("name", MAKES)
def test_a_student_that_starts_from_nothing_gets_a_finite_slope(name: str) -> None:
    """Optimisers start from zeros, where correlations and deviations are 0 / 0."""
    _, targets = random_targets()
    for dtype in (np.float64, np.float32):
        start = np.zeros((8, 4), dtype=dtype)
        value, grad = MAKES[name](alpha=0.6).value_and_grad(start, targets)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()
        assert np.abs(grad).max() > 1e-3
        assert grad.dtype == dtype


@pytest.mark.parametrize("name", ["dkd", "dist", "logit_standardization"])
def test_two_classes_are_refused_with_the_losses_that_work(name: str) -> None:
    common = {"alpha": 0.5, "temperature": 1, "student": "my student"}
    with pytest.raises(ParameterError, match=rf"'{name}' is not for binary .* use one of .*\bkl\b"):
        make_loss(name, task="binary", n_classes=2, **common)
    with pytest.raises(
        ParameterError, match="degenerates below 3 classes, and there are 2"
    ) as told:
        make_loss(name, task="multiclass", n_classes=2, **common)
    assert "use one of brier, kl" in str(told.value)
    with pytest.raises(ParameterError, match="cannot be given as plain targets, which my student"):
        make_loss(name, task="multiclass", n_classes=3, gradient=False, **common)


@pytest.mark.parametrize("name", ["dist", "logit_standardization"])
def test_a_booster_is_told_which_losses_it_can_step_by(name: str) -> None:
    common = {"alpha": 0.5, "temperature": 1, "task": "multiclass", "n_classes": 3}
    with pytest.raises(
        ParameterError, match="no bound of its curvature, by which my trees"
    ) as told:
        make_loss(name, curvature=True, student="my trees", **common)
    named = str(told.value).partition("use one of ")[2]
    assert "dkd" in named
    assert name not in named
    loss = make_loss(name, **common)
    with pytest.raises(ParameterError, match=f"{type(loss).__name__} has no bound"):
        loss.hessian_bound(np.zeros((1, 3)), SoftTargets([0], classes=np.arange(3)))
    with pytest.raises(ParameterError, match=f"the loss {type(loss).__name__} has no bound"):
        make_loss(type(loss), curvature=True, **common)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("dkd:target_weight=-1", "target_weight=-1.0 must be a number of at least 0"),
        ("dkd:non_target_weight=nan", "non_target_weight=nan must be a number of at least 0"),
        ("dist:inter=0,intra=0", "inter and intra are both 0, so nothing is left of the teacher"),
        ("dist:inter=much", "inter='much' must be a number"),
        ("logit_standardization:base=dist", "base='dist' must be one of kl, dkd"),
        ("logit_standardization:non_target_weight=1", "is not used with base='kl'; add base='dkd'"),
    ],
)
def test_wrong_parameters_are_refused(loss: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_loss(loss, alpha=0.5, temperature=1.0, task="multiclass", n_classes=3)
