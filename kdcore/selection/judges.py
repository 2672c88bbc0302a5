"""Rows that judge sets of columns: one split of the training rows, or several of a small table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.nested import part_count, part_of
from kdcore.recipe import plain_recipe
from kdcore.recipe_fit import Lesson, fit_student, soft_targets
from kdcore.selection.narrow import narrowed
from kdcore.selection.some_rows import of_some_rows
from kdcore.selection.task import SelectionTask
from kdcore.splits import Data
from kdcore.tuning import held_losses

if TYPE_CHECKING:
    from kdcore.recipe import Recipe
    from kdcore.resolve import Resolved
    from kdcore.selection.limits import Limits

__all__ = [
    "FEWEST_ROWS",
    "Judge",
    "agreed",
    "judging_lessons",
    "number_of_splits",
]

#: With fewer training rows none can be held out, and the budget is filled.
FEWEST_ROWS = 50
#: On tables of fewer rows one split says too little: a fifth of them judges, and the standard
#: error of a difference in loss is as large as what sizes differ by.
_FEW_ROWS = 5_000
#: Cells times outputs up to which all five splits are used, and three. Each needs a teacher.
_ALL_SPLITS, _SOME_SPLITS = 400_000, 2_000_000


def number_of_splits(lesson: Lesson) -> int:
    """How many splits of the training rows judge sets of columns: five, three, or one.

    It depends on the shape of the table alone, never on the clock, so that the same seed chooses
    the same columns on any machine.
    """
    train = lesson.data.train
    if len(train) >= _FEW_ROWS:
        return 1
    outputs = 1 if train.classes is None or len(train.classes) == 2 else len(train.classes)
    work = len(train) * len(train.names) * outputs
    most = 5 if work <= _ALL_SPLITS else 3 if work <= _SOME_SPLITS else 1
    return min(most, part_count(lesson))


def judging_lessons(lesson: Lesson, number: int, random_state: int) -> Iterator[Lesson]:
    """Parts of a lesson, each judged by the rows that it leaves out.

    Where a teacher can be fitted anew, each part has one that has not seen the rows left out. With
    too few rows to leave any out there is one part, which is judged by its own rows.
    """
    if len(lesson.data.train) < FEWEST_ROWS:
        data, labels = lesson.data, lesson.run.labels
        yield Lesson(
            Data(data.table, data.train, data.train, data.extra),
            replace(lesson.run, held=labels.values),
            random_state,
            whole=lesson,
        )
        return
    for i in range(number):
        yield _unseen(lesson, random_state, i)


def agreed(rankings: Sequence[Sequence[str]], candidates: Sequence[str]) -> list[str]:
    """One ranking out of several, by the mean logarithm of a column's position.

    The logarithm lets the head of the rankings decide, where positions mean something. A column
    that a ranking does not name comes last in it.
    """
    if len(rankings) == 1:
        return list(rankings[0])
    last = len(candidates)
    total = dict.fromkeys(candidates, 0.0)
    for ranking in rankings:
        place = {name: i for i, name in enumerate(ranking)}
        for name in candidates:
            total[name] += math.log1p(place.get(name, last))
    return sorted(candidates, key=lambda name: total[name])


class Judge:
    """A student on one split of the training rows: what it makes of a set of columns.

    Parameters
    ----------
    student : Resolved
    lesson : Lesson
        See `judging_lessons`.
    limits : Limits
    candidates : list of str
    selector : Selector
    encoder : str or Encoder or None
    seed : int
    """

    def __init__(
        self,
        student: Resolved,
        lesson: Lesson,
        limits: Limits,
        candidates: list[str],
        selector: Any,
        encoder: Any,
        seed: int,
    ) -> None:
        self.student, self.lesson, self.seed = student, lesson, seed
        self.selector = selector
        self.recipe = plain_recipe(encoder)
        data, run = lesson.data, lesson.run
        held = soft_targets(data.held, run.held, run.labels.provenance)
        self.weight: np.ndarray = held.sample_weight
        # Who only knows `select` is never shown the teacher, which may have to be fitted first.
        shown = hasattr(selector, "rankings") and getattr(selector, "uses_teacher", True)
        teacher = lesson.teacher if shown else None
        self.task = SelectionTask(
            X=data.train.X,
            targets=soft_targets(data.train, run.labels.values, run.labels.provenance),
            held_X=data.held.X,
            held_targets=held,
            candidates=candidates,
            keep=limits.keep,
            most=limits.most,
            random_state=seed,
            teacher=teacher,
            ask=None if teacher is None else lesson.ask,
            structure=lesson.structure if shown else None,
            # Not `self.fit`: a judge that its task knows would outlive the selection, and its rows.
            student=partial(_fitted, student, lesson, self.recipe),
            estimator=student.estimator,
            encoder=encoder,
        )

    def fit(self, columns: Sequence[str]) -> Any:
        """The student, fitted to labels and these columns."""
        return _fitted(self.student, self.lesson, self.recipe, columns)

    def losses(self, columns: list[str]) -> np.ndarray:
        """Loss of each held-out row, (m,), of the student or of what the selector has for it."""
        own = getattr(self.selector, "losses", None)
        if own is not None:
            return np.asarray(own(self.task, columns))
        return held_losses(self.fit(columns), self.lesson)

    def rankings(self, sizes: Sequence[int]) -> Mapping[int, dict[str, Any]]:
        """What the selector says: for each size, orders of columns by the way they came about.

        An order may be a function of the size.
        """
        tell = getattr(self.selector, "rankings", None)
        if tell is not None:
            return dict.fromkeys(sizes, tell(self.task))
        return {size: {"select": self._asked(size)} for size in sizes}

    def _asked(self, size: int) -> list[str]:
        """What a selector says that only knows ``select``."""
        task, selector = self.task, self.selector
        frame = task.X[task.candidates]
        told = selector.select(frame, task.targets, max_features=size, random_state=self.seed)
        unknown = [c for c in told if c not in task.candidates]
        if unknown:
            raise ParameterError(
                f"the selector {type(selector).__name__} chose {unknown[0]!r}, which is no column "
                "it was given; tell its authors."
            )
        return list(told)


def _fitted(student: Resolved, lesson: Lesson, recipe: Recipe, columns: Sequence[str]) -> Any:
    return fit_student(narrowed(student, columns), lesson, recipe)


def _unseen(lesson: Lesson, random_state: int, number: int) -> Lesson:
    """A part of the rows, with a teacher that has not seen the others where one can be fitted.

    The teacher is fitted when it is first asked for, and kept for other students and budgets.
    """
    part = of_some_rows(part_of(lesson, random_state, number), random_state)
    if lesson.run.refit is None:
        return part
    key = ("unseen", random_state, number)
    if key not in lesson._kept:
        labels = replace(part.run.labels, teacher=None)
        lesson._kept[key] = Lesson(part.data, replace(part.run, labels=labels), random_state)
    return lesson._kept[key]
