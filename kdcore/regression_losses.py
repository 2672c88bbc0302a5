"""Losses of regression beside `kdcore.losses.Blend`: heavy tails, quantiles, wrong labels."""

from __future__ import annotations

import copy
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.loss_arrays import like, namespace, row_weights
from kdcore.losses import Blend, Loss

if TYPE_CHECKING:
    from kdcore.targets import SoftTargets

__all__ = ["DampedBlend", "Huber", "Quantile", "TeacherBounded", "robust_scale"]

#: The efficient threshold for Gaussian errors (Huber 1981), in standard deviations.
_HUBER = 1.345
#: What a student leaves unexplained, where no teacher tells: a guess, in spreads of the labels.
_UNEXPLAINED = 0.5


def robust_scale(values: np.ndarray, weight: np.ndarray) -> float:
    """Weighted median of absolute values, as the standard deviation of a Gaussian with mean 0.

    A row of weight 2 counts as two rows. Where more than half of the values are 0, their mean
    absolute value stands in, and 1 where there is nothing at all.
    """
    sizes = np.abs(values)
    scale = _median(sizes, weight) / 0.6745
    if not scale > 0 and len(sizes):
        scale = float(np.average(sizes, weights=weight))
    return scale if scale > 0 else 1.0


def _median(values: np.ndarray, weight: np.ndarray) -> float:
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(mass, mass[-1] / 2)])


class _TwoTerms(Loss):
    """A loss that is one function of the error against teacher and label alike."""

    def _rows(self, xp: Any, error: Any) -> tuple[Any, Any]:
        """The loss of each row and its derivative, given student less target."""
        raise TypeError(f"{type(self).__name__} must define _rows(xp, error)")

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        share, teacher, label = like(logits, targets, ("two terms", self.alpha), self._constants)
        soft, soft_grad = self._rows(xp, logits - teacher)
        hard, hard_grad = self._rows(xp, logits - label)
        rows = share * soft + (1 - share) * hard
        return xp.sum(weight * rows), weight * (share * soft_grad + (1 - share) * hard_grad)

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray, ...]:
        labels = np.where(targets.unlabeled, 0.0, targets.labels)
        teacher = labels if targets.teacher is None else targets.teacher
        return targets.row_alpha(self.alpha), teacher, labels


class Huber(_TwoTerms):
    """Huber's loss: squared near 0 and linear beyond ``delta``, so that outliers pull less.

    ``alpha * h(f_s - f_t) + (1 - alpha) * h(f_s - y)`` with ``h(r) = r^2 / 2`` where
    ``|r| <= delta`` and ``delta * (|r| - delta / 2)`` beyond.

    Parameters
    ----------
    alpha : float, default=0.7
    temperature : float, default=1.0
        Must stay 1.
    delta : float, optional
        In the unit of the target. By default a student sets it from its training rows: 1.345
        robust standard deviations of label less teacher, or, without a teacher (or alpha), half
        of that of the labels around their median. Used outside a student it is then 1.

    Papers: Huber 1964 (robust estimation of a location parameter); for distillation the loss is
    taken against a teacher's output, as in Chen et al. 2017 (bounded regression).
    """

    def __init__(
        self, *, alpha: float = 0.7, temperature: float = 1.0, delta: float | None = None
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if delta is not None and not (_number(delta) and 0 < delta < float("inf")):
            raise ParameterError(f"delta={delta!r} must be a number above 0, or None.")
        self.delta = delta

    def prepared(self, targets: SoftTargets) -> Huber:
        if self.delta is not None:
            return self
        known = ~targets.unlabeled
        labels, weight = targets.labels[known], targets.sample_weight[known]
        ready = copy.copy(self)
        if targets.teacher is not None and self.alpha > 0 and len(labels):
            ready.delta = _HUBER * robust_scale(labels - targets.teacher[known], weight)
        else:
            if not len(labels):
                labels, weight = targets.blended(1.0), targets.sample_weight
            spread = robust_scale(labels - _median(labels, weight), weight)
            ready.delta = _HUBER * _UNEXPLAINED * spread
        return ready

    def _rows(self, xp: Any, error: Any) -> tuple[Any, Any]:
        delta = 1.0 if self.delta is None else float(self.delta)
        size = xp.abs(error)
        inside = size <= delta
        rows = xp.where(inside, error * error / 2, delta * (size - delta / 2))
        return rows, xp.where(inside, error, delta * xp.sign(error))


class Quantile(_TwoTerms):
    """The pinball loss, whose minimum is a quantile: ``q = 0.9`` is exceeded in 1 of 10 rows.

    ``alpha * r(f_t - f_s) + (1 - alpha) * r(y - f_s)`` with ``r(e) = max(q * e, (q - 1) * e)``.
    A teacher of means tells nothing about quantiles: use a small alpha, or a teacher that is
    itself a quantile regression.

    Parameters
    ----------
    alpha : float, default=0.7
    temperature : float, default=1.0
        Must stay 1.
    q : float, default=0.5
        In (0, 1); 0.5 is the median, hence the mean absolute error.

    Papers: Koenker, Bassett 1978 (regression quantiles); Hunter, Lange 2000 (the bound of the
    curvature, by which boosters step).
    """

    def __init__(self, *, alpha: float = 0.7, temperature: float = 1.0, q: float = 0.5) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if not (_number(q) and 0 < q < 1):
            raise ParameterError(f"q={q!r} must lie in (0, 1).")
        self.q = q

    def _rows(self, xp: Any, error: Any) -> tuple[Any, Any]:
        q = float(self.q)
        rows = xp.where(error > 0, (1 - q) * error, -q * error)
        zero = xp.zeros_like(error)
        slope = xp.where(error > 0, zero + (1 - q), xp.where(error < 0, zero - q, zero))
        return rows, slope

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        xp = namespace(logits)
        share, teacher, label = like(logits, targets, ("two terms", self.alpha), self._constants)
        # Curvature of the parabola that touches the loss here and is nowhere below it.
        least = xp.max(xp.abs(teacher)) * 1e-3 + 1e-12
        curvature = logits * 0
        for part, target in ((share, teacher), (1 - share, label)):
            size = xp.abs(logits - target)
            curvature = curvature + part / (2 * xp.where(size > least, size, least))
        return row_weights(logits, targets) * curvature


class DampedBlend(Blend):
    """The squared error of `Blend`, in which labels far from the teacher count for less.

    ``share * (f_s - f_t)^2 + (1 - share) * (f_s - y)^2`` where
    ``share = alpha / (alpha + (1 - alpha) * w)`` and ``w = min(1, threshold * s / |y - f_t|)``:
    a label within ``threshold`` robust standard deviations ``s`` of its teacher counts in full,
    an outlier less and less. Like `Blend` it is the squared error to one blended target, so that
    every student can be fitted to it. Its teacher must not have seen these labels (out-of-fold),
    or no label is far from it.

    Parameters
    ----------
    alpha : float, default=0.7
        With 0 the teacher has no say, in the damping neither.
    temperature : float, default=1.0
        Must stay 1.
    threshold : float, default=2.5

    Paper: Takamoto, Morishita, Imaoka 2020 (an efficient method of training small models for
    regression problems with knowledge distillation), arXiv:2002.12597, which rejects outliers;
    damping is Huber's weight for them.
    """

    def __init__(
        self, *, alpha: float = 0.7, temperature: float = 1.0, threshold: float = 2.5
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if not (_number(threshold) and 0 < threshold < float("inf")):
            raise ParameterError(f"threshold={threshold!r} must be a number above 0.")
        self.threshold = threshold
        self._scale: float | None = None

    def prepared(self, targets: SoftTargets) -> DampedBlend:
        ready = copy.copy(self)
        ready._scale = self._spread(targets)
        return ready

    def _spread(self, targets: SoftTargets) -> float:
        known = ~targets.unlabeled
        if targets.teacher is None or not known.any():
            return 1.0
        gap = (targets.labels - targets.teacher)[known]
        return robust_scale(gap, targets.sample_weight[known])

    def share(self, targets: SoftTargets) -> Any:
        if targets.teacher is None or self.alpha == 0:
            return self.alpha
        scale = self._spread(targets) if self._scale is None else self._scale
        gap = np.abs(np.where(targets.unlabeled, 0.0, targets.labels - targets.teacher))
        limit = self.threshold * scale
        damped = limit / np.maximum(gap, limit)
        return self.alpha / (self.alpha + (1 - self.alpha) * damped)


class TeacherBounded(Loss):
    """Follow the teacher; hear the label only where the teacher is the better one.

    ``alpha * (f_s - f_t)^2 + (1 - alpha) * nu * max(0, (f_s - y)^2 - (f_t - y)^2 - margin)``: once
    the student's error is within the margin of the teacher's, the label no longer pulls. Without
    a teacher, or with ``alpha=0``, there is nothing to be bounded by, and it is ``(f_s - y)^2``.

    The paper adds the whole of ``(f_s - y)^2`` where the bound is exceeded, hence jumps there.
    What is added here has the same slope on both sides of the bound, and no jump.

    Parameters
    ----------
    alpha : float, default=0.7
    temperature : float, default=1.0
        Must stay 1.
    margin : float, default=0.0
        In the square of the target's unit. Above 0 the student may err by so much more than the
        teacher; below 0 it is to be better than the teacher by so much (the paper's m, with the
        other sign).
    nu : float, default=0.5
        Weight of the bounded term, above 0.

    Paper: Chen et al. 2017 (learning efficient object detection models with knowledge
    distillation), NeurIPS.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        temperature: float = 1.0,
        margin: float = 0.0,
        nu: float = 0.5,
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if not (_number(margin) and abs(margin) < float("inf")):
            raise ParameterError(f"margin={margin!r} must be a finite number.")
        if not (_number(nu) and 0 < nu < float("inf")):
            raise ParameterError(f"nu={nu!r} must be a number above 0.")
        self.margin = float(margin)
        self.nu = float(nu)

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        share, teacher, label, hard, bound = like(logits, targets, (self,), self._constants)
        to_teacher, to_label = logits - teacher, logits - label
        excess = to_label * to_label - bound
        excess = xp.where(excess > 0, excess, xp.zeros_like(excess))
        slope = xp.where(excess > 0, to_label, xp.zeros_like(to_label))
        rows = share * to_teacher * to_teacher + hard * excess
        return xp.sum(weight * rows), 2 * weight * (share * to_teacher + hard * slope)

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray, ...]:
        """The teacher's share, teacher, label, the label's weight, and what it bears in silence."""
        share = targets.row_alpha(self.alpha)
        labels = np.where(targets.unlabeled, 0.0, targets.labels)
        if targets.teacher is None or self.alpha == 0:
            teacher = labels if targets.teacher is None else targets.teacher
            return share, teacher, labels, 1 - share, np.zeros(len(targets))
        bound = (targets.teacher - labels) ** 2 + self.margin
        return share, targets.teacher, labels, self.nu * (1 - share), bound

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        share, _, _, hard, _ = like(logits, targets, (self,), self._constants)
        # The label's curvature counts where it is silent too: the next step may wake it.
        return 2 * row_weights(logits, targets) * (share + hard)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
