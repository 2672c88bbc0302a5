"""Time of one prediction: one row at a time, and a row's share of a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.runtime import Bundle

__all__ = ["bundle_latency", "model_latency"]

_BUDGET = 0.15  # seconds for one measurement
_MOST_CALLS = 200
_BATCH = 1000


def model_latency(predict: Callable[[Any], Any], table: pd.DataFrame) -> dict[str, float]:
    """Microseconds of a model as its users call it: with a frame of one row, and of a batch.

    Returns
    -------
    dict
        ``single``, the median of calls with one row, and ``batch_per_row``.
    """
    return {
        "single": _median(predict, [table.iloc[[i]] for i in range(min(len(table), 20))]),
        "batch_per_row": _per_row(predict, table),
    }


def bundle_latency(bundle: Bundle, table: pd.DataFrame) -> dict[str, float]:
    """Microseconds of a deployed student: ``predict_one`` of a mapping, and a batch."""
    rows = table.head(20)[bundle.features].to_dict("records")
    one = bundle.predict_one if bundle.classes is None else bundle.predict_proba_one
    many = bundle.predict if bundle.classes is None else bundle.predict_proba
    return {"single": _median(one, rows), "batch_per_row": _per_row(many, table)}


def _median(call: Callable[[Any], Any], inputs: list[Any]) -> float:
    call(inputs[0])
    times: list[float] = []
    until = time.perf_counter() + _BUDGET
    while len(times) < _MOST_CALLS and (len(times) < 5 or time.perf_counter() < until):
        one = inputs[len(times) % len(inputs)]
        start = time.perf_counter()
        call(one)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


def _per_row(call: Callable[[Any], Any], table: pd.DataFrame) -> float:
    batch = table.head(_BATCH)
    call(batch)
    times: list[float] = []
    until = time.perf_counter() + _BUDGET
    while len(times) < 2 or (len(times) < 5 and time.perf_counter() < until):
        start = time.perf_counter()
        call(batch)
        times.append(time.perf_counter() - start)
    return min(times) / len(batch) * 1e6
