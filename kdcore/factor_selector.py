"""`FactorSelector`: column selection within a budget as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted

from kdcore.errors import DataError, ParameterError, suggest
from kdcore.inputs import RawTables, labels_of, seed_of
from kdcore.labeled_rows import labeled_rows
from kdcore.labeller import Labeller
from kdcore.recipe_fit import Lesson
from kdcore.resolve import resolve_student
from kdcore.schema import as_frame
from kdcore.selection import ColumnWishes, either_budget, select_columns
from kdcore.selection.stand_in import BoostedClassifier, BoostedRegressor
from kdcore.sources import resolve_source
from kdcore.splits import Data
from kdcore.table import infer_task

__all__ = ["FactorSelector"]

_TASKS = ("auto", "classification", "regression")


class FactorSelector(SelectorMixin, RawTables, BaseEstimator):
    """Choose raw columns within a budget, by a teacher's opinion and a student's.

    It needs no plugin: without ``teacher`` and ``student`` small boosted trees stand in for them.

    Parameters
    ----------
    max_features : int or float, default=0.2
        Most columns, or a ratio of them; a ceiling. See `kdcore.selectors.budget`.
    max_factor_ratio : float, optional
        Another name of ``max_features`` for ratios.
    selector : str or Selector, optional
        ``"prior_backward"`` unless given; see ``kd plugins --kind selector``.
    teacher : str or estimator, optional
        Whose opinion counts; see `kdcore.distill`.
    student : str or Student, optional
        Whose loss on held-out rows decides how many columns are enough.
    task : {"auto", "classification", "regression"}, default="auto"
    keep, drop, costs, max_cost, tolerance : optional
        See `kdcore.distill`.
    random_state : int or None, default=0
    n_jobs : int or None, default=None
        Teacher fits at a time.

    Attributes
    ----------
    selected_features_ : list of str
    selection_path_ : list of dict
        Sets of columns that were tried; see `kdcore.selection.Selection`.
    selection_ : Selection
    n_features_in_ : int
    feature_names_in_ : array, where the table has column names

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from kdcore import FactorSelector
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> chosen = FactorSelector(max_features=5)
    >>> model = make_pipeline(chosen, StandardScaler(), LogisticRegression()).fit(X, y)
    >>> len(chosen.get_selected_features()) <= 5
    True
    """

    def __init__(
        self,
        *,
        max_features: int | float | None = 0.2,
        max_factor_ratio: float | None = None,
        selector: Any = None,
        teacher: Any = None,
        student: Any = None,
        task: str = "auto",
        keep: Sequence[str] | None = None,
        drop: Sequence[str] | None = None,
        costs: Mapping[str, float] | None = None,
        max_cost: float | None = None,
        tolerance: float | str = 0.002,
        random_state: int | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.max_features = max_features
        self.max_factor_ratio = max_factor_ratio
        self.selector = selector
        self.teacher = teacher
        self.student = student
        self.task = task
        self.keep = keep
        self.drop = drop
        self.costs = costs
        self.max_cost = max_cost
        self.tolerance = tolerance
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FactorSelector:
        """Choose columns.

        Parameters
        ----------
        X : table or array of shape (n, p)
            Numbers, truth values, categories, texts; missing values allowed.
        y : array of shape (n,)
        sample_weight : array of shape (n,), optional

        Raises
        ------
        DataError, ParameterError, FitError, UnknownNameError, PluginError
            All of them are `kdcore.KDError`.
        """
        seed = seed_of(self.random_state)
        wishes = self._wishes()
        regression = self._regression(X, y)
        table = labeled_rows(self, X, y, sample_weight, regression=regression)
        booster = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        teacher = booster(max_iter=60, early_stopping=False)
        source = resolve_source(
            teacher if self.teacher is None else self.teacher, table, random_state=seed
        )
        usual = BoostedRegressor() if regression else BoostedClassifier()
        student = resolve_student(
            usual if self.student is None else self.student,
            task=table.task,
            n_classes=table.n_classes,
            columns=table.names,
        )
        wishes.limits(table.names, student.estimator.features)
        # Nothing is judged here, so no rows are held out.
        data = Data(table, train=table, held=table, extra=None)
        run = Labeller(source, data, "auto", seed, self.n_jobs).run(measure=False)
        self.selection_ = select_columns(
            student, Lesson(data, run, seed), wishes, random_state=seed
        )
        self.selected_features_ = list(self.selection_.columns)
        self.selection_path_ = self.selection_.path
        self._names = table.names
        return self

    def _wishes(self) -> ColumnWishes:
        if self.max_factor_ratio is not None and self.max_features == 0.2:
            # The default gives way to the other name.
            most = either_budget(None, self.max_factor_ratio)
        else:
            most = either_budget(self.max_features, self.max_factor_ratio)
        if most is None and self.max_cost is None:
            raise ParameterError(
                "max_features=None allows all columns; give a number of columns such as 20, a "
                "ratio such as 0.2, or costs and max_cost."
            )
        return ColumnWishes(
            max_features=most,
            selector=self.selector,
            keep=self.keep or (),
            drop=self.drop or (),
            costs=self.costs,
            max_cost=self.max_cost,
            tolerance=self.tolerance,
        )

    def _regression(self, X: Any, y: Any) -> bool:
        if self.task not in _TASKS:
            raise ParameterError(
                f"task={self.task!r} is not known; use one of {', '.join(_TASKS)}."
            )
        if self.task != "auto":
            return self.task == "regression"
        import pandas as pd

        n = 0 if y is None else len(np.asarray(y))
        return infer_task(pd.Series(labels_of(y, n))) == "regression"

    def transform(self, X: Any) -> Any:
        """The chosen columns: of a table a table, matched by name, of an array an array.

        Of a table no other column is needed.

        Raises
        ------
        DataError
            When a chosen column is not there.
        """
        check_is_fitted(self)
        if not (hasattr(X, "columns") and hasattr(self, "feature_names_in_")):
            return super().transform(X)
        frame = as_frame(X)
        missing = [c for c in self.selected_features_ if c not in frame.columns]
        if missing:
            raise DataError(
                f"the table lacks {len(missing)} column(s) that were chosen: {missing[0]!r}."
                + suggest(missing[0], frame.columns)
            )
        return frame[self.selected_features_]

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        chosen = set(self.selected_features_)
        return np.array([name in chosen for name in self._names])

    def get_selected_features(self) -> list[str]:
        """Names of the chosen columns, in the order of the table."""
        check_is_fitted(self)
        return list(self.selected_features_)
