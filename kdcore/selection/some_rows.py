"""A part of the rows of a large table, by which columns are chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kdcore.recipe_fit import Lesson
from kdcore.splits import Data

if TYPE_CHECKING:
    from kdcore.table import LabeledTable

__all__ = ["most_rows", "of_some_rows"]

#: Of tables with more training cells than this so many are looked at, but of so many rows at least;
#: and a quarter as many rows judge. What columns are worth is plain by then, and copies of wide
#: tables are what memory goes to.
_MOST_CELLS, _MOST_ROWS = 10_000_000, 20_000


def most_rows(n_columns: int) -> int:
    """Training rows that are looked at, at most, to choose columns."""
    return max(_MOST_ROWS, _MOST_CELLS // n_columns)


def of_some_rows(lesson: Lesson, random_state: int) -> Lesson:
    """The lesson, or one of a random part of its rows where they are very many.

    Each class keeps its share of the rows, and one at least.
    """
    data, run = lesson.data, lesson.run
    most = most_rows(len(data.train.names))
    if len(data.train) <= most:
        return lesson
    rng = np.random.default_rng([random_state, 8])
    inside, outside = _drawn(data.train, most, rng), _drawn(data.held, most // 4, rng)
    labels = replace(run.labels, values=run.labels.values[inside])
    return Lesson(
        Data(data.table, data.train.take(inside), data.held.take(outside), data.extra),
        replace(run, labels=labels, held=None if run.held is None else run.held[outside]),
        lesson.random_state,
        whole=lesson.whole,
    )


def _drawn(table: LabeledTable, most: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of at most so many rows, in order, by chance; a few more where classes are rare."""
    order = rng.permutation(len(table))
    if table.classes is None or len(table) <= most:
        return np.sort(order[:most])
    y, part = table.y[order], []
    for label in np.unique(y):
        own = order[y == label]
        part.append(own[: max(1, round(most * len(own) / len(order)))])
    return np.sort(np.concatenate(part))
