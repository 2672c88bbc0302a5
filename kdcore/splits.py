"""From files and frames to the rows that are learned from and the rows that judge."""

from __future__ import annotations

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
        All rows of the main table.
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
        train = table
        held = labeled(read_table(test), target, sample_weight=sample_weight, like=table)
    rows = None if extra is None else unlabeled(read_table(extra), train)
    return Data(table, train, held, rows)


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
    return table.take(np.sort(train)), table.take(np.sort(held))
