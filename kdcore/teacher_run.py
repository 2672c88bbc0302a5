"""Asking a teacher once: its labels for the training rows, its answers for all others, its cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.compiled import compiled_latency
from kdcore.errors import ParameterError
from kdcore.given import held_output, input_for
from kdcore.labels import TeacherLabels
from kdcore.latency import model_latency

if TYPE_CHECKING:
    from kdcore.label_cache import LabelCache
    from kdcore.sources import Source
    from kdcore.table import LabeledTable, RawTable

__all__ = ["TeacherRun", "run_teacher"]


@dataclass(frozen=True)
class TeacherRun:
    """All that students and verdicts need to know of a teacher.

    Parameters
    ----------
    name : str
    labels : TeacherLabels
        Soft labels of the training rows; its ``teacher`` is None when they came from the cache.
    held : array of shape (m, K) or (m,), optional
        Its output for held-out rows; None when only labels of other rows were given.
    unlabeled : array, optional
        Its output for rows without a label.
    latency : dict or None
        Microseconds ``single`` and ``batch_per_row``.
    size : int or None
        Bytes of its model.
    compiled : dict or None
        Microseconds of the teacher as ONNX Runtime runs it, and its bytes (`kdcore.compiled`).
    compiled_note : str, default=""
        Why there are none, where a reader may wonder.
    cached : bool, default=False
        Whether it came from the cache.
    asked_before : bool, default=False
        Whether labels were given that somebody made before rows were held out.
    refit : callable, optional
        ``refit(train)`` fits the teacher to all training rows, where the cache holds its labels
        but not the model; None for teachers that are not fitted here.
    """

    name: str
    labels: TeacherLabels
    held: np.ndarray | None = None
    unlabeled: np.ndarray | None = None
    latency: dict[str, float] | None = None
    size: int | None = None
    compiled: dict[str, Any] | None = None
    compiled_note: str = ""
    cached: bool = False
    asked_before: bool = False
    refit: Callable[[LabeledTable], Any] | None = None


def run_teacher(
    source: Source,
    train: LabeledTable,
    held: LabeledTable,
    unlabeled: RawTable | None = None,
    *,
    folds: int | str,
    random_state: int,
    n_jobs: int | None,
    cache: LabelCache | None = None,
    on_step: Callable[[int, int], None] | None = None,
    measure: bool = True,
) -> TeacherRun:
    """Fit (or ask) the teacher, unless the cache knows what it would say.

    Parameters
    ----------
    source : Source
    train, held : LabeledTable
    unlabeled : LabeledTable, optional
        Rows without labels; the teacher that knows all training rows labels them.
    folds, random_state, n_jobs, on_step
        See `kdcore.labels.out_of_fold`.
    cache : LabelCache, optional
    measure : bool, default=True
        Whether to take the time of predictions and the size of the model.
    """
    if unlabeled is not None and not source.can_be_asked:
        raise ParameterError(
            "unlabeled rows need a teacher that can be asked; given labels cannot label them."
        )
    key = None
    if cache is not None and source.identity is not None:
        tables = [t for t in (train, held, unlabeled) if t is not None]
        key = cache.key(source.identity, tables, folds=folds, random_state=random_state)
        found = cache.get(key, source.name)
        if found is not None:
            return replace(found, refit=source.refit)
    labels = source.label(
        train, folds=folds, random_state=random_state, n_jobs=n_jobs, on_step=on_step
    )
    # Given labels belong to rows of the main table; they say nothing of a table of its own.
    same = held.source is train.source
    size = _size(labels.teacher) if measure else None
    asked = labels.teacher if measure else None
    compiled, note = compiled_latency(asked, held.X, size=size)
    run = TeacherRun(
        name=source.name,
        labels=labels,
        held=held_output(labels, held, same_table=same),
        unlabeled=None if unlabeled is None else held_output(labels, unlabeled, same_table=False),
        latency=_latency(labels.teacher, held) if measure else None,
        size=size,
        compiled=compiled,
        compiled_note=note,
        asked_before=not source.can_be_asked,
        refit=source.refit,
    )
    if cache is not None and key is not None:
        cache.put(key, run)
    return run


def _latency(teacher: Any, held: LabeledTable) -> dict[str, float] | None:
    if teacher is None:
        return None
    ask = teacher.predict if held.classes is None else teacher.predict_proba
    return model_latency(ask, input_for(teacher, held))


def _size(teacher: Any) -> int | None:
    size = getattr(teacher, "model_bytes", None)
    return None if size is None else size()
