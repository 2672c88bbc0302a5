"""From files and frames to the rows that are learned from and the rows that judge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcore.errors import DataError, ParameterError
from kdcore.table import LabeledTable, RawTable, labeled, read_table, unlabeled

__all__ = ["Data", "prepare", "split"]


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
    random_state: int = 0,
) -> Data:
    """Read the tables of an experiment and hold rows out; parameters as in `kdcore.distill`."""
    table = labeled(read_table(data), target, task=task, sample_weight=sample_weight)
    if test is None:
        train, held = split(table, test_size=test_size, random_state=random_state)
    else:
        train, frame = table, read_table(test)
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
