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
    reason : str
        Why, where it is not the loss that the trials tell.
    losses : list of arrays
        Of each recipe, on held-out rows.
    """

    recipe: Recipe
    trials: list[dict[str, Any]] = field(default_factory=list)
    moved: bool = False
    reason: str = ""
    losses: list[np.ndarray] = field(default_factory=list, repr=False, compare=False)


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
    of the difference, row by row: with few rows the smallest loss is often luck. A rival that is
    behind by more than two standard errors on two lessons is spared the others.

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
    losses: list[list[np.ndarray]] = [[] for _ in recipes]
    weights: list[np.ndarray] = []
    racing = set(range(len(recipes)))
    for lesson in lessons:
        weights.append(np.asarray(lesson.data.held.weight))
        for i in sorted(racing):
            r = recipes[i]
            model = fit_student(student, lesson, r, params[str(r.encoder)], most_cells=most_cells)
            losses[i].append(held_losses(model, lesson))
        if len(weights) > 1:
            racing -= {i for i in racing if i and _hopeless(losses[0], losses[i], weights)}
    trials: list[dict[str, Any]] = []
    best, largest = 0, 0.0
    for i, (recipe, own) in enumerate(zip(recipes, losses, strict=True)):
        gain, error, loss = _over(losses[0], own, weights)
        trial: dict[str, Any] = {"name": recipe.name, "loss": loss}
        if i:
            # One that was spared some lessons is told as if it had gained the same there.
            trial |= {"loss": trials[0]["loss"] - gain, "gain": gain, "se": error}
            if i in racing and gain > error and gain > largest:
                best, largest = i, gain
        trials.append(trial)
    rows = [np.concatenate(own) for own in losses]
    return Choice(recipes[best], trials, moved=best > 0, losses=rows)


def _over(
    base: Sequence[np.ndarray], own: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> tuple[float, float, float]:
    """Gain over the default with its standard error, and loss, on the lessons of a rival."""
    part = slice(len(own))
    weight = np.concatenate(weights[part])
    weight = weight / weight.sum()
    losses = np.concatenate(own)
    gain, error = paired_gain(np.concatenate(base[part]), losses, weight)
    return gain, error, float(weight @ losses)


def _hopeless(
    base: Sequence[np.ndarray], own: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> bool:
    gain, error, _ = _over(base, own, weights)
    return gain < -2 * error
