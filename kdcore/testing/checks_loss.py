"""Checks of losses: how rows, weights, alpha and temperature count, and what is refused.

Derivatives and minima are in `kdcore.testing.checks_loss_calculus`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kdcore.errors import ParameterError
from kdcore.specs import LossSpec
from kdcore.testing.checks import Violation
from kdcore.testing.loss_case import LossCase, require_close

__all__ = ["loss_checks", "loss_spec_checks"]


def loss_checks(case: LossCase) -> Iterator[Callable[[LossCase], None]]:
    """The checks that apply to a loss in one task."""
    yield check_claims_are_those_of_the_spec
    yield check_progress_as_claimed
    yield check_stays_finite
    yield check_weights_count_rows
    if case.spec.teacher:
        yield check_alpha_shares_between_teacher_and_label
        yield check_rows_without_label_feel_the_teacher_only
    else:
        yield check_a_baseline_hears_labels_alone
    yield check_plain_targets_as_claimed
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


def check_claims_are_those_of_the_spec(case: LossCase) -> None:
    """The class of a loss says the same of itself as its spec: whether it uses the teacher, gives
    its curvature, and follows the progress of the training."""
    loss = case.make()
    for own, claim in (
        ("uses_teacher", "teacher"),
        ("has_curvature", "curvature"),
        ("uses_progress", "progress"),
    ):
        said, claimed = getattr(loss, own), getattr(case.spec, claim)
        if said is not claimed:
            raise Violation(
                f"{own}={said!r} in the loss and {claim}={claimed!r} in the spec",
                f"give both the same; {own} is a class attribute of the loss",
            )


def check_progress_as_claimed(case: LossCase) -> None:
    """If the spec says progress, at(progress) gives another loss at the start than at the end,
    leaves the one it is called on as it is, and refuses a progress outside [0, 1]; else it
    returns the loss itself."""
    loss, logits, targets = case.make(), case.logits(), case.targets()
    if not case.spec.progress:
        if loss.at(0.0) is not loss or loss.at(1.0) is not loss:
            raise Violation("another loss from at, but progress=False", "set progress=True")
        return
    before = loss.value_and_grad(logits.copy(), targets)[1]
    grads = []
    for progress in (0.0, 1.0):
        grads.append(loss.at(progress).value_and_grad(logits.copy(), targets)[1])
        if not np.array_equal(before, loss.value_and_grad(logits.copy(), targets)[1]):
            raise Violation(
                f"another gradient of the loss after at({progress:g})", "change a copy of the loss"
            )
    if np.allclose(*grads):
        raise Violation("the same gradient at progress 0 and 1", "leave progress at False")
    for wrong in (-0.1, 1.1, float("nan")):
        try:
            loss.at(wrong)
        except ParameterError:
            continue
        raise Violation(f"progress={wrong} is taken", "raise a ParameterError outside [0, 1]")


def check_a_baseline_hears_labels_alone(case: LossCase) -> None:
    """A baseline (teacher=False) gives the same whatever the teacher says, and rows without a
    label have no effect."""
    logits, targets = case.logits(), case.targets()
    known = ~targets.unlabeled
    for loss in case.makes():
        value, grad = loss.value_and_grad(logits.copy(), targets)
        other = case.targets(teacher=case.targets(seed=7).teacher)
        taught, _ = loss.value_and_grad(logits.copy(), other)
        fewer, part = loss.value_and_grad(logits[known], targets.plain())
        if abs(float(value) - float(taught)) > 1e-9:
            raise Violation(
                f"values of {float(value):.6g} and {float(taught):.6g} for two teachers",
                "use targets.labels alone, or set teacher=True",
            )
        same = np.allclose(np.asarray(grad)[known], part, rtol=1e-7, atol=1e-12)
        if abs(float(value) - float(fewer)) > 1e-9 or not same or np.asarray(grad)[~known].any():
            raise Violation(
                f"values of {float(value):.6g} and {float(fewer):.6g} with such rows and without",
                "give them the weight 0, and divide by the weight of the other rows",
            )


def check_stays_finite(case: LossCase) -> None:
    """Value and gradient are finite, also where student and teacher are sure of themselves."""
    n_rows = len(case.targets())
    sure = case.logits(1)
    if case.n_classes:
        sure = np.eye(case.n_classes)[np.arange(n_rows) % case.n_classes]
    for loss in case.phases():
        for logits in (case.logits(), 1000.0 * case.logits(), 0.0 * case.logits()):
            for targets in (case.targets(), case.targets(teacher=sure)):
                value, grad = loss.value_and_grad(logits, targets)
                if not np.isfinite(float(value)) or not np.isfinite(grad).all():
                    raise Violation(
                        f"the value {float(value)} and {int((~np.isfinite(grad)).sum())} entries "
                        f"of the gradient for logits up to {np.abs(logits).max():.0f}",
                        "subtract the largest logit before exp, and clip probabilities before log",
                    )


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
    require_close(np.asarray(grad), summed, loss, "that of copied rows", "weigh its rows too")


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
    if case.spec.curvature:
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
