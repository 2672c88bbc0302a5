"""Labels that the user already has, and what a teacher says of other rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, ParameterError
from kdcore.labels import TeacherLabels, teacher_output
from kdcore.schema import as_frame
from kdcore.targets import PROVENANCES, softmax

if TYPE_CHECKING:
    from kdcore.table import RawTable

__all__ = [
    "GivenLabels",
    "checked_weights",
    "held_output",
    "input_for",
    "raw_like",
]


class GivenLabels:
    """Probabilities (or values) that the user already has, one row for each row of the table.

    Parameters
    ----------
    data : array, frame, or path of a table
        Classification: K columns, matched to the classes by name (``CLASS``, ``proba_CLASS`` or
        ``logit_CLASS``) where all names match, else in the order of the sorted classes; for two
        classes one column, the second class's probability, will do. Regression: one column.
    logits : bool, default=False
        Whether the numbers are logits; columns called ``logit_CLASS`` always are.
    """

    def __init__(self, data: Any, *, logits: bool = False) -> None:
        self.data = data
        self.logits = logits
        self.provenance = "given"

    def read(
        self, n_rows: int, classes: np.ndarray | None, used: np.ndarray | None = None
    ) -> np.ndarray:
        """The labels as (n, K), columns in the order of ``classes``, or (n,) in regression.

        Parameters
        ----------
        n_rows : int
            Rows of the table.
        classes : array of shape (K,) or None
        used : int array, optional
            The rows that count: those with a target. Others may be empty, and come back as NaN.

        Raises
        ------
        DataError
            When rows or columns do not fit, or a row is not a distribution; it names the row.
        """
        values, names = self._matrix()
        if len(values) != n_rows:
            raise DataError(
                f"the teacher's labels have {len(values)} rows, but the table has {n_rows}; give "
                "one row of labels for each row of the table, in the same order."
            )
        rows = np.arange(n_rows) if used is None else used
        everything = np.full((n_rows, 1 if classes is None else len(classes)), np.nan)
        everything[rows] = self._checked(values[rows], names, classes, rows)
        return everything[:, 0] if classes is None else everything

    def _checked(
        self,
        values: np.ndarray,
        names: list[str] | None,
        classes: np.ndarray | None,
        rows: np.ndarray,
    ) -> np.ndarray:
        logits = self.logits
        if classes is None:
            if values.shape[1] != 1:
                raise DataError(
                    f"the teacher's labels have {values.shape[1]} columns, but a regression "
                    "has one."
                )
        else:
            values, logits = self._by_class(values, names, classes)
        if not np.isfinite(values).all():
            row = rows[np.flatnonzero(~np.isfinite(values).all(axis=1))[0]]
            raise DataError(f"the teacher's labels of row {row} are missing or not finite.")
        if classes is None:
            return values
        if logits:
            return softmax(values)
        if (values < 0).any():
            row = rows[np.flatnonzero((values < 0).any(axis=1))[0]]
            raise DataError(
                f"the teacher's probabilities of row {row} are negative; if they are logits, say "
                "so (--teacher-logits, or columns called logit_CLASS)."
            )
        total = values.sum(axis=1)
        worst = int(np.abs(total - 1).argmax())
        if abs(total[worst] - 1) > 1e-2:
            raise DataError(
                f"the teacher's probabilities of row {rows[worst]} sum to {total[worst]:.4g}, not "
                "1; give one probability for each class."
            )
        return values / total[:, None]

    def _matrix(self) -> tuple[np.ndarray, list[str] | None]:
        data = self.data
        if isinstance(data, (str, Path)):
            from kdcore.table_files import read_provenance, read_table

            said = read_provenance(data)
            self.provenance = said if said in PROVENANCES else "given"
            data = read_table(data)
        names = None
        if hasattr(data, "columns"):
            # A frame that was made of an array has numbers for names, which are no classes.
            unnamed = isinstance(getattr(data.columns, "step", None), int)
            data = as_frame(data)
            names = None if unnamed else [str(c) for c in data.columns]
        try:
            values = np.asarray(data, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(f"the teacher's labels are not numbers: {error}.") from error
        if values.ndim not in (1, 2):
            raise DataError(
                f"the teacher's labels have the shape {values.shape}; give one row for each row "
                "of the table and one column for each class."
            )
        return values.reshape(len(values), -1), names

    def _by_class(
        self, values: np.ndarray, names: list[str] | None, classes: np.ndarray
    ) -> tuple[np.ndarray, bool]:
        wanted = [str(c) for c in classes.tolist()]
        logits, second = self.logits, 1
        for prefix in ("proba_", "logit_", ""):
            keys = [prefix + w for w in wanted]
            found = [k for k in keys if names is not None and k in names]
            stray = [n for n in names or [] if prefix and n.startswith(prefix) and n not in keys]
            if stray:
                raise DataError(
                    f"the column {stray[0]!r} of the teacher's labels is for a class that the "
                    f"table does not have; its classes are {', '.join(wanted[:10])}."
                )
            if not found or names is None:
                continue
            logits = logits or prefix == "logit_"
            if len(found) == len(keys):
                return values[:, [names.index(k) for k in keys]], logits
            if len(keys) == 2 and values.shape[1] == 1:
                second = keys.index(found[0])
                break
            lost = next(w for w, k in zip(wanted, keys, strict=True) if k not in found)
            raise DataError(
                f"the teacher's labels have a column {found[0]!r}, but none for the class "
                f"{lost!r}; give one column for each class."
            )
        if len(classes) == 2 and values.shape[1] == 1:
            # One column tells of the class that it is called by, or else of the second one.
            p = values[:, 0]
            pair = [-p / 2, p / 2] if logits else [1 - p, p]
            return np.stack(pair if second else pair[::-1], axis=1), logits
        if values.shape[1] != len(classes):
            raise DataError(
                f"the teacher's labels have {values.shape[1]} columns, but the table has "
                f"{len(classes)} classes ({', '.join(wanted[:10])}); give one column for each."
            )
        return values, logits


def checked_weights(weights: Sequence[float] | None, n: int) -> np.ndarray:
    """Weights of n teachers that sum to 1; equal ones if None.

    Raises
    ------
    ParameterError
        When there are not n of them, one is negative, or all are zero.
    """
    if weights is None:
        return np.full(n, 1 / n)
    values = np.asarray(weights, dtype=float)
    if values.shape != (n,):
        raise ParameterError(f"teacher_weights: {values.size} weights for {n} teachers.")
    if not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
        raise ParameterError(
            f"teacher_weights={values.tolist()}: weights must be finite, not negative, and not "
            "all zero."
        )
    return values / values.sum()


def held_output(labels: TeacherLabels, held: RawTable, *, same_table: bool) -> np.ndarray | None:
    """A teacher's output for held-out rows; None where only given labels of other rows exist.

    Parameters
    ----------
    labels : TeacherLabels
        What the teacher said of its training rows.
    held : RawTable
    same_table : bool
        Whether the rows were split from the table that given labels belong to.
    """
    if labels.parts:
        outputs = [held_output(part, held, same_table=same_table) for part in labels.parts]
        known = [o for o in outputs if o is not None]
        if len(known) < len(outputs):
            return None
        return np.asarray(np.tensordot(labels.shares, np.stack(known), axes=1))
    if labels.teacher is None:
        return labels.given[held.rows] if same_table and labels.given is not None else None
    return teacher_output(labels.teacher, input_for(labels.teacher, held), held.classes)


def input_for(teacher: Any, table: RawTable) -> Any:
    """The columns of a table in the form that a teacher reads."""
    return table.raw if getattr(teacher, "reads_raw", False) else table.X


def raw_like(frame: Any, source: Any) -> Any:
    """Canonical rows in the column types of the table that was read, as far as these can hold them.

    Teachers that were fitted elsewhere know the user's types: texts rather than categories.
    """
    columns = {}
    for name in frame.columns:
        column, wanted = frame[name], source[name].dtype
        try:
            columns[name] = column.astype(wanted)
        except (TypeError, ValueError):
            # A whole number cannot be missing, for instance.
            columns[name] = column
    return frame.assign(**columns)
