"""Checks of what boosters and optimisers need of a loss: its gradient, curvature and minimum."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kdcore.targets import SoftTargets
from kdcore.testing.checks import Violation
from kdcore.testing.loss_case import LossCase, describe, require_close

__all__ = ["calculus_checks"]

_STEP = 1e-5

#: Other namespaces than numpy that a loss is tried in, where they are installed.
_NAMESPACES = ("array_api_strict", "torch")


def calculus_checks(case: LossCase) -> Iterator[Callable[[LossCase], None]]:
    """The checks of derivatives and minima that apply to a loss in one task."""
    yield check_gradient_is_like_the_logits
    yield check_gradient_is_the_derivative
    if _namespaces():
        yield check_other_arrays_give_the_same
    if case.spec.teacher:
        yield check_best_where_student_is_teacher
    if case.spec.curvature:
        yield check_hessian_bound
    if case.spec.target_only:
        yield check_plain_targets_minimise_the_loss


def check_gradient_is_like_the_logits(case: LossCase) -> None:
    """The gradient has the shape and the dtype of the logits, and the value is one number."""
    for dtype in (np.float64, np.float32):
        logits = case.logits().astype(dtype)
        value, grad = case.make().value_and_grad(logits, case.targets())
        if np.shape(value) != ():
            raise Violation(f"a value of shape {np.shape(value)}", "return the mean over rows")
        if grad.shape != logits.shape or grad.dtype != logits.dtype:
            raise Violation(
                f"shape {grad.shape} and dtype {grad.dtype} for logits of {logits.shape} and "
                f"{logits.dtype}",
                "make constants with dtype=logits.dtype",
            )


def check_gradient_is_the_derivative(case: LossCase) -> None:
    """The gradient is the derivative of the value: central finite differences say the same."""
    logits, targets = case.logits(), case.targets()
    for loss in case.phases():
        grad = np.asarray(loss.value_and_grad(logits.copy(), targets)[1])
        numeric = np.zeros_like(logits)
        for place in np.ndindex(logits.shape):
            above, below = _beside(logits, place)
            rise = loss.value_and_grad(above, targets)[0] - loss.value_and_grad(below, targets)[0]
            numeric[place] = float(rise) / (2 * _STEP)
        require_close(grad, numeric, loss, "finite differences", "derive the gradient again")


def check_other_arrays_give_the_same(case: LossCase) -> None:
    """The code uses the array API standard, so that torch tensors and other arrays give what
    numpy gives, as arrays of the same kind."""
    logits = case.logits()
    for name in _namespaces():
        xp = importlib.import_module(name)
        for loss in case.phases():
            wanted = np.asarray(loss.value_and_grad(logits.copy(), case.targets())[1])
            given = xp.asarray(logits)
            grad = loss.value_and_grad(given, case.targets())[1]
            if type(grad) is not type(given):
                raise Violation(
                    f"{type(grad).__name__} for {type(given).__name__}",
                    "use array_api_compat.array_namespace(logits) instead of numpy",
                )
            got = np.array([float(v) for v in xp.reshape(grad, (-1,))]).reshape(wanted.shape)
            require_close(got, wanted, loss, f"numpy, with {name}", "use one formula for both")


def check_best_where_student_is_teacher(case: LossCase) -> None:
    """With alpha=1 nothing is better than the teacher's own logits: the gradient is zero there,
    and no other logits give a lower value."""
    targets = case.targets()
    teacher = np.array(targets.teacher)
    own = np.log(teacher) if case.n_classes else teacher
    for loss in case.makes():
        if loss.alpha == 1:
            _require_minimum(loss, own, targets, "the teacher's own logits")


def check_hessian_bound(case: LossCase) -> None:
    """hessian_bound is finite, positive, of the shape of the logits, and nowhere below the second
    derivative of the value: boosted trees divide by it."""
    logits, targets = case.logits(), case.targets()
    for loss in case.phases():
        bound = np.asarray(loss.hessian_bound(logits.copy(), targets))
        if bound.shape != logits.shape or not (np.isfinite(bound).all() and (bound > 0).all()):
            raise Violation(
                f"shape {bound.shape} and values down to {bound.min():.3g}",
                "return a positive number for each logit",
            )
        true = np.zeros_like(logits)
        for place in np.ndindex(logits.shape):
            above, below = _beside(logits, place)
            rise = loss.value_and_grad(above, targets)[1] - loss.value_and_grad(below, targets)[1]
            true[place] = rise[place] / (2 * _STEP)
        short = (true - bound).max()
        if not short <= 1e-6:
            raise Violation(
                f"a second derivative that is {short:.3g} above the bound with {describe(loss)}",
                "return a bound of the diagonal of the Hessian of the mean loss",
            )


def check_plain_targets_minimise_the_loss(case: LossCase) -> None:
    """A student that predicts blend(targets) itself has the lowest loss there is."""
    targets = case.targets()
    for loss in case.makes():
        if loss.temperature != 1 or loss.alpha == 0:
            continue
        blend = np.asarray(loss.blend(targets))
        own = np.log(np.maximum(blend, 1e-12)) if case.n_classes else blend
        _require_minimum(loss, own, targets, "blend(targets)")


def _namespaces() -> list[str]:
    return [name for name in _NAMESPACES if importlib.util.find_spec(name) is not None]


def _beside(logits: np.ndarray, place: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The logits with one entry a step up, and a step down."""
    above, below = logits.copy(), logits.copy()
    above[place] += _STEP
    below[place] -= _STEP
    return above, below


def _require_minimum(loss: Any, own: np.ndarray, targets: SoftTargets, where: str) -> None:
    value, grad = loss.value_and_grad(own.copy(), targets)
    if not np.abs(grad).max() <= 1e-7:
        raise Violation(
            f"a gradient of up to {np.abs(grad).max():.3g} at {where}, with {describe(loss)}",
            "compare both sides in the same way",
        )
    rng = np.random.default_rng(0)
    for scale in (0.01, 0.1, 1.0):
        other = own + scale * rng.standard_normal(own.shape)
        lower = float(value) - float(loss.value_and_grad(other, targets)[0])
        if not lower <= 1e-9:
            raise Violation(
                f"a value that is {lower:.3g} lower than at {where}, with {describe(loss)}",
                "turn its sign: the loss is to be minimised",
            )
