"""Losses for three classes and more: `DKD`, `DIST` and `LogitStandardization`.

Below three classes each of them loses what it is made of: there is one class beside the target, a
row of two probabilities always has the correlation 1 or -1, and a standardised row of two logits
keeps only the sign of its margin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.loss_arrays import label_term, like, log_softmax, namespace, row_weights
from kdcore.losses import KL, Loss
from kdcore.targets import SoftTargets, softmax

__all__ = ["DIST", "DKD", "LogitStandardization"]

#: Added to variances of probabilities: what varies by less than 0.001 counts as constant.
_STILL = 1e-6
#: Added to the standard deviation of a row of logits, as in the paper's code.
_FLAT = 1e-7


class DKD(Loss):
    """Decoupled distillation: how probable the target class is, and how the others compare.

    ``alpha * T^2 * (target_weight * TCKD + non_target_weight * NCKD) + (1 - alpha) * CE(y, p_s)``
    with all softmaxes of the first term taken of logits divided by T, where

    - ``TCKD = KL((q, 1 - q) || (b, 1 - b))`` for the probabilities q (teacher) and b (student) of
      the target class;
    - ``NCKD = KL(t || r)`` for the distributions over the other classes alone.

    The Kullback-Leibler divergence is ``TCKD + (1 - q) * NCKD``: a confident teacher says little
    there about the other classes, and here it says as much as any.

    The target class of a row is the one that the *teacher* holds most probable. In the paper it is
    that of the label; but a row may have no label, and with ``alpha=1`` no label is to be felt.

    Parameters
    ----------
    alpha : float, default=0.7
    temperature : float, default=1.0
    target_weight : float, default=1.0
        The paper's alpha.
    non_target_weight : float, default=8.0
        The paper's beta; it uses 0.5 to 8, the larger the surer the teacher is. With few classes,
        or a forest whose probabilities are exactly 0 for most of them, the other classes are
        mostly noise: try 1.

    Paper: Zhao et al. 2022 (decoupled knowledge distillation), arXiv:2203.08679.
    """

    uses_temperature = True

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        temperature: float = 1.0,
        target_weight: float = 1.0,
        non_target_weight: float = 8.0,
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        _require_weights(target_weight=target_weight, non_target_weight=non_target_weight)
        self.target_weight = float(target_weight)
        self.non_target_weight = float(non_target_weight)

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        share, rows, grad, _ = label_term(xp, logits, targets, self.alpha)
        if targets.teacher is not None:
            top, q, others, entropy = self._teacher(logits, targets)
            log_b, log_rest, log_r, r = self._student(xp, logits, top)
            t = self.temperature
            target = -q * log_b - (1 - q) * log_rest
            rest = -xp.sum(others * log_r, axis=1)
            both = self.target_weight * target + self.non_target_weight * rest + entropy
            rows = rows + t * t * share * both
            off = (xp.exp(log_b) - q)[:, None]
            slope = self.target_weight * off * (top - r) + self.non_target_weight * (r - others)
            grad = grad + t * share[:, None] * slope
        return xp.sum(weight * rows), weight[:, None] * grad

    def _teacher(self, logits: Any, targets: SoftTargets) -> tuple[Any, ...]:
        """Indicator of the target class, its probability, the others', and what is constant."""

        def constants(t: SoftTargets) -> tuple[np.ndarray, ...]:
            top = np.eye(t.n_classes)[t.logits.argmax(axis=1)]
            p = softmax(t.logits / self.temperature)
            others = p * (1 - top)
            rest = others.sum(axis=1)
            q, others = 1 - rest, others / rest[:, None]
            entropy = self.target_weight * (_xlogx(q) + _xlogx(rest))
            entropy = entropy + self.non_target_weight * _xlogx(others).sum(axis=1)
            return top, q, others, entropy

        return like(logits, targets, (self, "dkd"), constants)

    def _student(self, xp: Any, logits: Any, top: Any) -> tuple[Any, Any, Any, Any]:
        """log b, log (1 - b), and logarithms and values of r, both 0 at the target class."""
        z = logits / self.temperature
        is_target = top > 0.5
        own = xp.sum(z * top, axis=1)
        # The row's least logit cannot be the greatest of the others, unless all of them are equal.
        hidden = xp.where(is_target, xp.min(z, axis=1, keepdims=True), z)
        shifted = z - xp.max(hidden, axis=1, keepdims=True)
        powers = xp.where(is_target, xp.zeros_like(z), xp.exp(xp.where(is_target, 0 * z, shifted)))
        total = xp.sum(powers, axis=1, keepdims=True)
        margin = own - (xp.max(hidden, axis=1) + xp.log(total)[:, 0])
        zero = xp.zeros_like(margin)
        log_r = xp.where(is_target, xp.zeros_like(z), shifted - xp.log(total))
        return -xp.logaddexp(zero, -margin), -xp.logaddexp(zero, margin), log_r, powers / total

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        share, _, _, curvature = label_term(xp, logits, targets, self.alpha)
        if targets.teacher is not None:
            top, q, _, _ = self._teacher(logits, targets)
            log_b, log_rest, _, r = self._student(xp, logits, top)
            # TCKD has the Hessian b (1 - b) m m' + (q - b) (diag(r) - r r'), m = top - r: the first
            # is below diag(|m|) * sum(|m|), the second, like that of NCKD, below 2 r (1 - r).
            spread = xp.exp(log_b + log_rest)[:, None]
            ahead = (q - xp.exp(log_b))[:, None]
            ahead = xp.where(ahead > 0, ahead, xp.zeros_like(ahead))
            bend = 2 * r * (1 - r)
            target = 2 * spread * xp.abs(top - r) + ahead * bend
            both = self.target_weight * target + self.non_target_weight * bend
            curvature = curvature + share[:, None] * both
        return weight[:, None] * curvature


class DIST(Loss):
    """One less the correlation with the teacher, over the classes of a row and over rows.

    ``alpha * T^2 * (inter * mean_i (1 - corr(p_s[i, :], p_t[i, :]))
    + intra * mean_k (1 - corr(p_s[:, k], p_t[:, k]))) + (1 - alpha) * CE(y, p_s)``, both sides
    softened by T. Correlations over rows are weighted by ``sample_weight``. A correlation asks for
    the teacher's order and relative distances, not for its very probabilities, which a much
    weaker student cannot match.

    Rows with a label and rows without one are correlated over rows each among themselves, since
    only so does alpha not reach from the ones to the others. In mini-batches the correlation is
    that of the batch.

    It is not convex, and near constant predictions its curvature is beyond use: no bound of it is
    given, and boosters, which start from a constant, are refused.

    Parameters
    ----------
    alpha : float, default=0.7
    temperature : float, default=1.0
    inter : float, default=1.0
        Weight of the correlation over the classes of each row (the paper's beta).
    intra : float, default=1.0
        Weight of the correlation over the rows for each class (the paper's gamma).

    Paper: Huang et al. 2022 (knowledge distillation from a stronger teacher), arXiv:2205.10536.
    Its code adds 1e-8 to the product of the norms; here 1e-6 is added to covariances and variances
    alike, so that the teacher's own probabilities stay the best ones.
    """

    uses_temperature = True
    has_curvature = False

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        temperature: float = 1.0,
        inter: float = 1.0,
        intra: float = 1.0,
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        _require_weights(inter=inter, intra=intra)
        self.inter = float(inter)
        self.intra = float(intra)

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        share, rows, grad, _ = label_term(xp, logits, targets, self.alpha)
        value = xp.sum(weight * rows)
        if targets.teacher is not None:
            t, k = self.temperature, logits.shape[1]
            y, y_size, means, member, group_share, yc, yc_size = like(
                logits, targets, (self, "dist"), self._constants
            )
            _, p = log_softmax(xp, logits / t)
            # Over the classes of each row.
            x = p - 1 / k
            size = xp.sum(x * x, axis=1) / k + _STILL
            norm = xp.sqrt(size * y_size)
            corr = (xp.sum(x * y, axis=1) / k + _STILL) / norm
            value = value + t * t * self.inter * xp.sum(weight * share * (1 - corr))
            rise = self.inter / k * (y / norm[:, None] - (corr / size)[:, None] * x)
            # Over the rows of each group (with a label, without), for each class.
            x = p - member @ (means @ p)
            size = means @ (x * x) + _STILL
            norm = xp.sqrt(size * yc_size)
            corr = (means @ (x * yc) + _STILL) / norm
            value = value + t * t * self.intra / k * xp.sum(group_share * xp.sum(1 - corr, axis=1))
            rise = rise + self.intra / k * (yc / (member @ norm) - (member @ (corr / size)) * x)
            # Through the softmax.
            inner = p * (rise - xp.sum(p * rise, axis=1, keepdims=True))
            grad = grad - t * share[:, None] * inner
        return value, weight[:, None] * grad

    def _constants(self, targets: SoftTargets) -> tuple[np.ndarray, ...]:
        """The teacher's centred probabilities and their sizes, by rows and by classes."""
        p = targets.softened(self.temperature)
        weight = targets.sample_weight / targets.sample_weight.sum()
        member = np.stack([~targets.unlabeled, targets.unlabeled], axis=1).astype(float)
        mass = member.T @ weight
        means = (member * weight[:, None]).T / np.maximum(mass, 1e-300)[:, None]
        y = p - 1 / targets.n_classes
        yc = p - member @ (means @ p)
        group_share = mass * np.array([self.alpha, 1.0])
        sizes = (y**2).mean(axis=1) + _STILL, means @ yc**2 + _STILL
        return y, sizes[0], means, member, group_share, yc, sizes[1]

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        raise _no_bound(self)


class LogitStandardization(Loss):
    """Another loss, between logits of which each row is brought to mean 0 and deviation 1.

    ``alpha * D(Z(z_s), Z(z_t)) + (1 - alpha) * CE(y, p_s)`` with
    ``Z(z) = (z - mean(z)) / (std(z) + 1e-7)`` over the classes of a row and D the teacher's term
    of `KL` or `DKD`, its temperature and factor T^2 included. The student need not match the size
    of the teacher's logits, only their pattern; the label, which is compared with the logits as
    they are, has to set the size. So keep alpha below 1 where probabilities matter.

    The slope grows without limit as the logits of a row become equal: no bound of the curvature
    is given, and boosters, which start there, are refused.

    Parameters
    ----------
    alpha : float, default=0.7
        The paper weighs 9 to 0.1.
    temperature : float, default=1.0
        The paper's base temperature is 2.
    base : {"kl", "dkd"}, default="kl"
    non_target_weight : float, optional
        That of `DKD`, whose default it has; only with ``base="dkd"``.

    Paper: Sun et al. 2024 (logit standardization in knowledge distillation), arXiv:2403.01427.
    """

    uses_temperature = True
    has_curvature = False

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        temperature: float = 1.0,
        base: str = "kl",
        non_target_weight: float | None = None,
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if base not in ("kl", "dkd"):
            raise ParameterError(f"base={base!r} must be one of kl, dkd.")
        if base == "kl" and non_target_weight is not None:
            raise ParameterError(
                f"non_target_weight={non_target_weight!r} is not used with base='kl'; add "
                "base='dkd', or leave it out."
            )
        self.base = base
        self.non_target_weight = non_target_weight
        own = {} if non_target_weight is None else {"non_target_weight": non_target_weight}
        kind: type[KL] | type[DKD] = KL if base == "kl" else DKD
        self._inner = kind(alpha=1.0, temperature=temperature, **own)

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        xp = namespace(logits)
        weight = row_weights(logits, targets)
        _, rows, grad, _ = label_term(xp, logits, targets, self.alpha)
        value, grad = xp.sum(weight * rows), weight[:, None] * grad
        inner, mass = self._standardized(targets)
        if inner is not None:
            k = logits.shape[1]
            centred = logits - xp.mean(logits, axis=1, keepdims=True)
            std = xp.sqrt(xp.sum(centred * centred, axis=1, keepdims=True) / (k - 1))
            scale = std + _FLAT
            part, slope = self._inner.value_and_grad(centred / scale, inner)
            # A row of equal logits has no direction in which its deviation grows.
            along = xp.sum(slope * centred, axis=1, keepdims=True) / (
                (k - 1) * xp.where(std > 0, std, xp.ones_like(std)) * scale * scale
            )
            slope = (slope - xp.mean(slope, axis=1, keepdims=True)) / scale - along * centred
            value, grad = value + mass * part, grad + mass * slope
        return value, grad

    def _standardized(self, targets: SoftTargets) -> tuple[SoftTargets | None, float]:
        """Targets of a standardised teacher, and the part of all weight that listens to it."""
        key = ("standardized", self.alpha)
        if key not in targets._cache:
            weight = targets.sample_weight * targets.row_alpha(self.alpha)
            inner = None
            if weight.sum() > 0:
                z = targets.logits
                z = z / (z.std(axis=1, ddof=1, keepdims=True) + _FLAT)
                inner = SoftTargets(targets.labels, softmax(z), weight, targets.classes, "given")
            targets._cache[key] = inner, float(weight.sum() / targets.sample_weight.sum())
        return targets._cache[key]

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        raise _no_bound(self)


def _require_weights(**weights: Any) -> None:
    for name, value in weights.items():
        # Not NaN either, which is below nothing.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1e9:
            raise ParameterError(f"{name}={value!r} must be a number of at least 0.")
    if not any(weights.values()):
        raise ParameterError(
            f"{' and '.join(weights)} are both 0, so nothing is left of the teacher; give one of "
            "them a weight, or use alpha=0."
        )


def _no_bound(loss: Loss) -> ParameterError:
    return ParameterError(
        f"the loss {type(loss).__name__} has no bound of its curvature, by which boosters step; "
        "use loss='kl', or a student that needs gradients only."
    )


def _xlogx(p: np.ndarray) -> np.ndarray:
    return p * np.log(np.maximum(p, 1e-300))
