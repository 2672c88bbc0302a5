"""Teaching one student: tune it, choose its recipe, fit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.chooser import Choice, choose
from kdcore.clock import Clock
from kdcore.evaluation import paired_gain, row_losses
from kdcore.nested import can_be_nested, nested_count, part_of, parts_of
from kdcore.recipe import Recipe, default_recipe, plain_recipe, rivals
from kdcore.recipe_fit import fit_student
from kdcore.relabelling import Relabelling, relabelled
from kdcore.row_limit import MOST_CELLS
from kdcore.selection import Selection, narrowed, select_columns
from kdcore.tuning import tuned

if TYPE_CHECKING:
    from kdcore.labeller import Labeller
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved
    from kdcore.wishes import Wishes

__all__ = ["Taught", "plain_student", "teach"]

#: With fewer training rows nothing can be held out of them.
_FEWEST_ROWS = 50
#: Below so many rows only the largest differences can be told.
_FEW_ROWS = 2000
#: Standard errors by which a student must be ahead of its teacher to be left alone.
_CLEAR = 2.0
#: Encoded cells that are enough to see whether soft labels do harm.
_BRAKE_CELLS = MOST_CELLS // 4


@dataclass(frozen=True)
class Taught:
    """A distilled student, and how it came about.

    Parameters
    ----------
    student : fitted student
    recipe : Recipe
        What it was taught with.
    choice : Choice
        How the recipe came to be chosen.
    tuned : dict
        Tuned parameters for each encoder, by its text.
    augmented : int
        Synthetic rows.
    notes : list of str
    lesson : Lesson
        What it was taught from, which is another than it was given where the teacher was fitted
        anew on the chosen columns.
    selection : Selection or None
        None where the student reads what it was allowed from the start.
    relabelling : Relabelling or None
        None where the teacher was not fitted anew.
    """

    student: Any
    recipe: Recipe
    choice: Choice
    tuned: dict[str, dict[str, Any]]
    augmented: int
    notes: list[str]
    lesson: Lesson
    selection: Selection | None = None
    relabelling: Relabelling | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that the recipe and tuning gave the student."""
        return {**self.tuned[str(self.recipe.encoder)], **self.recipe.params}

    def selection_dict(self) -> dict[str, Any] | None:
        """How columns and labels were chosen, as plain data for JSON."""
        if self.selection is None:
            return None
        again = self.relabelling
        return {**self.selection.to_dict(), "relabel": None if again is None else again.to_dict()}


def teach(
    student: Resolved,
    lesson: Lesson,
    wishes: Wishes,
    *,
    nested: Callable[[], list[Lesson]] | None = None,
    labeller: Labeller | None = None,
    clock: Clock | None = None,
    random_state: int = 0,
    step: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Taught:
    """Teach a student by the best recipe known for it.

    Parameters
    ----------
    student : Resolved
    lesson : Lesson
        All training rows.
    wishes : Wishes
    nested : callable, optional
        Makes the lessons that recipes are compared on (`kdcore.nested.nested_lessons`); called
        only when they are needed and there is time.
    labeller : Labeller, optional
        Asks the teacher anew, once columns are chosen.
    clock : Clock, optional
        Gets the seconds of ``select``, ``relabel``, ``tune``, ``fit`` and ``validate``.
    random_state : int, default=0
    step : callable
        ``step(stage, done, total)``.
    """
    run, train = lesson.run, lesson.data.train
    recipe = default_recipe(
        student,
        mode=wishes.mode,
        n_columns=len(train.names),
        n_rows=len(train),
        can_be_asked=run.labels.teacher is not None or run.refit is not None,
        unlabeled=lesson.data.extra is not None,
        augment=wishes.augment,
        encoder=wishes.encoder,
        correction=wishes.label_correction,
    )
    clock = Clock() if clock is None else clock
    notes: list[str] = []
    late = wishes.deadline.left() <= 0
    if late:
        notes.append(
            f"the time limit of {wishes.deadline.seconds:g} s was used up by the teacher's labels; "
            "the student learned from them without synthetic rows, tuning or validation."
        )
        recipe = replace(recipe, augment=0, params={})
    selection = relabelling = None
    if wishes.columns.asked:
        selection = select_columns(
            student,
            lesson,
            wishes.columns,
            encoder=recipe.encoder,
            time_left=wishes.deadline.left,
            random_state=random_state,
            step=step,
        )
        notes += selection.notes
        student = narrowed(student, selection.columns)
    clock.lap("select")
    if selection is not None:
        step("relabel", 0, 1)
        lesson, again, relabelling = relabelled(
            student,
            lesson,
            selection,
            wishes.columns,
            recipe,
            labeller,
            nested=nested if wishes.mode == "auto" else None,
            compare=wishes.mode != "plain" and not late,
            time_left=wishes.deadline.left,
            random_state=random_state,
        )
        nested = nested if again is None else again.nested
    clock.lap("relabel")
    params: dict[str, dict[str, Any]] = {"None": {}, str(recipe.encoder): {}}
    part = None
    if wishes.mode != "plain" and not late and len(train) >= _FEWEST_ROWS:
        part = part_of(lesson, random_state)
        for encoder in {str(e): e for e in (None, recipe.encoder)}.values():
            params[str(encoder)] = tuned(student, part, encoder)
    clock.lap("tune")

    def fit(which: Recipe) -> Any:
        return fit_student(student, lesson, which, params[str(which.encoder)])

    step("students", 0, 2)
    distilled = fit(recipe)
    clock.lap("fit")
    choice = Choice(recipe)
    if part is not None:
        step("validate", 0, 1)
        choice = _chosen(
            student, lesson, part, recipe, params, wishes, nested, clock.seconds["fit"], notes
        )
    clock.lap("validate")
    if choice.moved:
        distilled = fit(choice.recipe)
        clock.lap("fit")
        notes.append(choice.reason or _moved(choice))
    if selection is not None:
        selection.mark(distilled)
    notes += lesson.told
    if relabelling is not None:
        if not choice.recipe.teacher:
            relabelling = replace(relabelling, used="none")
        notes += [note for note in [relabelling.note()] if note]
    return Taught(
        student=distilled,
        recipe=choice.recipe,
        choice=choice,
        tuned=params,
        augmented=lesson.augmented(choice.recipe),
        notes=notes,
        lesson=lesson,
        selection=selection,
        relabelling=relabelling,
    )


def plain_student(student: Resolved, taught: Taught, encoder: Any = None) -> Any:
    """A student of labels alone that a distilled one is compared with, tuned as it was.

    Parameters
    ----------
    student : Resolved
    taught : Taught
        The distilled student; itself if it learned from labels alone behind this encoder.
    encoder : str or Encoder, optional
        That of the distilled student; None is the student's own.
    """
    if taught.selection is not None:
        # The columns that were chosen for the distilled student within its budget.
        student = narrowed(student, taught.selection.columns)
    if not taught.recipe.teacher and str(encoder) == str(taught.recipe.encoder):
        return taught.student
    return fit_student(student, taught.lesson, plain_recipe(encoder), taught.tuned[str(encoder)])


def _chosen(
    student: Resolved,
    lesson: Lesson,
    part: Lesson,
    recipe: Recipe,
    params: Mapping[str, Mapping[str, Any]],
    wishes: Wishes,
    nested: Callable[[], list[Lesson]] | None,
    fit_seconds: float,
    notes: list[str],
) -> Choice:
    """The default, or another recipe that did better on held-out training rows.

    Where nested lessons are asked for, and there is time, all rivals are compared on them. Else an
    ordinary part of the rows is left; the labels of its rows tell a little of those held out. That
    flatters the teacher, so it only serves as a brake: labels alone against soft labels,
    without synthetic rows, since the teacher that would label these has seen all rows. In-sample
    labels know the held-out rows in full, and nothing is compared.
    """
    run, train = lesson.run, lesson.data.train
    # Who sets the teacher's share or the loss by hand wants to see what these do.
    by_hand = not student.given.isdisjoint(("alpha", "temperature", "loss"))
    by_hand = by_hand or wishes.label_correction is not None
    method = lesson.method(recipe) if recipe.augment else ""
    others = [
        other
        for other in rivals(recipe, method=method, few_rows=len(train) < _FEW_ROWS)
        if (other.teacher or not by_hand)
        # Nor is an encoder that was named exchanged for another.
        and (wishes.encoder is None or str(other.encoder) == str(recipe.encoder))
    ]
    if wishes.mode == "auto" and nested is not None and can_be_nested(run) and others:
        one = run.labels.seconds + (len(others) + 1) * fit_seconds
        need = nested_count(lesson.data) * one
        if need <= wishes.deadline.left():
            return choose(student, nested(), [recipe, *others], params)
        notes.append(
            f"comparing recipes would take about {need:.0f} s, more than the time limit leaves; "
            "the default was used unless labels alone did better on held-out rows."
        )
    alone = [other for other in others if not other.teacher]
    late = wishes.deadline.left() <= fit_seconds
    if not alone or late or run.labels.provenance == "in-sample":
        return Choice(recipe)
    soft = replace(recipe, name="soft labels", augment=0, params={})
    # Of few rows each judges once, or chance would decide.
    parts = [part] if nested_count(lesson.data) == 1 else parts_of(lesson, part.random_state)
    choice = choose(student, parts, [soft, *alone], params, most_cells=_BRAKE_CELLS)
    return choice if choice.moved else _ahead_of_teacher(choice, lesson, parts, recipe, alone)


def _ahead_of_teacher(
    choice: Choice, lesson: Lesson, parts: list[Lesson], recipe: Recipe, alone: list[Recipe]
) -> Choice:
    """Labels alone, where they beat the teacher itself; else the default.

    Soft labels of the training rows are mixed with true ones, and do little harm even then, but
    synthetic rows, of which the brake knows nothing, have the teacher's label only.
    """
    weight = np.concatenate([part.data.held.weight for part in parts])
    weight = weight / weight.sum()
    said = []
    for part in parts:
        assert part.run.held is not None
        output, held = lesson.calibration(part.run.held), part.data.held
        said.append(row_losses(output, held.y, held.classes))
    teacher, losses = np.concatenate(said), choice.losses[1:]
    # Those that fell far behind on the way were not judged on all rows.
    whole = [i for i, own in enumerate(losses) if len(own) == len(teacher)]
    if not whole:
        return replace(choice, recipe=recipe)
    best = min(whole, key=lambda i: float(weight @ losses[i]))
    gain, error = paired_gain(teacher, losses[best], weight)
    if gain <= _CLEAR * error:
        return replace(choice, recipe=recipe)
    return replace(
        choice,
        recipe=alone[best],
        moved=True,
        reason=f"on held-out training rows the student of labels alone is ahead of the teacher (a "
        f"loss of {weight @ losses[best]:.4g} against {weight @ teacher:.4g}), which has nothing "
        "to teach it; labels alone were used.",
    )


def _moved(choice: Choice) -> str:
    base = choice.trials[0]
    trial = next(t for t in choice.trials if t["name"] == choice.recipe.name)
    return (
        f"on held-out training rows the recipe {choice.recipe.name!r} had a loss of "
        f"{trial['loss']:.4g} and {base['name']!r} {base['loss']:.4g} (a gain of "
        f"{trial['gain']:.2g} with a standard error of {trial['se']:.2g}), so it was used."
    )
