"""Healthy fake teachers, and for each check one that breaks its rule alone."""

from __future__ import annotations

import itertools

import numpy as np
from kit_fakes.shared import Made, broken, says

from kdcore.structure import TeacherStructure
from kdcore.teachers import ClassifierTeacher, RegressorTeacher


def least_squares(Z, Y, weight, ridge=1e-3):
    Z1 = np.column_stack([Z, np.ones(len(Z))])
    weighted = Z1 * weight[:, None]
    return np.linalg.solve(weighted.T @ Z1 + ridge * np.eye(Z1.shape[1]), weighted.T @ Y)


class LinearTeacher(Made):
    """Least squares on standardised numbers and category codes."""

    role = "teacher"

    def __init__(self, *, ridge=1e-3, random_state=0, n_jobs=1):
        self.ridge = ridge
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _matrix(self, frame):
        parts = []
        for name in frame:
            if str(frame[name].dtype) == "category":
                codes, k = frame[name].cat.codes.to_numpy(), len(frame[name].cat.categories)
                parts.append((codes[:, None] == np.arange(k)).astype(float))
            else:
                parts.append(np.nan_to_num(frame[[name]].to_numpy(float)))
        return np.hstack(parts)

    def fit_frame(self, frame, y, sample_weight):
        Z = self._matrix(frame)
        self.centre_, self.scale_ = Z.mean(axis=0), Z.std(axis=0) + 1e-9
        weight = np.ones(len(Z)) if sample_weight is None else sample_weight
        target = np.eye(len(self.classes_))[y] if hasattr(self, "classes_") else y
        Z = (Z - self.centre_) / self.scale_
        self.coef_ = least_squares(Z, target, weight, self.ridge)

    def predict_frame(self, frame):
        Z = (self._matrix(frame) - self.centre_) / self.scale_
        out = Z @ self.coef_[:-1] + self.coef_[-1]
        if not hasattr(self, "classes_"):
            return out
        out = np.maximum(out, 0.001)
        return out / out.sum(axis=1, keepdims=True)

    def structure(self):
        names = [c.name for c in self.schema_.numeric]
        pairs = [(a, b, 1.0) for a, b in itertools.combinations(names, 2)]
        return TeacherStructure(
            thresholds={name: np.array([-0.5, 0.5]) for name in names},
            gains={name: np.ones(2) for name in names},
            pairs=tuple(pairs),
        )

    def contributions(self, X):
        return np.ones(len(self.schema_.columns))


class HealthyTeacher(LinearTeacher, ClassifierTeacher):
    tasks = ("binary", "multiclass")


class HealthyTeacherOfValues(LinearTeacher, RegressorTeacher):
    tasks = ("regression",)


HEALTHY = [HealthyTeacher, HealthyTeacherOfValues]


class OneTask(HealthyTeacher):
    tasks = ("multiclass",)


class WholeNumbers(HealthyTeacherOfValues):
    breaks = "check_output_is_valid"

    def predict(self, X):
        return np.rint(super().predict(X)).astype(int)


class DullTeacher(OneTask):
    breaks = "check_beats_a_constant"

    def predict_frame(self, frame):
        return 0.1 * super().predict_frame(frame) + 0.9 / len(self.classes_)


class TeacherChangesItself(OneTask):
    breaks = "check_parameters_are_kept"

    def fit_frame(self, frame, y, sample_weight):
        super().fit_frame(frame, y, sample_weight)
        self.ridge = 2 * self.ridge


class TeacherWithoutSeed(OneTask):
    breaks = "check_has_a_random_state"

    def get_params(self, deep=True):
        params = super().get_params(deep)
        del params["random_state"]
        return params


class TeacherWithManyThreads(OneTask):
    breaks = "check_one_thread_is_accepted"

    @classmethod
    def make(cls, task):
        return cls(n_jobs=2)

    def fit_frame(self, frame, y, sample_weight):
        if self.n_jobs == 1:
            raise ValueError("n_jobs must be above 1")
        super().fit_frame(frame, y, sample_weight)


@says(handles_missing=False)
class TeacherWithOtherTags(OneTask):
    breaks = "check_claims_match_tags"


class TeacherThatRefusesGaps(OneTask):
    breaks = "check_missing_values"

    def fit_frame(self, frame, y, sample_weight):
        if frame.select_dtypes("number").isna().to_numpy().any():
            raise ValueError("Input X contains NaN.")
        super().fit_frame(frame, y, sample_weight)


class TeacherThatRefusesCategories(OneTask):
    breaks = "check_categories"

    def fit_frame(self, frame, y, sample_weight):
        if (frame.dtypes == "category").any():
            raise ValueError("could not convert string to float: 'Oslo'")
        super().fit_frame(frame, y, sample_weight)


class TeacherOfUnknownColumns(OneTask):
    breaks = "check_structure"

    def structure(self):
        return TeacherStructure(pairs=(("f0", "f1", 1.0),))


class ContributionsOfEncodedColumns(OneTask):
    breaks = "check_contributions"

    def contributions(self, X):
        return np.ones(len(self.schema_.columns) + 1)


BROKEN = [
    *broken(globals(), OneTask),
    WholeNumbers,
    DullTeacher,
    TeacherChangesItself,
    TeacherWithoutSeed,
    TeacherWithManyThreads,
    TeacherWithOtherTags,
    TeacherThatRefusesGaps,
    TeacherThatRefusesCategories,
    TeacherOfUnknownColumns,
    ContributionsOfEncodedColumns,
]
