"""Choosing columns for one student: rankings, then the best number of columns within the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import FitError, ParameterError
from kdcore.evaluation import paired_gain
from kdcore.nested import part_of
from kdcore.recipe import plain_recipe
from kdcore.recipe_fit import Lesson, fit_student, soft_targets
from kdcore.selection.task import SelectionTask, sizes, varying
from kdcore.structure import structure_of
from kdcore.tuning import held_losses

if TYPE_CHECKING:
    from kdcore.resolve import Resolved
    from kdcore.selection.limits import ColumnWishes, Limits

__all__ = ["Selection", "narrowed", "select_columns"]

#: With fewer training rows none can be held out, and the budget is filled.
_FEWEST_ROWS = 50


@dataclass(frozen=True)
class Selection:
    """The columns that a student reads, and how they came to be chosen.

    Parameters
    ----------
    columns : list of str
        In the order of the table.
    selector : str or None
        None where columns were only dropped by name.
    max_features : int, float or None
        As the user gave it.
    budget : int
        Most columns.
    path : list of dict
        For each set of columns that was tried ``n_columns``, ``ranking`` (the way it came about),
        ``loss`` on held-out training rows (log loss, or mean squared error), ``se`` of its
        difference to the smallest, and ``chosen``.
    all_columns_loss : float or None
        Of the same student with every column that it may read.
    seconds : float
    notes : list of str
    """

    columns: list[str]
    selector: str | None
    max_features: int | float | None
    budget: int
    path: list[dict[str, Any]] = field(default_factory=list)
    all_columns_loss: float | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        keys = "selector max_features budget columns path all_columns_loss seconds"
        return {key: getattr(self, key) for key in keys.split()}

    def mark(self, model: Any) -> None:
        """Note the path on a fitted student, once it has been checked that the budget is kept.

        Raises
        ------
        FitError
            When the student reads another column, which is a fault of its plugin.
        """
        surplus = set(model.get_selected_features()) - set(self.columns)
        if surplus:
            raise FitError(
                f"the student {type(model).__name__} reads {min(surplus)!r}, which was not "
                "selected; tell the authors of its plugin to honour `features`."
            )
        model.selection_path_ = self.path


def narrowed(student: Resolved, columns: Sequence[str]) -> Resolved:
    """The same student, which reads these columns only."""
    from sklearn.base import clone

    def less(estimator: Any) -> Any:
        return clone(estimator).set_params(features=list(columns))

    return replace(
        student,
        estimator=less(student.estimator),
        plain=None if student.plain is None else less(student.plain),
    )


def select_columns(
    student: Resolved,
    lesson: Lesson,
    wishes: ColumnWishes,
    *,
    encoder: Any = None,
    time_left: Callable[[], float] = lambda: np.inf,
    random_state: int = 0,
    step: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Selection:
    """Choose the columns of a student within its budget, by training rows alone.

    A part of the training rows is held out. Where the teacher can be fitted anew, one that has not
    seen them gives its opinion. Columns are ranked, and the student is fitted to labels at sizes
    from the budget downwards; the set with the smallest loss on the held-out rows wins.

    Parameters
    ----------
    student : Resolved
    lesson : Lesson
        All training rows.
    wishes : ColumnWishes
    encoder : str or Encoder, optional
        Behind which the student will learn; None leaves its own.
    time_left : callable
        Seconds that the search may take still. Of the sizes, the budget is tried in any case.
    random_state : int, default=0
    step : callable
        ``step(stage, done, total)``.
    """
    start = time.perf_counter()
    wishes = wishes.suited(student)
    limits = wishes.limits(lesson.data.train.names, student.estimator.features)
    if not wishes.selects:
        return Selection(limits.pool, None, None, limits.most)
    notes: list[str] = []
    few = len(lesson.data.train) < _FEWEST_ROWS
    if few:
        notes.append(
            f"{len(lesson.data.train)} training rows are too few to choose the number of columns "
            "by; the budget was filled."
        )
    selector = wishes.made()
    part = lesson if few else _unseen(lesson, random_state)
    search = _Search(student, part, limits, encoder, random_state)
    search.judge = getattr(selector, "losses", None)
    step("select", 0, 1)
    found = search.candidates(selector)
    if few:
        found = found[:1]
    trials: list[tuple[str, list[str], np.ndarray]] = []
    for done, (ranking, columns) in enumerate(found):
        step("select", done, len(found))
        if trials and time_left() <= 0:
            notes.append(
                f"the time limit ended the search for columns after {len(trials)} of "
                f"{len(found)} sets."
            )
            break
        trials.append((ranking, columns, search.losses(columns)))
    best, path = _chosen(trials, search.weight, wishes.tolerance)
    whole = None
    if time_left() > 0 and len(limits.pool) > limits.most:
        whole = float(search.weight @ search.losses(limits.pool))
    return Selection(
        columns=trials[best][1],
        selector=wishes.name,
        max_features=wishes.max_features,
        budget=limits.most,
        path=path,
        all_columns_loss=whole,
        seconds=time.perf_counter() - start,
        notes=notes,
    )


class _Search:
    """The student on the held-out rows of one lesson."""

    def __init__(
        self, student: Resolved, lesson: Lesson, limits: Limits, encoder: Any, seed: int
    ) -> None:
        self.student, self.lesson, self.limits, self.seed = student, lesson, limits, seed
        self.recipe = plain_recipe(encoder)
        data, run = lesson.data, lesson.run
        own = soft_targets(data.train, run.labels.values, run.labels.provenance)
        held = soft_targets(data.held, run.held, run.labels.provenance)
        self.weight = held.sample_weight / held.sample_weight.sum()
        candidates = varying(data.train.X, limits.pool)
        teacher = lesson.teacher
        self.task = SelectionTask(
            X=data.train.X,
            targets=own,
            held_X=data.held.X,
            held_targets=held,
            candidates=[c for c in limits.pool if c in {*candidates, *limits.keep}],
            keep=limits.keep,
            most=limits.most,
            random_state=seed,
            teacher=teacher,
            ask=None if teacher is None else lesson.ask,
            structure=lesson.structure,
            student=self.fit,
            estimator=student.estimator,
            encoder=encoder,
        )
        #: A selector's own way to compare sets, quicker than fits of the student in full.
        self.judge: Callable[[SelectionTask, list[str]], np.ndarray] | None = None

    def fit(self, columns: Sequence[str]) -> Any:
        """The student, fitted to labels and these columns."""
        return fit_student(narrowed(self.student, columns), self.lesson, self.recipe)

    def losses(self, columns: list[str]) -> np.ndarray:
        """Loss of each held-out row, (m,)."""
        if self.judge is not None:
            return self.judge(self.task, columns)
        return held_losses(self.fit(columns), self.lesson)

    def candidates(self, selector: Any) -> list[tuple[str, list[str]]]:
        """Sets of columns with the way they came about, the largest first, each of them once."""
        task, limits = self.task, self.limits
        most = min(limits.most, len(task.candidates))
        wanted = [s for s in sizes(most) if s >= len(limits.keep)] or [most]
        found: dict[frozenset[str], tuple[str, list[str]]] = {}
        tell = getattr(selector, "rankings", None)
        rankings: dict[str, Any] = {} if tell is None else tell(task)
        for size in wanted:
            if tell is None:
                rankings = {"select": self._asked(selector, size)}
            for name, ranking in rankings.items():
                columns = limits.take(ranking(size) if callable(ranking) else ranking, size)
                found.setdefault(frozenset(columns), (name, columns))
        return list(found.values())

    def _asked(self, selector: Any, size: int) -> list[str]:
        """What a selector says that only knows ``select``."""
        task = self.task
        frame = task.X[task.candidates]
        told = selector.select(frame, task.targets, max_features=size, random_state=self.seed)
        unknown = [c for c in told if c not in task.candidates]
        if unknown:
            raise ParameterError(
                f"the selector {type(selector).__name__} chose {unknown[0]!r}, which is no column "
                "it was given; tell its authors."
            )
        return list(told)


def _chosen(
    trials: list[tuple[str, list[str], np.ndarray]], weight: np.ndarray, tolerance: float | str
) -> tuple[int, list[dict[str, Any]]]:
    """The set that wins, and the whole curve."""
    loss = [float(weight @ own) for _, _, own in trials]
    least = int(np.argmin(loss))
    errors = [paired_gain(own, trials[least][2], weight)[1] for _, _, own in trials]

    def fine(i: int) -> bool:
        if tolerance == "one_se":
            return loss[i] - loss[least] <= errors[i]
        return loss[i] <= loss[least] * (1 + float(tolerance))

    good = [i for i in range(len(trials)) if fine(i)]
    best = min(good, key=lambda i: (len(trials[i][1]), loss[i])) if tolerance else least
    path = [
        {
            "n_columns": len(columns),
            "ranking": ranking,
            "loss": loss[i],
            "se": errors[i],
            "chosen": i == best,
        }
        for i, (ranking, columns, _) in enumerate(trials)
    ]
    return best, path


def _unseen(lesson: Lesson, random_state: int) -> Lesson:
    """A part of the rows, with a teacher that has not seen the others where one can be fitted."""
    part = part_of(lesson, random_state)
    if lesson.run.refit is None:
        return part
    data = part.data
    teacher = lesson.run.refit(data.train)
    fresh = Lesson(
        data, replace(part.run, labels=replace(part.run.labels, teacher=teacher)), random_state
    )
    fresh._kept["structure"] = structure_of(teacher)
    fresh.run = replace(fresh.run, held=fresh.ask(data.held.X))
    return fresh
