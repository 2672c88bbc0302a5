"""95 % intervals of the metrics of one model, each on its own (the verdict's are paired)."""

from __future__ import annotations

import numpy as np

from kdcore.evaluation import row_losses
from kdcore.pictures.influence import auc_interval, r2_interval

__all__ = ["intervals", "mean_interval", "share_interval"]


def intervals(
    output: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray | None,
    sample_weight: np.ndarray | None = None,
) -> dict[str, list[float]]:
    """Lower and upper ends of ``accuracy, log_loss, brier, roc_auc``, or of ``rmse, mae, r2``.

    Accuracy has Wilson's interval (1927), losses have Student's t (that of RMSE is the root of that
    of the mean squared error), AUC and R2 those of `kdcore.pictures.influence`, for rows of equal
    weight only.

    Parameters
    ----------
    output : array of shape (n, K) or (n,)
    y : array of shape (n,)
    classes : array of shape (K,) or None
        None means regression.
    sample_weight : array of shape (n,), optional
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    equal = bool((weight == weight[0]).all())
    more = None
    if classes is None:
        low, high = mean_interval(row_losses(output, y, None), weight)
        if equal:
            more = r2_interval(output, y)
        return {
            "rmse": [float(np.sqrt(max(low, 0.0))), float(np.sqrt(high))],
            "mae": _of_losses(np.abs(output - y), weight),
        } | ({"r2": more} if more else {})
    codes = np.searchsorted(classes, y)
    hard = np.zeros_like(output, dtype=float)
    hard[np.arange(len(y)), codes] = 1
    brier = ((output - hard) ** 2).sum(axis=1) / (2 if len(classes) == 2 else 1)
    right = output.argmax(axis=1) == codes
    if equal:
        more = auc_interval(output, codes)
    return {
        "accuracy": list(share_interval(float(np.average(right, weights=weight)), _rows(weight))),
        "log_loss": _of_losses(row_losses(output, y, classes), weight),
        "brier": _of_losses(brier, weight),
    } | ({"roc_auc": more} if more else {})


def _of_losses(values: np.ndarray, weight: np.ndarray) -> list[float]:
    """95 % interval of a mean of values that are never below 0."""
    low, high = mean_interval(values, weight)
    return [max(low, 0.0), high]


def mean_interval(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """95 % interval of a weighted mean."""
    from scipy.special import stdtrit

    shares = weight / weight.sum()
    mean = float(shares @ values)
    rows = _rows(weight)
    if rows <= 1:
        return mean, mean
    error = np.sqrt((shares**2) @ (values - mean) ** 2 * rows / (rows - 1))
    reach = float(stdtrit(rows - 1, 0.975) * error)
    return mean - reach, mean + reach


def share_interval(share: float, rows: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share among so many rows."""
    z2 = 1.959964**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    reach = np.sqrt(z2 * (share * (1 - share) / rows + z2 / (4 * rows**2))) / (1 + z2 / rows)
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def _rows(weight: np.ndarray) -> float:
    """How many rows of equal weight tell as much as these (Kish)."""
    return float(weight.sum() ** 2 / (weight**2).sum())
