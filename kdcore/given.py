"""Teachers that are not fitted here: tables of probabilities, functions, and several in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, FitError, KDError, ParameterError
from kdcore.labels import teacher_output
from kdcore.targets import softmax

if TYPE_CHECKING:
    from kdcore.schema import TableSchema
    from kdcore.table import RawTable

__all__ = [
    "CallableTeacher",
    "EnsembleTeacher",
    "FittedTeacher",
    "GivenLabels",
    "checked_weights",
    "held_output",
    "input_for",
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

    def read(self, n_rows: int, classes: np.ndarray | None) -> np.ndarray:
        """The labels as (n, K), columns in the order of ``classes``, or (n,) in regression.

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
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise DataError(f"the teacher's labels of row {row} are missing or not finite.")
        if classes is None:
            if values.shape[1] != 1:
                raise DataError(
                    f"the teacher's labels have {values.shape[1]} columns, but a regression "
                    "has one."
                )
            return values[:, 0]
        values, logits = self._by_class(values, names, classes)
        if logits or self.logits:
            return softmax(values)
        if (values < 0).any():
            row = int(np.flatnonzero((values < 0).any(axis=1))[0])
            raise DataError(
                f"the teacher's probabilities of row {row} are negative; if they are logits, say "
                "so (--teacher-logits, or columns called logit_CLASS)."
            )
        total = values.sum(axis=1)
        worst = int(np.abs(total - 1).argmax())
        if abs(total[worst] - 1) > 1e-2:
            raise DataError(
                f"the teacher's probabilities of row {worst} sum to {total[worst]:.4g}, not 1."
            )
        return values / total[:, None]

    def _matrix(self) -> tuple[np.ndarray, list[str] | None]:
        data = self.data
        if isinstance(data, (str, Path)):
            from kdcore.table import read_provenance, read_table

            self.provenance = read_provenance(data) or "given"
            data = read_table(data)
        names = [str(c) for c in data.columns] if hasattr(data, "columns") else None
        try:
            values = np.asarray(data, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(f"the teacher's labels are not numbers: {error}.") from error
        return values.reshape(len(values), -1), names

    def _by_class(
        self, values: np.ndarray, names: list[str] | None, classes: np.ndarray
    ) -> tuple[np.ndarray, bool]:
        wanted = [str(c) for c in classes.tolist()]
        for prefix in ("", "proba_", "logit_"):
            keys = [prefix + w for w in wanted]
            if names is not None and set(keys) <= set(names):
                return values[:, [names.index(k) for k in keys]], prefix == "logit_"
        if len(classes) == 2 and values.shape[1] == 1:
            p = values[:, 0]
            if self.logits:
                return np.stack([-p / 2, p / 2], axis=1), True
            return np.stack([1 - p, p], axis=1), False
        if values.shape[1] != len(classes):
            raise DataError(
                f"the teacher's labels have {values.shape[1]} columns, but the table has "
                f"{len(classes)} classes ({', '.join(wanted[:10])}); give one column for each."
            )
        return values, False


class CallableTeacher:
    """A function of a raw table as a teacher.

    Parameters
    ----------
    function : callable
        ``function(frame)`` returns probabilities (n, K), columns in the order of the sorted
        classes, or values (n,).
    classes : array of shape (K,) or None
    """

    reads_raw = True

    def __init__(self, function: Callable[[Any], Any], classes: np.ndarray | None) -> None:
        self.function = function
        self._classes = classes
        if classes is not None:
            self.classes_ = classes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, K)."""
        return GivenLabels(self._call(X)).read(len(X), self._classes)

    def predict(self, X: Any) -> np.ndarray:
        """Classes, or values (n,)."""
        output = GivenLabels(self._call(X)).read(len(X), self._classes)
        if self._classes is None:
            return output
        return np.asarray(self._classes[output.argmax(axis=1)])

    def _call(self, X: Any) -> Any:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        try:
            return self.function(X)
        except KDError:
            raise
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise FitError(f"the teacher {name} (a callable) failed: {line}") from error


class FittedTeacher:
    """A teacher that was fitted elsewhere; it gets tables as the user has them.

    Parameters
    ----------
    model : fitted estimator
    """

    reads_raw = True

    def __init__(self, model: Any) -> None:
        self.model = model
        if hasattr(model, "classes_"):
            self.classes_ = np.asarray(model.classes_)
        if hasattr(model, "model_bytes"):
            self.model_bytes = model.model_bytes

    def _columns(self, X: Any) -> Any:
        """The columns it was fitted on, where it tells them."""
        if hasattr(self.model, "columns_of") and hasattr(X, "columns"):
            # Files may hold other names than the table, such as underscores for blanks.
            return self.model.columns_of(X)
        names = getattr(self.model, "feature_names_in_", None)
        if names is None or not hasattr(X, "columns"):
            return X
        missing = [str(n) for n in names if n not in X.columns]
        if missing:
            shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
            raise DataError(
                f"the teacher {type(self.model).__name__} was fitted on {len(missing)} column(s) "
                f"that the table lacks: {shown}."
            )
        return X[list(names)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        return np.asarray(self.model.predict_proba(self._columns(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Classes, or values (n,)."""
        return np.asarray(self.model.predict(self._columns(X)))


class _CanonicalTeacher:
    """A teacher that was fitted here, made to read tables as the user has them."""

    reads_raw = True

    def __init__(self, model: Any, schema: TableSchema) -> None:
        self.model = model
        self.schema = schema
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_
        if hasattr(model, "model_bytes"):
            self.model_bytes = model.model_bytes

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(self.model.predict_proba(self.schema.canonical(X)))

    def predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.model.predict(self.schema.canonical(X)))


class EnsembleTeacher:
    """Several fitted teachers, averaged.

    Parameters
    ----------
    members : sequence of fitted teachers
    weights : array of shape (m,)
        They sum to 1.
    classes : array of shape (K,) or None
    schema : TableSchema
        Columns of the table that the members without ``reads_raw`` were fitted on.
    """

    reads_raw = True

    def __init__(
        self,
        members: Sequence[Any],
        weights: np.ndarray,
        classes: np.ndarray | None,
        schema: TableSchema,
    ) -> None:
        self.members = [
            m if getattr(m, "reads_raw", False) else _CanonicalTeacher(m, schema) for m in members
        ]
        self.weights = weights
        self._classes = classes
        if classes is not None:
            self.classes_ = classes

    def _mean(self, X: Any) -> np.ndarray:
        outputs = [teacher_output(m, X, self._classes) for m in self.members]
        return np.asarray(np.tensordot(self.weights, np.stack(outputs), axes=1))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Averaged probabilities (n, K)."""
        return self._mean(X)

    def predict(self, X: Any) -> np.ndarray:
        """Classes, or averaged values (n,)."""
        mean = self._mean(X)
        if self._classes is None:
            return mean
        return np.asarray(self._classes[mean.argmax(axis=1)])

    def model_bytes(self) -> int | None:
        """Sum of the members' sizes; None when one does not tell."""
        sizes = [m.model_bytes() if hasattr(m, "model_bytes") else None for m in self.members]
        known = [s for s in sizes if s is not None]
        return sum(known) if len(known) == len(sizes) else None


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


def held_output(teacher: Any, held: RawTable, given: np.ndarray | None = None) -> np.ndarray | None:
    """A teacher's output for held-out rows; None where only given labels of other rows exist.

    Parameters
    ----------
    teacher : fitted teacher or None
    held : RawTable
    given : array, optional
        Labels of all rows of the table that ``held`` was split from.
    """
    if teacher is None:
        return None if given is None else given[held.rows]
    return teacher_output(teacher, input_for(teacher, held), held.classes)


def input_for(teacher: Any, table: RawTable) -> Any:
    """The columns of a table in the form that a teacher reads."""
    return table.raw if getattr(teacher, "reads_raw", False) else table.X
