"""`kdcore.compare`: every teacher with every student, one labelling for each teacher."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kdcore.candidates import describe_error
from kdcore.clock import Clock
from kdcore.errors import KDError, ParameterError
from kdcore.experiment import Progress
from kdcore.files import atomic_path
from kdcore.given import GivenLabels
from kdcore.labeller import Labeller
from kdcore.pair_store import PairStore, model_key
from kdcore.recipe_fit import Lesson
from kdcore.relabelling import check_relabel
from kdcore.resolve import resolve_student
from kdcore.saved_results import COMPARISON_NAME, COMPARISON_PAGE
from kdcore.selection import ColumnWishes
from kdcore.sources import resolve_source
from kdcore.splits import Data, prepare
from kdcore.student_run import run_student
from kdcore.wishes import Wishes

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.label_cache import LabelCache

__all__ = ["Comparison", "compare"]

_T = TypeVar("_T")


@dataclass
class Comparison:
    """What `compare` returns.

    Parameters
    ----------
    pairs : list of dict
        For each pair what ``kd distill --json`` prints; for a failed one
        ``{"teacher": {"name"}, "student": {"name"}, "error": reason}``, with ``max_features``
        where there is a budget.
    """

    pairs: list[dict[str, Any]]

    def pareto(self) -> list[int]:
        """Positions in ``pairs`` that no other pair beats in loss, latency and size at once."""
        points = {}
        for i, pair in enumerate(self.pairs):
            if "error" not in pair:
                metric = pair["verdict"]["metric"]
                points[i] = (
                    pair["student"]["metrics"][metric],
                    pair["latency_us"]["student"]["single"],
                    pair["size_bytes"]["student"] or float("inf"),
                )
        return [
            i
            for i, own in points.items()
            if not any(
                all(o <= p for o, p in zip(other, own, strict=True)) and other != own
                for other in points.values()
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"pairs": self.pairs, "pareto": self.pareto()}

    def to_html(self, *, lang: str = "en") -> str:
        """All pairs as one page that stands alone; see `kdcore.webpage.comparison_page`."""
        from kdcore.webpage import comparison_page

        return comparison_page(self.to_dict(), lang=lang)

    def save(self, folder: str | Path) -> Path:
        """Write ``comparison.json`` and ``compare.html`` into a folder; older ones are replaced.

        Raises
        ------
        KDError
            When the folder cannot be written to.
        """
        folder = Path(folder)
        with atomic_path(folder / COMPARISON_NAME) as temporary:
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
            temporary.write_text(text, encoding="utf-8")
        with atomic_path(folder / COMPARISON_PAGE) as temporary:
            temporary.write_text(self.to_html(), encoding="utf-8")
        return folder

    def plot(self, *, figure: Any = None) -> Any:
        """Score against latency, size and columns by matplotlib; the extra ``plot``.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, optional
            To draw on; a new one unless given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        KDError
            When matplotlib is not installed, or no pair was distilled.
        """
        from kdcore.plots import plot_comparison

        return plot_comparison(self.to_frame(), figure=figure)

    def to_frame(self) -> pd.DataFrame:
        """One row for each pair, the best student first."""
        import pandas as pd

        front = set(self.pareto())
        rows = []
        for i, pair in enumerate(self.pairs):
            row: dict[str, Any] = {
                "teacher": pair["teacher"]["name"],
                "student": pair["student"]["name"],
            }
            if "error" in pair:
                most = pair.get("max_features")
                rows.append({**row, "max_features": most, "error": pair["error"]})
                continue
            row["max_features"] = pair.get("recipe", {}).get("max_features")
            row["n_columns"] = len(pair["student"].get("features", ()))
            metric = pair["verdict"]["metric"]
            likeness = pair["student"]["fidelity"] or {}
            row |= {
                f"{metric}_{who}": (pair[who]["metrics"] or {}).get(metric)
                for who in ("teacher", "plain", "student")
            }
            row |= {
                "fidelity": likeness.get("agreement", likeness.get("r2_to_teacher")),
                "gap_closed": pair["verdict"]["gap_closed"],
                "choice": pair["verdict"]["choice"],
                "latency_us": pair["latency_us"]["student"]["single"],
                "size_bytes": pair["size_bytes"]["student"],
                "columns": len(pair["student"].get("features") or ()) or None,
                "pareto": i in front,
                "error": None,
            }
            rows.append(row)
        frame = pd.DataFrame(rows)
        # 1 column and 1.0, which is all of them, are not the same.
        frame["max_features"] = pd.Series([r["max_features"] for r in rows], dtype=object)
        scores = [c for c in frame.columns if c.endswith("_student")]
        return frame.sort_values(scores, kind="stable", ignore_index=True) if scores else frame


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
    classes = rows.train.classes
    learner = resolve_student(
        student,
        task=rows.train.task,
        n_classes=0 if classes is None else len(classes),
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
