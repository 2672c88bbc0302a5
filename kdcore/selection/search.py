"""Choosing columns for one student: rankings, then the best number of columns within the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import FitError
from kdcore.evaluation import paired_gain
from kdcore.notes import note
from kdcore.selection.judges import (
    FEWEST_ROWS,
    Judge,
    agreed,
    judging_lessons,
    number_of_splits,
)
from kdcore.selection.some_rows import most_rows
from kdcore.selection.stability import stability
from kdcore.selection.task import sizes, varying

if TYPE_CHECKING:
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved
    from kdcore.selection.limits import ColumnWishes, Limits

__all__ = ["Selection", "select_columns"]

#: With fewer training rows selectors that train inside the student look at several splits too.
_FEW_TO_TRAIN_ON = 1_000
#: Losses that differ by so little, relatively, are equal but for rounding.
_EQUAL = 1e-9


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
    stability : dict or None
        See `kdcore.selection.stability.stability`; None unless asked for.
    splits : int
        Splits of the training rows that the losses are the mean of.
    seconds : float
    notes : list of str
    """

    columns: list[str]
    selector: str | None
    max_features: int | float | None
    budget: int
    path: list[dict[str, Any]] = field(default_factory=list)
    all_columns_loss: float | None = None
    stability: dict[str, Any] | None = None
    splits: int = 1
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        keys = "selector max_features budget columns path all_columns_loss splits stability seconds"
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
    from the budget downwards; the smallest set wins whose loss on the held-out rows is next to the
    lowest. On small tables that is done for several parts: their rankings are averaged, and so are
    the losses.

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
    train = lesson.data.train
    limits = wishes.limits(train.names, student.estimator.features)
    if not wishes.selects:
        return Selection(limits.pool, None, None, limits.most)
    notes: list[str] = []
    few = len(train) < FEWEST_ROWS
    if few:
        notes.append(note("few_rows", rows=len(train)))
    asked = wishes.max_features
    if isinstance(asked, int) and asked > len(train.names):
        notes.append(note("budget_too_large", asked=asked, p=len(train.names)))
    some = most_rows(len(train.names))
    if 0.8 * len(train) > some:
        notes.append(
            note("some_rows", some=some, rows=len(train), judged=some // 4, p=len(train.names))
        )
    able = {*varying(train.column, limits.pool), *limits.keep}
    candidates = [c for c in limits.pool if c in able]
    selector, wanted = wishes.made(), _wanted(limits, len(candidates))
    # Training inside the student takes long, once, where there are many rows.
    long = getattr(selector, "embedded", False) and len(train) >= _FEW_TO_TRAIN_ON
    number = 1 if few or long else number_of_splits(lesson)
    judges: list[Judge] = []
    told: list[Mapping[int, dict[str, Any]]] = []
    for part in judging_lessons(lesson, number, random_state):
        step("select", len(judges), number)
        judges.append(Judge(student, part, limits, candidates, selector, encoder, random_state))
        told.append(judges[-1].rankings(wanted))
        if time_left() <= 0:
            break
    if len(judges) < number:
        notes.append(note("fewer_splits", made=len(judges), wanted=number))
    found = _candidates(limits, candidates, told)
    if few:
        found = found[:1]
    weight = np.concatenate([judge.weight for judge in judges])
    weight = weight / weight.sum()

    def losses(columns: list[str]) -> np.ndarray:
        return np.concatenate([judge.losses(columns) for judge in judges])

    trials: list[tuple[str, list[str], np.ndarray]] = []
    for done, (ranking, columns) in enumerate(found):
        step("select", done, len(found))
        if trials and time_left() <= 0:
            notes.append(note("search_ended", done=len(trials), all_sets=len(found)))
            break
        trials.append((ranking, columns, losses(columns)))
    best, path = _chosen(trials, weight, wishes.tolerance)
    whole = None
    if time_left() > 0 and len(limits.pool) > limits.most:
        whole = float(weight @ losses(limits.pool))
    told_again = None
    if wishes.stability:
        winner, size = trials[best][0], len(trials[best][1])

        def choose(judge: Judge) -> list[str]:
            orders = judge.rankings([size])[size]
            order = orders.get(winner, next(iter(orders.values())))
            return limits.take(order(size) if callable(order) else order, size)

        told_again = stability(
            lesson,
            lambda part: Judge(student, part, limits, candidates, selector, encoder, random_state),
            choose,
            samples=wishes.stability,
            candidates=candidates,
            time_left=time_left,
            random_state=random_state,
            step=step,
        )
    return Selection(
        columns=trials[best][1],
        selector=wishes.name,
        max_features=wishes.max_features,
        budget=limits.most,
        path=path,
        all_columns_loss=whole,
        stability=told_again,
        splits=len(judges),
        seconds=time.perf_counter() - start,
        notes=notes,
    )


def _wanted(limits: Limits, n_candidates: int) -> list[int]:
    """Numbers of columns to try, the largest first."""
    most = min(limits.most, n_candidates)
    return [s for s in sizes(most) if s >= len(limits.keep)] or [most]


def _candidates(
    limits: Limits,
    candidates: list[str],
    told: Sequence[Mapping[int, dict[str, Any]]],
) -> list[tuple[str, list[str]]]:
    """Sets of columns with the way they came about, the largest first, each of them once."""
    found: dict[frozenset[str], tuple[str, list[str]]] = {}
    together: dict[Any, list[str]] = {}
    for size, rankings in told[0].items():
        for name in rankings:
            each = [one[size][name] for one in told if name in one[size]]
            nested = not callable(each[0])
            # Most selectors tell one ranking for all sizes.
            key = tuple(map(id, each)) if nested else (name, size)
            if key not in together:
                orders = each if nested else [order(size) for order in each]
                together[key] = agreed(orders, candidates)
            columns = limits.take(together[key], size)
            found.setdefault(frozenset(columns), (name, columns))
    return list(found.values())


def _chosen(
    trials: list[tuple[str, list[str], np.ndarray]], weight: np.ndarray, tolerance: float | str
) -> tuple[int, list[dict[str, Any]]]:
    """The set that wins, the smallest of those that are good enough, and the whole curve.

    Noise that a student can ignore costs next to nothing, so the lowest loss alone would be a
    matter of chance: a tree that splits on three of twenty columns has the loss of these three.
    """
    loss = [float(weight @ own) for _, _, own in trials]
    least = int(np.argmin(loss))
    errors = [paired_gain(own, trials[least][2], weight)[1] for _, _, own in trials]

    def fine(i: int) -> bool:
        if tolerance == "one_se":
            return loss[i] - loss[least] <= errors[i]
        return loss[i] <= loss[least] * (1 + max(float(tolerance), _EQUAL))

    good = [i for i in range(len(trials)) if fine(i)]
    best = min(good, key=lambda i: (len(trials[i][1]), loss[i]))
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
