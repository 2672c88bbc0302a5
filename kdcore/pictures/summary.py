"""What the table holds, in brief: kinds of columns, gaps, and the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.pictures.classes import MOST_CLASSES
from kdcore.schema import column_kind

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.splits import Data

__all__ = ["summary"]

_MOST_COLUMNS = 60
_SAMPLE = 20_000


def summary(data: Data) -> dict[str, Any]:
    """Kinds, gaps and ranges of the columns of the training rows, and the target's values.

    Returns
    -------
    dict
        ``target``; ``weighted``; ``kinds`` (columns of each); ``missing`` (share of all cells);
        ``columns``: name, kind, share of gaps, and number of categories or quantiles 5, 50 and
        95 % (of 20,000 rows at most) for the first 60; ``classes`` (``[class, training rows,
        held-out rows]``, the most frequent 30) or ``quantiles`` of the target at 0, 5, 25, 50,
        75, 95 and 100 % for ``train`` and ``test``.
    """
    train, held = data.train, data.held
    kinds: dict[str, int] = {}
    columns: list[dict[str, Any]] = []
    gaps = 0.0
    for name in train.names:
        values = train.column(name)
        kind = column_kind(values)
        missing = float(values.isna().mean())
        kinds[kind] = kinds.get(kind, 0) + 1
        gaps += missing / len(train.names)
        if len(columns) < _MOST_COLUMNS:
            columns.append(
                {"name": name, "kind": kind, "missing": missing, **_described(values, kind)}
            )
    found: dict[str, Any] = {
        "target": train.target,
        "weighted": train.sample_weight is not None,
        "kinds": kinds,
        "missing": gaps,
        "columns": columns,
    }
    if train.classes is None:
        found["quantiles"] = {
            name: np.quantile(part.y, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]).tolist()
            for name, part in (("train", train), ("test", held))
        }
    else:
        counts = [
            np.bincount(np.searchsorted(train.classes, part.y), minlength=len(train.classes))
            for part in (train, held)
        ]
        order = np.argsort(-counts[0], kind="stable")[:MOST_CLASSES]
        found["classes"] = [
            [str(train.classes[k]), int(counts[0][k]), int(counts[1][k])] for k in sorted(order)
        ]
    return found


def _described(values: pd.Series, kind: str) -> dict[str, Any]:
    if kind == "categorical":
        return {"categories": int(values.nunique())}
    if kind == "boolean":
        share = values.dropna().astype(float).mean()
        return {"share": float(share) if share == share else None}
    numbers = values.iloc[:: max(1, len(values) // _SAMPLE)].to_numpy(float, na_value=np.nan)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return {"quantiles": None}
    return {"quantiles": np.quantile(numbers, [0.05, 0.5, 0.95]).tolist()}
