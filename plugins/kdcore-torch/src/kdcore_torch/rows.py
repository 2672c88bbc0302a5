"""The rows of a training: equal ones counted once, in an order that their content decides."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kdcore import SoftTargets

__all__ = ["CHUNK", "chunks", "distinct", "mapped"]

#: Rows that are encoded, hashed or predicted at once.
CHUNK = 16_384
#: Encoded values that are hashed at once.
_CELLS = 4_000_000


def chunks(n: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices that cover n rows."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def distinct(Z: np.ndarray, targets: SoftTargets, alpha: float) -> tuple[np.ndarray, SoftTargets]:
    """Positions of distinct rows, their targets, and what they weigh together.

    Mini-batches are drawn by chance. Drawn from rows in this order, a model is the same for
    weights as for repeated rows, and for rows in any order. Rows are compared by a hash of 128
    bits, chunk by chunk, so that a table on disk stays there.

    Parameters
    ----------
    Z : array of shape (n, d), float32
    targets : SoftTargets of n rows
    alpha : float
        The teacher's share; with 0 a teacher has no say in the order of labelled rows either.

    Returns
    -------
    rows : int array of shape (m,), m <= n
        Positions in ``Z``.
    targets : SoftTargets of m rows
    """
    if alpha == 0 and not targets.unlabeled.any():
        targets = targets.plain()
    keys = np.empty(len(Z), dtype="V16")
    # Of wide rows fewer at a time, as this makes copies of them.
    for part in chunks(len(Z), min(CHUNK, max(256, _CELLS // max(1, Z.shape[1])))):
        # Adding zero turns -0.0 into 0.0, which is equal but has other bytes.
        columns: list[np.ndarray] = [Z[part] + np.float32(0)]
        labels = targets.labels[part, None] + 0
        columns.append(np.nan_to_num(labels, nan=np.inf))
        if targets.teacher is not None:
            columns.append(targets.teacher[part].reshape(len(labels), -1) + 0.0)
        content = np.hstack([np.ascontiguousarray(c).view(np.uint8) for c in columns])
        digests = b"".join(blake2b(row, digest_size=16).digest() for row in content)
        keys[part] = np.frombuffer(digests, dtype="V16")
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(keys), dtype=bool)
    for part in chunks(len(keys) - 1):
        # Part by part, since a copy of all keys in order would take as much as four columns.
        after = slice(part.start + 1, part.stop + 1)
        new[after] = keys[order[after]] != keys[order[part]]
    del keys
    starts = np.flatnonzero(new)
    first = order if len(starts) == len(order) else order[starts]
    weight = np.add.reduceat(targets.sample_weight[order], starts)
    return first, replace(targets.take(first), sample_weight=weight)


def mapped(encode: Callable[[slice], np.ndarray], n: int, width: int, limit: float) -> Any:
    """Encoded rows (n, width), float32, in memory or, where they would take more than
    ``limit`` bytes, in a temporary file that is mapped into memory and gone with the array.
    """
    if n * width * 4 <= limit:
        return encode(slice(0, n))
    with tempfile.TemporaryFile(prefix="kdcore-") as file:
        Z = np.memmap(file, dtype=np.float32, mode="w+", shape=(n, width))
        for part in chunks(n):
            Z[part] = encode(part)
    return Z
