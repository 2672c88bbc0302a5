"""Choosing a recipe: the measured default, unless another is better by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.evaluation import paired_gain
from kdcore.recipe_fit import fit_student
from kdcore.row_limit import MOST_CELLS
from kdcore.tuning import held_losses

if TYPE_CHECKING:
    from kdcore.recipe import Recipe
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """The recipe that is used, and what it was compared with.

    Parameters
    ----------
    recipe : Recipe
    trials : list of dict
        ``name``, ``loss`` (log loss, or mean squared error) and, beside the default, ``gain``
        over it with its standard error ``se``; empty when nothing was compared.
    moved : bool
        Whether another than the default won.
    """

    recipe: Recipe
    trials: list[dict[str, Any]] = field(default_factory=list)
    moved: bool = False


def choose(
    student: Resolved,
    lessons: Sequence[Lesson],
    recipes: Sequence[Recipe],
    params: Mapping[Any, Mapping[str, Any]],
    *,
    most_cells: int = MOST_CELLS,
) -> Choice:
    """Compare recipes on held-out parts of the training rows.

    The first recipe stays unless another one's loss is smaller by more than one standard error
    of the difference, row by row: with few rows the smallest loss is often luck.

    Parameters
    ----------
    student : Resolved
    lessons : sequence of Lesson
        See `kdcore.nested.nested_lessons`.
    recipes : sequence of Recipe
        The default first.
    params : mapping
        Tuned parameters for each recipe's encoder, by its text.
    most_cells : int, default=32000000
        Of each fit; see `kdcore.row_limit`.
    """
    losses = [
        np.concatenate(
            [
                held_losses(
                    fit_student(student, lesson, r, params[str(r.encoder)], most_cells=most_cells),
                    lesson,
                )
                for lesson in lessons
            ]
        )
        for r in recipes
    ]
    weight = np.concatenate([lesson.data.held.weight for lesson in lessons])
    weight = weight / weight.sum()
    trials: list[dict[str, Any]] = []
    best, largest = 0, 0.0
    for i, (recipe, own) in enumerate(zip(recipes, losses, strict=True)):
        trial: dict[str, Any] = {"name": recipe.name, "loss": float(weight @ own)}
        if i:
            gain, error = paired_gain(losses[0], own, weight)
            trial |= {"gain": gain, "se": error}
            if gain > error and gain > largest:
                best, largest = i, gain
        trials.append(trial)
    return Choice(recipes[best], trials, moved=best > 0)
