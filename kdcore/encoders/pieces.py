"""Weighted quantiles of a column, and piecewise linear functions of it between edges.

Edges and arithmetic are float32, so that ONNX Runtime computes the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = [
    "blocks",
    "capped",
    "distinct_values",
    "encode_pieces",
    "linear_pieces",
    "quantile_edges",
    "weighted_quantiles",
]

#: The smallest normal float32: a slope so flat that a constant column stays at 0.
_FLAT = float(np.finfo(np.float32).tiny)
_STEEP = 1e37

_ROWS = 512


def distinct_values(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct float32 values of a column (m,) and the weight of each, gaps left out."""
    known = ~np.isnan(values) & (weight > 0)
    found, where = np.unique(values[known], return_inverse=True)
    return found, np.bincount(where, weight[known], minlength=len(found))


def weighted_quantiles(values: np.ndarray, mass: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """For each level in [0, 1] the smallest of the sorted values that reaches this share of mass.

    A whole weight counts as that many equal values.
    """
    total = np.cumsum(mass)
    at = np.searchsorted(total, levels * total[-1], side="left")
    return values[np.minimum(at, len(values) - 1)]


def capped(mass: np.ndarray, count: int) -> np.ndarray:
    """Weights of which none exceeds the share ``1 / count`` (nearly), the others kept.

    Quantiles of them do not all fall on the one value that outweighs the rest.
    """
    for _ in range(8):
        mass = np.minimum(mass, mass.sum() / count)
    return mass


def quantile_edges(values: np.ndarray, mass: np.ndarray, n_bins: int) -> np.ndarray:
    """At most ``n_bins + 1`` distinct edges that part sorted values into bins of like weight.

    Where there are no more values than that, each of them is an edge. A value that alone weighs
    more than a bin (zeros, often) takes one edge only; the others are left to the rest.
    """
    if len(values) <= n_bins + 1:
        return values
    levels = np.linspace(0, 1, n_bins + 1)
    return np.unique(weighted_quantiles(values, capped(mass, n_bins), levels))


def linear_pieces(edges: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One ramp from 0 to 1 between each two neighbouring edges of each column.

    A column with fewer than two edges gets one ramp that is 0 for all but astronomic numbers, so
    that every column has some output.

    Parameters
    ----------
    edges : sequence of sorted float32 arrays, one for each column

    Returns
    -------
    columns : int64 array of shape (d,)
    lows : float32 array of shape (d,)
        Where each ramp starts.
    slopes : float32 array of shape (d,)
    """
    columns, lows, slopes = [], [], []
    for j, points in enumerate(edges):
        if len(points) < 2:
            low, slope = points[:1] if len(points) else np.zeros(1), np.array([_FLAT])
        else:
            low = points[:-1]
            slope = np.clip(1.0 / np.diff(points.astype(np.float64)), _FLAT, _STEEP)
        columns += [j] * len(low)
        lows.append(low)
        slopes.append(slope)
    empty = [np.zeros(0)]
    return (
        np.array(columns, dtype=np.int64),
        np.concatenate(lows or empty).astype(np.float32),
        np.concatenate(slopes or empty).astype(np.float32),
    )


def encode_pieces(
    numbers: np.ndarray, pieces: tuple[np.ndarray, np.ndarray, np.ndarray], out: np.ndarray
) -> None:
    """Write the ramps of `linear_pieces` at each number (n, p) into ``out`` (n, d); 0 for gaps."""
    columns, lows, slopes = pieces
    with np.errstate(over="ignore"):
        for rows in blocks(len(out)):
            # Each ramp as a row: gathering and arithmetic then run along memory.
            ramps = numbers[rows].T[columns]
            gaps = np.isnan(ramps)
            ramps -= lows[:, None]
            ramps *= slopes[:, None]
            np.clip(ramps, 0.0, 1.0, out=ramps)
            ramps[gaps] = 0.0
            out[rows] = ramps.T


def blocks(n: int) -> Iterator[slice]:
    """Rows in parts of which the encoded columns stay in the processor's cache."""
    for start in range(0, n, _ROWS):
        yield slice(start, min(start + _ROWS, n))
