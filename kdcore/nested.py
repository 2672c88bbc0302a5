"""Splits of the training rows whose held-out part no teacher, structure or label has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.folds import fold_plan
from kdcore.recipe_fit import Lesson
from kdcore.splits import Data
from kdcore.teacher_run import run_teacher

if TYPE_CHECKING:
    from kdcore.label_cache import LabelCache
    from kdcore.sources import Source
    from kdcore.teacher_run import TeacherRun

__all__ = [
    "can_be_nested",
    "nested_count",
    "nested_lessons",
    "part_count",
    "part_of",
    "parts_of",
]

#: Below so many training rows one fold is too small to judge by, and all of them are used.
_FEW_ROWS = 2000


def can_be_nested(run: TeacherRun) -> bool:
    """Whether the teacher can be asked about rows of which it knows nothing.

    In-sample labels know every row's label. Labels that were given may do so, as do out-of-fold
    labels: the folds' other teachers have seen the row.
    """
    return run.labels.provenance == "held-out" or (
        run.labels.provenance == "out-of-fold" and run.refit is not None
    )


def nested_lessons(
    source: Source,
    data: Data,
    *,
    random_state: int,
    n_jobs: int | None,
    cache: LabelCache | None,
    count: int | None = None,
    on_part: Callable[[int, int], None] | None = None,
) -> list[Lesson]:
    """Lessons on parts of the training rows, whose held-out rows are the rest.

    A teacher is fitted on each part alone, and labels it by folds within the part: with the
    ordinary out-of-fold labels, the other folds' teachers would have told of the held-out rows.
    There is one part, or five of them below 2,000 rows (three of ordered rows, each judged by
    what comes next); or ``count``, as far as there are folds.
    """
    plan = _plan(data, random_state)[: count or nested_count(data)]
    lessons = []
    for number, (inside, outside) in enumerate(plan):
        if on_part is not None:
            on_part(number, len(plan))
        part = _split(data, inside, outside)
        run = run_teacher(
            source,
            part.train,
            part.held,
            part.extra,
            folds="auto",
            random_state=random_state,
            n_jobs=n_jobs,
            cache=cache,
            measure=False,
        )
        lessons.append(Lesson(part, run, random_state + number))
    return lessons


def nested_count(data: Data) -> int:
    """How many parts `nested_lessons` makes."""
    if len(data.train) >= _FEW_ROWS:
        return 1
    return 3 if data.train.ordered else 5


def part_of(lesson: Lesson, random_state: int, number: int = 0) -> Lesson:
    """A lesson on four fifths of the rows, judged by the rest, with the whole lesson's structure.

    Its labels are not nested: it is for work with true labels alone. ``number``, below
    `part_count`, tells parts apart; each row judges in one of them.
    """
    inside, outside = _plan(lesson.data, random_state)[number]
    labels = lesson.run.labels
    run = replace(
        lesson.run,
        labels=replace(labels, values=labels.values[inside]),
        held=labels.values[outside],
    )
    return Lesson(_split(lesson.data, inside, outside), run, random_state, whole=lesson)


def part_count(lesson: Lesson) -> int:
    """How many parts `part_of` knows."""
    return len(_plan(lesson.data, 0))


def parts_of(lesson: Lesson, random_state: int) -> list[Lesson]:
    """As many of `part_of` as there are of `nested_lessons`."""
    count = min(nested_count(lesson.data), len(_plan(lesson.data, random_state)))
    return [part_of(lesson, random_state, number) for number in range(count)]


def _plan(data: Data, random_state: int) -> list[Any]:
    train = data.train
    if train.ordered:
        return _forward(len(train))
    return fold_plan(train.y, classes=train.classes, folds="auto", random_state=random_state)


def _forward(n: int) -> list[Any]:
    """The last fifth of the rows, judged by all before it; then the fifths before that."""
    edges = [round(n * share / 5) for share in range(6)]
    return [(np.arange(edges[i]), np.arange(edges[i], edges[i + 1])) for i in (4, 3, 2)]


def _split(data: Data, inside: Any, outside: Any) -> Data:
    return Data(data.table, data.train.take(inside), data.train.take(outside), data.extra)
