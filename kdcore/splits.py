"""From files and frames to the rows that are learned from and the rows that judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kdcore.errors import DataError, ParameterError, suggest
from kdcore.table import LabeledTable, RawTable, labeled, read_table, unlabeled

__all__ = ["SPLITS", "Data", "last_rows", "prepare", "split"]

#: How rows are held out.
SPLITS = ("random", "ordered")


@dataclass(frozen=True)
class Data:
    """The rows of an experiment.

    Parameters
    ----------
    table : LabeledTable
        The main table; ``train`` and ``held`` share its columns.
    train, held : LabeledTable
    extra : RawTable or None
        Rows without labels, for students only.
    """

    table: LabeledTable
    train: LabeledTable
    held: LabeledTable
    extra: RawTable | None


def prepare(
    data: Any,
    *,
    target: str,
    test: Any = None,
    test_size: float = 0.25,
    task: str = "auto",
    sample_weight: str | None = None,
    extra: Any = None,
    split_by: str = "random",
    time_column: str | None = None,
    random_state: int = 0,
) -> Data:
    """Read the tables of an experiment and hold rows out; parameters as in `kdcore.distill`."""
    if split_by not in SPLITS:
        raise ParameterError(f"split={split_by!r} is not known; use one of {', '.join(SPLITS)}.")
    frame, order = read_table(data), None
    if time_column is not None:
        frame, order = _by_time(frame, time_column, (target, sample_weight))
    table = labeled(frame, target, task=task, sample_weight=sample_weight)
    if time_column is not None or split_by == "ordered":
        table = replace(table, ordered=True)
    whole = table if order is None else table.take(_known(order, table))
    if test is None:
        hold = last_rows if table.ordered else split
        train, held = hold(whole, test_size=test_size, random_state=random_state)
    else:
        train, frame = whole, read_table(test)
        if time_column is not None and time_column in frame.columns:
            frame, order = _by_time(frame, time_column, (target, sample_weight))
            frame = frame.iloc[order]
        with _in_the("test table"):
            held = labeled(frame, target, sample_weight=sample_weight, like=table)
    rows = None
    if extra is not None:
        frame = read_table(extra)
        with _in_the("unlabeled table"):
            rows = unlabeled(frame, train)
    return Data(table, train, held, rows)


@contextmanager
def _in_the(what: str) -> Iterator[None]:
    """Say which of several tables is at fault."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from error


def _by_time(frame: Any, column: str, others: tuple[str | None, ...]) -> tuple[Any, Any]:
    """A table without its column of times, and the order of its rows by it."""
    if column not in frame.columns:
        raise DataError(
            f"the table has no time column {column!r}." + suggest(column, frame.columns)
        )
    if column in others:
        raise ParameterError(f"the column {column!r} cannot be two things at once.")
    times = frame[column]
    if times.isna().any():
        raise DataError(
            f"the time column {column!r} is missing in {int(times.isna().sum())} rows, which then "
            "have no place in the order; drop or fill them."
        )
    import pandas as pd

    if times.dtype == object or isinstance(times.dtype, (pd.CategoricalDtype, pd.StringDtype)):
        try:
            times = pd.to_datetime(times.astype(str), format="ISO8601")
        except ValueError as error:
            raise DataError(
                f"the time column {column!r} holds texts that are no times such as 2026-01-31 "
                "12:00; use numbers, dates, or such texts."
            ) from error
    order = np.argsort(times.to_numpy(), kind="stable")
    return frame.drop(columns=column), order


def _known(order: np.ndarray, table: LabeledTable) -> np.ndarray:
    """The order of the rows that have a target, as positions among them."""
    place = np.full(len(order), -1)
    place[table.rows] = np.arange(len(table))
    sorted_places = place[order]
    return sorted_places[sorted_places >= 0]


def last_rows(
    table: LabeledTable, *, test_size: float, random_state: int = 0
) -> tuple[LabeledTable, LabeledTable]:
    """The first rows to learn from and the last ones to judge by; nothing is shuffled.

    Raises
    ------
    ParameterError, DataError
        See `split`.
    """
    if not 0 < test_size < 1:
        raise ParameterError(f"test_size={test_size!r} must lie between 0 and 1.")
    n = len(table)
    first = n - math.ceil(test_size * n)
    if not 2 <= first < n:
        raise ParameterError(
            f"test_size={test_size:g} of {n} rows leaves too few rows to train or to test."
        )
    if table.classes is not None and len(np.unique(table.y[:first])) < 2:
        raise DataError(
            f"the first {first} rows, which are learned from, have one class only; use a smaller "
            "test_size, or give rows of all classes."
        )
    return table.take(np.arange(first)), table.take(np.arange(first, n))


def split(
    table: LabeledTable, *, test_size: float, random_state: int
) -> tuple[LabeledTable, LabeledTable]:
    """Training and held-out rows, stratified by class.

    Raises
    ------
    ParameterError
        When ``test_size`` is not a share, or leaves too few rows on a side.
    DataError
        When a class has a single row.
    """
    from sklearn.model_selection import train_test_split

    if not 0 <= random_state < 2**32:
        raise ParameterError(f"random_state={random_state} must lie between 0 and {2**32 - 1}.")
    if not 0 < test_size < 1:
        raise ParameterError(f"test_size={test_size!r} must lie between 0 and 1.")
    if table.classes is not None:
        labels, counts = np.unique(table.y, return_counts=True)
        if counts.min() < 2:
            raise DataError(
                f"the class {str(labels[counts.argmin()])!r} of the target column "
                f"{table.target!r} has one row, too few to learn and to test; add rows of it, "
                "merge it with another class, or drop it."
            )
    try:
        train, held = train_test_split(
            np.arange(len(table)),
            test_size=test_size,
            random_state=random_state,
            stratify=None if table.classes is None else table.y,
        )
    except ValueError as error:
        raise ParameterError(
            f"test_size={test_size:g} of {len(table)} rows leaves too few rows to train or to "
            f"test: {error}"
        ) from error
    parts = table.take(np.sort(train)), table.take(np.sort(held))
    for part, which in zip(parts, ("training", "held-out"), strict=True):
        if part.sample_weight is not None and not part.sample_weight.sum() > 0:
            raise DataError(
                f"all {len(part)} {which} rows have sample_weight 0; give more rows a weight, or "
                "use another test_size or test table."
            )
    return parts
