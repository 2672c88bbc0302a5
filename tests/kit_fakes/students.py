"""Healthy fake students, and for each check one that breaks its rule alone."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

import numpy as np
from kit_fakes.shared import Made, broken, says

from kdcore.graph import linear_model
from kdcore.losses import KL
from kdcore.students import ClassifierStudent, RegressorStudent
from kdcore.targets import softmax


class LinearStudent(Made):
    """Softmax or plain regression by gradient descent on any loss."""

    role = "student"
    uses_gradient = True

    def __init__(
        self, *, steps=80, alpha=0.7, temperature=1.0, loss=None, encoder="standard", features=None
    ):
        self.steps = steps
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def fit_encoded(self, Z, targets, loss):
        self.coef_ = np.zeros((max(targets.n_classes, 1), Z.shape[1]))
        self.intercept_ = np.zeros(len(self.coef_))
        rate = 0.1 if targets.classes is None else 1.0
        for _ in range(self.steps):
            logits = Z @ self.coef_.T + self.intercept_
            if targets.classes is None:
                logits = logits[:, 0]
            grad = loss.value_and_grad(logits, targets)[1].reshape(len(Z), -1)
            self.coef_ -= rate * grad.T @ Z
            self.intercept_ -= rate * grad.sum(axis=0)

    def predict_encoded(self, Z):
        logits = Z.astype(float) @ self.coef_.T + self.intercept_
        return softmax(logits) if hasattr(self, "classes_") else logits[:, 0]

    def encoded_importances(self):
        return np.abs(self.coef_).mean(axis=0)

    def to_onnx(self):
        link = "softmax" if hasattr(self, "classes_") else "identity"
        return linear_model(self.coef_, self.intercept_, link=link)


@says(exports=("onnx",))
class HealthyStudent(LinearStudent, ClassifierStudent):
    tasks = ("binary", "multiclass")


@says(exports=("onnx",))
class HealthyStudentOfValues(LinearStudent, RegressorStudent):
    tasks = ("regression",)


@says(encoder="ordinal")
class HealthyTargetStudent(Made, ClassifierStudent):
    """Least squares to plain targets, on an encoding with gaps."""

    role = "student"
    tasks = ("binary", "multiclass")

    def __init__(self, *, alpha=0.7, temperature=1.0, loss=None, encoder="ordinal", features=None):
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def fit_encoded(self, Z, targets, loss):
        self.mean_ = np.nanmean(Z, axis=0)
        Z = np.where(np.isnan(Z), self.mean_, Z)
        design = np.column_stack([Z, np.ones(len(Z))])
        weighted = design * targets.sample_weight[:, None]
        gram = weighted.T @ design + 1e-3 * np.eye(design.shape[1])
        self.coef_ = np.linalg.solve(gram, weighted.T @ loss.blend(targets))

    def predict_encoded(self, Z):
        Z = np.where(np.isnan(Z), self.mean_, Z)
        return np.maximum(Z @ self.coef_[:-1] + self.coef_[-1], 0.001)


@dataclass
class Line:
    """A model that is no plain data."""

    coef: np.ndarray
    intercept: np.ndarray


@says(exports=("onnx",), restore="kit_fakes.students:restore_line")
class HealthyStudentWithState(HealthyStudent):
    tasks = ("multiclass",)

    def fit_encoded(self, Z, targets, loss):
        super().fit_encoded(Z, targets, loss)
        self.line_ = Line(self.coef_, self.intercept_)

    def state(self):
        held = [self.line_.coef.tolist(), self.line_.intercept.tolist()]
        return "line.json", json.dumps(held).encode()


def restore_line(manifest, data, kind=HealthyStudentWithState):
    student = kind()
    student.line_ = Line(*map(np.array, json.loads(data)[:2]))
    return student


HEALTHY = [HealthyStudent, HealthyStudentOfValues, HealthyTargetStudent, HealthyStudentWithState]


@says()
class OneTask(HealthyStudent):
    tasks = ("multiclass",)


class DullStudent(OneTask):
    breaks = "check_beats_a_constant"

    def fit_encoded(self, Z, targets, loss):
        super().fit_encoded(Z, targets, loss)
        self.share_ = 0.1 if targets.teacher is None or loss.alpha == 0 else 1.0

    def predict_encoded(self, Z):
        return self.share_ * super().predict_encoded(Z) + (1 - self.share_) / len(self.classes_)


class StudentChangesItself(OneTask):
    breaks = "check_parameters_are_kept"

    def fit_encoded(self, Z, targets, loss):
        super().fit_encoded(Z, targets, loss)
        self.steps = 2 * self.steps


class NotDerived(Made):
    """Everything of a student but its base class."""

    breaks = "check_is_a_student"
    role = "student"
    uses_gradient = True

    def __init__(self):
        self.student = HealthyStudent()

    def fit(self, *args, **kwargs):
        self.student.fit(*args, **kwargs)
        return self

    def set_params(self, **params):
        self.student.set_params(**params)
        return self

    def __sklearn_clone__(self):
        twin = NotDerived()
        return twin.set_params(**self.student.get_params())

    def __getattr__(self, name):
        if name in ("student", "__setstate__", "__getstate__", "__deepcopy__", "__reduce_ex__"):
            raise AttributeError(name)
        return getattr(self.student, name)


class HidesItsEncoder(OneTask):
    breaks = "check_has_the_parameters_of_students"

    def get_params(self, deep=True):
        params = super().get_params(deep)
        del params["encoder"]
        return params


@says(encoder="ordinal")
class OtherEncoder(OneTask):
    breaks = "check_encoder_is_that_of_the_spec"


@says(uses_gradient=False)
class OtherGradient(OneTask):
    breaks = "check_gradient_is_that_of_the_spec"


class DropsTheTeacher(OneTask):
    breaks = "check_forms_of_fit_agree"

    def fit(self, X, y=None, sample_weight=None, *, teacher_proba=None):
        return super().fit(X, y, sample_weight)


class NeedsLabels(OneTask):
    """With no label at all it learns nothing."""

    breaks = "check_learns_from_soft_targets"

    def fit_encoded(self, Z, targets, loss):
        super().fit_encoded(0 * Z if targets.unlabeled.all() else Z, targets, loss)


class DropsRowsWithoutLabels(OneTask):
    breaks = "check_rows_without_labels_count"

    def fit_encoded(self, Z, targets, loss):
        known = ~targets.unlabeled
        if known.any():
            Z, targets = Z[known], targets.take(known)
        super().fit_encoded(Z, targets, loss)


class AlwaysHearsTheTeacher(OneTask):
    breaks = "check_alpha_of_zero_is_plain"

    def fit_encoded(self, Z, targets, loss):
        loss.alpha = max(loss.alpha, 0.2)
        super().fit_encoded(Z, targets, loss)


class HardlyHearsTheTeacher(OneTask):
    breaks = "check_alpha_of_one_follows_the_teacher"

    def fit_encoded(self, Z, targets, loss):
        loss.alpha = min(loss.alpha, 0.2)
        super().fit_encoded(Z, targets, loss)


class ForgetsTheTemperature(OneTask):
    breaks = "check_temperature_is_used_or_refused"

    def fit_encoded(self, Z, targets, loss):
        loss.temperature = 1.0
        super().fit_encoded(Z, targets, loss)


class HasALossOfItsOwn(OneTask):
    breaks = "check_loss_is_used"

    def fit_encoded(self, Z, targets, loss):
        super().fit_encoded(Z, targets, KL(alpha=loss.alpha, temperature=loss.temperature))


class HidesItsCurvature(OneTask):
    """It would divide by a bound that not every loss has."""

    breaks = "check_curvature_and_steps_as_declared"

    def fit_encoded(self, Z, targets, loss):
        loss.hessian_bound(np.zeros((len(Z), targets.n_classes)), targets)
        super().fit_encoded(Z, targets, loss)


class StepsInSilence(OneTask):
    """It would train a loss that changes on the way as if the training never went on."""

    breaks = "check_curvature_and_steps_as_declared"
    uses_steps = True

    def fit_encoded(self, Z, targets, loss):
        super().fit_encoded(Z, targets, loss.at(0.0))


class KeepsRowsOfWeightZero(OneTask):
    breaks = "check_rows_of_weight_zero_are_absent"

    def fit(self, X, y=None, sample_weight=None, **kwargs):
        if sample_weight is not None:
            sample_weight = np.maximum(sample_weight, 0.05)
        return super().fit(X, y, sample_weight, **kwargs)


class RefusesGaps(OneTask):
    breaks = "check_mixed_tables"

    def fit(self, X, *args, **kwargs):
        if hasattr(X, "columns") and X.isna().to_numpy().any():
            raise ValueError("Input X contains NaN.")
        return super().fit(X, *args, **kwargs)


class RefusesUnseenCategories(OneTask):
    breaks = "check_unseen_categories"

    def _predict(self, X):
        if hasattr(X, "columns") and self.encoder_.schema_.unseen(X):
            raise ValueError("Found unknown categories ['Lima'] in column 3 during transform")
        return super()._predict(X)


class ReadsColumnsByPosition(OneTask):
    breaks = "check_columns_are_matched_by_name"

    def _predict(self, X):
        names = self._all_features
        if hasattr(X, "columns") and set(names) <= set(X.columns):
            X = X.iloc[:, [0, *range(2, 1 + len(names))]] if len(X.columns) > len(names) else X
            X = X.set_axis(names, axis=1)
        return super()._predict(X)


class FillsMissingColumns(OneTask):
    breaks = "check_a_missing_column_is_named"

    def _predict(self, X):
        if hasattr(X, "columns"):
            X = X.assign(**{n: 0.0 for n in self.selected_features_ if n not in X.columns})
        return super()._predict(X)


class SupportsAll(OneTask):
    breaks = "check_selection_is_told"

    def get_support(self, indices=False):
        return np.ones(len(self._all_features), dtype=bool)


class NeedsAllColumns(OneTask):
    breaks = "check_reads_selected_columns_only"

    def _predict(self, X):
        if hasattr(X, "columns"):
            absent = [n for n in self._all_features if n not in X.columns]
            if absent:
                raise ValueError(f"the table lacks {absent[0]!r}")
        return super()._predict(X)


@says(exports=("onnx",))
class OtherGraph(OneTask):
    breaks = "check_onnx_predicts_alike"

    def to_onnx(self):
        return linear_model(1.01 * self.coef_, self.intercept_, link="softmax")


@says(exports=("onnx",), restore="kit_fakes.students:restore_another")
class ComesBackChanged(HealthyStudentWithState):
    breaks = "check_state_comes_back"


def restore_another(manifest, data):
    student = restore_line(manifest, data, ComesBackChanged)
    student.coef_ = 2 * student.line_.coef
    return student


@says(exports=("onnx",), restore="kit_fakes.students:restore_numbered")
class NumbersItsStates(HealthyStudentWithState):
    breaks = "check_state_repeats"

    def state(self):
        name, data = super().state()
        return name, json.dumps([*json.loads(data), next(COUNTER)]).encode()


COUNTER = itertools.count()


def restore_numbered(manifest, data):
    return restore_line(manifest, data, NumbersItsStates)


BROKEN = [
    *broken(globals(), OneTask),
    DullStudent,
    StudentChangesItself,
    NotDerived,
    HidesItsEncoder,
    OtherEncoder,
    OtherGradient,
    DropsTheTeacher,
    NeedsLabels,
    DropsRowsWithoutLabels,
    AlwaysHearsTheTeacher,
    HardlyHearsTheTeacher,
    ForgetsTheTemperature,
    HasALossOfItsOwn,
    HidesItsCurvature,
    StepsInSilence,
    KeepsRowsOfWeightZero,
    RefusesGaps,
    RefusesUnseenCategories,
    ReadsColumnsByPosition,
    FillsMissingColumns,
    SupportsAll,
    NeedsAllColumns,
    OtherGraph,
    ComesBackChanged,
    NumbersItsStates,
]
