"""Teacher labels: fitting a teacher and getting its soft labels for rows it was not fitted on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed

from kdcore.encoders import OrdinalEncoder, StandardEncoder
from kdcore.errors import FitError, KDError
from kdcore.folds import fold_plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EncodedTeacher",
    "TeacherLabels",
    "fit_teacher",
    "out_of_fold",
    "teacher_output",
]


@dataclass(frozen=True)
class TeacherLabels:
    """What the labelling stage hands over.

    Parameters
    ----------
    values : array of shape (n, K) or (n,)
        Soft labels: class probabilities in the order of ``classes``, or values.
    teacher : estimator or None
        The teacher fitted on all n rows, or one that was fitted elsewhere; None where there are
        given labels only.
    provenance : str
        How the labels were made, one of `kdcore.targets.PROVENANCES`.
    folds : int
    fit_seconds : float
        Time of the one fit on all rows.
    seconds : float
        Time of the whole stage.
    given : array, optional
        Given labels of all rows of the table, where there is no teacher to ask.
    parts : tuple of TeacherLabels, default=()
        What each of several teachers said, where some of them were only given as labels.
    shares : array of shape (m,), optional
        Weights of the parts; they sum to 1.
    """

    values: np.ndarray
    teacher: Any
    provenance: str
    folds: int
    fit_seconds: float
    seconds: float
    given: np.ndarray | None = None
    parts: tuple[TeacherLabels, ...] = ()
    shares: Any = None


class EncodedTeacher(BaseEstimator):
    """A teacher that reads numbers only, behind an encoder of raw columns.

    Parameters
    ----------
    encoder : Encoder
    estimator : scikit-learn estimator
    """

    def __init__(self, encoder: Any, estimator: Any) -> None:
        self.encoder = encoder
        self.estimator = estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EncodedTeacher:
        """Fit encoder and estimator."""
        self.encoder_ = clone(self.encoder).fit(X, sample_weight=sample_weight)
        self.estimator_ = clone(self.estimator)
        _fit(self.estimator_, self.encoder_.transform(X), y, sample_weight)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        return np.asarray(self.estimator_.predict_proba(self.encoder_.transform(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Classes or values (n,)."""
        return np.asarray(self.estimator_.predict(self.encoder_.transform(X)))


def out_of_fold(
    teacher: Any,
    X: pd.DataFrame,
    y: np.ndarray,
    *,
    classes: np.ndarray | None,
    folds: int | str = "auto",
    sample_weight: np.ndarray | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
    rows: np.ndarray | None = None,
    ordered: bool = False,
) -> TeacherLabels:
    """Label every row by a teacher that was not fitted on it, and fit the teacher on all rows.

    The fits run side by side in threads, each of them on one core, so that results are the same
    bits whatever ``n_jobs``.

    Parameters
    ----------
    teacher : unfitted estimator
        It is cloned, never changed.
    X : table of n rows, or of more
    y : array of shape (n,)
    classes : array of shape (K,) or None
        Sorted labels; None means regression.
    folds : int or "auto", default="auto"
    sample_weight : array of shape (n,), optional
    random_state : int, default=0
        Shuffles rows into folds.
    n_jobs : int, optional
        Fits at a time; -1 for one on each core.
    on_step : callable, optional
        Called with the number of fits done and their total.
    rows : int array of shape (n,), optional
        Positions in ``X`` of the rows, where it has others too. Each fit then copies no more than
        its own rows.
    ordered : bool, default=False
        See `kdcore.folds.fold_plan`.

    Raises
    ------
    FitError
        When the teacher fails.
    ParameterError, DataError
        See `kdcore.folds.fold_plan`.
    """
    start = time.perf_counter()
    plan = fold_plan(y, classes=classes, folds=folds, random_state=random_state, ordered=ordered)
    model = _single_threaded(_readable(teacher, X, rows))
    everything = np.arange(len(y))
    # The longest fit goes first.
    jobs = [(everything, everything[:0]), *plan]

    def taken(some: np.ndarray) -> Any:
        if some is everything and rows is None:
            # All rows are in order, so the table needs no copy.
            return X
        frame = X.iloc[some if rows is None else rows[some]]
        return frame.reset_index(drop=True) if some is everything else frame

    def fit_one(train: np.ndarray, held: np.ndarray) -> tuple[Any, np.ndarray | None, float]:
        began = time.perf_counter()
        weight = None if sample_weight is None else sample_weight[train]
        fitted = _fit(clone(model), taken(train), y[train], weight)
        seconds = time.perf_counter() - began
        if len(held) == 0:
            return fitted, None, seconds
        return None, teacher_output(fitted, taken(held), classes), seconds

    runs = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(fit_one)(train, held) for train, held in jobs
    )
    values = np.zeros(len(y) if classes is None else (len(y), len(classes)))
    fitted, fit_seconds = None, 0.0
    for done, ((_, held), (whole, part, seconds)) in enumerate(zip(jobs, runs, strict=True), 1):
        if part is None:
            fitted, fit_seconds = whole, seconds
        else:
            values[held] = part
        if on_step is not None:
            on_step(done, len(jobs))
    return TeacherLabels(
        values=values,
        teacher=fitted,
        provenance="out-of-fold",
        folds=len(plan),
        fit_seconds=fit_seconds,
        seconds=time.perf_counter() - start,
    )


def fit_teacher(teacher: Any, X: pd.DataFrame, y: np.ndarray, sample_weight: Any = None) -> Any:
    """A clone of the teacher, fitted on all rows: the same as `out_of_fold` fits.

    Raises
    ------
    FitError
        When it fails.
    """
    return _fit(_single_threaded(_readable(teacher, X, None)), X, y, sample_weight)


def teacher_output(teacher: Any, X: Any, classes: np.ndarray | None) -> np.ndarray:
    """A fitted teacher's probabilities with columns in the order of ``classes``, or its values.

    A class that the teacher never saw gets probability 0.

    Raises
    ------
    FitError
        When the teacher fails, or predicts classes that are not in ``classes``.
    """
    if classes is not None and not hasattr(teacher, "predict_proba"):
        raise FitError(
            f"the teacher {_name(teacher)} has no predict_proba, so it gives no soft labels; use a "
            "probabilistic model, or calibrate it (CalibratedClassifierCV)."
        )
    try:
        if classes is None:
            return np.asarray(teacher.predict(X), dtype=float).reshape(len(X))
        proba = np.asarray(teacher.predict_proba(X), dtype=float)
        own = np.asarray(teacher.classes_)
    except KDError:
        raise
    except Exception as error:
        raise FitError(f"the teacher {_name(teacher)} failed to predict: {_line(error)}") from error
    unknown = own[~np.isin(own, classes)]
    if len(unknown):
        raise FitError(
            f"the teacher predicts the class {str(unknown[0])!r}, which the table does not have; "
            "use a teacher fitted on the same classes."
        )
    if proba.shape != (len(X), len(own)):
        raise FitError(
            f"the teacher {_name(teacher)} gave probabilities of shape {proba.shape} for "
            f"{len(X)} rows and {len(own)} classes; its classes_ must name its columns."
        )
    out = np.zeros((len(proba), len(classes)))
    out[:, np.searchsorted(classes, own)] = proba
    total = out.sum(axis=1, keepdims=True)
    if not (np.isfinite(out).all() and (out >= 0).all() and (total > 0).all()):
        raise FitError(
            f"the teacher {_name(teacher)} gave probabilities that are negative, not finite, or "
            "all zero; it must give a distribution over the classes for every row."
        )
    return out / total


def _fit(estimator: Any, X: Any, y: np.ndarray, weight: np.ndarray | None) -> Any:
    try:
        if weight is None:
            return estimator.fit(X, y)
        if isinstance(estimator, Pipeline) and not get_config()["enable_metadata_routing"]:
            return estimator.fit(X, y, **{f"{estimator.steps[-1][0]}__sample_weight": weight})
        return estimator.fit(X, y, sample_weight=weight)
    except KDError:
        raise
    except TypeError as error:
        if "sample_weight" in str(error):
            raise FitError(
                f"the teacher {_name(estimator)} does not take sample_weight; leave the weights "
                "out, or use another teacher."
            ) from error
        raise FitError(f"the teacher {_name(estimator)} failed to fit: {_line(error)}") from error
    except Exception as error:
        raise FitError(f"the teacher {_name(estimator)} failed to fit: {_line(error)}") from error


def _readable(teacher: Any, X: pd.DataFrame, rows: np.ndarray | None) -> Any:
    """The teacher itself, or with an encoder in front where it cannot read such columns."""
    if isinstance(teacher, Pipeline):
        return teacher
    tags = get_tags(teacher).input_tags
    gaps = (X[c].isna().to_numpy() for c in X.columns)
    if not tags.allow_nan and any((g if rows is None else g[rows]).any() for g in gaps):
        return EncodedTeacher(StandardEncoder(), teacher)
    if (X.dtypes == "category").any() and not tags.categorical:
        return EncodedTeacher(OrdinalEncoder(), teacher)
    return teacher


def _single_threaded(teacher: Any) -> Any:
    """A clone that uses one core; None already means that in scikit-learn, but not elsewhere."""
    model = clone(teacher)
    params = model.get_params()

    def one_core_by_default(key: str) -> bool:
        owner = params[key.removesuffix("__n_jobs")] if key != "n_jobs" else model
        return params[key] is None and type(owner).__module__.startswith("sklearn.")

    one = {
        key: 1
        for key in params
        if (key == "n_jobs" or key.endswith("__n_jobs")) and not one_core_by_default(key)
    }
    return model.set_params(**one) if one else model


def _name(estimator: Any) -> str:
    inner = estimator.estimator if isinstance(estimator, EncodedTeacher) else estimator
    return type(inner).__name__


def _line(error: Exception) -> str:
    """The first line of an error that says something, without a library's source path."""
    lines = [part.strip() for part in str(error).splitlines() if part.strip()]
    if not lines:
        return type(error).__name__
    text = lines[0]
    if text.startswith("[") and ": " in text:
        text = text.split(": ", 1)[1]
    return text
