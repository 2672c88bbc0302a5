"""`kdcore.compare`: every teacher with every student, one labelling for each teacher."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kdcore.candidates import describe_error
from kdcore.clock import Clock
from kdcore.comparison import Comparison
from kdcore.errors import KDError, ParameterError
from kdcore.experiment import Progress
from kdcore.given import GivenLabels
from kdcore.labeller import Labeller
from kdcore.pair_store import PairStore, model_key
from kdcore.recipe_fit import Lesson
from kdcore.relabelling import check_relabel
from kdcore.resolve import resolve_student
from kdcore.selection import ColumnWishes
from kdcore.sources import resolve_source
from kdcore.splits import Data, prepare
from kdcore.student_run import run_student
from kdcore.wishes import Wishes

if TYPE_CHECKING:
    from kdcore.label_cache import LabelCache

__all__ = ["compare"]

_T = TypeVar("_T")


def compare(
    data: Any,
    *,
    target: str,
    teachers: Sequence[Any],
    students: Sequence[Any],
    test: Any = None,
    test_size: float = 0.25,
    split: str = "random",
    time_column: str | None = None,
    task: str = "auto",
    teacher_params: Mapping[str, Mapping[str, Any]] | None = None,
    student_params: Mapping[str, Mapping[str, Any]] | None = None,
    fitted: str = "in-sample",
    unlabeled: Any = None,
    folds: int | str = "auto",
    recipe: str = "fast",
    alpha: float | None = None,
    augment: Any = None,
    max_features: Any = None,
    selector: Any = None,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    costs: Mapping[str, float] | None = None,
    max_cost: float | None = None,
    tolerance: float | str = 0.002,
    relabel: str = "auto",
    sample_weight: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    output: str | Path | None = None,
    cache: LabelCache | None = None,
    on_progress: Progress | None = None,
) -> Comparison:
    """Distill each teacher into each student; a pair that fails is a row, and the others go on.

    Parameters
    ----------
    data, target, test, test_size, split, time_column, task, sample_weight, unlabeled, folds
    random_state, n_jobs
        As in `kdcore.distill`.
    teachers, students : sequence
        Names or estimators, as in `kdcore.distill`.
    teacher_params, student_params : mapping of name to parameters, optional
    fitted : {"in-sample", "held-out", "refit"}, default="in-sample"
        Of fitted teachers.
    recipe : {"fast", "auto", "plain"}, default="fast"
        As in `kdcore.distill`. "auto" labels rows once more for each teacher, nested.
    alpha, augment : optional
        Override each student's own.
    max_features : int, float or sequence of these, optional
        Budgets of raw columns; each pair is distilled within each of them. None among them stands
        for all columns.
    selector, keep, drop, costs, max_cost, tolerance, relabel : optional
        As in `kdcore.distill`, for all budgets.
    output : str or Path, optional
        Folder in which each finished pair is kept at once, and at the end ``comparison.json`` and
        ``compare.html``. Called again with the same arguments,
        finished pairs are read instead of computed.
    cache : LabelCache, optional
        Keeps the labels of teachers given by name.
    on_progress : callable, optional
        Called as ``on_progress(stage, done, total)``.

    Raises
    ------
    KDError
        When the table cannot be used, or a list is empty. What concerns one pair only becomes
        that pair's ``error``.
    """
    if not teachers or not students:
        raise ParameterError("name at least one teacher and one student.")
    rows = prepare(
        data,
        target=target,
        test=test,
        test_size=test_size,
        task=task,
        sample_weight=sample_weight,
        extra=unlabeled,
        split_by=split,
        time_column=time_column,
        random_state=random_state,
    )
    step = on_progress or (lambda stage, done, total: None)
    budgets = [
        ColumnWishes(
            max_features=most,
            selector=selector,
            keep=keep,
            drop=drop,
            costs=costs,
            max_cost=max_cost,
            tolerance=tolerance,
            relabel=relabel,
        )
        for most in _budgets(max_features)
    ]
    for wanted in budgets:
        wanted.limits(rows.train.names)
    total, done = len(teachers) * len(students) * len(budgets), 0
    settings: list[Any] = [folds, recipe, alpha, augment, random_state, fitted]
    if any(wanted.asked for wanted in budgets):
        settings += [selector, list(keep), list(drop), costs, max_cost, tolerance, relabel]
    store = PairStore(output, rows, settings)
    pairs = []
    for teacher in teachers:
        ask = _once(
            partial(
                _ask,
                teacher,
                rows,
                (teacher_params or {}).get(_name(teacher)),
                fitted=fitted,
                folds=folds,
                random_state=random_state,
                n_jobs=n_jobs,
                cache=cache,
            )
        )
        for student, wanted in itertools.product(students, budgets):
            params = (student_params or {}).get(_name(student))
            key = [
                model_key(teacher, (teacher_params or {}).get(_name(teacher))),
                model_key(student, params),
            ]
            if wanted.max_features is not None:
                key.append(repr(wanted.max_features))
            pair = store.get(key)
            if pair is None:
                wishes = Wishes(mode=recipe, augment=augment, columns=wanted)
                try:
                    pair = _pair(student, params, alpha, *ask(), wishes)
                    store.put(key, pair)
                except Exception as error:
                    # A model may fail in ways that nobody thought of; the others go on.
                    known = isinstance(error, KDError)
                    pair = {
                        "teacher": {"name": _name(teacher)},
                        "student": {"name": _name(student)},
                        "error": str(error) if known else f"unexpected {describe_error(error)}",
                    }
                    if wanted.max_features is not None:
                        pair["max_features"] = wanted.max_features
            pairs.append(pair)
            done += 1
            step("pairs", done, total)
    result = Comparison(pairs)
    if output is not None:
        result.save(output)
    return result


def _ask(
    teacher: Any,
    rows: Data,
    params: Mapping[str, Any] | None,
    *,
    fitted: str,
    folds: int | str,
    random_state: int,
    n_jobs: int | None,
    cache: LabelCache | None,
) -> tuple[Lesson, Labeller]:
    """What a teacher says of the rows, and who asks it again, made once."""
    source = resolve_source(
        teacher, rows.table, params=params, fitted=fitted, random_state=random_state
    )
    labeller = Labeller(source, rows, folds, random_state, n_jobs, cache)
    return Lesson(rows, labeller.run(), random_state), labeller


def _pair(
    student: Any,
    params: Mapping[str, Any] | None,
    alpha: float | None,
    lesson: Lesson,
    labeller: Labeller,
    wishes: Wishes,
) -> dict[str, Any]:
    check_relabel(wishes.columns, labeller.source)
    rows = lesson.data
    learner = resolve_student(
        student,
        task=rows.train.task,
        n_classes=rows.train.n_classes,
        params=params,
        recipe={"alpha": alpha},
        columns=rows.train.names,
    )
    result = run_student(
        learner,
        lesson,
        wishes,
        clock=Clock(),
        random_state=lesson.random_state,
        nested=labeller.nested,
        labeller=labeller,
        pictures=False,
    )
    return result.report.to_dict()


def _budgets(max_features: Any) -> list[Any]:
    """One or several budgets as a list without repetitions."""
    if isinstance(max_features, (list, tuple)):
        found = list({repr(most): most for most in max_features}.values())
        if not found:
            raise ParameterError("max_features is an empty list; name at least one budget.")
        return found
    return [max_features]


def _once(make: Callable[[], _T]) -> Callable[[], _T]:
    """Call it on first use only; if it failed, fail the same way again."""
    kept: list[_T | Exception] = []

    def get() -> _T:
        if not kept:
            try:
                kept.append(make())
            except Exception as error:
                kept.append(error)
        if isinstance(kept[0], Exception):
            raise kept[0]
        return kept[0]

    return get


def _name(model: Any) -> str:
    if isinstance(model, (str, Path)):
        return str(model)
    if isinstance(model, (list, tuple)):
        return " + ".join(map(_name, model))
    if isinstance(model, GivenLabels) or hasattr(model, "__array__"):
        return "given labels"
    return getattr(model, "__name__", type(model).__name__)
