"""Healthy fake losses, and for each check one that breaks its rule alone."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace
from kit_fakes.shared import says

from kdcore.errors import ParameterError
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


@says(curvature=False, min_classes=3)
class HealthyAngle(HealthyMargins):
    """A loss that gives no curvature."""

    has_curvature = False

    def hessian_bound(self, logits, targets):
        raise ParameterError("HealthyAngle has no bound of its curvature; use loss='kl'.")


@says(target_only=True, teacher=False)
class HealthyBaseline(Loss):
    """Cross-entropy to the label, whatever the teacher says."""

    role = "loss"
    tasks = ("multiclass",)
    uses_teacher = False

    def value_and_grad(self, logits, targets):
        known, weight = self._plain(targets)
        xp = array_namespace(logits)
        share = xp.asarray(weight, dtype=logits.dtype)
        value, grad = KL(alpha=0.0).value_and_grad(logits, known)
        return value, grad * share

    def hessian_bound(self, logits, targets):
        known, _ = self._plain(targets)
        return KL(alpha=0.0).hessian_bound(logits, known) + 1e-9

    def blend(self, targets):
        return np.where(targets.unlabeled[:, None], 1 / targets.n_classes, targets.one_hot)

    def _plain(self, targets):
        known = ~targets.unlabeled
        plain = _replaced(
            targets,
            labels=np.where(known, targets.labels, 0),
            teacher=None,
            sample_weight=targets.sample_weight * known,
            provenance="none",
        )
        return plain, known[:, None].astype(float)


@says(progress=True)
class HealthySchedule(Loss):
    """The teacher's share falls to that of alpha in the course of the training."""

    role = "loss"
    tasks = ("multiclass",)
    uses_progress = True

    def __init__(self, **params):
        super().__init__(**params)
        self.now = self.alpha

    def at(self, progress):
        if not 0 <= progress <= 1:
            raise ParameterError(f"progress={progress!r} must lie in [0, 1].")
        twin = type(self)(alpha=self.alpha, temperature=self.temperature)
        twin.now = 1 - progress * (1 - self.alpha)
        return twin

    def value_and_grad(self, logits, targets):
        return KL(alpha=self.now).value_and_grad(logits, targets)

    def hessian_bound(self, logits, targets):
        return KL(alpha=self.now).hessian_bound(logits, targets)


HEALTHY = [
    HealthyLoss,
    HealthyLossOfValues,
    HealthyMargins,
    HealthyAngle,
    HealthyBaseline,
    HealthySchedule,
]


class OneTask(HealthyLoss):
    tasks = ("multiclass",)


@says(target_only=True, min_classes=3)
class TwoClassesRefused(OneTask):
    breaks = "check_tasks_suit_min_classes"
    tasks = ("binary", "multiclass")


class CurvatureUnclaimed(OneTask):
    """Boosters would be offered it, and refused later by the loss itself."""

    breaks = "check_claims_are_those_of_the_spec"
    has_curvature = False


class TeacherUnclaimed(OneTask):
    breaks = "check_claims_are_those_of_the_spec"
    uses_teacher = False


class ProgressUnclaimed(OneTask):
    """Students that train in one go would be offered it."""

    breaks = "check_progress_as_claimed"

    def at(self, progress):
        return type(self)(alpha=self.alpha * (1 - progress), temperature=self.temperature)


@says(progress=True)
class NeverMoves(HealthySchedule):
    breaks = "check_progress_as_claimed"

    def at(self, progress):
        return self


class MovesInPlace(HealthySchedule):
    """A student's `at(1.0)`, by which it compares weights, would end the training for all."""

    breaks = "check_progress_as_claimed"

    def at(self, progress):
        self.now = super().at(progress).now
        return super().at(progress)


class TakesAnyProgress(HealthySchedule):
    breaks = "check_progress_as_claimed"

    def at(self, progress):
        return super().at(min(max(progress, 0.0), 1.0))


class HearsTheTeacherAfterAll(HealthyBaseline):
    breaks = "check_a_baseline_hears_labels_alone"

    def value_and_grad(self, logits, targets):
        value, grad = super().value_and_grad(logits, targets)
        if targets.teacher is None:
            return value, grad
        part, slope = KL(alpha=1.0).value_and_grad(logits, _replaced(targets))
        return value + 0.1 * part, grad + 0.1 * slope

    def hessian_bound(self, logits, targets):
        bound = super().hessian_bound(logits, targets)
        return bound + KL(alpha=1.0).hessian_bound(logits, targets)

    def blend(self, targets):
        # What minimises both terms together.
        if targets.teacher is None:
            return super().blend(targets)
        weight = targets.sample_weight
        known = ~targets.unlabeled
        own = (weight * known / weight[known].sum())[:, None] * targets.one_hot
        both = own + 0.1 * (weight / weight.sum())[:, None] * targets.teacher
        return both / both.sum(axis=1, keepdims=True)


class CountsRowsWithoutLabel(HealthyBaseline):
    """More rows without a label would make the penalty of a student count for more."""

    breaks = "check_a_baseline_hears_labels_alone"

    def value_and_grad(self, logits, targets):
        value, grad = super().value_and_grad(logits, targets)
        weight = targets.sample_weight
        known = float(weight[~targets.unlabeled].sum() / weight.sum())
        return value * known, grad * known


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
    CurvatureUnclaimed,
    TeacherUnclaimed,
    ProgressUnclaimed,
    NeverMoves,
    MovesInPlace,
    TakesAnyProgress,
    HearsTheTeacherAfterAll,
    CountsRowsWithoutLabel,
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
