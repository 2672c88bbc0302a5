"""Faults that a teacher or a student may have, one for each check that both share.

Classes for tests of the kit stand in modules of their own, since saved models are read again in
new processes.
"""

from __future__ import annotations

import copy
import os

import numpy as np

from kdcore.targets import SoftTargets
from kdcore.testing import tiny_data


def says(**fields):
    """Decorate a fake with what its spec says, beyond or instead of the usual."""

    def mark(kind):
        kind.spec_fields = fields
        return kind

    return mark


class Made:
    """What the tests need to make a spec of a class: its factory is a method of the class."""

    role = ""
    tasks = ("multiclass",)

    @classmethod
    def make(cls, task):
        return cls()


class FittedOnDelivery:
    breaks = "check_factory"

    @classmethod
    def make(cls, task):
        data = tiny_data("multiclass", content="numbers")
        return cls().fit(data.X, data.y)


class NegativeProbabilities:
    breaks = "check_output_is_valid"

    def _predict(self, X):
        return 1.3 * super()._predict(X) - [0.3, 0, 0]


class SumsBelowOne:
    breaks = "check_rows_sum_to_one"

    def predict_proba(self, X):
        return 0.9 * super().predict_proba(X)


class ClassesUnsorted:
    breaks = "check_columns_follow_sorted_classes"

    def fit(self, *args, **kwargs):
        super().fit(*args, **kwargs)
        self.classes_ = self.classes_[::-1]
        return self

    def _predict(self, X):
        return super()._predict(X)[:, ::-1]


class PredictsTheLeastProbable:
    breaks = "check_predict_is_the_most_probable_class"

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


class CountsClassesFromZero:
    breaks = "check_labels_of_any_type"

    def fit(self, X, y, *args, **kwargs):
        if not isinstance(y, SoftTargets) and sorted(set(y)) != [0, 1, 2]:
            raise ValueError("Invalid classes inferred from unique values of `y`.")
        return super().fit(X, y, *args, **kwargs)


class WeightsIgnored:
    """Rows of weight 0 are removed, the other weights forgotten."""

    breaks = "check_weights_change_the_fit"

    def fit(self, X, y, sample_weight=None, **kwargs):
        if sample_weight is not None:
            sample_weight = (np.asarray(sample_weight) > 0).astype(float)
        return super().fit(X, y, sample_weight, **kwargs)


class Unseeded:
    breaks = "check_same_seed_same_output"

    def fit(self, *args, **kwargs):
        self.noise_ = 1e-9 * np.random.default_rng().random()
        return super().fit(*args, **kwargs)

    def _predict(self, X):
        return super()._predict(X) + self.noise_ * np.array([1, -1, 0])


class ArraysReversed:
    breaks = "check_frame_and_array_agree"

    def fit(self, X, *args, **kwargs):
        return super().fit(X if hasattr(X, "columns") else X[:, ::-1], *args, **kwargs)


class ScalesWeightsInPlace:
    breaks = "check_inputs_are_left_alone"

    def fit(self, X, y, sample_weight=None, **kwargs):
        if sample_weight is not None:
            sample_weight /= sample_weight.max()
        return super().fit(X, y, sample_weight, **kwargs)


class CannotBeCopied:
    breaks = "check_copies_predict_alike"

    def __deepcopy__(self, memo):
        raise TypeError("cannot copy a handle of the library")


class Talks:
    """Prints as compiled code does, past Python's own streams."""

    breaks = "check_is_quiet"

    def fit(self, *args, **kwargs):
        os.write(1, b"[Info] training with 4 columns\n")
        return super().fit(*args, **kwargs)


class ForgetsWhenSaved:
    breaks = "check_predicts_in_a_new_process"

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "coef_"}

    def __deepcopy__(self, memo):
        twin = type(self)(**self.get_params())
        vars(twin).update(copy.deepcopy(vars(self)))
        return twin


SHARED = [
    FittedOnDelivery,
    NegativeProbabilities,
    SumsBelowOne,
    ClassesUnsorted,
    PredictsTheLeastProbable,
    CountsClassesFromZero,
    WeightsIgnored,
    Unseeded,
    ArraysReversed,
    ScalesWeightsInPlace,
    CannotBeCopied,
    Talks,
    ForgetsWhenSaved,
]


def broken(module, base):
    """For each fault the class that has it and is healthy otherwise, importable by its name."""
    classes = []
    for fault in SHARED:
        name = f"{fault.__name__}{base.role.title()}"
        module[name] = type(name, (fault, base), {"__module__": module["__name__"]})
        classes.append(module[name])
    return classes
