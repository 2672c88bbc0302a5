"""Tables as kdcore works with them: rows with and without labels, and what a target column is."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, ParameterError, suggest
from kdcore.schema import TableSchema
from kdcore.table_files import BUNDLED, SUFFIXES, read_provenance, read_table
from kdcore.target_column import (
    aligned,
    class_task,
    classes_of,
    numbers_of,
    plain_target,
    weights_in,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BUNDLED",
    "SUFFIXES",
    "LabeledTable",
    "RawTable",
    "infer_task",
    "labeled",
    "read_provenance",
    "read_table",
    "stacked",
    "unlabeled",
]

_TASKS = ("auto", "classification", "binary", "multiclass", "regression")

#: Whole numbers with at most this many values are taken for classes.
_MAX_INTEGER_CLASSES = 30


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """Rows without labels.

    Tables may be as large as memory allows, so parts of a table share its columns with it, and
    with the user's own table where they can: ``X`` is a copy of the rows that lives as long as
    somebody holds it. Keep it in a variable where it is used more than once.

    Parameters
    ----------
    whole : pandas.DataFrame
        Canonical columns: numbers, and ``category`` for texts and categories. It may have more
        rows.
    part : int array of shape (n,), optional
        Positions of these rows in ``whole``; all of them by default.
    classes : array of shape (K,) or None
        Sorted labels; None in regression.
    source : pandas.DataFrame
        The table as it was read, all rows and columns.
    rows : int array of shape (n,)
        Positions of these rows in ``source``.
    """

    whole: pd.DataFrame
    part: np.ndarray | None = None
    classes: np.ndarray | None
    source: pd.DataFrame
    rows: np.ndarray
    #: A weak reference to what ``X`` last returned.
    _made: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 in regression."""
        return 0 if self.classes is None else len(self.classes)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": []}

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.whole.columns)

    @property
    def X(self) -> pd.DataFrame:
        """The canonical columns of these rows."""
        if self.part is None:
            return self.whole
        frame = self._made[0]() if self._made else None
        if frame is None:
            frame = self.whole.iloc[self.part].reset_index(drop=True)
            self._made[:] = [weakref.ref(frame)]
        return frame

    def column(self, name: str) -> Any:
        """One canonical column of these rows, without a copy of the others."""
        values = self.whole[name]
        return values if self.part is None else values.iloc[self.part]

    @property
    def raw(self) -> pd.DataFrame:
        """The input columns as they were read, for teachers that were fitted elsewhere."""
        import pandas as pd

        # Column by column: one copy, where pandas' own selections would make three.
        columns = {c: self.source[c].array.take(self.rows) for c in self.names}
        return pd.DataFrame(columns, copy=False)


@dataclass(frozen=True, kw_only=True)
class LabeledTable(RawTable):
    """Rows with their labels, ready for teachers and students.

    Parameters
    ----------
    whole, part, classes, source, rows
        See `RawTable`.
    y : array of shape (n,)
        Class labels, or float values.
    sample_weight : array of shape (n,) or None
    task : {"binary", "multiclass", "regression"}
    target : str
    ordered : bool, default=False
        Whether the rows are in order of time, so that they may not be shuffled into folds.
    """

    y: np.ndarray
    sample_weight: np.ndarray | None
    task: str
    target: str
    ordered: bool = False

    @property
    def weight(self) -> np.ndarray:
        """Row weights, (n,); ones where there are none."""
        return np.ones(len(self)) if self.sample_weight is None else self.sample_weight

    def take(self, rows: np.ndarray) -> LabeledTable:
        """The rows at the given positions."""
        weight = self.sample_weight
        return replace(
            self,
            part=np.arange(len(self.whole))[rows] if self.part is None else self.part[rows],
            y=self.y[rows],
            sample_weight=None if weight is None else weight[rows],
            rows=self.rows[rows],
        )


def infer_task(y: pd.Series) -> str:
    """``"classification"`` or ``"regression"``, from the values of a target column.

    Texts, categories and truth values are classes; whole numbers are if there are few of them.
    """
    from pandas.api import types

    known = y.dropna()
    if not types.is_numeric_dtype(known.dtype) or types.is_bool_dtype(known.dtype):
        return "classification"
    values = known.to_numpy(dtype=float)
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    distinct = len(np.unique(values))
    few = distinct <= min(_MAX_INTEGER_CLASSES, max(2, len(values) // 4))
    return "classification" if whole and few else "regression"


def labeled(
    frame: pd.DataFrame,
    target: str,
    *,
    task: str = "auto",
    sample_weight: str | None = None,
    like: LabeledTable | None = None,
) -> LabeledTable:
    """Split a frame into input columns, labels and weights, and check them all.

    Rows whose target is missing are dropped.

    Parameters
    ----------
    frame : pandas.DataFrame
    target : str
        Column to predict.
    task : {"auto", "classification", "binary", "multiclass", "regression"}
    sample_weight : str, optional
        Column of row weights; it is not an input.
    like : LabeledTable, optional
        The training table, when this one is for testing: it gives task, classes and columns.

    Raises
    ------
    DataError, ParameterError
        When a column or its values cannot be used; the message names the column.
    """
    if task not in _TASKS:
        raise ParameterError(f"task={task!r} is not known; use one of {', '.join(_TASKS)}.")
    for role, name in (("target", target), ("sample_weight", sample_weight)):
        if name is not None and name not in frame.columns:
            raise DataError(
                f"the table has no {role} column {name!r}." + suggest(name, frame.columns)
            )
    if target == sample_weight:
        raise ParameterError(f"the column {target!r} cannot be target and sample_weight at once.")
    y = frame[target]
    known = y.notna().to_numpy()
    if not known.any():
        raise DataError(f"every value of the target column {target!r} is missing.")
    source = frame
    if not known.all():
        frame, y = frame.loc[known], y.loc[known]
    y = plain_target(y, target)
    if like is not None:
        task = "regression" if like.classes is None else "classification"
    kind = infer_task(y) if task == "auto" else task
    if kind == "regression":
        labels, classes = numbers_of(y, target), None
    else:
        labels, classes = classes_of(y, target)
        kind = class_task(classes, task, target)
    if like is not None and classes is not None and like.classes is not None:
        labels, classes = aligned(labels, like.classes, target), like.classes
        kind = like.task
    elif like is None and len(np.unique(labels)) < 2:
        raise DataError(
            f"the target column {target!r} is constant ({labels[0].item()!r}); there is nothing "
            "to learn."
        )
    weight = None if sample_weight is None else weights_in(frame[sample_weight], sample_weight)
    inputs = frame.drop(columns=[c for c in (target, sample_weight) if c is not None])
    if inputs.shape[1] == 0:
        raise DataError("the table has no input columns besides the target.")
    if like is not None:
        # Refuse wrong columns before any training; unseen categories stay as they are.
        TableSchema.fit(like.X).canonical(inputs)
        inputs = inputs[like.names]
    X = TableSchema.fit(inputs).canonical(inputs).reset_index(drop=True)
    rows = np.flatnonzero(known)
    return LabeledTable(
        whole=X,
        classes=classes,
        source=source,
        rows=rows,
        y=labels,
        sample_weight=weight,
        task=kind,
        target=target,
    )


def unlabeled(frame: pd.DataFrame, like: LabeledTable) -> RawTable:
    """Rows without labels, with the columns of a training table; other columns are ignored.

    Raises
    ------
    DataError
        When a column is missing or holds values of the wrong type.
    """
    TableSchema.fit(like.X).canonical(frame)
    inputs = frame[like.names]
    X = TableSchema.fit(inputs).canonical(inputs).reset_index(drop=True)
    return RawTable(whole=X, classes=like.classes, source=frame, rows=np.arange(len(frame)))


def stacked(first: pd.DataFrame, *others: pd.DataFrame) -> pd.DataFrame:
    """Tables with the same columns below each other, categories kept."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    columns: dict[str, Any] = {}
    for name in first.columns:
        parts = [first[name], *(other[name] for other in others)]
        categorical = all(isinstance(p.dtype, pd.CategoricalDtype) for p in parts)
        if categorical and any(p.dtype != parts[0].dtype for p in parts):
            columns[name] = union_categoricals(parts, sort_categories=True)
        else:
            columns[name] = pd.concat(parts, ignore_index=True).array
    return pd.DataFrame(columns, copy=False)
