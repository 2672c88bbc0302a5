"""What the checks of teachers and students work on: one spec, one task, models fitted once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from kdcore.specs import StudentSpec, TeacherSpec
from kdcore.testing.data import TinyData, tiny_data

__all__ = ["ModelCase", "SpecCase", "far_apart"]


class ModelCase:
    """One teacher or student and one of its tasks.

    Parameters
    ----------
    spec : TeacherSpec or StudentSpec
    task : {"binary", "multiclass", "regression"}
    params : mapping, optional
        Parameters set on every model, to make the checks fast.
    """

    def __init__(
        self, spec: TeacherSpec | StudentSpec, task: str, params: Mapping[str, Any] | None = None
    ) -> None:
        self.spec = spec
        self.task = task
        self.params = dict(params or {})

    @property
    def classifies(self) -> bool:
        """Whether the task is a classification."""
        return self.task != "regression"

    def make(self, **params: Any) -> Any:
        """A new unfitted model; these parameters are set on top of the case's own."""
        kind = "classification" if self.classifies else "regression"
        model = self.spec.resolve()(task=kind)
        wanted = {**self.params, **params}
        return model.set_params(**wanted) if wanted else model

    def draw(self, **options: Any) -> TinyData:
        """A tiny table for this task that the model promises to read."""
        content = "image" if getattr(self.spec, "input", "table") == "image" else "numbers"
        return tiny_data(self.task, **{"content": content, **options})

    @property
    def data(self) -> TinyData:
        """Rows to fit to; a copy, since a broken model may write into it."""
        return self._drawn[0].copy()

    @property
    def fresh(self) -> TinyData:
        """Other rows of the same kind; a copy."""
        return self._drawn[1].copy()

    @functools.cached_property
    def _drawn(self) -> tuple[TinyData, TinyData]:
        return self.draw(), self.draw(seed=1)

    @functools.cached_property
    def fitted(self) -> Any:
        """A model fitted to true labels; checks only predict with it."""
        return self.make().fit(self.data.X, self.data.y)

    def output(self, model: Any, X: Any) -> np.ndarray:
        """Class probabilities (n, K) in the order of sorted labels, or values (n,)."""
        if not self.classifies:
            return np.asarray(model.predict(X))
        proba, own = np.asarray(model.predict_proba(X)), np.asarray(model.classes_)
        return proba[:, np.argsort(own)] if proba.shape[1:] == own.shape else proba

    def error(self, output: np.ndarray, data: TinyData) -> float:
        """Root mean squared difference from the true probabilities or values."""
        return float(np.sqrt(np.mean((output - data.teacher) ** 2)))

    def constant_error(self, data: TinyData) -> float:
        """The error of the best output that does not look at the columns."""
        return self.error(self.data.teacher.mean(axis=0, keepdims=True), data)


class SpecCase:
    """One teacher or student with all its tasks.

    Parameters
    ----------
    cases : sequence of ModelCase
        One for each task of the spec.
    """

    def __init__(self, cases: list[ModelCase]) -> None:
        self.cases = cases
        self.spec = cases[0].spec


def far_apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference between two outputs; infinite where shapes or NaNs differ."""
    gaps = np.isnan(one)
    if one.shape != other.shape or not np.array_equal(gaps, np.isnan(other)):
        return float("inf")
    return float(np.abs(one - other)[~gaps].max(initial=0.0))
