"""Equal rows as one row of their summed weight, in an order that depends on their content only.

Students that draw mini-batches or folds would otherwise give another model for weights than for
repeated rows, and for rows in another order.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kdcore import SoftTargets

__all__ = ["distinct_rows", "merge_rows"]

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
    first, targets = distinct_rows(Z, targets, alpha)
    return Z[first], targets


def distinct_rows(
    Z: np.ndarray, targets: SoftTargets, alpha: float = 1.0
) -> tuple[np.ndarray, SoftTargets]:
    """What `merge_rows` returns, with the positions (m,) of its rows in ``Z`` and no copy of it."""
    if alpha == 0 and not targets.unlabeled.any():
        targets = targets.plain()
    regression = targets.classes is None
    labels = np.nan_to_num(targets.labels, nan=np.inf) + 0.0 if regression else targets.labels
    parts = [Z, labels[:, None]]
    if targets.teacher is not None:
        parts.append(targets.teacher.reshape(len(targets), -1))
    first, group = _distinct(parts)
    weight = np.bincount(group, targets.sample_weight, minlength=len(first))
    return first, replace(targets.take(first), sample_weight=weight)


def _distinct(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """First row of each combination of values, sorted by a digest, and each row's combination.

    A digest of 16 bytes stands for a row, whose own bytes would take another copy of the table.
    """
    n = len(parts[0])
    digests = bytearray()
    for start in range(0, n, _CHUNK):
        # Adding zero turns -0.0 into 0.0, which is equal but has other bytes.
        some = [
            np.ascontiguousarray(part[start : start + _CHUNK] + part.dtype.type(0)).view(np.uint8)
            for part in parts
        ]
        for row in np.hstack(some):
            digests += blake2b(row, digest_size=16).digest()
    keys = np.frombuffer(digests, dtype="V16")
    order = np.argsort(keys, kind="stable")
    new = np.ones(n, dtype=bool)
    new[1:] = keys[order[1:]] != keys[order[:-1]]
    group = np.empty(n, dtype=np.intp)
    group[order] = np.cumsum(new) - 1
    return order[new], group
