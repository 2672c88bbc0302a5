"""Evaluation on held-out rows: metrics against true labels, fidelity to the teacher, row losses."""

from __future__ import annotations

import warnings

import numpy as np

__all__ = [
    "classification_metrics",
    "fidelity",
    "metrics",
    "paired_gain",
    "regression_metrics",
    "row_losses",
]

#: Probabilities are clipped here before a logarithm, as in scikit-learn's log_loss for float32.
_CLIP = 1e-7
_ECE_BINS = 15


def row_losses(output: np.ndarray, y: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """Loss of each row, (n,): the negative log probability of its label, or the squared error.

    Parameters
    ----------
    output : array of shape (n, K) or (n,)
        Probabilities in the order of ``classes``, or values.
    y : array of shape (n,)
        True labels.
    classes : array of shape (K,) or None
        None means regression.
    """
    if classes is None:
        return (output - y) ** 2
    codes = np.searchsorted(classes, y)
    picked = output[np.arange(len(y)), codes]
    return -np.log(np.clip(picked, _CLIP, 1.0))


def paired_gain(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """How much smaller the second of two mean losses over the same rows is, and its standard error.

    Parameters
    ----------
    first, second : arrays of shape (n,)
        Row losses.
    weight : array of shape (n,)
        Row weights that sum to 1.
    """
    difference = first - second
    gain = float(weight @ difference)
    return gain, float(np.sqrt((weight**2) @ (difference - gain) ** 2))


def metrics(
    output: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray | None,
    sample_weight: np.ndarray | None = None,
) -> dict[str, float | None]:
    """`classification_metrics` or `regression_metrics`, by whether there are classes."""
    if classes is None:
        return regression_metrics(output, y, sample_weight)
    return classification_metrics(output, y, classes, sample_weight)


def classification_metrics(
    proba: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray,
    sample_weight: np.ndarray | None = None,
) -> dict[str, float | None]:
    """``accuracy, log_loss, roc_auc, brier, ece`` of probabilities.

    ``roc_auc`` is macro one-vs-rest over the classes that occur in ``y`` (None when fewer than
    two do); ``brier`` is the squared error summed over classes, halved for two classes (as usual
    there); ``ece`` is the expected calibration error of the top class in 15 equal-width bins.
    """
    weight = _weights(y, sample_weight)
    codes = np.searchsorted(classes, y)
    best = proba.argmax(axis=1)
    right = (best == codes).astype(float)
    hard = np.zeros_like(proba)
    hard[np.arange(len(y)), codes] = 1
    brier = ((proba - hard) ** 2).sum(axis=1) / (2 if len(classes) == 2 else 1)
    return {
        "accuracy": float(weight @ right),
        "log_loss": float(weight @ row_losses(proba, y, classes)),
        "roc_auc": _roc_auc(proba, codes, weight),
        "brier": float(weight @ brier),
        "ece": _ece(proba[np.arange(len(y)), best], right, weight),
    }


def regression_metrics(
    values: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> dict[str, float | None]:
    """``rmse, mae, r2`` of predicted values; ``r2`` is None when ``y`` is constant."""
    weight = _weights(y, sample_weight)
    squared = float(weight @ (values - y) ** 2)
    spread = float(weight @ (y - weight @ y) ** 2)
    return {
        "rmse": float(np.sqrt(squared)),
        "mae": float(weight @ np.abs(values - y)),
        "r2": 1 - squared / spread if spread > 0 else None,
    }


def fidelity(
    student: np.ndarray,
    teacher: np.ndarray,
    sample_weight: np.ndarray | None = None,
) -> dict[str, float | None]:
    """How well a student reproduces its teacher, whatever the truth.

    Probabilities (n, K): ``agreement``, the share of rows with the same top class, and ``kl``,
    the mean KL(teacher || student) in nats. Values (n,): ``r2_to_teacher``, ``rmse_to_teacher``.
    """
    weight = _weights(student, sample_weight)
    if student.ndim == 1:
        scores = regression_metrics(student, teacher, sample_weight)
        return {"r2_to_teacher": scores["r2"], "rmse_to_teacher": scores["rmse"]}
    same = student.argmax(axis=1) == teacher.argmax(axis=1)
    p, q = np.clip(teacher, _CLIP, 1), np.clip(student, _CLIP, 1)
    return {
        "agreement": float(weight @ same),
        "kl": float(weight @ (teacher * np.log(p / q)).sum(axis=1)),
    }


def _weights(rows: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Row weights that sum to 1."""
    weight = np.ones(len(rows)) if sample_weight is None else sample_weight
    return weight / weight.sum()


def _roc_auc(proba: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    present = np.unique(codes)
    if len(present) < 2:
        return None
    columns = [1] if proba.shape[1] == 2 else present
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [roc_auc_score(codes == k, proba[:, k], sample_weight=weight) for k in columns]
    return float(np.mean(scores))


def _ece(confidence: np.ndarray, right: np.ndarray, weight: np.ndarray) -> float:
    bins = np.minimum((confidence * _ECE_BINS).astype(int), _ECE_BINS - 1)
    gap = np.bincount(bins, weight * (right - confidence), minlength=_ECE_BINS)
    return float(np.abs(gap).sum())
