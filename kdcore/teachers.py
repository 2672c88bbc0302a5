"""Base classes of teachers: raw tables and labels of any type become what a library reads.

A plugin may provide any scikit-learn estimator as a teacher; these classes spare it the work of
matching columns, fixing categories, numbering classes and checking weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted

from kdcore.errors import DataError, ParameterError
from kdcore.inputs import RawTables, labels_of, table_of, weights_of
from kdcore.schema import TableSchema

__all__ = ["ClassifierTeacher", "RegressorTeacher", "Teacher", "mean_sizes", "stopping_rows"]


class Teacher(RawTables, BaseEstimator):
    """What both kinds share. Derive from `ClassifierTeacher` or `RegressorTeacher` instead.

    A subclass has ``random_state`` and ``n_jobs`` among its constructor parameters and writes

    ``fit_frame(frame, y, sample_weight)``
        Fit to a pandas frame of numbers and ``category`` columns (missing values kept) and class
        positions, or values, (n,); ``sample_weight`` is an array or None.
    ``predict_frame(frame)``
        Class probabilities (n, K), or values (n,).
    ``check_params()``
        Optional: raises `ParameterError` for values that the library would take in silence. It is
        called before a fit; see `kdcore.parameters` for rules.
    ``model_bytes()``
        Optional: size of the model in the library's own format.
    ``structure()``
        Optional: a `kdcore.structure.TeacherStructure` of the raw columns, for the encoders of
        students, or None (see `kdcore.structure.structure_from_trees`).
    ``to_onnx()``
        Optional: an ONNX model from raw columns to what the teacher predicts (see
        `kdcore.graph.raw_trees`), so that the teacher itself can be deployed; KDError where this
        one cannot be written.
    ``contributions(X)``
        Optional: mean size (p,) of each raw column's contributions to the output (TreeSHAP) in
        these rows, for the selection of columns; see `mean_sizes`.

    Attributes
    ----------
    schema_ : TableSchema
        The raw columns.
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Fit to a canonical frame; see the class."""
        raise TypeError(f"{type(self).__name__} must define fit_frame(frame, y, sample_weight)")

    def check_params(self) -> None:
        """Refuse parameter values that cannot be used; see the class."""

    def predict_frame(self, frame: Any) -> np.ndarray:
        """Predict a canonical frame; see the class."""
        raise TypeError(f"{type(self).__name__} must define predict_frame(frame)")

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, *, classes: bool = False
    ) -> tuple[Any, Any, Any]:
        self.check_params()
        frame = table_of(self, X, reset=True)
        y = labels_of(y, len(frame), classes=classes)
        weight = weights_of(sample_weight, frame)
        if weight is not None:
            keep = weight > 0
            if not keep.all():
                frame, y, weight = frame.loc[keep], y[keep], weight[keep]
        self.schema_ = TableSchema.fit(frame)
        return self.schema_.canonical(frame), y, weight

    def _predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.predict_frame(self.schema_.canonical(table_of(self, X, reset=False)))


class ClassifierTeacher(ClassifierMixin, Teacher):
    """A teacher that classifies: ``predict_frame`` returns probabilities (n, K)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ClassifierTeacher:
        """Fit to a raw table and labels (n,) of any type.

        Raises
        ------
        DataError
            When there is only one class, or a column cannot be used.
        """
        frame, y, weight = self._prepare(X, y, sample_weight, classes=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError("only one class is present; a classifier needs at least two classes.")
        self.fit_frame(frame, codes, weight)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K); columns follow ``classes_`` and rows sum to 1."""
        proba = np.asarray(self._predict(X), dtype=float)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class RegressorTeacher(RegressorMixin, Teacher):
    """A teacher that predicts numbers: ``predict_frame`` returns values (n,)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RegressorTeacher:
        """Fit to a raw table and values (n,).

        Raises
        ------
        DataError
            When a column or a value cannot be used.
        """
        frame, y, weight = self._prepare(X, y, sample_weight)
        self.fit_frame(frame, check_array(y, ensure_2d=False, dtype=np.float64), weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predicted values, (n,)."""
        return np.asarray(self._predict(X), dtype=float)


def mean_sizes(contributions: np.ndarray, n_columns: int) -> np.ndarray:
    """Mean size (p,) of contributions as boosters give them, summed over classes.

    Parameters
    ----------
    contributions : array of shape (n, p + 1), (n, K, p + 1) or (n, K * (p + 1))
        The last column of each output is its base value.
    n_columns : int
        p.
    """
    parts = np.asarray(contributions, dtype=float).reshape(len(contributions), -1, n_columns + 1)
    return np.asarray(np.abs(parts[..., :n_columns]).mean(axis=0).sum(axis=0))


def stopping_rows(
    y: np.ndarray, *, fraction: float, random_state: Any, classify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Split a teacher's training rows for early stopping: rows to learn from, rows to stop on.

    Only rows that ``fit`` was given are used, so a teacher fitted out of fold stops without having
    seen the rows that it is to label.

    Parameters
    ----------
    y : array of shape (n,)
        Class positions, or values.
    fraction : float
        Share of the rows to stop on; of each class too, whose first row is always learned from.
    random_state : int, RandomState or None
    classify : bool

    Returns
    -------
    learn, stop : int arrays
        Positions, ascending.

    Raises
    ------
    ParameterError
        When no row is left on a side.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = int(random_state.randint(2**31 - 1))
    order = np.random.default_rng(random_state).permutation(len(y))
    if classify:
        order = order[np.argsort(y[order], kind="stable")]
    # Evenly along the classes, so that each of them gives its share.
    share = np.floor(fraction * np.arange(1, len(y) + 1) + 0.5)
    chosen = np.diff(share, prepend=0.0) > 0
    if classify:
        chosen[np.flatnonzero(np.diff(y[order], prepend=-1) != 0)] = False
    learn, stop = np.sort(order[~chosen]), np.sort(order[chosen])
    if not len(stop) or not len(learn):
        raise ParameterError(
            f"validation_fraction={fraction:g} of {len(y)} rows leaves none to "
            f"{'learn from' if len(stop) else 'stop on'}; change it, or leave out "
            "early_stopping_rounds."
        )
    return learn, stop
