"""Teaching the teacher again: refit it on the chosen columns, and see whose labels teach better.

Where noise hurt the teacher it is the weaker model on the columns that were chosen from it, and its
labels carry what the student cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import KDError, ParameterError
from kdcore.evaluation import metrics, paired_gain
from kdcore.nested import can_be_nested, part_of
from kdcore.notes import Note, figure, note
from kdcore.recipe import plain_recipe
from kdcore.recipe_fit import Lesson, fit_student
from kdcore.tuning import held_losses

if TYPE_CHECKING:
    from kdcore.labeller import Labeller
    from kdcore.recipe import Recipe
    from kdcore.resolve import Resolved
    from kdcore.selection import ColumnWishes, Selection
    from kdcore.teacher_source import Source

__all__ = ["Relabelling", "check_relabel", "relabelled"]

#: With fewer training rows none can be held out to compare labels on.
_FEWEST_ROWS = 50


@dataclass(frozen=True)
class Relabelling:
    """Whose labels the student learned from, after its columns were chosen.

    Parameters
    ----------
    used : {"old", "new", "none"}
        ``"old"`` are those of the teacher that reads all columns, ``"new"`` those of the same
        teacher fitted anew on the chosen ones, ``"none"`` true labels alone.
    trials : list of dict
        For ``old``, ``new`` and ``none`` (key ``labels``) the ``loss`` of the student on held-out
        training rows, without synthetic rows, and the ``se`` of its difference to the old labels.
        Empty where nothing was compared.
    nested : bool
        Whether the labels of these trials came from teachers that had not seen the held-out rows.
        Else they flatter both kinds of soft labels against true labels alone.
    teacher : dict or None
        Of the refitted teacher: ``columns``, ``metrics`` on the rows that judge the student, and
        ``seconds`` of labelling.
    failed : str or None
        Why the teacher could not be fitted to the chosen columns.
    """

    used: str
    trials: list[dict[str, Any]] = field(default_factory=list)
    nested: bool = False
    teacher: dict[str, Any] | None = None
    failed: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(vars(self))

    def note(self) -> Note | None:
        """What a reader of the numbers must know."""
        if self.failed is not None:
            failed = "relabel_failed_none" if self.used == "none" else "relabel_failed"
            return note(failed, error=self.failed)
        if self.teacher is None:
            return None
        losses = {t["labels"]: figure(t["loss"]) for t in self.trials}
        known = "relabel_losses" if self.nested else "relabel_losses_flattered"
        compared = note(known, **losses) if losses else ""
        return note(f"relabel_{self.used}", n=self.teacher["columns"], compared=compared)


def check_relabel(wishes: ColumnWishes, source: Source) -> None:
    """Refuse to label again where the teacher may not be fitted.

    Raises
    ------
    ParameterError
        When that was asked for.
    """
    if wishes.relabel == "always" and source.refit is None:
        raise ParameterError(
            f"relabel='always' fits the teacher anew on the chosen columns, but {source.name} is "
            "not fitted here; use relabel='auto' or 'never', or allow it with fitted='refit'."
        )


def relabelled(
    student: Resolved,
    lesson: Lesson,
    selection: Selection,
    wishes: ColumnWishes,
    recipe: Recipe,
    labeller: Labeller | None,
    *,
    nested: Callable[[], list[Lesson]] | None,
    compare: bool,
    time_left: Callable[[], float],
    random_state: int,
) -> tuple[Lesson, Labeller | None, Relabelling | None]:
    """Label the rows again by a teacher of the chosen columns, and keep the better labels.

    Parameters
    ----------
    student : Resolved
        It reads the chosen columns only.
    lesson : Lesson
        All training rows, with the labels of the teacher that reads all columns.
    selection : Selection
    wishes : ColumnWishes
    recipe : Recipe
        That the student starts with.
    labeller : Labeller, optional
        None where the teacher cannot be asked again.
    nested : callable, optional
        Lessons of the old teacher on parts of the rows that it has not seen; None compares on
        ordinary parts, whose labels know a little of the rows held out.
    compare : bool
        Whether there is anything to compare by; else new labels are made only if asked for.
    time_left : callable
    random_state : int

    Returns
    -------
    lesson : Lesson
        With the labels that are used.
    labeller : Labeller or None
        Of the new teacher where its labels are used.
    relabelling : Relabelling or None
        None where nothing was labelled again.
    """
    always = wishes.relabel == "always"
    old = lesson.run
    fewer = len(selection.columns) < len(lesson.data.train.names)
    if (
        wishes.relabel == "never"
        or labeller is None
        or labeller.source.refit is None
        or not fewer
        or (not always and (not compare or selection.selector is None))
        or (not always and time_left() <= max(old.labels.seconds, old.labels.fit_seconds))
    ):
        return lesson, None, None
    again = labeller.reading(selection.columns)
    try:
        new = again.run(measure=False)
    except KDError as error:
        # A pipeline may name columns that were not chosen.
        if always:
            raise
        return lesson, None, Relabelling("old", failed=str(error))
    changed = Lesson(
        lesson.data,
        replace(old, labels=new.labels, held=new.held, unlabeled=new.unlabeled, refit=new.refit),
        lesson.random_state,
        measure=lesson.measure,
    )
    held = lesson.data.held
    told = {
        "columns": len(selection.columns),
        "metrics": None
        if new.held is None
        else metrics(new.held, held.y, held.classes, held.sample_weight),
        "seconds": new.labels.seconds,
    }
    honest = nested is not None and can_be_nested(old)
    trials: list[dict[str, Any]] = []
    if compare and len(lesson.data.train) >= _FEWEST_ROWS:
        if honest and nested is not None:
            pairs = list(zip(nested(), again.nested(), strict=True))
        else:
            pairs = [
                (part_of(lesson, random_state, i), part_of(changed, random_state, i))
                for i in range(selection.splits)
            ]
        trials = _trials(student, pairs, recipe)
    loss = {t["labels"]: t["loss"] for t in trials}
    better = bool(trials) and loss["new"] < loss["old"]
    used = "new" if always or better else "old"
    result = Relabelling(used, trials, honest and bool(trials), told)
    return (changed, again, result) if used == "new" else (lesson, None, result)


def _trials(
    student: Resolved, pairs: list[tuple[Lesson, Lesson]], recipe: Recipe
) -> list[dict[str, Any]]:
    """The student by old labels, new ones and true ones alone, on the same held-out rows."""
    soft = replace(recipe, name="soft labels", augment=0, params={})
    ways: Mapping[str, tuple[int, Recipe]] = {
        "old": (0, soft),
        "new": (1, soft),
        "none": (0, plain_recipe(recipe.encoder)),
    }
    losses = {
        name: np.concatenate(
            [held_losses(fit_student(student, pair[i], way), pair[i]) for pair in pairs]
        )
        for name, (i, way) in ways.items()
    }
    weight = np.concatenate([first.data.held.weight for first, _ in pairs])
    weight = weight / weight.sum()
    return [
        {
            "labels": name,
            "loss": float(weight @ own),
            "se": paired_gain(losses["old"], own, weight)[1],
        }
        for name, own in losses.items()
    ]
