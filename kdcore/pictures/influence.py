"""Intervals of metrics that are no means over rows, by the influence of each row on them.

A metric of n rows is, but for terms that vanish faster, its true value plus the mean of what each
row adds to it; the variance of that over the rows gives the interval (Hampel 1974; for the area
under a curve this is DeLong, DeLong and Clarke-Pearson 1988).
"""

from __future__ import annotations

import numpy as np

__all__ = ["auc_interval", "r2_interval"]


def auc_interval(output: np.ndarray, codes: np.ndarray) -> list[float] | None:
    """95 % interval of the macro one-vs-rest AUC, of rows of equal weight.

    Parameters
    ----------
    output : array of shape (n, K)
        Probabilities.
    codes : int array of shape (n,)
        Position of each row's class.

    Returns
    -------
    list of two floats, or None
        None where fewer than two classes occur, or no row is on the wrong side of another.
    """
    known = np.unique(codes)
    if len(known) < 2:
        return None
    columns = known[-1:] if output.shape[1] == 2 else known
    areas, influence = [], np.zeros(len(codes))
    for k in columns:
        area, own = _auc(output[:, k], codes == k)
        areas.append(area)
        influence += own / len(columns)
    if not influence.any():
        # Perfectly apart: these rows do not tell how far from it others would be.
        return None
    low, high = _around(float(np.mean(areas)), influence)
    return [max(low, 0.0), min(high, 1.0)]


def r2_interval(output: np.ndarray, y: np.ndarray) -> list[float] | None:
    """95 % interval of R2, of rows of equal weight; None where ``y`` is constant."""
    squared, spread = (output - y) ** 2, (y - y.mean()) ** 2
    error, variance = squared.mean(), spread.mean()
    if variance <= 0:
        return None
    influence = (error * spread - variance * squared) / variance**2
    low, high = _around(1 - error / variance, influence)
    return [low, min(high, 1.0)]


def _auc(score: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """The area, and the influence of each row on it."""
    from scipy.stats import rankdata

    share = positive.mean()
    # Of each row: the share of rows of the other kind that it is on the right side of.
    right = rankdata(score)
    right[positive] -= rankdata(score[positive])
    right[~positive] = positive.sum() - (right[~positive] - rankdata(score[~positive]))
    right[positive] /= (~positive).sum()
    right[~positive] /= positive.sum()
    area = float(right[positive].mean())
    return area, (right - area) / np.where(positive, share, 1 - share)


def _around(value: float, influence: np.ndarray) -> tuple[float, float]:
    reach = 1.959964 * float(np.sqrt((influence**2).mean() / len(influence)))
    return value - reach, value + reach
