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

_CHUNK = 16_384


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
    regression = targets.classes is None
    labels = np.nan_to_num(targets.labels, nan=np.inf) + 0.0 if regression else targets.labels
    parts = [Z, labels[:, None]]
    if targets.teacher is not None:
        parts.append(targets.teacher.reshape(len(targets), -1))
    first, group = _distinct(parts)
    weight = np.bincount(group, targets.sample_weight, minlength=len(first))
    return Z[first], replace(targets.take(first), sample_weight=weight)


def _distinct(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """First row of each combination of values, sorted by bytes, and each row's combination.

    The bytes of a wide table are held once: `numpy.unique` would copy them three times.
    """
    widths = [part.shape[1] * part.itemsize for part in parts]
    content = np.empty((len(parts[0]), sum(widths)), dtype=np.uint8)
    end = 0
    for part, width in zip(parts, widths, strict=True):
        for start in range(0, len(part), _CHUNK):
            rows = slice(start, start + _CHUNK)
            # Adding zero turns -0.0 into 0.0, which is equal but has other bytes.
            some = np.ascontiguousarray(part[rows] + part.dtype.type(0))
            content[rows, end : end + width] = some.view(np.uint8)
        end += width
    keys = content.view(np.dtype((np.void, content.shape[1])))[:, 0]
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(order), dtype=bool)
    for start in range(1, len(order), _CHUNK):
        near = order[start - 1 : start + _CHUNK]
        new[start : start + _CHUNK] = keys[near[1:]] != keys[near[:-1]]
    group = np.empty(len(order), dtype=np.intp)
    group[order] = np.cumsum(new) - 1
    return order[new], group
