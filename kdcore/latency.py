"""Time of one prediction: one row at a time, and a row's share of a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.runtime import Bundle

__all__ = ["bundle_latency", "model_latency", "spread", "throughput"]

_BUDGET = 0.15  # seconds for one measurement
_MOST_CALLS = 200
_BATCH = 1000
#: Fewest calls of which a 99th percentile says something.
_FEWEST_CALLS = 100


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


def spread(call: Callable[[Any], Any], inputs: list[Any], seconds: float) -> dict[str, Any]:
    """Microseconds of single calls: ``p50``, ``p99``, and the number of ``calls``.

    Parameters
    ----------
    call : callable
    inputs : list
        Taken in turns; the first call of all is not counted.
    seconds : float
        How long to measure; at least 100 calls are made, if they take at most ten times as long.
    """
    times = _times(call, inputs, seconds, fewest=_FEWEST_CALLS, patience=10 * seconds)
    p50, p99 = np.percentile(times, [50, 99]) * 1e6
    return {"p50": float(p50), "p99": float(p99), "calls": len(times)}


def throughput(call: Callable[[Any], Any], batch: Any, seconds: float) -> float:
    """Rows a second of the quickest of several calls with a whole batch (at least two)."""
    return len(batch) / min(_times(call, [batch], seconds, fewest=2))


def _median(call: Callable[[Any], Any], inputs: list[Any]) -> float:
    return float(np.median(_times(call, inputs, _BUDGET, fewest=5, most=_MOST_CALLS))) * 1e6


def _per_row(call: Callable[[Any], Any], table: pd.DataFrame) -> float:
    batch = table.head(_BATCH)
    return min(_times(call, [batch], _BUDGET, fewest=2, most=5)) / len(batch) * 1e6


def _times(
    call: Callable[[Any], Any],
    inputs: list[Any],
    seconds: float,
    *,
    fewest: int,
    most: float = np.inf,
    patience: float = np.inf,
) -> list[float]:
    """Seconds of single calls, after one that is not counted.

    It goes on for so many seconds, and on to the fewest calls while these take no longer than
    ``patience``; there is at least one.
    """
    call(inputs[0])
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < most:
        spent = time.perf_counter() - start
        if times and spent >= seconds and (len(times) >= fewest or spent >= patience):
            break
        one = inputs[len(times) % len(inputs)]
        before = time.perf_counter()
        call(one)
        times.append(time.perf_counter() - before)
    return times
