"""Teaching one student: tune it, choose its recipe, fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kdcore.chooser import Choice
from kdcore.clock import Clock
from kdcore.nested import nested_count, part_of
from kdcore.notes import note
from kdcore.recipe import Recipe, default_recipe, plain_recipe
from kdcore.recipe_choice import chosen_recipe, why_moved
from kdcore.recipe_fit import fit_student
from kdcore.relabelling import Relabelling, relabelled
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
        notes.append(note("late", seconds=wishes.deadline.seconds))
        recipe = replace(recipe, augment=0, params={})
    selection = relabelling = None
    cheap = False
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
        if again is not None:
            nested = again.nested
            # No dearer than the first labels; by columns and not by the clock, which would make the
            # student depend on the machine.
            cheap = nested_count(lesson.data) * len(selection.columns) <= len(train.names)
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
        choice = chosen_recipe(
            student,
            lesson,
            part,
            recipe,
            params,
            wishes,
            nested,
            clock.seconds["fit"],
            notes,
            cheap=cheap,
        )
    clock.lap("validate")
    if choice.moved:
        distilled = fit(choice.recipe)
        clock.lap("fit")
        notes.append(choice.reason or why_moved(choice))
    if selection is not None:
        selection.mark(distilled)
    notes += lesson.told
    if relabelling is not None:
        if not choice.recipe.teacher:
            relabelling = replace(relabelling, used="none")
        notes += [said for said in [relabelling.note()] if said]
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
