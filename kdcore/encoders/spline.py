"""`SplineEncoder`: numbers as cubic B-splines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from kdcore.encoders.mixed import MixedEncoder
from kdcore.encoders.pieces import distinct_values, encode_pieces, linear_pieces, quantile_edges
from kdcore.targets import SoftTargets

__all__ = ["SplineEncoder"]


class SplineEncoder(MixedEncoder):
    """Each number as cubic B-splines with knots at weighted quantiles.

    A linear model of these is a smooth function of each column, constant beyond the training
    rows. The last spline of a column is left out, since all of them sum to 1. Columns with at
    most four distinct values get linear splines. Missing numbers give 0 everywhere, and a mark;
    categories are one-hot.

    Each spline is computed from the ramps between knots (`kdcore.encoders.pieces`): on one
    interval it is a cubic of that interval's ramp, and it is the sum of its increments over the
    at most four intervals where it is not constant.

    Parameters
    ----------
    n_knots : int, default=8
        Most knots of a column, both ends included.
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.

    Attributes
    ----------
    columns_, lows_, slopes_ : arrays of shape (r,)
        The ramps, as in `PiecewiseLinearEncoder`.
    ramps_ : int array of shape (4, d)
        For each spline, the ramps that it is made of.
    cubics_ : float32 array of shape (3, 4, d)
        Its coefficients of the first, second and third power of each of them.
    starts_ : float32 array of shape (d,)
        Its value at the first knot.

    Paper: Eilers and Marx 1996, Flexible Smoothing with B-splines and Penalties.
    """

    _counts: ClassVar[Mapping[str, int]] = {**MixedEncoder._counts, "n_knots": 2}

    def __init__(
        self, *, n_knots: int = 8, min_frequency: int = 10, max_categories: int = 100
    ) -> None:
        self.n_knots = n_knots
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def _learn_numbers(
        self, numbers: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> tuple[list[str], list[int]]:
        edges, degrees = [], []
        for j in range(numbers.shape[1]):
            values, mass = distinct_values(numbers[:, j], weight)
            edges.append(quantile_edges(values, mass, self.n_knots - 1))
            degrees.append(1 if len(values) <= 4 else 3)
        self.columns_, self.lows_, self.slopes_ = linear_pieces(edges)
        names: list[str] = []
        owners: list[int] = []
        ramps, cubics, starts = [], [], []
        first = 0
        for j, (knots, degree) in enumerate(zip(edges, degrees, strict=True)):
            name = self.schema_.numeric[j].name
            own, parts, start = _cubics(knots.astype(np.float64), degree)
            ramps.append(own + first)
            cubics.append(parts)
            starts.append(start)
            first += max(1, len(knots) - 1)
            owners += [j] * len(start)
            names += [f"{name} spline {k}" for k in range(len(start))]
        self.ramps_ = np.concatenate(ramps or [np.zeros((4, 0), np.int64)], axis=1)
        self.cubics_ = np.concatenate(cubics or [np.zeros((3, 4, 0))], axis=2).astype(np.float32)
        self.starts_ = np.concatenate(starts or [np.zeros(0)]).astype(np.float32)
        return names, owners

    def _encode_numbers(self, numbers: np.ndarray, out: np.ndarray) -> None:
        ramps = np.empty((len(numbers), len(self.columns_)), dtype=np.float32)
        encode_pieces(numbers, (self.columns_, self.lows_, self.slopes_), ramps)
        out[:] = self.starts_
        for own, (one, two, three) in zip(
            self.ramps_, np.moveaxis(self.cubics_, 0, 1), strict=True
        ):
            t = ramps[:, own]
            out += ((three * t + two) * t + one) * t
        gaps = np.isnan(numbers)
        if gaps.any():
            out[gaps[:, self.columns_[self.ramps_[0]]]] = 0.0


def _cubics(knots: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ramps (4, d), coefficients (3, 4, d) and first values (d,) of the splines of one column."""
    from scipy.interpolate import BSpline, PPoly

    if len(knots) < 2:
        return np.zeros((4, 1), np.int64), np.zeros((3, 4, 1)), np.zeros(1)
    # On knots scaled to [0, 1] no division can overflow.
    span = knots[-1] - knots[0]
    scaled = (knots - knots[0]) / span
    padded = np.concatenate([[0.0] * degree, scaled, [1.0] * degree])
    width = np.diff(scaled)
    n_ramps, d = len(width), len(width) + degree - 1
    ramps = np.zeros((4, d), dtype=np.int64)
    cubics = np.zeros((3, 4, d))
    starts = np.zeros(d)
    for k in range(d):
        unit = np.zeros(d + 1)
        unit[k] = 1.0
        poly = PPoly.from_spline(BSpline(padded, unit, degree))
        # Padding makes empty intervals; highest powers come first.
        pieces = poly.c[::-1, degree : degree + n_ramps]
        starts[k] = pieces[0, 0]
        own = np.arange(max(0, k - degree), min(n_ramps, k + 1))
        ramps[: len(own), k] = own
        for power in range(1, degree + 1):
            cubics[power - 1, : len(own), k] = pieces[power, own] * width[own] ** power
    return ramps, cubics, starts
