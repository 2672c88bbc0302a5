"""`DistillationClassifier` and `DistillationRegressor`: teacher and student in one estimator."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted

from kdcore.errors import DataError, ParameterError
from kdcore.evaluation import metrics
from kdcore.labels import out_of_fold
from kdcore.resolve import named_estimator, resolve_student, resolve_teacher
from kdcore.schema import TableSchema
from kdcore.students import labels_of, table_of, weights_of
from kdcore.targets import SoftTargets, encode_labels

__all__ = ["DistillationClassifier", "DistillationRegressor", "FitReport"]


@dataclass(frozen=True)
class FitReport:
    """What happened in ``fit``.

    Parameters
    ----------
    teacher, student : str
        Names.
    labels : str
        Provenance of the soft labels.
    folds : int
    teacher_metrics : dict
        The teacher's scores on out-of-fold rows.
    alpha, temperature : float
    loss : str or None
    seconds : dict
        ``label``, ``fit``, ``total``.
    """

    teacher: str
    student: str
    labels: str
    folds: int
    teacher_metrics: dict[str, float | None]
    alpha: float
    temperature: float
    loss: str | None
    seconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class _Distillation(BaseEstimator):
    """Parameters and steps that both estimators share."""

    def __init__(
        self,
        *,
        teacher: Any = "xgboost",
        student: Any,
        folds: Any = "auto",
        alpha: float | None = None,
        temperature: float | None = None,
        loss: Any = None,
        random_state: int | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.folds = folds
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.random_state = random_state
        self.n_jobs = n_jobs

    _task = ""

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also ``teacher__x`` and ``student__x`` of models given by name.

        A name whose parameter is set becomes the estimator it stands for.
        """
        for role in ("teacher", "student"):
            if role in params:
                setattr(self, role, params.pop(role))
            if isinstance(getattr(self, role), str) and any(
                key.startswith(f"{role}__") for key in params
            ):
                made = named_estimator(role, getattr(self, role), self._task)
                if role == "teacher" and "random_state" in made.get_params():
                    # As for a name, our own seed decides.
                    made.set_params(random_state=None)
                setattr(self, role, made)
        return super().set_params(**params) if params else self

    def _distil(self, frame: Any, y: np.ndarray, weight: np.ndarray | None, classes: Any) -> None:
        start = time.perf_counter()
        task = "regression"
        if classes is not None:
            task = "binary" if len(classes) == 2 else "multiclass"
        seed = _seed(self.random_state)
        teacher = resolve_teacher(self.teacher, task=task, random_state=seed)
        student = resolve_student(
            self.student,
            task=task,
            n_classes=0 if classes is None else len(classes),
            recipe={"alpha": self.alpha, "temperature": self.temperature, "loss": self.loss},
        )
        table = TableSchema.fit(frame).canonical(frame)
        labels = out_of_fold(
            teacher.estimator,
            table,
            y,
            classes=classes,
            folds=self.folds,
            sample_weight=weight,
            random_state=seed,
            n_jobs=self.n_jobs,
        )
        targets = SoftTargets(
            labels=y if classes is None else encode_labels(y, classes),
            teacher=labels.values,
            sample_weight=weight,
            classes=classes,
            provenance=labels.provenance,
        )
        began = time.perf_counter()
        self.teacher_ = labels.teacher
        self.student_ = student.estimator.fit(table, targets)
        if not hasattr(self, "feature_names_in_"):
            # Fitted to a bare array, they take bare arrays without a warning.
            for model in (self.teacher_, self.student_):
                vars(model).pop("feature_names_in_", None)
        end = time.perf_counter()
        self.report_ = FitReport(
            teacher=teacher.name,
            student=student.name,
            labels=labels.provenance,
            folds=labels.folds,
            teacher_metrics=metrics(labels.values, y, classes, weight),
            alpha=self.student_.alpha,
            temperature=self.student_.temperature,
            loss=self.student_.loss,
            seconds={"label": labels.seconds, "fit": end - began, "total": end - start},
        )

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, Any]:
        """Rows of positive weight."""
        frame = table_of(self, X, reset=True)
        y = labels_of(y, len(frame), classes=self._task != "regression")
        weight = weights_of(sample_weight, frame)
        if weight is not None:
            keep = weight > 0
            frame, y, weight = frame.loc[keep], y[keep], weight[keep]
        return frame.reset_index(drop=True), y, weight

    def get_selected_features(self) -> list[str]:
        """Names of the raw columns that the student reads."""
        check_is_fitted(self)
        return list(self.student_.get_selected_features())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


_PARAMETERS = """
    Parameters
    ----------
    teacher : str or estimator, default="xgboost"
        A registered name (see ``kd plugins``), or an unfitted scikit-learn {kind}.
    student : str or Student, default="{student}"
        A registered name, or an unfitted student.
    folds : int or "auto", default="auto"
        Folds of the out-of-fold labels; "auto" is 5, or fewer where the rarest class has fewer
        rows.
    alpha, temperature, loss : optional
        Override the student's own; see `kdcore.{base}`.
    random_state : int or None, default=0
        Shuffles rows into folds and seeds a teacher that has no seed of its own. None draws a
        fresh seed.
    n_jobs : int or None, default=None
        Teacher fits at a time; -1 for one on each core. The result is the same bits.

    Attributes
    ----------
    teacher_ : estimator fitted on all rows
    student_ : fitted student, which `predict` asks
    report_ : FitReport
    {classes}n_features_in_ : int
    feature_names_in_ : array, where the table has column names
"""


class DistillationClassifier(ClassifierMixin, _Distillation):
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

    def __init__(
        self,
        *,
        teacher: Any = "xgboost",
        student: Any = "logistic_regression",
        folds: Any = "auto",
        alpha: float | None = None,
        temperature: float | None = None,
        loss: Any = None,
        random_state: int | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            teacher=teacher,
            student=student,
            folds=folds,
            alpha=alpha,
            temperature=temperature,
            loss=loss,
            random_state=random_state,
            n_jobs=n_jobs,
        )

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
        frame, y, weight = self._rows(X, y, sample_weight)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise DataError("only one class is present; a classifier needs at least two classes.")
        self._distil(frame, y, weight, self.classes_)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The student's class probabilities (n, K); columns follow ``classes_``."""
        check_is_fitted(self)
        return self.student_.predict_proba(_input(self, X))

    def predict(self, X: Any) -> np.ndarray:
        """The student's most probable class of each row, (n,)."""
        check_is_fitted(self)
        return self.student_.predict(_input(self, X))


class DistillationRegressor(RegressorMixin, _Distillation):
    __doc__ = (
        "Fit a teacher, predict every row out of fold, and fit a student to the blended target.\n"
        + _PARAMETERS.format(kind="regressor", student="ridge", base="RegressorStudent", classes="")
    )

    _task = "regression"

    def __init__(
        self,
        *,
        teacher: Any = "xgboost",
        student: Any = "ridge",
        folds: Any = "auto",
        alpha: float | None = None,
        temperature: float | None = None,
        loss: Any = None,
        random_state: int | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            teacher=teacher,
            student=student,
            folds=folds,
            alpha=alpha,
            temperature=temperature,
            loss=loss,
            random_state=random_state,
            n_jobs=n_jobs,
        )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DistillationRegressor:
        """Fit teacher and student; see `DistillationClassifier.fit`."""
        frame, y, weight = self._rows(X, y, sample_weight)
        y = check_array(y, ensure_2d=False, dtype=np.float64)
        self._distil(frame, y, weight, None)
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


def _seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] % 2**31)
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    raise ParameterError(f"random_state={random_state!r} must be a whole number, or None.")
