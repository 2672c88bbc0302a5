"""Teaching one student: tune it, choose its recipe, fit it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.chooser import Choice, choose
from kdcore.encoders import make_encoder
from kdcore.errors import ParameterError
from kdcore.nested import can_be_nested, nested_count, part_of
from kdcore.recipe import MODES, Recipe, default_recipe, plain_recipe, rivals, split_augment
from kdcore.recipe_fit import fit_student
from kdcore.selection import ColumnWishes, Selection, narrowed, select_columns
from kdcore.tuning import tuned

if TYPE_CHECKING:
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved

__all__ = ["Deadline", "Taught", "Wishes", "plain_student", "teach"]

#: With fewer training rows nothing can be held out of them.
_FEWEST_ROWS = 50
#: Below so many rows only the largest differences can be told.
_FEW_ROWS = 2000


class Deadline:
    """How much of a time limit is left.

    Parameters
    ----------
    seconds : float or None
        None for no limit.

    Raises
    ------
    ParameterError
        When it is not above 0.
    """

    def __init__(self, seconds: float | None = None) -> None:
        if seconds is not None and not seconds > 0:
            raise ParameterError(f"time_limit={seconds!r} must be a number of seconds above 0.")
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; infinite without a limit."""
        return np.inf if self._end is None else self._end - time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user asks of the transfer.

    Parameters
    ----------
    mode : {"auto", "fast", "plain"}, default="auto"
    augment : int, str or callable, optional
    encoder : str or Encoder, optional
    deadline : Deadline
    columns : ColumnWishes
        Which columns the student may read.

    Raises
    ------
    ParameterError
        When one of them cannot be used.
    """

    mode: str = "auto"
    augment: Any = None
    encoder: Any = None
    deadline: Deadline = field(default_factory=Deadline)
    columns: ColumnWishes = field(default_factory=ColumnWishes)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ParameterError(
                f"recipe={self.mode!r} is not known; use one of {', '.join(MODES)}."
            )
        if self.augment is not None:
            split_augment(self.augment)
        if self.encoder is not None:
            make_encoder(self.encoder)


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
    seconds : dict
        Of ``select``, ``tune``, ``fit``, ``validate``.
    notes : list of str
    selection : Selection or None
        None where the student reads what it was allowed from the start.
    """

    student: Any
    recipe: Recipe
    choice: Choice
    tuned: dict[str, dict[str, Any]]
    augmented: int
    seconds: dict[str, float]
    notes: list[str]
    selection: Selection | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that the recipe and tuning gave the student."""
        return {**self.tuned[str(self.recipe.encoder)], **self.recipe.params}


def teach(
    student: Resolved,
    lesson: Lesson,
    wishes: Wishes,
    *,
    nested: Callable[[], list[Lesson]] | None = None,
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
    random_state : int, default=0
    step : callable
        ``step(stage, done, total)``.
    """
    run, train = lesson.run, lesson.data.train
    recipe = default_recipe(
        student,
        mode=wishes.mode,
        n_columns=len(train.names),
        can_be_asked=run.labels.teacher is not None or run.refit is not None,
        unlabeled=lesson.data.extra is not None,
        augment=wishes.augment,
        encoder=wishes.encoder,
    )
    clock = _Laps()
    notes: list[str] = []
    late = wishes.deadline.left() <= 0
    if late:
        notes.append(
            f"the time limit of {wishes.deadline.seconds:g} s was used up by the teacher's labels; "
            "the student learned from them without synthetic rows, tuning or validation."
        )
        recipe = replace(recipe, augment=0, params={})
    selection = None
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
        # Who sets the teacher's share or the loss by hand wants to see what these do.
        by_hand = not student.given.isdisjoint(("alpha", "temperature", "loss"))
        others = [r for r in _rivals(recipe, lesson) if r.teacher or not by_hand]
        lessons = _lessons(lesson, part, wishes, nested, (len(others) + 1) * clock["fit"], notes)
        tried = recipe
        if any(one is part for one in lessons):
            others = [r for r in others if not r.teacher]
            # The teacher that would label synthetic rows has seen the rows that judge.
            tried = replace(recipe, name="soft labels", augment=0, params={})
        if others and lessons:
            choice = choose(student, lessons, [tried, *others], params)
            if not choice.moved:
                choice = replace(choice, recipe=recipe)
    clock.lap("validate")
    if choice.moved:
        distilled = fit(choice.recipe)
        clock.lap("fit")
    if choice.moved:
        notes.append(_moved(choice))
    if selection is not None:
        selection.mark(distilled)
    return Taught(
        student=distilled,
        recipe=choice.recipe,
        choice=choice,
        tuned=params,
        augmented=lesson.augmented(choice.recipe),
        seconds=clock,
        notes=notes,
        selection=selection,
    )


def plain_student(student: Resolved, lesson: Lesson, taught: Taught, encoder: Any = None) -> Any:
    """A student of labels alone that a distilled one is compared with, tuned as it was.

    Parameters
    ----------
    student : Resolved
    lesson : Lesson
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
    return fit_student(student, lesson, plain_recipe(encoder), taught.tuned[str(encoder)])


def _rivals(recipe: Recipe, lesson: Lesson) -> list[Recipe]:
    few = len(lesson.data.train) < _FEW_ROWS
    method = lesson.method(recipe) if recipe.augment else ""
    return rivals(recipe, method=method, few_rows=few)


def _lessons(
    lesson: Lesson,
    part: Lesson,
    wishes: Wishes,
    nested: Callable[[], list[Lesson]] | None,
    fit_seconds: float,
    notes: list[str],
) -> list[Lesson]:
    """The lessons that recipes are compared on: nested ones if asked for, and there is time.

    Else an ordinary part of the rows is left, of whose held-out rows the teacher's labels tell a
    little. That flatters what comes from the teacher, so it can only serve as a brake. Labels that
    know the held-out rows in full are none at all.
    """
    run = lesson.run
    if wishes.mode == "auto" and nested is not None and can_be_nested(run):
        need = nested_count(lesson.data) * (run.labels.seconds + fit_seconds)
        if need <= wishes.deadline.left():
            return nested()
        notes.append(
            f"comparing recipes would take about {need:.0f} s, more than the time limit leaves; "
            "the default was used unless labels alone did better on held-out rows."
        )
    left = wishes.deadline.left() > fit_seconds
    return [part] if left and run.labels.provenance != "in-sample" else []


class _Laps(dict[str, float]):
    """Seconds of each stage."""

    def __init__(self) -> None:
        super().__init__()
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self[stage] = now - self._last
        self._last = now


def _moved(choice: Choice) -> str:
    base = choice.trials[0]
    trial = next(t for t in choice.trials if t["name"] == choice.recipe.name)
    return (
        f"on held-out training rows the recipe {choice.recipe.name!r} had a loss of "
        f"{trial['loss']:.4g} and {base['name']!r} {base['loss']:.4g} (a gain of "
        f"{trial['gain']:.2g} with a standard error of {trial['se']:.2g}), so it was used."
    )
