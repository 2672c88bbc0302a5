"""Targets of mini-batches without doing again, in each, what a loss prepares of its targets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kdcore_torch.rows import chunks

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["BatchTargets"]


class BatchTargets:
    """Targets of batches of rows.

    Losses keep what they prepare of their targets (blends, entropies, shares of weight) with
    them, as tensors. Of all rows it is prepared once, and batches take their rows of it; that
    spares half of the time of a small step. It is done only if for the first batch it gives the
    same bits as preparing it anew: a loss may prepare something that is not row by row.

    Parameters
    ----------
    targets : SoftTargets of n rows
    loss : Loss
    """

    def __init__(self, targets: SoftTargets, loss: Loss) -> None:
        self.targets = targets
        self.loss = loss
        self._rowwise: dict[Any, tuple[Any, ...]] = {}
        self._weight_key: Any = None

    def split(self, rows: torch.Tensor, sizes: list[int]) -> list[tuple[SoftTargets, float]]:
        """Targets and weight of batches that lie one after the other.

        Parameters
        ----------
        rows : int tensor of shape (b,)
            Positions, on the CPU.
        sizes : list of int
            Rows of each batch.
        """
        whole = self.targets.take(rows.numpy())
        edges = np.cumsum([0, *sizes]).tolist()
        parts = [whole.take(slice(a, b)) for a, b in pairwise(edges)]
        weights = [float(part.sample_weight.sum()) for part in parts]
        known = {
            key: tuple(None if c is None else c.index_select(0, rows.to(c.device)) for c in cs)
            for key, cs in self._rowwise.items()
        }
        if self._weight_key is not None:
            key, like = self._weight_key
            shares = whole.sample_weight / np.repeat(weights, sizes)
            known[key] = (torch.from_numpy(shares).to(like.dtype).to(like.device),)
        for key, constants in known.items():
            split = [[None] * len(parts) if c is None else c.split(sizes) for c in constants]
            for part, values in zip(parts, zip(*split, strict=True), strict=True):
                part._cache[key] = values
        return list(zip(parts, weights, strict=True))

    def prepare(self, logits: torch.Tensor, rows: torch.Tensor) -> None:
        """Find out, at the first batch, whether what the loss prepares can be taken by rows.

        Parameters
        ----------
        logits : tensor of shape (b, K) or (b,)
        rows : int tensor of shape (b,)
        """
        [(part, _)] = self.split(rows, [len(rows)])
        wanted = self.loss.value_and_grad(logits, part)
        weights = [key for key in part._cache if isinstance(key, tuple) and key[0] == "weight"]
        found = self._constants(logits)
        if found is None:
            return
        self._rowwise = found
        if len(weights) == 1:
            self._weight_key = weights[0], part._cache[weights[0]][0].new_empty(0)
        [(part, _)] = self.split(rows, [len(rows)])
        got = self.loss.value_and_grad(logits, part)
        if not all(np.array_equal(_bits(a), _bits(b)) for a, b in zip(wanted, got, strict=True)):
            self._rowwise, self._weight_key = {}, None

    def _constants(self, logits: torch.Tensor) -> dict[Any, tuple[Any, ...]] | None:
        """What the loss prepares of all rows; None where it is not row by row.

        It is done part by part, so that a large table leaves no large arrays on the way.
        """
        parts: list[dict[Any, tuple[Any, ...]]] = []
        for rows in chunks(len(self.targets)):
            part = self.targets.take(rows)
            self.loss.value_and_grad(logits.new_zeros((len(part), *logits.shape[1:])), part)
            found = {
                key: value
                for key, value in part._cache.items()
                if isinstance(value, tuple) and key[0] != "weight"
            }
            known = [c for value in found.values() for c in value if c is not None]
            if not all(isinstance(c, torch.Tensor) and c.shape[:1] == (len(part),) for c in known):
                return None
            parts.append(found)
        if any(part.keys() != parts[0].keys() for part in parts):
            return None
        return {
            key: tuple(
                None if values[0] is None else torch.cat(values)
                for values in zip(*(part[key] for part in parts), strict=True)
            )
            for key in parts[0]
        }


def _bits(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
