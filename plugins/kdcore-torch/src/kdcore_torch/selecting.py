"""What selectors that train inside a student have in common: the student, and quick fits of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from kdcore.errors import ParameterError
from kdcore.selection.filters import RankingSelector
from kdcore.selection.probes import row_losses_to
from kdcore_torch.gated import GatedStudent
from kdcore_torch.images import Convolutional
from kdcore_torch.lattice import lattice
from kdcore_torch.mlp import make as make_mlp
from kdcore_torch.students import TorchStudent

if TYPE_CHECKING:
    import torch

    from kdcore.selection import SelectionTask
    from kdcore_torch.gated import Pace
    from kdcore_torch.gates import Gates

__all__ = ["EmbeddedSelector", "whole_number"]


class EmbeddedSelector(RankingSelector):
    """Base: rankings come from gates in a student, and sizes are compared by quick fits of it.

    A subclass has the parameters ``fit_steps`` and ``max_rows``.
    """

    embedded = True

    fit_steps: int
    max_rows: int

    def losses(self, task: SelectionTask, columns: list[str]) -> np.ndarray:
        """Loss (m,) on held-out rows of a fresh student of these columns, without gates.

        It learns behind the encoder of the student in the end. Gates are trained behind the
        student's own, whose inputs are few.
        """
        return task.once(f"losses {sorted(columns)}", lambda: self._fitted(task, columns))

    def _fitted(self, task: SelectionTask, columns: list[str]) -> np.ndarray:
        student = self.student_of(task)
        steps = min(student.max_iter, self.fit_steps)
        student.set_params(features=columns, max_iter=steps)
        if task.encoder is not None:
            student.set_params(encoder=task.encoder)
        rows = self.rows_of(task)
        targets = task.targets.take(rows).with_structure(task.structure)
        frame = task.X if len(rows) == len(task.X) else task.X.iloc[rows]
        # A picture keeps its shape; of a table the other columns need not be looked at.
        if not isinstance(student, Convolutional) and len(columns) < frame.shape[1]:
            frame = frame[columns]
        student.fit(frame, targets)
        del frame
        output = student.predict_encoded(student.encoder_.transform(task.held_X))
        return row_losses_to(output, task.held_targets)

    def student_of(self, task: SelectionTask) -> Any:
        """The unfitted student of a task; a perceptron where it has none."""
        if task.estimator is None:
            return make_mlp(task.targets.task)
        if not isinstance(task.estimator, TorchStudent):
            raise ParameterError(
                f"the selector {type(self).__name__} trains inside a PyTorch student, which "
                f"{type(task.estimator).__name__} is not; use a filter such as 'prior_backward'."
            )
        return clone(task.estimator)

    def rows_of(self, task: SelectionTask) -> np.ndarray:
        """Positions of the training rows that are looked at: all, or ``max_rows`` by chance."""
        rows = np.flatnonzero(task.targets.sample_weight > 0)
        if len(rows) > self.max_rows:
            rng = np.random.default_rng([task.random_state, 4])
            rows = np.sort(rng.choice(rows, self.max_rows, replace=False))
        return rows

    def gated(
        self,
        task: SelectionTask,
        make_gates: Callable[[int, torch.Tensor, torch.Tensor], Gates],
        pace: Pace,
    ) -> GatedStudent:
        """The task's student behind gates."""
        return GatedStudent(task, self.student_of(task), make_gates, pace, self.rows_of(task))

    def lattices(
        self, task: SelectionTask, order: Sequence[str]
    ) -> dict[str, Callable[[int], list[str]]]:
        """The regular lattice of each size as a ranking, where columns are pixels.

        Where a pixel of it is no candidate, the best of ``order`` take its place.
        """
        student = self.student_of(task)
        if not isinstance(student, Convolutional):
            return {}
        names, candidates = list(map(str, task.X.columns)), set(task.candidates)
        depth, height, width = student.picture(len(names))

        def of(size: int) -> list[str]:
            pixels = lattice(height, width, max(1, size // depth))
            places = [c * height * width + p for p in pixels for c in range(depth)]
            first = [names[p] for p in places if names[p] in candidates]
            return [*first, *(name for name in order if name not in set(first))]

        return {"lattice": of}


def whole_number(selector: Any, *names: str) -> None:
    """Make parameters that a command line gave as ``5.0`` the whole numbers that they are."""
    for name in names:
        value = getattr(selector, name)
        if isinstance(value, float) and value.is_integer():
            setattr(selector, name, int(value))
