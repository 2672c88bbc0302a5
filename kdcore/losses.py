"""Built-in losses: how a student's logits are compared with its soft targets.

Every loss is the mean over rows, weighted by ``sample_weight``, of

    alpha * (term against the teacher) + (1 - alpha) * (term against the true label)

where ``alpha`` is 1 in rows without a label and 0 where there is no teacher. The code uses the
array API standard only, so that the same loss serves numpy optimisers, boosters' custom
objectives, and torch through ``logits.backward(gradient)``.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kdcore.errors import ParameterError
from kdcore.loss_arrays import like, log_softmax, namespace, row_weights
from kdcore.targets import logits_of

if TYPE_CHECKING:
    from kdcore.targets import SoftTargets

__all__ = [
    "KL",
    "Blend",
    "Brier",
    "LogitMSE",
    "Loss",
]


class Loss:
    """Base of all losses.

    Parameters
    ----------
    alpha : float, default=0.7
        Share of the teacher's term, in [0, 1].
    temperature : float, default=1.0
        Softens teacher and student alike; only losses with ``uses_temperature`` take another
        value than 1.

    Raises
    ------
    ParameterError
        When alpha or temperature is out of range, or temperature is not 1 and cannot be used.
    """

    #: Whether another temperature than 1 can be used.
    uses_temperature: ClassVar[bool] = False
    #: False for a baseline that learns from labels alone: students then drop the teacher, and the
    #: rows without a label.
    uses_teacher: ClassVar[bool] = True
    #: Whether boosters can step by `hessian_bound`.
    has_curvature: ClassVar[bool] = True
    #: Whether the loss changes in the course of the training, as `at` tells.
    uses_progress: ClassVar[bool] = False

    def __init__(self, *, alpha: float = 0.7, temperature: float = 1.0) -> None:
        if not isinstance(alpha, Real) or not 0 <= alpha <= 1:
            raise ParameterError(f"alpha={alpha!r} must lie in [0, 1].")
        if not isinstance(temperature, Real) or not 0 < temperature < float("inf"):
            raise ParameterError(f"temperature={temperature!r} must be a number above 0.")
        if temperature != 1 and not self.uses_temperature:
            raise ParameterError(
                f"temperature={temperature:g} cannot be used by the loss "
                f"{type(self).__name__}; leave it at 1 or use loss='kl'."
            )
        self.alpha: float = alpha
        self.temperature: float = temperature

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        """Mean loss and its gradient.

        Parameters
        ----------
        logits : array of shape (n, K), or (n,) in regression
            Any array of the array API standard: numpy, torch.
        targets : SoftTargets
            The same n rows.

        Returns
        -------
        value : scalar
        gradient : array with the shape of ``logits``
        """
        raise ParameterError(f"{type(self).__name__} has no gradient; implement value_and_grad.")

    def prepared(self, targets: SoftTargets) -> Loss:
        """The loss with what it takes from the training rows settled, such as a scale.

        A student asks for it once, with all its rows, before it draws batches of them.
        """
        return self

    def at(self, progress: float) -> Loss:
        """The loss at a point of the training, for losses that change on the way.

        Students that train step by step ask for it before each step or block of steps. Most
        losses stay what they are.

        Parameters
        ----------
        progress : float
            Share of the training that is done, in [0, 1].
        """
        return self

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        """A diagonal bound of the Hessian of the mean loss, shape of ``logits``.

        Boosters divide by it. The default, the row's weight, suits losses whose curvature in
        each logit is at most 1.
        """
        xp, weight = namespace(logits), row_weights(logits, targets)
        return xp.ones_like(logits) * (weight if logits.ndim == 1 else weight[:, None])

    def blend(self, targets: SoftTargets) -> np.ndarray:
        """Plain targets, (n, K) or (n,): whoever fits them minimises the loss.

        Raises
        ------
        ParameterError
            When the loss (or its temperature) has no such form.
        """
        raise ParameterError(
            f"the loss {type(self).__name__} cannot be given as plain targets, which this "
            "student needs; use loss='kl' or loss='brier' (classification), 'blend' (regression)."
        )


class KL(Loss):
    """Kullback-Leibler divergence to the softened teacher, and cross-entropy to the label.

    ``alpha * T^2 * KL(p_t^T || p_s^T) + (1 - alpha) * CE(y, p_s)``, where ``p^T`` is the softmax
    of logits divided by T, on both sides. With T = 1 it is, up to a constant, the cross-entropy
    to ``alpha * p_t + (1 - alpha) * y``. The factor T^2 keeps the size of its gradient.

    Paper: Hinton, Vinyals, Dean 2015, arXiv:1503.02531.
    """

    uses_temperature = True

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        t = self.temperature
        mix, total, soft, share, offset = like(logits, targets, (self, t), self._constants)
        weight = row_weights(logits, targets)
        logp, p = log_softmax(xp, logits)
        # The label's term, and at T = 1 the teacher's as well: cross-entropy to `mix`.
        rows = -xp.sum(mix * logp, axis=1)
        if offset is not None:
            rows = rows + offset
        grad = (p if total is None else total[:, None] * p) - mix
        if soft is not None:
            logp, p = log_softmax(xp, logits / t)
            rows = rows - t * t * xp.sum(soft * logp, axis=1)
            grad = grad + t * (share[:, None] * p - soft)
        return xp.sum(weight * rows), weight[:, None] * grad

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray | None, ...]:
        """Cross-entropy targets with their row sums (None for ones), softened ones (T != 1), own
        entropy.
        """
        share, t = targets.row_alpha(self.alpha), self.temperature
        if targets.teacher is None:
            return targets.one_hot, None, None, None, None
        p = targets.softened(t)
        entropy = share * t * t * (p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
        if t == 1:
            return targets.blended(self.alpha), None, None, None, entropy
        hard = (1 - share)[:, None] * targets.one_hot
        return hard, 1 - share, share[:, None] * p, share, entropy

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        share = xp.asarray(targets.row_alpha(self.alpha), dtype=logits.dtype)
        _, p = log_softmax(xp, logits)
        p_t = p if self.temperature == 1 else log_softmax(xp, logits / self.temperature)[1]
        curvature = share[:, None] * p_t * (1 - p_t) + (1 - share)[:, None] * p * (1 - p)
        # Twice the diagonal dominates the full softmax Hessian diag(p) - p p'.
        return 2 * weight[:, None] * curvature

    def blend(self, targets: SoftTargets) -> np.ndarray:
        return targets.blended(self.alpha, self.temperature)


class LogitMSE(Loss):
    """Squared error between centred logits, and cross-entropy to the label.

    ``alpha * mean_k (z_s - z_t)^2 / 2 + (1 - alpha) * CE(y, p_s)``, logits centred over classes.

    Parameters
    ----------
    alpha : float, default=0.7
    temperature : float, default=1.0
        Must stay 1.
    clip : float, default=1e-4
        Teacher probabilities are raised to this before the logarithm, since trees give zeros.

    Papers: Ba, Caruana 2014, arXiv:1312.6184; Kim et al. 2021, arXiv:2105.08919.
    """

    def __init__(self, *, alpha: float = 0.7, temperature: float = 1.0, clip: float = 1e-4) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if not 0 < clip < 0.5:
            raise ParameterError(f"clip={clip!r} must lie in (0, 0.5).")
        self.clip = clip

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        hard, share, z_t = like(logits, targets, (self, self.clip), self._constants)
        logp, p = log_softmax(xp, logits)
        rows = -xp.sum(hard * logp, axis=1)
        grad = xp.sum(hard, axis=1)[:, None] * p - hard
        if z_t is not None:
            k = logits.shape[1]
            diff = logits - xp.mean(logits, axis=1, keepdims=True) - z_t
            rows = rows + share * xp.sum(diff * diff, axis=1) / (2 * k)
            # Both sides are centred, so the gradient needs no further projection.
            grad = grad + share[:, None] * diff / k
        return xp.sum(weight * rows), weight[:, None] * grad

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        share = targets.row_alpha(self.alpha)
        z_t = None if targets.teacher is None else logits_of(targets.teacher, self.clip)
        return (1 - share)[:, None] * targets.one_hot, share, z_t

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        xp = namespace(logits)
        share = xp.asarray(targets.row_alpha(self.alpha), dtype=logits.dtype)[:, None]
        _, p = log_softmax(xp, logits)
        curvature = share / logits.shape[1] + 2 * (1 - share) * p * (1 - p)
        return row_weights(logits, targets)[:, None] * curvature


class Brier(Loss):
    """Squared error between probabilities: ``sum_k (p_s - q)^2`` to teacher and label alike.

    Bounded, so robust to confident mistakes of the teacher. Up to a constant it is the squared
    error to ``alpha * p_t + (1 - alpha) * y``, which is how trees are fitted to it.

    Paper: Fakoor et al. 2020 (FAST-DAD), arXiv:2006.14284.
    """

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        mix, offset = like(logits, targets, (self,), self._constants)
        _, p = log_softmax(xp, logits)
        diff = p - mix
        rows = offset + xp.sum(diff * diff, axis=1)
        grad = 2 * p * (diff - xp.sum(p * diff, axis=1)[:, None])
        return xp.sum(weight * rows), weight[:, None] * grad

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray, np.ndarray]:
        """The blend, and the part of the loss that no student can remove."""
        share, mix = targets.row_alpha(self.alpha), targets.blended(self.alpha)
        spread = (1 - share) * (targets.one_hot**2).sum(axis=1)
        if targets.teacher is not None:
            spread = spread + share * (targets.teacher**2).sum(axis=1)
        return mix, spread - (mix**2).sum(axis=1)

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        xp = namespace(logits)
        mix, _ = like(logits, targets, (self,), self._constants)
        _, p = log_softmax(xp, logits)
        diff = p - mix
        squares = xp.sum(p * p, axis=1)[:, None]
        gauss_newton = 2 * p * p * (1 - 2 * p + squares)
        # What it leaves out of the second derivative; large where the student is far off.
        rest = 2 * p * (1 - 2 * p) * (diff - xp.sum(p * diff, axis=1)[:, None])
        # Doubled for the off-diagonal part, and never below the second derivative.
        curvature = gauss_newton + xp.where(rest > gauss_newton, rest, gauss_newton)
        return row_weights(logits, targets)[:, None] * curvature

    def blend(self, targets: SoftTargets) -> np.ndarray:
        return targets.blended(self.alpha)


class Blend(Loss):
    """Squared error of a regression: ``alpha * (f_s - f_t)^2 + (1 - alpha) * (f_s - y)^2``.

    Up to a constant it is the squared error to ``alpha * f_t + (1 - alpha) * y``, so that any
    regression student can be fitted to it.
    """

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        mix, offset = like(logits, targets, (self,), self._constants)
        diff = logits - mix
        return xp.sum(weight * (offset + diff * diff)), 2 * weight * diff

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray, np.ndarray]:
        share = targets.row_alpha(self.share(targets))
        mix = self.blend(targets)
        if targets.teacher is None:
            return mix, np.zeros(len(targets))
        gap = np.where(targets.unlabeled, 0.0, targets.teacher - targets.labels)
        return mix, share * (1 - share) * gap**2

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        return 2 * super().hessian_bound(logits, targets)

    def share(self, targets: SoftTargets) -> Any:
        """The teacher's share where a row has a label: one number, or one for each row."""
        return self.alpha

    def blend(self, targets: SoftTargets) -> np.ndarray:
        return targets.blended(self.share(targets))
