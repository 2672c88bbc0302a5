"""`DistillationClassifier` and `DistillationRegressor`: teacher and student in one estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from kdcore.distiller_base import Distillation
from kdcore.inputs import table_of
from kdcore.labeled_rows import labeled_rows
from kdcore.report import FitReport

__all__ = ["DistillationClassifier", "DistillationRegressor", "FitReport"]


_PARAMETERS = """
    Parameters
    ----------
    teacher : default "xgboost"
        A registered name (see ``kd plugins``), an unfitted scikit-learn {kind}, a fitted one (see
        ``fitted``), the path of a native model file, a function of a frame, `kdcore.GivenLabels`
        for all rows of the table, or a list of these (averaged).
    student : str or Student, optional
        A registered name, or an unfitted student; ``"{student}"`` unless given.
    fitted : {{"in-sample", "held-out", "refit"}} or None, default=None
        What a teacher that comes fitted was fitted on: these rows (its labels teach little, and
        a warning says so), or others; "refit" allows to fit clones of it out of fold. It is
        refused without a word on this, since it is never refitted in silence. For searches and
        cross-validation, whose clones lose the fit, wrap it in `sklearn.frozen.FrozenEstimator`.
    teacher_weights : sequence of float or "auto", optional
        Weights of the teachers in a list, or those that are best on rows they have not seen; equal
        if None.
    folds : int or "auto", default="auto"
        Folds of the out-of-fold labels; "auto" is 5, or fewer where the rarest class has fewer
        rows.
    recipe : {{"fast", "auto", "plain"}}, default="fast"
        "fast" teaches by the recipe measured to be best for this kind of student; "auto" compares
        it with others on held-out parts of the rows first; "plain" is textbook distillation. See
        `kdcore.distill`.
    alpha, temperature, loss : optional
        Override the student's own; see `kdcore.{base}`.
    encoder, augment : optional
        Override the recipe's; see `kdcore.distill`.
    label_correction : str or DaoCorrection, optional
        ``"dao"`` corrects the teacher's labels by the true ones; see `kdcore.label_correction`.
    max_features, max_factor_ratio, selector, keep, drop, costs, max_cost, tolerance : optional
        Which columns the student may read, chosen within a budget; see `kdcore.distill`. Columns
        of arrays are called ``x0, x1, ...``. `predict` needs no others.
    relabel : {{"auto", "always", "never"}}, default="auto"
        Whether the teacher labels again, fitted to the chosen columns; see `kdcore.distill`.
    stability : int, default=0
        Bootstrap samples on which columns are chosen again; see `kdcore.distill`.
    split : {{"random", "ordered"}}, default="random"
        ``"ordered"`` is for rows in order of time: folds are blocks, and nothing is shuffled.
    random_state : int or None, default=0
        Shuffles rows into folds and seeds a teacher that has no seed of its own. None draws a
        fresh seed.
    n_jobs : int or None, default=None
        Teacher fits at a time; -1 for one on each core. The result is the same bits.

    Attributes
    ----------
    teacher_ : estimator fitted on all rows, or the one that came fitted; None for given labels
    student_ : fitted student, which `predict` asks
    report_ : FitReport
    selected_features_ : list of str, the raw columns that the student reads
    selection_path_ : list of dict, the sets that were tried; only where columns were selected
    {classes}n_features_in_ : int
    feature_names_in_ : array, where the table has column names
"""


class DistillationClassifier(ClassifierMixin, Distillation):
    __doc__ = (
        "Fit a teacher, label every row out of fold, and fit a student to the soft labels.\n"
        + _PARAMETERS.format(
            kind="classifier",
            student="logistic_regression",
            base="ClassifierStudent",
            classes="classes_ : array of shape (K,)\n    ",
        )
    )

    _task = "multiclass"
    _usual_student = "logistic_regression"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DistillationClassifier:
        """Fit teacher and student.

        Parameters
        ----------
        X : table or array of shape (n, p)
            Numbers, truth values, categories, texts; missing values allowed.
        y : array of shape (n,)
        sample_weight : array of shape (n,), optional
            Used by teacher and student.

        Raises
        ------
        DataError, ParameterError, FitError, UnknownNameError, PluginError
            All of them are `kdcore.KDError`.
        """
        table = labeled_rows(self, X, y, sample_weight, regression=False)
        self.classes_ = table.classes
        self._distil(table)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The student's class probabilities (n, K); columns follow ``classes_``."""
        check_is_fitted(self)
        return self.student_.predict_proba(_input(self, X))

    def predict(self, X: Any) -> np.ndarray:
        """The student's most probable class of each row, (n,)."""
        check_is_fitted(self)
        return self.student_.predict(_input(self, X))


class DistillationRegressor(RegressorMixin, Distillation):
    __doc__ = (
        "Fit a teacher, predict every row out of fold, and fit a student to the blended target.\n"
        + _PARAMETERS.format(kind="regressor", student="ridge", base="RegressorStudent", classes="")
    )

    _task = "regression"
    _usual_student = "ridge"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DistillationRegressor:
        """Fit teacher and student; see `DistillationClassifier.fit`."""
        self._distil(labeled_rows(self, X, y, sample_weight, regression=True))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The student's values, (n,)."""
        check_is_fitted(self)
        return self.student_.predict(_input(self, X))


def _input(estimator: Any, X: Any) -> Any:
    frame = table_of(estimator, X, reset=False)
    if not hasattr(estimator.student_, "feature_names_in_"):
        return frame.to_numpy()
    return frame
