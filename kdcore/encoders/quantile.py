"""`QuantileEncoder`: numbers as normal scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from kdcore.encoders.mixed import MixedEncoder
from kdcore.encoders.pieces import distinct_values, linear_pieces, weighted_quantiles
from kdcore.targets import SoftTargets

__all__ = ["QuantileEncoder"]


class QuantileEncoder(MixedEncoder):
    """Each number as the normal score of its rank among the training rows.

    Ranks are weighted, equal values share their middle rank, and scores between the kept
    quantiles are interpolated; numbers beyond the training rows count as the nearest of them.
    Missing numbers give 0, the median's score, and a mark; categories are one-hot.

    Parameters
    ----------
    n_quantiles : int, default=256
        Most distinct values of a column that are kept; at most 1000.
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.

    Attributes
    ----------
    knots_ : list of float32 arrays
        For each numeric column, the kept values.
    scores_ : list of float32 arrays
        Their normal scores.
    """

    _counts: ClassVar[Mapping[str, int]] = {**MixedEncoder._counts, "n_quantiles": 2}

    def __init__(
        self, *, n_quantiles: int = 256, min_frequency: int = 10, max_categories: int = 100
    ) -> None:
        self.n_quantiles = n_quantiles
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def _learn_numbers(
        self, numbers: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> tuple[list[str], list[int]]:
        from scipy.special import ndtri

        self.knots_, self.scores_, self.slopes_ = [], [], []
        for j in range(numbers.shape[1]):
            values, mass = distinct_values(numbers[:, j], weight)
            if len(values) < 2:
                knots, scores = values[:1] if len(values) else np.zeros(1), np.zeros(1)
            else:
                scores = ndtri((np.cumsum(mass) - mass / 2) / mass.sum())
                levels = np.linspace(0, 1, min(self.n_quantiles, 1000))
                kept = np.arange(len(values))
                if len(values) > len(levels):
                    kept = np.unique(weighted_quantiles(kept, mass, levels))
                knots, scores = values[kept], scores[kept]
            self.knots_.append(knots.astype(np.float32))
            self.scores_.append(scores.astype(np.float32))
            self.slopes_.append(linear_pieces([knots])[2])
        return [c.name for c in self.schema_.numeric], list(range(numbers.shape[1]))

    def _encode_numbers(self, numbers: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            for j, (knots, scores, slopes) in enumerate(
                zip(self.knots_, self.scores_, self.slopes_, strict=True)
            ):
                x = numbers[:, j]
                piece = np.searchsorted(knots[1:-1], x, side="left")
                share = np.clip((x - knots[piece]) * slopes[piece], 0.0, 1.0)
                rises = np.diff(scores) if len(scores) > 1 else np.zeros(1, dtype=np.float32)
                out[:, j] = scores[piece] + share * rises[piece]
                out[np.isnan(x), j] = 0.0
