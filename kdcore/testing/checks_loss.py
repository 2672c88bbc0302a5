"""Checks of losses: values, gradients against finite differences, weights, plain targets."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.specs import LossSpec
from kdcore.targets import SoftTargets, softmax
from kdcore.testing.checks import Violation

__all__ = ["LossCase", "loss_checks", "loss_spec_checks"]

_ALPHAS = (0.0, 0.6, 1.0)
_TEMPERATURES = (1.0, 2.5)
_STEP = 1e-5

#: Other namespaces than numpy that a loss is tried in, where they are installed.
_NAMESPACES = ("array_api_strict", "torch")


class LossCase:
    """One loss and one of its tasks.

    Parameters
    ----------
    spec : LossSpec
    task : {"binary", "multiclass", "regression"}
    params : mapping, optional
        Parameters of the factory beside alpha and temperature.
    """

    def __init__(
        self, spec: LossSpec, task: str, params: Mapping[str, Any] | None = None
    ) -> None:
        self.spec = spec
        self.task = task
        self.params = dict(params or {})
        self.n_classes = {"regression": 0, "binary": 2}.get(task, max(3, spec.min_classes))

    def make(self, *, alpha: float = 0.6, temperature: float = 1.0) -> Any:
        """A new loss."""
        return self.spec.resolve()(alpha=alpha, temperature=temperature, **self.params)

    def makes(self) -> Iterator[Any]:
        """Losses of several alphas and, where it takes them, temperatures."""
        for temperature in _TEMPERATURES:
            for alpha in _ALPHAS:
                try:
                    yield self.make(alpha=alpha, temperature=temperature)
                except ParameterError:
                    if temperature == 1:
                        raise

    def logits(self, seed: int = 0, n_rows: int = 12) -> np.ndarray:
        """Random logits (n, K), or values (n,)."""
        shape = (n_rows, self.n_classes) if self.n_classes else (n_rows,)
        return 1.5 * np.random.default_rng(seed).standard_normal(shape)

    def targets(self, seed: int = 0, n_rows: int = 12, **changes: Any) -> SoftTargets:
        """Random targets, a third of them without a label, with weights; the teacher is sure of
        nothing."""
        rng = np.random.default_rng(100 + seed)
        unlabeled = np.arange(n_rows) % 3 == 0
        values = self.logits(seed + 10, n_rows)
        labels = rng.integers(0, self.n_classes, n_rows) if self.n_classes else values + 0.5
        parts = {
            "labels": np.where(unlabeled, -1 if self.n_classes else np.nan, labels),
            "teacher": softmax(values) if self.n_classes else values,
            "sample_weight": rng.uniform(0.5, 2.0, n_rows),
            "classes": np.arange(self.n_classes) if self.n_classes else None,
            "provenance": "given",
        }
        return SoftTargets(**{**parts, **changes})

    def labels(self) -> np.ndarray:
        """Labels for every row of `targets`."""
        known = self.targets().labels
        return np.where(self.targets().unlabeled, 1, known)


def loss_checks(case: LossCase) -> Iterator[Callable[[LossCase], None]]:
    """The checks that apply to a loss in one task, by what its spec claims."""
    yield check_stays_finite
    yield check_gradient_is_like_the_logits
    yield check_gradient_is_the_derivative
    if _namespaces():
        yield check_other_arrays_give_the_same
    yield check_best_where_student_is_teacher
    yield check_weights_count_rows
    yield check_alpha_shares_between_teacher_and_label
    yield check_rows_without_label_feel_the_teacher_only
    yield check_hessian_bound
    yield check_plain_targets_as_claimed
    if case.spec.target_only:
        yield check_plain_targets_minimise_the_loss
    yield check_wrong_parameters_are_refused
    yield check_temperature_counts_or_is_refused
    yield check_arguments_are_left_alone


def loss_spec_checks() -> Iterator[Callable[[LossSpec], None]]:
    """The checks of a loss that run once."""
    yield check_tasks_suit_min_classes


def check_tasks_suit_min_classes(spec: LossSpec) -> None:
    """A loss has the task binary only if min_classes is 2."""
    if "binary" in spec.tasks and spec.min_classes > 2:
        raise Violation(
            f"tasks={spec.tasks} and min_classes={spec.min_classes}", "leave binary out of tasks"
        )


def check_stays_finite(case: LossCase) -> None:
    """Value and gradient are finite, also where student and teacher are sure of themselves."""
    n_rows = len(case.targets())
    sure = case.logits(1)
    if case.n_classes:
        sure = np.eye(case.n_classes)[np.arange(n_rows) % case.n_classes]
    for loss in case.makes():
        for logits in (case.logits(), 1000.0 * case.logits()):
            for targets in (case.targets(), case.targets(teacher=sure)):
                value, grad = loss.value_and_grad(logits, targets)
                if not np.isfinite(float(value)) or not np.isfinite(grad).all():
                    raise Violation(
                        f"the value {float(value)} and {int((~np.isfinite(grad)).sum())} entries "
                        f"of the gradient for logits up to {np.abs(logits).max():.0f}",
                        "subtract the largest logit before exp, and clip probabilities before log",
                    )


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
    for loss in case.makes():
        grad = np.asarray(loss.value_and_grad(logits.copy(), targets)[1])
        numeric = np.zeros_like(logits)
        for place in np.ndindex(logits.shape):
            above, below = _beside(logits, place)
            rise = loss.value_and_grad(above, targets)[0] - loss.value_and_grad(below, targets)[0]
            numeric[place] = float(rise) / (2 * _STEP)
        _require_close(grad, numeric, loss, "finite differences", "derive the gradient again")


def check_other_arrays_give_the_same(case: LossCase) -> None:
    """The code uses the array API standard, so that torch tensors and other arrays give what
    numpy gives, as arrays of the same kind."""
    logits = case.logits()
    for name in _namespaces():
        xp = importlib.import_module(name)
        for loss in case.makes():
            wanted = np.asarray(loss.value_and_grad(logits.copy(), case.targets())[1])
            given = xp.asarray(logits)
            grad = loss.value_and_grad(given, case.targets())[1]
            if type(grad) is not type(given):
                raise Violation(
                    f"{type(grad).__name__} for {type(given).__name__}",
                    "use array_api_compat.array_namespace(logits) instead of numpy",
                )
            got = np.array([float(v) for v in xp.reshape(grad, (-1,))]).reshape(wanted.shape)
            _require_close(got, wanted, loss, f"numpy, with {name}", "use one formula for both")


def check_best_where_student_is_teacher(case: LossCase) -> None:
    """With alpha=1 nothing is better than the teacher's own logits: the gradient is zero there,
    and no other logits give a lower value."""
    targets = case.targets()
    own = np.log(targets.teacher) if case.n_classes else np.array(targets.teacher)
    for loss in case.makes():
        if loss.alpha == 1:
            _require_minimum(loss, own, targets, "the teacher's own logits")


def check_weights_count_rows(case: LossCase) -> None:
    """A row of weight 2 counts as two rows."""
    logits = case.logits()
    counts = np.arange(len(logits)) % 2 + 1
    weighted = case.targets(sample_weight=counts.astype(float))
    rows = np.repeat(np.arange(len(logits)), counts)
    copied = case.targets(sample_weight=np.ones(len(logits))).take(rows)
    loss = case.make()
    value, grad = loss.value_and_grad(logits.copy(), weighted)
    wanted, parts = loss.value_and_grad(logits[rows], copied)
    summed = np.zeros_like(logits)
    np.add.at(summed, rows, np.asarray(parts))
    if not abs(float(value) - float(wanted)) <= 1e-9 * max(1.0, abs(float(wanted))):
        raise Violation(
            f"the value {float(value):.6g} with weights and {float(wanted):.6g} with copies",
            "return the mean weighted by targets.sample_weight",
        )
    _require_close(np.asarray(grad), summed, loss, "that of copied rows", "weigh its rows too")


def check_alpha_shares_between_teacher_and_label(case: LossCase) -> None:
    """With alpha=0 a labelled row does not feel the teacher; with alpha=1 no row feels its label;
    without any teacher alpha has no effect."""
    logits, labels = case.logits(), case.labels()
    labelled = case.targets(labels=labels)
    unlabeled = case.targets(labels=np.full(len(labels), -1.0 if case.n_classes else np.nan))
    plain = case.targets(labels=labels, teacher=None, provenance="none")
    other = case.targets(labels=labels, teacher=case.targets(seed=7).teacher)
    pairs = [
        (0.0, labelled, 0.0, other, "alpha=0 with two teachers"),
        (1.0, labelled, 1.0, unlabeled, "alpha=1 with and without labels"),
        (0.6, plain, 0.0, plain, "alpha=0.6 and alpha=0 without a teacher"),
    ]
    for alpha, one, beta, two, what in pairs:
        grad = case.make(alpha=alpha).value_and_grad(logits.copy(), one)[1]
        same = case.make(alpha=beta).value_and_grad(logits.copy(), two)[1]
        if not np.allclose(grad, same, rtol=1e-7, atol=1e-12):
            raise Violation(
                f"gradients for {what} that differ by {np.abs(grad - same).max():.3g}",
                "take each row's share of the teacher from targets.row_alpha(self.alpha)",
            )


def check_rows_without_label_feel_the_teacher_only(case: LossCase) -> None:
    """In a row without a label the teacher counts in full, whatever alpha is."""
    logits, targets = case.logits(), case.targets()
    rows = targets.unlabeled
    one, other = (
        np.asarray(case.make(alpha=alpha).value_and_grad(logits.copy(), targets)[1])[rows]
        for alpha in (0.3, 1.0)
    )
    if not np.allclose(one, other, rtol=1e-7, atol=1e-12) or not np.abs(one).max() > 0:
        raise Violation(
            f"gradients of up to {np.abs(one).max():.3g} with alpha=0.3 and "
            f"{np.abs(other).max():.3g} with alpha=1 in such rows",
            "take each row's share of the teacher from targets.row_alpha(self.alpha)",
        )


def check_hessian_bound(case: LossCase) -> None:
    """hessian_bound is finite, positive, of the shape of the logits, and nowhere below the second
    derivative of the value: boosted trees divide by it."""
    logits, targets = case.logits(), case.targets()
    for loss in case.makes():
        bound = np.asarray(loss.hessian_bound(logits.copy(), targets))
        if bound.shape != logits.shape or not (np.isfinite(bound).all() and (bound > 0).all()):
            raise Violation(
                f"shape {bound.shape} and values down to {bound.min():.3g}",
                "return a positive number for each logit",
            )
        true = np.zeros_like(logits)
        for place in np.ndindex(logits.shape):
            above, below = _beside(logits, place)
            rise = (
                loss.value_and_grad(above, targets)[1] - loss.value_and_grad(below, targets)[1]
            )
            true[place] = rise[place] / (2 * _STEP)
        short = (true - bound).max()
        if not short <= 1e-6:
            raise Violation(
                f"a second derivative that is {short:.3g} above the bound with {_name(loss)}",
                "return a bound of the diagonal of the Hessian of the mean loss",
            )


def check_plain_targets_as_claimed(case: LossCase) -> None:
    """blend returns plain targets, one for each row (and class), if the spec says target_only; if
    not, it raises a ParameterError."""
    try:
        blend = np.asarray(case.make().blend(case.targets()))
    except ParameterError:
        if case.spec.target_only:
            raise Violation(
                "a ParameterError from blend, but target_only=True",
                "implement blend, or set target_only=False",
            ) from None
        return
    if not case.spec.target_only:
        raise Violation("targets from blend, but target_only=False", "set target_only=True")
    if blend.shape != case.logits().shape or not np.isfinite(blend).all():
        raise Violation(f"shape {blend.shape}", f"return finite targets of {case.logits().shape}")


def check_plain_targets_minimise_the_loss(case: LossCase) -> None:
    """A student that predicts blend(targets) itself has the lowest loss there is."""
    targets = case.targets()
    for loss in case.makes():
        if loss.temperature != 1 or loss.alpha == 0:
            continue
        blend = np.asarray(loss.blend(targets))
        own = np.log(np.maximum(blend, 1e-12)) if case.n_classes else blend
        _require_minimum(loss, own, targets, "blend(targets)")


def check_wrong_parameters_are_refused(case: LossCase) -> None:
    """alpha outside [0, 1], and a temperature that is not a number above 0, are a
    ParameterError."""
    nan = float("nan")
    wrong = [{"alpha": a} for a in (-0.1, 1.1, nan)]
    wrong += [{"temperature": t} for t in (0.0, -1.0, nan, float("inf"))]
    for params in wrong:
        try:
            case.make(**params)
        except ParameterError:
            continue
        name, value = next(iter(params.items()))
        raise Violation(f"{name}={value} is taken", "call super().__init__ with both")


def check_temperature_counts_or_is_refused(case: LossCase) -> None:
    """A temperature other than 1 changes the gradient, or is a ParameterError."""
    try:
        warm = case.make(temperature=2.5)
    except ParameterError:
        return
    logits, targets = case.logits(), case.targets()
    grad = warm.value_and_grad(logits.copy(), targets)[1]
    if np.allclose(grad, case.make().value_and_grad(logits.copy(), targets)[1]):
        raise Violation("the same gradient", "leave uses_temperature at False")


def check_arguments_are_left_alone(case: LossCase) -> None:
    """value_and_grad, hessian_bound and blend change neither logits nor targets."""
    logits, targets = case.logits(), case.targets()
    loss = case.make()
    loss.value_and_grad(logits, targets)
    loss.hessian_bound(logits, targets)
    if case.spec.target_only:
        loss.blend(targets)
    fresh = case.targets()
    same = np.array_equal(logits, case.logits()) and all(
        np.array_equal(getattr(targets, name), getattr(fresh, name), equal_nan=True)
        for name in ("labels", "teacher", "sample_weight")
    )
    if not same:
        raise Violation("other values after the call", "work on new arrays")


def _namespaces() -> list[str]:
    return [name for name in _NAMESPACES if importlib.util.find_spec(name) is not None]


def _beside(logits: np.ndarray, place: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The logits with one entry a step up, and a step down."""
    above, below = logits.copy(), logits.copy()
    above[place] += _STEP
    below[place] -= _STEP
    return above, below


def _name(loss: Any) -> str:
    return f"alpha={loss.alpha:g}, temperature={loss.temperature:g}"


def _require_close(got: np.ndarray, wanted: np.ndarray, loss: Any, what: str, do: str) -> None:
    difference = np.abs(got - wanted).max() if got.shape == wanted.shape else np.inf
    if not difference <= 1e-5 * max(float(np.abs(wanted).max()), 1e-3):
        raise Violation(
            f"a gradient that is {difference:.3g} off {what}, with {_name(loss)}", do
        )


def _require_minimum(loss: Any, own: np.ndarray, targets: SoftTargets, where: str) -> None:
    value, grad = loss.value_and_grad(own.copy(), targets)
    if not np.abs(grad).max() <= 1e-7:
        raise Violation(
            f"a gradient of up to {np.abs(grad).max():.3g} at {where}, with {_name(loss)}",
            "compare both sides in the same way",
        )
    rng = np.random.default_rng(0)
    for scale in (0.01, 0.1, 1.0):
        other = own + scale * rng.standard_normal(own.shape)
        lower = float(value) - float(loss.value_and_grad(other, targets)[0])
        if not lower <= 1e-9:
            raise Violation(
                f"a value that is {lower:.3g} lower elsewhere than at {where}, with {_name(loss)}",
                "turn its sign: the loss is to be minimised",
            )
