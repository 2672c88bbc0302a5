"""Soft labels as a table of their own: ``kd label``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.files import atomic_path
from kdcore.labels import TeacherLabels
from kdcore.sources import resolve_source
from kdcore.table import LabeledTable, labeled, read_table
from kdcore.teacher_run import TeacherRun

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.label_cache import LabelCache

__all__ = ["label_frame", "label_table", "write_labels"]


def label_table(
    data: Any,
    *,
    target: str,
    teacher: Any = "xgboost",
    teacher_params: Mapping[str, Any] | None = None,
    task: str = "auto",
    sample_weight: str | None = None,
    folds: int | str = "auto",
    random_state: int = 0,
    n_jobs: int | None = None,
    cache: LabelCache | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> tuple[LabeledTable, TeacherLabels, str, bool]:
    """Label all rows of a table that have a target; parameters as in `kdcore.distill`.

    Returns
    -------
    table : LabeledTable
    labels : TeacherLabels
    name : str
        Of the teacher.
    cached : bool
        Whether the labels came from the cache.
    """
    table = labeled(read_table(data), target, task=task, sample_weight=sample_weight)
    source = resolve_source(teacher, table, params=teacher_params, random_state=random_state)
    step = on_progress or (lambda stage, done, total: None)
    key = None
    if cache is not None and source.identity is not None:
        key = cache.key(source.identity, [table], folds=folds, random_state=random_state)
        found = cache.get(key, source.name)
        if found is not None:
            return table, found.labels, source.name, True
    labels = source.label(
        table,
        folds=folds,
        random_state=random_state,
        n_jobs=n_jobs,
        on_step=lambda done, total: step("teacher", done, total),
    )
    if cache is not None and key is not None:
        run = TeacherRun(source.name, labels)
        cache.put(key, run)
    return table, labels, source.name, False


def label_frame(table: LabeledTable, labels: TeacherLabels) -> pd.DataFrame:
    """One row of labels for each row of the table as it was read; missing without a target."""
    import pandas as pd

    values = labels.values.reshape(len(table), -1)
    everything = np.full((len(table.source), values.shape[1]), np.nan)
    everything[table.rows] = values
    if table.classes is None:
        return pd.DataFrame(everything, columns=["prediction"])
    return pd.DataFrame(everything, columns=[f"proba_{c}" for c in table.classes.tolist()])


def write_labels(
    path: str | Path, table: LabeledTable, labels: TeacherLabels, *, teacher: str
) -> None:
    """Write labels as CSV, or as Parquet with their provenance in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, frame = Path(path), label_frame(table, labels)
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
            return
        written = pa.Table.from_pandas(frame, preserve_index=False)
        said = {
            "kdcore.provenance": labels.provenance,
            "kdcore.teacher": teacher,
            "kdcore.folds": str(labels.folds),
        }
        written = written.replace_schema_metadata({**(written.schema.metadata or {}), **said})
        pq.write_table(written, temporary)
