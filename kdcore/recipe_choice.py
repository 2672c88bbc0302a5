"""Which recipes a student is judged with, on which rows, and when labels alone are enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.chooser import Choice, choose
from kdcore.evaluation import paired_gain, row_losses
from kdcore.nested import can_be_nested, nested_count, parts_of
from kdcore.notes import figure, note
from kdcore.recipe import MOST_BINNED, rivals
from kdcore.recipe_fit import fit_student
from kdcore.row_limit import MOST_CELLS
from kdcore.tuning import held_losses

if TYPE_CHECKING:
    from kdcore.recipe import Recipe
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved
    from kdcore.wishes import Wishes

__all__ = ["ahead_of_teacher", "chosen_recipe", "harmed_by_rows", "why_moved"]

#: Below so many rows only the largest differences can be told.
_FEW_ROWS = 2000
#: Standard errors by which a student must be ahead of its teacher to be left alone.
_CLEAR = 2.0
#: Synthetic rows for each training row that are enough to see whether they do harm.
_TRIED_ROWS = 2
#: Encoded cells that are enough to see whether soft labels do harm.
_BRAKE_CELLS = MOST_CELLS // 4


def chosen_recipe(
    student: Resolved,
    lesson: Lesson,
    part: Lesson,
    recipe: Recipe,
    params: Mapping[str, Mapping[str, Any]],
    wishes: Wishes,
    nested: Callable[[], list[Lesson]] | None,
    fit_seconds: float,
    notes: list[str],
    *,
    cheap: bool = False,
) -> Choice:
    """The default, or another recipe that did better on held-out training rows.

    Where nested lessons are asked for, and there is time, all rivals are compared on them. Else an
    ordinary part of the rows is left; the labels of its rows tell a little of those held out. That
    flatters the teacher, so it only serves as a brake: labels alone against soft labels,
    without synthetic rows, since the teacher that would label these has seen all rows. In-sample
    labels know the held-out rows in full, and nothing is compared. On wide tables, where students
    keep their own encoders, the brake asks whether synthetic rows do harm as well.

    Where nested labels are ``cheap``, as those of a teacher of a few chosen columns, the brake
    looks at them instead, and nothing flatters the teacher.
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
        notes.append(note("not_compared", seconds=need))
    alone = [other for other in others if not other.teacher]
    late = wishes.deadline.left() <= fit_seconds
    if not alone or late or run.labels.provenance == "in-sample":
        return Choice(recipe)
    soft = replace(recipe, name="soft labels", augment=0, params={})
    number = nested_count(lesson.data)
    cheap = cheap and can_be_nested(run) and number * run.labels.seconds <= wishes.deadline.left()
    if cheap and nested is not None:
        parts = nested()
    else:
        # Of few rows each judges once, or chance would decide.
        parts = [part] if number == 1 else parts_of(lesson, part.random_state)
    choice = choose(student, parts, [soft, *alone], params, most_cells=_BRAKE_CELLS)
    if choice.moved:
        return choice
    choice = ahead_of_teacher(choice, lesson, parts, recipe, alone)
    wide = len(train.names) > MOST_BINNED
    if choice.moved or not (wide and recipe.augment) or wishes.augment is not None:
        return choice
    return harmed_by_rows(student, choice, parts, recipe, params)


def ahead_of_teacher(
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
        reason=note(
            "ahead_of_teacher",
            student=figure(weight @ losses[best]),
            teacher=figure(weight @ teacher),
        ),
    )


def harmed_by_rows(
    student: Resolved,
    choice: Choice,
    parts: list[Lesson],
    recipe: Recipe,
    params: Mapping[str, Mapping[str, Any]],
) -> Choice:
    """The default without synthetic rows, where a few of them do harm; else the default.

    A linear student of pictures cannot follow its teacher over made ones, and loses what it knew of
    real ones; a network gains by them. The teacher that labels them may have seen the held-out
    rows, so whoever is behind all the same is behind.
    """
    weight = np.concatenate([part.data.held.weight for part in parts])
    weight = weight / weight.sum()
    some = replace(recipe, augment=min(recipe.augment, _TRIED_ROWS))
    own = params[str(recipe.encoder)]
    models = [fit_student(student, part, some, own, most_cells=_BRAKE_CELLS) for part in parts]
    losses = [held_losses(model, part) for model, part in zip(models, parts, strict=True)]
    told, without = np.concatenate(losses), choice.losses[0]
    gain, error = paired_gain(told, without, weight)
    if gain <= _CLEAR * error:
        return choice
    return replace(
        choice,
        recipe=replace(recipe, name="no synthetic rows", augment=0, params={}),
        moved=True,
        reason=note(
            "harmed_by_rows", with_rows=figure(weight @ told), without=figure(weight @ without)
        ),
    )


def why_moved(choice: Choice) -> str:
    """Why another recipe than the default was used, in words for a note."""
    base = choice.trials[0]
    trial = next(t for t in choice.trials if t["name"] == choice.recipe.name)
    return note(
        "other_recipe",
        recipe=choice.recipe.name,
        loss=figure(trial["loss"]),
        base=base["name"],
        base_loss=figure(base["loss"]),
        gain=figure(trial["gain"], 2),
        se=figure(trial["se"], 2),
    )
