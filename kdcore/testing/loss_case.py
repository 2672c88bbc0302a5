"""What the checks of losses work on: one loss, one task, random logits and targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.specs import LossSpec
from kdcore.targets import SoftTargets, softmax
from kdcore.testing.checks import Violation

__all__ = ["LossCase", "describe", "require_close"]

_ALPHAS = (0.0, 0.6, 1.0)
_TEMPERATURES = (1.0, 2.5)


class LossCase:
    """One loss and one of its tasks.

    Parameters
    ----------
    spec : LossSpec
    task : {"binary", "multiclass", "regression"}
    params : mapping, optional
        Parameters of the factory beside alpha and temperature.
    """

    def __init__(self, spec: LossSpec, task: str, params: Mapping[str, Any] | None = None) -> None:
        self.spec = spec
        self.task = task
        self.params = dict(params or {})
        self.n_classes = {"regression": 0, "binary": 2}.get(task, max(3, spec.min_classes))

    def make(self, *, alpha: float = 0.6, temperature: float = 1.0) -> Any:
        """A new loss."""
        return self.spec.resolve()(alpha=alpha, temperature=temperature, **self.params)

    def makes(self) -> Iterator[Any]:
        """Losses of several alphas and, where it takes them, temperatures."""
        for temperature in _TEMPERATURES:
            for alpha in _ALPHAS:
                try:
                    yield self.make(alpha=alpha, temperature=temperature)
                except ParameterError:
                    if temperature == 1:
                        raise

    def phases(self) -> Iterator[Any]:
        """`makes`, and where the loss follows the training each of them at several points."""
        for loss in self.makes():
            yield loss
            if self.spec.progress:
                yield from (loss.at(progress) for progress in (0.0, 0.4, 1.0))

    def logits(self, seed: int = 0, n_rows: int = 12) -> np.ndarray:
        """Random logits (n, K), or values (n,)."""
        shape = (n_rows, self.n_classes) if self.n_classes else (n_rows,)
        return 1.5 * np.random.default_rng(seed).standard_normal(shape)

    def targets(self, seed: int = 0, n_rows: int = 12, **changes: Any) -> SoftTargets:
        """Random targets, a third of them without a label, with weights; the teacher is sure of
        nothing."""
        rng = np.random.default_rng(100 + seed)
        unlabeled = np.arange(n_rows) % 3 == 0
        values = self.logits(seed + 10, n_rows)
        labels = rng.integers(0, self.n_classes, n_rows) if self.n_classes else values + 0.5
        parts = {
            "labels": np.where(unlabeled, -1 if self.n_classes else np.nan, labels),
            "teacher": softmax(values) if self.n_classes else values,
            "sample_weight": rng.uniform(0.5, 2.0, n_rows),
            "classes": np.arange(self.n_classes) if self.n_classes else None,
            "provenance": "given",
        }
        return SoftTargets(**{**parts, **changes})

    def labels(self) -> np.ndarray:
        """Labels for every row of `targets`."""
        known = self.targets().labels
        return np.where(self.targets().unlabeled, 1, known)


def describe(loss: Any) -> str:
    """How messages call a loss."""
    return f"alpha={loss.alpha:g}, temperature={loss.temperature:g}"


def require_close(got: np.ndarray, wanted: np.ndarray, loss: Any, what: str, do: str) -> None:
    """Raise a violation where a gradient is not what it should be."""
    difference = np.abs(got - wanted).max() if got.shape == wanted.shape else np.inf
    if not difference <= 1e-5 * max(float(np.abs(wanted).max()), 1e-3):
        raise Violation(
            f"a gradient that is {difference:.3g} off {what}, with {describe(loss)}", do
        )
