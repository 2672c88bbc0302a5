"""Judging a bundle on labelled rows: ``kd evaluate``, and the rows that ``kd bench`` needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, suggest
from kdcore.evaluation import metrics
from kdcore.table_files import read_table
from kdcore.target_column import aligned, classes_of, numbers_of, plain_target, weights_in

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.runtime import Bundle

__all__ = ["Evaluation", "evaluate", "labelled_rows"]

#: Rows that are predicted at a time.
_CHUNK = 100_000


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    target : str
    rows, unlabelled : int
        Rows that were judged, and rows without a label, which were left out.
    metrics : dict
        As of `kdcore.evaluation.metrics`.
    recorded : dict or None
        The metrics on held-out rows that the bundle was saved with.
    unseen : dict of str to int
        Values in each categorical column that were not there in training.
    """

    task: str
    target: str
    rows: int
    unlabelled: int
    metrics: dict[str, float | None]
    recorded: dict[str, float | None] | None
    unseen: dict[str, int]


def evaluate(
    bundle: Bundle, data: Any, *, target: str | None = None, sample_weight: str | None = None
) -> Evaluation:
    """Metrics of a bundle on labelled rows.

    Parameters
    ----------
    bundle : Bundle
        See `kdcore.load`.
    data : str, Path or table
        See `kdcore.table.read_table`. Rows without a label are left out.
    target : str, optional
        Column of the labels; by default the one that the student was made for.
    sample_weight : str, optional
        Column of row weights.

    Raises
    ------
    DataError
        When a column is missing, or holds a value or a class that cannot be used.
    """
    frame, y, target = labelled_rows(bundle, data, target)
    weight = None
    if sample_weight is not None:
        if sample_weight not in frame.columns:
            raise DataError(
                f"the table has no sample_weight column {sample_weight!r}."
                + suggest(sample_weight, frame.columns)
            )
        weight = weights_in(frame.loc[y.index, sample_weight], sample_weight)
    labels = _labels(bundle, y, target)
    rows = frame.loc[y.index] if len(y) < len(frame) else frame
    ask = bundle.predict if bundle.classes is None else bundle.predict_proba
    parts = [ask(rows.iloc[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
    output = np.concatenate(parts).astype(float)
    return Evaluation(
        task=bundle.task,
        target=target,
        rows=len(rows),
        unlabelled=len(frame) - len(rows),
        metrics=metrics(output, labels, bundle.classes, weight),
        recorded=bundle.manifest.get("metrics"),
        unseen=bundle.unseen(rows),
    )


def labelled_rows(
    bundle: Bundle, data: Any, target: str | None
) -> tuple[pd.DataFrame, pd.Series, str]:
    """A table, its known labels (indexed by the positions of their rows), and their column.

    Raises
    ------
    DataError
        When there is no such column, or no label in it.
    """
    target = target or bundle.manifest.get("target")
    if not isinstance(target, str):
        raise DataError("the bundle does not say what its target is called; name it by target.")
    frame = read_table(data)
    if target not in frame.columns:
        raise DataError(
            f"the table has no target column {target!r}; name it with target (--target)."
            + suggest(target, frame.columns)
        )
    frame = frame.reset_index(drop=True)
    y = frame[target]
    y = y[y.notna()]
    if len(y) == 0:
        raise DataError(f"every value of the target column {target!r} is missing.")
    return frame, plain_target(y, target), target


def _labels(bundle: Bundle, y: pd.Series, target: str) -> np.ndarray:
    if bundle.classes is None:
        return numbers_of(y, target)
    labels, _ = classes_of(y, target)
    try:
        return aligned(labels, bundle.classes, target)
    except DataError as error:
        message = str(error).replace("the training table lacks", "the student does not know")
        message = message.split("; drop those rows")[0] + "; drop those rows."
        raise DataError(message) from error
