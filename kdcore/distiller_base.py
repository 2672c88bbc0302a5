"""What `DistillationClassifier` and `DistillationRegressor` share: parameters, and the steps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kdcore.errors import ParameterError
from kdcore.evaluation import metrics
from kdcore.inputs import RawTables, seed_of
from kdcore.labeller import Labeller
from kdcore.own_teachers import FittedTeacher
from kdcore.recipe_fit import Lesson
from kdcore.relabelling import check_relabel
from kdcore.report import FitReport
from kdcore.resolve import named_estimator, resolve_student
from kdcore.selection import ColumnWishes, either_budget
from kdcore.sources import FITTED, Source, resolve_source
from kdcore.splits import SPLITS, Data
from kdcore.table import LabeledTable
from kdcore.teacher_run import TeacherRun
from kdcore.teaching import teach
from kdcore.wishes import Wishes

__all__ = ["Distillation"]


class Distillation(RawTables, BaseEstimator):
    """Parameters and steps that both estimators share."""

    def __init__(
        self,
        *,
        teacher: Any = "xgboost",
        student: Any = None,
        fitted: str | None = None,
        teacher_weights: Sequence[float] | str | None = None,
        folds: Any = "auto",
        recipe: str = "fast",
        alpha: float | None = None,
        temperature: float | None = None,
        loss: Any = None,
        encoder: Any = None,
        augment: Any = None,
        label_correction: Any = None,
        max_features: int | float | None = None,
        max_factor_ratio: float | None = None,
        selector: Any = None,
        keep: Sequence[str] | None = None,
        drop: Sequence[str] | None = None,
        costs: Mapping[str, float] | None = None,
        max_cost: float | None = None,
        tolerance: float | str = 0.002,
        relabel: str = "auto",
        stability: int = 0,
        split: str = "random",
        random_state: int | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.fitted = fitted
        self.teacher_weights = teacher_weights
        self.folds = folds
        self.recipe = recipe
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.augment = augment
        self.label_correction = label_correction
        self.max_features = max_features
        self.max_factor_ratio = max_factor_ratio
        self.selector = selector
        self.keep = keep
        self.drop = drop
        self.costs = costs
        self.max_cost = max_cost
        self.tolerance = tolerance
        self.relabel = relabel
        self.stability = stability
        self.split = split
        self.random_state = random_state
        self.n_jobs = n_jobs

    _task = ""
    _usual_student = ""

    def _model(self, role: str) -> Any:
        """The teacher or student as the user gave it, or the usual student."""
        given = getattr(self, role)
        return self._usual_student if role == "student" and given is None else given

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also ``teacher__x`` and ``student__x`` of models given by name.

        A name whose parameter is set becomes the estimator it stands for.
        """
        for role in ("teacher", "student"):
            if role in params:
                setattr(self, role, params.pop(role))
            model = self._model(role)
            if isinstance(model, str) and any(key.startswith(f"{role}__") for key in params):
                made = named_estimator(role, model, self._task)
                if role == "teacher" and "random_state" in made.get_params():
                    # As for a name, our own seed decides.
                    made.set_params(random_state=None)
                setattr(self, role, made)
        return super().set_params(**params) if params else self

    def _distil(self, table: LabeledTable) -> None:
        start = time.perf_counter()
        if self.split not in SPLITS:
            raise ParameterError(
                f"split={self.split!r} is not known; use one of {', '.join(SPLITS)}."
            )
        table = replace(table, ordered=self.split == "ordered")
        y, weight, classes = table.y, table.sample_weight, table.classes
        seed = seed_of(self.random_state)
        columns = ColumnWishes(
            max_features=either_budget(self.max_features, self.max_factor_ratio),
            selector=self.selector,
            keep=self.keep or (),
            drop=self.drop or (),
            costs=self.costs,
            max_cost=self.max_cost,
            tolerance=self.tolerance,
            relabel=self.relabel,
            stability=self.stability,
        )
        wishes = Wishes(
            mode=self.recipe,
            augment=self.augment,
            encoder=self.encoder,
            label_correction=self.label_correction,
            columns=columns,
        )
        source = self._source(table, seed)
        check_relabel(columns, source)
        student = resolve_student(
            self._model("student"),
            task=table.task,
            n_classes=table.n_classes,
            recipe={"alpha": self.alpha, "temperature": self.temperature, "loss": self.loss},
        )
        columns.suited(student).limits(table.names, student.estimator.features)
        wishes.require_use(student)
        labels = source.label(
            table, folds=self.folds, random_state=seed, n_jobs=self.n_jobs, on_step=None
        )
        began = time.perf_counter()
        teacher = labels.teacher
        self.teacher_ = teacher.model if isinstance(teacher, FittedTeacher) else teacher
        run = TeacherRun(source.name, labels, refit=source.refit)
        # Nothing is judged here, so no rows are held out.
        data = Data(table, train=table, held=table, extra=None)
        labeller = Labeller(source, data, self.folds, seed, self.n_jobs)
        taught = teach(
            student,
            Lesson(data, run, seed),
            wishes,
            nested=labeller.nested,
            labeller=labeller,
            random_state=seed,
        )
        self.student_ = taught.student
        if not hasattr(self, "feature_names_in_"):
            # Fitted to a bare array, they take bare arrays without a warning; a teacher that was
            # fitted elsewhere is not ours to change.
            own = [self.teacher_] if labels.provenance == "out-of-fold" else []
            for model in (*own, self.student_):
                vars(model).pop("feature_names_in_", None)
        end = time.perf_counter()
        self.report_ = FitReport(
            teacher=source.name,
            student=student.name,
            labels=labels.provenance,
            folds=labels.folds,
            teacher_metrics=metrics(labels.values, y, classes, weight),
            alpha=self.student_.alpha,
            temperature=self.student_.temperature,
            loss=self.student_.loss,
            recipe=taught.recipe.name,
            augmented=taught.augmented,
            params=taught.params,
            notes=taught.notes,
            selection=taught.selection_dict(),
            seconds={"label": labels.seconds, "fit": end - began, "total": end - start},
        )

    def _source(self, table: LabeledTable, seed: int) -> Source:
        """The teacher; one that comes fitted, and one that no longer does, are told apart."""
        if self.fitted is not None and self.fitted not in FITTED:
            raise ParameterError(
                f"fitted={self.fitted!r} is not known; use one of {', '.join(FITTED)}, or None."
            )
        source = resolve_source(
            self.teacher,
            table,
            weights=self.teacher_weights,
            fitted=self.fitted or "in-sample",
            random_state=seed,
        )
        if source.was_fitted and self.fitted is None:
            raise ParameterError(
                f"the teacher {source.name} is fitted already, and kdcore never refits a model in "
                "silence; say what it was fitted on (fitted='in-sample' or 'held-out'), or "
                "fitted='refit' to have clones of it fitted."
            )
        if not source.was_fitted and self.fitted in ("in-sample", "held-out"):
            raise ParameterError(
                f"fitted={self.fitted!r} is for a teacher that comes fitted, which {source.name} "
                "does not; leave it out. A search or cross-validation clones what it is given, "
                "and clones are not fitted: wrap the teacher in sklearn.frozen.FrozenEstimator."
            )
        return source

    def get_selected_features(self) -> list[str]:
        """Names of the raw columns that the student reads."""
        check_is_fitted(self)
        return list(self.student_.get_selected_features())

    def get_support(self, indices: bool = False) -> np.ndarray:
        """Mask (or positions) of the raw columns that the student reads."""
        check_is_fitted(self)
        return np.asarray(self.student_.get_support(indices))

    def get_feature_importance(self) -> dict[str, float]:
        """Importance of each raw column to the student by name, the largest first.

        Raises
        ------
        AttributeError
            When the student does not tell importances.
        """
        check_is_fitted(self)
        return dict(self.student_.get_feature_importance())

    @property
    def selected_features_(self) -> list[str]:
        """Names of the raw columns that the student reads."""
        return self.get_selected_features()

    @property
    def selection_path_(self) -> list[dict[str, Any]]:
        """Sets of columns that were tried; see `kdcore.selection.Selection`."""
        check_is_fitted(self)
        return list(self.student_.selection_path_)
