"""Teachers that were fitted elsewhere, functions, and several teachers in one."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, FitError, KDError, first_line, listed
from kdcore.given import GivenLabels
from kdcore.labels import teacher_output
from kdcore.structure import TeacherStructure, merge_structures, structure_of

if TYPE_CHECKING:
    from kdcore.schema import TableSchema

__all__ = ["CallableTeacher", "EnsembleTeacher", "FittedTeacher", "NarrowTeacher"]


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
            line = first_line(error)
            raise FitError(f"the teacher {name} (a callable) failed: {line}") from error


class _Around(ABC):
    """A fitted teacher behind a change of the tables that it gets."""

    def __init__(self, model: Any) -> None:
        self.model = model
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_
        if hasattr(model, "model_bytes"):
            self.model_bytes = model.model_bytes

    @abstractmethod
    def _columns(self, X: Any) -> Any:
        """The table as the model reads it."""

    def structure(self) -> TeacherStructure | None:
        """What the model's trees tell of the columns; None where they do not."""
        return structure_of(self.model)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        return np.asarray(self.model.predict_proba(self._columns(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Classes, or values (n,)."""
        return np.asarray(self.model.predict(self._columns(X)))


class FittedTeacher(_Around):
    """A teacher that was fitted elsewhere; it gets tables as the user has them.

    Parameters
    ----------
    model : fitted estimator
    classes : array of shape (K,), optional
        Of the table; a model that does not tell its classes has these.
    """

    reads_raw = True

    def __init__(self, model: Any, classes: np.ndarray | None = None) -> None:
        super().__init__(model)
        own = getattr(model, "classes_", classes)
        if own is not None:
            self.classes_ = np.asarray(own)

    def _columns(self, X: Any) -> Any:
        """The columns it was fitted on, where it tells them."""
        if hasattr(self.model, "columns_of"):
            # Model files may hold other names than the table, such as underscores for blanks.
            return self.model.columns_of(X)
        names = getattr(self.model, "feature_names_in_", None)
        if names is None or all(re.fullmatch(r"Column_\d+", str(n)) for n in names):
            # It was fitted on an array, so its columns have an order only.
            width = getattr(self.model, "n_features_in_", None)
            if width is None:
                return X
            if width != X.shape[1]:
                raise DataError(
                    f"the teacher {type(self.model).__name__} was fitted on {width} columns "
                    f"without names, but the table has {X.shape[1]}: "
                    f"{', '.join(map(str, X.columns[:10]))}."
                )
            plain = all(isinstance(t, np.dtype) and t.kind in "iufb" for t in X.dtypes)
            return X.to_numpy() if plain else X
        missing = [str(n) for n in names if n not in X.columns]
        if missing:
            raise DataError(
                f"the teacher {type(self.model).__name__} was fitted on {len(missing)} column(s) "
                f"that the table lacks: {listed(missing)}."
            )
        return X[list(names)]


class NarrowTeacher(_Around):
    """A teacher that was fitted to some columns, made to read tables that hold more.

    Parameters
    ----------
    model : fitted teacher
    columns : list of str
    """

    def __init__(self, model: Any, columns: list[str]) -> None:
        super().__init__(model)
        self.columns = columns
        self.reads_raw = getattr(model, "reads_raw", False)

    def _columns(self, X: Any) -> Any:
        return X[self.columns]


class _CanonicalTeacher(_Around):
    """A teacher that was fitted here, made to read tables as the user has them."""

    reads_raw = True

    def __init__(self, model: Any, schema: TableSchema) -> None:
        super().__init__(model)
        self.schema = schema

    def _columns(self, X: Any) -> Any:
        return self.schema.canonical(X)


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

    def structure(self) -> TeacherStructure | None:
        """Those of the members that tell it, by their weights; None where none does."""
        told = [structure_of(m) for m in self.members]
        known = [(s, w) for s, w in zip(told, self.weights, strict=True) if s is not None]
        return merge_structures([s for s, _ in known], [float(w) for _, w in known])

    def model_bytes(self) -> int | None:
        """Sum of the members' sizes; None when one does not tell."""
        sizes = [m.model_bytes() if hasattr(m, "model_bytes") else None for m in self.members]
        known = [s for s in sizes if s is not None]
        return sum(known) if len(known) == len(sizes) else None
