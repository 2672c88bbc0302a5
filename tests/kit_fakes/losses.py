"""Healthy fake losses, and for each check one that breaks its rule alone."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace
from kit_fakes.shared import says

from kdcore.losses import KL, Blend, Loss
from kdcore.targets import SoftTargets


@says(target_only=True)
class HealthyLoss(KL):
    role = "loss"
    tasks = ("binary", "multiclass")


@says(target_only=True)
class HealthyLossOfValues(Blend):
    role = "loss"
    tasks = ("regression",)


@says(min_classes=3)
class HealthyMargins(Loss):
    """Half the squared error between logits and log-probabilities; it has no plain targets."""

    role = "loss"
    tasks = ("multiclass",)

    def value_and_grad(self, logits, targets):
        xp = array_namespace(logits)
        share = targets.row_alpha(self.alpha)[:, None]
        teacher = 0.0 if targets.teacher is None else np.log(np.maximum(targets.teacher, 1e-4))
        goal = share * teacher + (1 - share) * (4 * targets.one_hot - 2)
        weight = targets.sample_weight / targets.sample_weight.sum()
        goal, weight = (xp.asarray(v, dtype=logits.dtype) for v in (goal, weight[:, None]))
        return xp.sum(weight * (logits - goal) ** 2) / 2, weight * (logits - goal)


HEALTHY = [HealthyLoss, HealthyLossOfValues, HealthyMargins]


class OneTask(HealthyLoss):
    tasks = ("multiclass",)


@says(target_only=True, min_classes=3)
class TwoClassesRefused(OneTask):
    breaks = "check_tasks_suit_min_classes"
    tasks = ("binary", "multiclass")


class Overflows(OneTask):
    breaks = "check_stays_finite"

    def value_and_grad(self, logits, targets):
        value, grad = super().value_and_grad(logits, targets)
        return value * (np.inf if float(array_namespace(logits).max(logits)) > 500 else 1.0), grad


class WeightsIgnored(OneTask):
    breaks = "check_weights_count_rows"

    def value_and_grad(self, logits, targets):
        return super().value_and_grad(logits, _even(targets))

    def hessian_bound(self, logits, targets):
        return super().hessian_bound(logits, _even(targets))


class AlwaysHearsTheTeacher(OneTask):
    breaks = "check_alpha_shares_between_teacher_and_label"

    def __init__(self, **params):
        super().__init__(**params)
        self.alpha = max(self.alpha, 0.1)


@says(target_only=True)
class HalfHearsTheTeacher(Loss):
    """In rows without a label the teacher has no more than its usual share."""

    breaks = "check_rows_without_label_feel_the_teacher_only"
    role = "loss"
    tasks = ("multiclass",)

    def value_and_grad(self, logits, targets):
        xp = array_namespace(logits)
        share = 0.0 if targets.teacher is None else self.alpha
        teacher = 0.0 if targets.teacher is None else targets.teacher
        weight = targets.sample_weight / targets.sample_weight.sum()
        goal = weight[:, None] * (share * teacher + (1 - share) * targets.one_hot)
        goal = xp.asarray(goal, dtype=logits.dtype)
        logp = logits - xp.max(logits, axis=1, keepdims=True)
        logp = logp - xp.log(xp.sum(xp.exp(logp), axis=1, keepdims=True))
        return -xp.sum(goal * logp), xp.sum(goal, axis=1, keepdims=True) * xp.exp(logp) - goal

    def hessian_bound(self, logits, targets):
        return KL(alpha=self.alpha).hessian_bound(logits, targets)

    def blend(self, targets):
        return targets.blended(self.alpha)


@says(target_only=False)
class PlainTargetsUnclaimed(OneTask):
    breaks = "check_plain_targets_as_claimed"


class AcceptsAnything(OneTask):
    breaks = "check_wrong_parameters_are_refused"

    def __init__(self, *, alpha, temperature):
        super().__init__(alpha=min(max(alpha, 0.0), 1.0), temperature=temperature)


class ForgetsTheTemperature(OneTask):
    breaks = "check_temperature_counts_or_is_refused"

    def value_and_grad(self, logits, targets):
        return KL(alpha=self.alpha).value_and_grad(logits, targets)

    def hessian_bound(self, logits, targets):
        return KL(alpha=self.alpha).hessian_bound(logits, targets)


class CentresInPlace(OneTask):
    breaks = "check_arguments_are_left_alone"

    def value_and_grad(self, logits, targets):
        xp = array_namespace(logits)
        logits -= xp.mean(logits, axis=1, keepdims=True)
        return super().value_and_grad(logits, targets)


class AlwaysDouble(OneTask):
    breaks = "check_gradient_is_like_the_logits"

    def value_and_grad(self, logits, targets):
        value, grad = super().value_and_grad(logits, targets)
        return value, array_namespace(grad).astype(grad, array_namespace(grad).float64)


class SteepGradient(OneTask):
    breaks = "check_gradient_is_the_derivative"

    def value_and_grad(self, logits, targets):
        value, grad = super().value_and_grad(logits, targets)
        return value, 1.1 * grad


class NumpyOnly(OneTask):
    breaks = "check_other_arrays_give_the_same"

    def value_and_grad(self, logits, targets):
        return super().value_and_grad(np.asarray(logits), targets)


class SmoothsTheTeacher(OneTask):
    breaks = "check_best_where_student_is_teacher"

    def value_and_grad(self, logits, targets):
        return super().value_and_grad(logits, _smooth(targets))

    def hessian_bound(self, logits, targets):
        return super().hessian_bound(logits, _smooth(targets))

    def blend(self, targets):
        return super().blend(_smooth(targets))


class BoundTooLow(OneTask):
    breaks = "check_hessian_bound"

    def hessian_bound(self, logits, targets):
        return super().hessian_bound(logits, targets) / 10


class BlendForgetsLabels(OneTask):
    breaks = "check_plain_targets_minimise_the_loss"

    def blend(self, targets):
        return targets.blended(1.0)


def _smooth(targets):
    if targets.teacher is None:
        return targets
    teacher = 0.9 * targets.teacher + 0.1 / targets.n_classes
    return _replaced(targets, teacher=teacher)


def _even(targets):
    return _replaced(targets, sample_weight=np.ones(len(targets)))


def _replaced(targets, **changes):
    parts = {
        name: getattr(targets, name)
        for name in ("labels", "teacher", "sample_weight", "classes", "provenance")
    }
    return SoftTargets(**{**parts, **changes})


BROKEN = [
    TwoClassesRefused,
    Overflows,
    WeightsIgnored,
    AlwaysHearsTheTeacher,
    HalfHearsTheTeacher,
    PlainTargetsUnclaimed,
    AcceptsAnything,
    ForgetsTheTemperature,
    CentresInPlace,
    AlwaysDouble,
    SteepGradient,
    NumpyOnly,
    SmoothsTheTeacher,
    BoundTooLow,
    BlendForgetsLabels,
]
