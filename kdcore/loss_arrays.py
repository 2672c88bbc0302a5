"""What losses compute with: arrays of any kind that the array API standard covers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kdcore.targets import SoftTargets

__all__ = ["label_term", "like", "log_softmax", "namespace", "row_weights"]


def namespace(array: Any) -> Any:
    """The array API namespace of an array; PyTorch and others are imported by their users only."""
    from array_api_compat import array_namespace

    return array_namespace(array)


def _device(array: Any) -> Any:
    from array_api_compat import device

    return device(array)


def log_softmax(xp: Any, logits: Any) -> tuple[Any, Any]:
    """Logarithms of the softmax of each row, and the softmax itself."""
    if hasattr(xp, "log_softmax"):
        # PyTorch has it as one operation, of a third of the time for a small batch.
        logp = xp.log_softmax(logits, 1)
        return logp, xp.exp(logp)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    powers = xp.exp(shifted)
    total = xp.sum(powers, axis=1, keepdims=True)
    return shifted - xp.log(total), powers / total


def label_term(
    xp: Any, logits: Any, targets: SoftTargets, alpha: float
) -> tuple[Any, Any, Any, Any]:
    """What a classification loss has beside the teacher's term, before rows are weighted.

    Returns
    -------
    share : array of shape (n,)
        The teacher's share of each row.
    rows : array of shape (n,)
        ``(1 - share) * CE(y, p_s)``.
    gradient : array of shape (n, K)
    curvature : array of shape (n, K)
        A diagonal that dominates the Hessian.
    """

    def constants(t: SoftTargets) -> tuple[np.ndarray, np.ndarray]:
        share = t.row_alpha(alpha)
        return share, (1 - share)[:, None] * t.one_hot

    share, hard = like(logits, targets, ("label term", alpha), constants)
    logp, p = log_softmax(xp, logits)
    rest = (1 - share)[:, None]
    # Twice the diagonal dominates the full softmax Hessian diag(p) - p p'.
    return share, -xp.sum(hard * logp, axis=1), rest * p - hard, 2 * rest * p * (1 - p)


def row_weights(logits: Any, targets: SoftTargets) -> Any:
    """Row weights that sum to 1, in the namespace of ``logits``."""

    def normalised(t: SoftTargets) -> tuple[np.ndarray]:
        weight = np.asarray(t.sample_weight)
        return (weight / weight.sum(),)

    return like(logits, targets, ("weight",), normalised)[0]


def like(logits: Any, targets: SoftTargets, key: tuple[Any, ...], make: Any) -> tuple[Any, ...]:
    """Constants of a loss as arrays like ``logits``, made once for each set of targets.

    An optimiser asks for the same constants at every step, so they are kept with the targets.
    """
    full = (*key, str(logits.dtype), str(getattr(logits, "device", "cpu")))
    if full not in targets._cache:
        xp = namespace(logits)
        where = {"dtype": logits.dtype, "device": _device(logits)}
        targets._cache[full] = tuple(
            None if part is None else xp.asarray(part, **where) for part in make(targets)
        )
    return tuple(targets._cache[full])
