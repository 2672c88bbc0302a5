"""Regression: predicted against actual values, and how residuals spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["predicted", "residuals"]

_GRID = 32
_MOST_BARS = 41
_BANDS = 12
#: Rows beyond these quantiles would squeeze all others into a corner; they are counted instead.
_TAIL = 0.002


def predicted(outputs: Mapping[str, np.ndarray], y: np.ndarray) -> dict[str, Any]:
    """Counts of rows on a grid of actual and predicted values.

    Returns
    -------
    dict
        ``low``, ``high`` (of both axes), ``bins`` along each, ``outside`` (rows beyond), and under
        ``cells`` for teacher and student ``[i actual, j predicted, rows]`` of each filled cell.
        ``teacher_student`` has the teacher's values in place of the actual ones.
    """
    shown = {name: outputs[name] for name in ("teacher", "student") if name in outputs}
    every = np.concatenate([y, *shown.values()])
    low, high = _span(np.quantile(every, [_TAIL, 1 - _TAIL]))
    pairs = {name: (y, values) for name, values in shown.items()}
    if "teacher" in shown:
        pairs["teacher_student"] = (shown["teacher"], shown["student"])
    cells, outside = {}, {}
    for name, (first, second) in pairs.items():
        i, j = (np.floor((v - low) / (high - low) * _GRID).astype(int) for v in (first, second))
        inside = (i >= 0) & (i < _GRID) & (j >= 0) & (j < _GRID)
        counts = np.bincount(i[inside] * _GRID + j[inside], minlength=_GRID**2)
        cells[name] = [
            [int(c // _GRID), int(c % _GRID), int(counts[c])] for c in counts.nonzero()[0]
        ]
        outside[name] = int((~inside).sum())
    return {"low": low, "high": high, "bins": _GRID, "outside": outside, "cells": cells}


def residuals(outputs: Mapping[str, np.ndarray], y: np.ndarray) -> dict[str, Any]:
    """Actual minus predicted values: a histogram for each model, and bands along the predictions.

    Returns
    -------
    dict
        ``low``, ``high`` of the histogram, ``counts`` for each model (the outermost bars take
        what lies beyond), and ``bands``: for the student ``[prediction, 10 %, 50 %, 90 % quantile
        of the residual, rows]`` in groups of equal size.
    """
    errors = {name: y - values for name, values in outputs.items()}
    far = max(float(np.quantile(np.abs(e), 1 - 5 * _TAIL)) for e in errors.values()) or 1.0
    # With few rows many bars would show their luck; the number is odd, so that 0 is inside one.
    bars = min(_MOST_BARS, 2 * int(np.sqrt(len(y)) / 1.5) + 5)
    edges = np.linspace(-far, far, bars + 1)
    counts = {
        name: np.histogram(np.clip(e, -far, far), edges)[0].tolist() for name, e in errors.items()
    }
    order = np.argsort(outputs["student"], kind="stable")
    bands = []
    for group in np.array_split(order, min(_BANDS, max(1, len(order) // 10))):
        if len(group):
            low, middle, high = np.quantile(errors["student"][group], [0.1, 0.5, 0.9])
            place = float(np.median(outputs["student"][group]))
            bands.append([place, float(low), float(middle), float(high), len(group)])
    return {"low": -far, "high": far, "counts": counts, "bands": bands}


def _span(ends: np.ndarray) -> tuple[float, float]:
    low, high = float(ends[0]), float(ends[1])
    room = (high - low) * 0.02 or max(abs(high), 1.0) * 0.02
    return low - room, high + room
