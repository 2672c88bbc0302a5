"""Equal rows as one row of their summed weight, in an order that depends on their content only.

Students that draw mini-batches or folds would otherwise give another model for weights than for
repeated rows, and for rows in another order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kdcore import SoftTargets

__all__ = ["merge_rows"]


def merge_rows(
    Z: np.ndarray, targets: SoftTargets, alpha: float = 1.0
) -> tuple[np.ndarray, SoftTargets]:
    """Encoded rows and their targets, sorted, each combination of values once.

    Parameters
    ----------
    Z : array of shape (n, d), float32
    targets : SoftTargets of n rows
    alpha : float, default=1.0
        The teacher's share; with 0 a teacher has no say in the order of labelled rows either.

    Returns
    -------
    Z : array of shape (m, d), m <= n
    targets : SoftTargets of m rows
        Their weights add up to those of the n rows.
    """
    if alpha == 0 and not targets.unlabeled.any():
        targets = targets.plain()
    # Adding zero turns -0.0 into 0.0, which is equal but has other bytes.
    parts: list[np.ndarray] = [Z + np.float32(0)]
    labels = np.nan_to_num(targets.labels, nan=np.inf) if targets.classes is None else None
    parts.append(targets.labels[:, None] if labels is None else labels[:, None] + 0.0)
    if targets.teacher is not None:
        parts.append(targets.teacher.reshape(len(targets), -1) + 0.0)
    content = np.hstack([np.ascontiguousarray(part).view(np.uint8) for part in parts])
    keys = np.ascontiguousarray(content).view(np.dtype((np.void, content.shape[1])))[:, 0]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    weight = np.bincount(group, targets.sample_weight, minlength=len(first))
    return Z[first], replace(targets.take(first), sample_weight=weight)
