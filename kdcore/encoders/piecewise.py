"""`PiecewiseLinearEncoder`: numbers as ramps between weighted quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import numpy as np

from kdcore.encoders.mixed import MixedEncoder
from kdcore.encoders.pieces import distinct_values, encode_pieces, linear_pieces, quantile_edges
from kdcore.targets import SoftTargets

__all__ = ["PiecewiseLinearEncoder"]


class PiecewiseLinearEncoder(MixedEncoder):
    """Each number as ramps: for every bin, how far the number has come through it, in [0, 1].

    A linear model of these is a continuous piecewise linear function of each column. Numbers
    beyond the edges count as the nearest edge, so that outliers do no harm. A column with at most
    ``n_bins + 1`` distinct values has an edge at each of them; a constant one has a column of
    zeros. Missing numbers give 0 everywhere, and a mark; categories are one-hot.

    Parameters
    ----------
    n_bins : int, default=16
        Most bins of a column, between weighted quantiles.
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.

    Attributes
    ----------
    columns_ : int array of shape (d,)
        For each ramp, the position of its column in the numeric block.
    lows_, slopes_ : float32 arrays of shape (d,)
        Where it starts, and how steep it is.

    Paper: Gorishniy et al. 2022, On Embeddings for Numerical Features in Tabular Deep Learning.
    """

    _counts: ClassVar[Mapping[str, int]] = {**MixedEncoder._counts, "n_bins": 1}

    def __init__(
        self, *, n_bins: int = 16, min_frequency: int = 10, max_categories: int = 100
    ) -> None:
        self.n_bins = n_bins
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def _edges(self, name: str, values: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Edges of one column, from its sorted distinct values and their weights."""
        return quantile_edges(values, mass, self.n_bins)

    def _learn_numbers(
        self, numbers: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> tuple[list[str], list[int]]:
        edges = [
            self._edges(column.name, *distinct_values(numbers[:, j], weight))
            for j, column in enumerate(self.schema_.numeric)
        ]
        self.columns_, self.lows_, self.slopes_ = linear_pieces(edges)
        names = []
        for column, points in zip(self.schema_.numeric, edges, strict=True):
            ends = [f"{p:.7g}" for p in points]
            names += [f"{column.name} {a}..{b}" for a, b in pairwise(ends)]
            if len(points) < 2:
                names.append(column.name)
        return names, self.columns_.tolist()

    def _encode_numbers(self, numbers: np.ndarray, out: np.ndarray) -> None:
        encode_pieces(numbers, (self.columns_, self.lows_, self.slopes_), out)
