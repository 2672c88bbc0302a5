"""`OrdinalEncoder`: what trees read: numbers as they are, and categories as ranks."""

from __future__ import annotations

import numpy as np

from kdcore.encoders.base import Encoder
from kdcore.targets import SoftTargets

__all__ = ["OrdinalEncoder"]


class OrdinalEncoder(Encoder):
    """Numbers as they are, and each category as its rank; NaN where missing or unseen.

    Categories are ordered by what is to be predicted: by the mean target in regression and with
    two classes (for which such an order contains the best split: Breiman et al. 1984), by the
    first principal axis of their class frequencies otherwise (Coppersmith, Hong, Hosking 1999).
    Without targets they are in alphabetical order.

    Parameters
    ----------
    shrinkage : float, default=10.0
        Rows of the overall mean that each category's mean is shrunk towards, so that rare
        categories do not end up at the extremes by chance.
    """

    def __init__(self, *, shrinkage: float = 10.0) -> None:
        self.shrinkage = shrinkage

    def _learn(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> None:
        profile = None if y is None else _profile(y)
        self.ranks_: list[np.ndarray] = []
        for j, column in enumerate(self.schema_.categorical):
            k = len(column.categories)
            order = np.arange(k)
            if profile is not None and k > 2:
                order = self._order(codes[:, j], k, profile, weight)
            # Two more entries for unseen and missing.
            ranks = np.full(k + 2, np.nan, dtype=np.float32)
            ranks[order] = np.arange(k)
            self.ranks_.append(ranks)
        self.names_ = [c.name for c in (*self.schema_.numeric, *self.schema_.categorical)]
        self.owners_ = np.array(
            self._positions("numeric") + self._positions("categorical"), dtype=np.int64
        )

    def _order(
        self, codes: np.ndarray, k: int, profile: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        seen = codes >= 0
        mass = np.bincount(codes[seen], weight[seen], minlength=k)
        sums = np.stack(
            [
                np.bincount(codes[seen], weight[seen] * column[seen], minlength=k)
                for column in profile.T
            ],
            axis=1,
        )
        prior = (weight[:, None] * profile).sum(axis=0) / weight.sum()
        means = (sums + self.shrinkage * prior) / (mass + self.shrinkage)[:, None] - prior
        if means.shape[1] == 1:
            score = means[:, 0]
        else:
            _, _, axes = np.linalg.svd(means * np.sqrt(mass)[:, None], full_matrices=False)
            axis = axes[0]
            # The sign of a singular vector is arbitrary; fix it.
            score = means @ (axis * np.sign(axis[np.abs(axis).argmax()] or 1.0))
        return np.argsort(np.round(score, 12), kind="stable")

    def encode(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        n, p = numbers.shape
        out = np.empty((n, len(self.owners_)), dtype=np.float32)
        out[:, :p] = numbers
        for j, ranks in enumerate(self.ranks_):
            out[:, p + j] = ranks[codes[:, j]]
        return out


def _profile(targets: SoftTargets) -> np.ndarray:
    """What to predict, as (n, 1) or (n, K): soft where there is a teacher, else the labels."""
    mix = targets.blended(1.0)
    if targets.classes is None:
        return mix[:, None]
    return mix[:, 1:] if mix.shape[1] == 2 else mix
