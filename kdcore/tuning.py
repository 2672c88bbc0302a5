"""Tuning of a student on held-out training rows, with labels alone: the same for both sides."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.evaluation import row_losses
from kdcore.labels import teacher_output
from kdcore.recipe import plain_recipe
from kdcore.recipe_fit import fit_student

if TYPE_CHECKING:
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved

__all__ = ["held_losses", "tuned"]

#: Most encoded cells of a trial: on large tables, a part of the rows finds the same values.
_MOST_CELLS = 4_000_000


def held_losses(model: Any, lesson: Lesson) -> np.ndarray:
    """Losses (m,) of a fitted student on the held-out rows of a lesson."""
    held = lesson.data.held
    return row_losses(teacher_output(model, held.X, held.classes), held.y, held.classes)


def tuned(student: Resolved, lesson: Lesson, encoder: Any = None) -> dict[str, Any]:
    """The parameters with the smallest loss on the held-out rows of a lesson.

    Labels alone decide, so that a plain and a distilled student behind the same encoder get the
    same parameters, and soft labels cannot leak what they know of the held-out rows.

    Parameters
    ----------
    student : Resolved
        Its recipe names the values to try; what the user has set is not touched.
    lesson : Lesson
        Held-out rows are not among its training rows.
    encoder : str or Encoder, optional
        None leaves the student's own.
    """
    if student.recipe is None:
        return {}
    grid = {k: v for k, v in student.recipe.tune.items() if k not in student.given}
    if not grid:
        return {}
    best: dict[str, Any] = {}
    smallest = np.inf
    weight = lesson.data.held.sample_weight
    for values in itertools.product(*grid.values()):
        params = dict(zip(grid, values, strict=True))
        model = fit_student(student, lesson, plain_recipe(encoder), params, most_cells=_MOST_CELLS)
        loss = float(np.average(held_losses(model, lesson), weights=weight))
        if loss < smallest:
            best, smallest = params, loss
    return best
