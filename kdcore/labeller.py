"""`Labeller`: a teacher and the rows it labels, to be asked again with other columns or parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kdcore.nested import nested_lessons
from kdcore.own_teachers import NarrowTeacher
from kdcore.teacher_run import TeacherRun, run_teacher

if TYPE_CHECKING:
    from kdcore.label_cache import LabelCache
    from kdcore.labels import TeacherLabels
    from kdcore.recipe_fit import Lesson
    from kdcore.sources import Source
    from kdcore.splits import Data
    from kdcore.table import LabeledTable

__all__ = ["Labeller", "reading_only"]


@dataclass(frozen=True, eq=False)
class Labeller:
    """A teacher, the rows of an experiment, and how they are labelled.

    Parameters
    ----------
    source : Source
    data : Data
    folds, random_state, n_jobs, cache
        See `kdcore.teacher_run.run_teacher`.
    """

    source: Source
    data: Data
    folds: int | str = "auto"
    random_state: int = 0
    n_jobs: int | None = None
    cache: LabelCache | None = None
    _nested: list[Lesson] = field(default_factory=list, init=False, repr=False)

    def run(
        self, *, measure: bool = True, on_step: Callable[[int, int], None] | None = None
    ) -> TeacherRun:
        """Fit (or ask) the teacher; see `kdcore.teacher_run.run_teacher`."""
        data = self.data
        return run_teacher(
            self.source,
            data.train,
            data.held,
            data.extra,
            folds=self.folds,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            cache=self.cache,
            on_step=on_step,
            measure=measure,
        )

    def nested(self) -> list[Lesson]:
        """Lessons on parts of the training rows; see `kdcore.nested.nested_lessons`.

        They are made once.
        """
        if not self._nested:
            self._nested[:] = nested_lessons(
                self.source,
                self.data,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
                cache=self.cache,
            )
        return self._nested

    def reading(self, columns: Sequence[str]) -> Labeller:
        """The same with a teacher that is fitted to these columns only."""
        return replace(self, source=reading_only(self.source, columns))


def reading_only(source: Source, columns: Sequence[str]) -> Source:
    """A teacher that is fitted to some of the columns, and labels whole tables nevertheless.

    Parameters
    ----------
    source : Source
        One whose teacher is fitted here (``refit`` is not None).
    columns : sequence of str
    """
    names = list(columns)
    fit = source.refit
    assert fit is not None

    def narrow(table: LabeledTable) -> LabeledTable:
        return replace(table, whole=table.whole[[n for n in table.names if n in set(names)]])

    def label(train: LabeledTable, **options: Any) -> TeacherLabels:
        labels = source.label(narrow(train), **options)
        return replace(labels, teacher=NarrowTeacher(labels.teacher, names))

    identity = source.identity
    return replace(
        source,
        label=label,
        refit=lambda train: NarrowTeacher(fit(narrow(train)), names),
        identity=None if identity is None else {**identity, "columns": names},
    )
