"""Reading tables from files, frames and bundled data sets, and splitting off target and weights."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, ParameterError, suggest
from kdcore.schema import TableSchema, as_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BUNDLED",
    "SUFFIXES",
    "LabeledTable",
    "RawTable",
    "infer_task",
    "labeled",
    "read_provenance",
    "read_table",
    "stacked",
    "unlabeled",
]

#: Data sets that come with scikit-learn: ``sklearn:digits`` and so on.
BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq", ".feather", ".arrow")

_TASKS = ("auto", "classification", "binary", "multiclass", "regression")

#: Whole numbers with at most this many values are taken for classes.
_MAX_INTEGER_CLASSES = 30


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """Rows without labels.

    Parameters
    ----------
    X : pandas.DataFrame
        Canonical columns: numbers, and ``category`` for texts and categories.
    classes : array of shape (K,) or None
        Sorted labels; None in regression.
    source : pandas.DataFrame
        The table as it was read, all rows and columns.
    rows : int array of shape (n,)
        Positions of these rows in ``source``.
    """

    X: pd.DataFrame
    classes: np.ndarray | None
    source: pd.DataFrame
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def raw(self) -> pd.DataFrame:
        """The input columns as they were read, for teachers that were fitted elsewhere."""
        return self.source[list(self.X.columns)].iloc[self.rows].reset_index(drop=True)


@dataclass(frozen=True, kw_only=True)
class LabeledTable(RawTable):
    """Rows with their labels, ready for teachers and students.

    Parameters
    ----------
    X, classes, source, rows
        See `RawTable`.
    y : array of shape (n,)
        Class labels, or float values.
    sample_weight : array of shape (n,) or None
    task : {"binary", "multiclass", "regression"}
    target : str
    """

    y: np.ndarray
    sample_weight: np.ndarray | None
    task: str
    target: str

    def take(self, rows: np.ndarray) -> LabeledTable:
        """The rows at the given positions."""
        weight = self.sample_weight
        return replace(
            self,
            X=self.X.iloc[rows].reset_index(drop=True),
            y=self.y[rows],
            sample_weight=None if weight is None else weight[rows],
            rows=self.rows[rows],
        )


def read_table(source: Any) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    source : str, Path or table
        A file whose ending is one of `SUFFIXES`, ``"sklearn:NAME"`` for one of `BUNDLED`
        (its label column is ``target``), or a pandas, polars or Arrow table.

    Raises
    ------
    DataError
        When the file is missing, empty, not a table of its kind, or repeats a column name.
    """
    if not isinstance(source, (str, Path)):
        return as_frame(source)
    if isinstance(source, str) and source.startswith("sklearn:"):
        return _bundled(source.removeprefix("sklearn:"))
    path = Path(source)
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError(f"there is no file '{path}'." + suggest(path.name, near))
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; name one table file.")
    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty.")
    name = path.name.lower()
    try:
        if name.endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz")):
            frame = _read_text(path, "\t" if ".tsv" in name else ",")
        elif name.endswith((".parquet", ".pq", ".feather", ".arrow")):
            frame = _read_arrow(path)
        else:
            raise DataError(
                f"'{path}' has an ending that is not read; use one of {', '.join(SUFFIXES)}."
            )
    except DataError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"'{path}' cannot be read as a table: {reason}") from error
    if len(frame) == 0:
        raise DataError(f"the table '{path}' has no rows.")
    return as_frame(frame)


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as lines:
        header = next(csv.reader(lines, delimiter=separator), [])
    if any("\0" in h for h in header):
        raise DataError(f"'{path}' is not a text table; give it the ending of its true format.")
    # pandas would silently rename the second of two equal columns.
    _refuse_repeated(header, path)
    return pd.read_csv(path, sep=separator, low_memory=False)


def _read_arrow(path: Path) -> pd.DataFrame:
    if path.suffix in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        # Reading such a file fails in words that help nobody, so look at its schema first.
        _refuse_repeated(pq.read_schema(path).names, path)
        table = pq.read_table(path)
    else:
        import pyarrow.feather as feather

        table = feather.read_table(path)
        _refuse_repeated(table.schema.names, path)
    frame = table.to_pandas()
    # A named index was a column to whoever saved the frame.
    return frame.reset_index(drop=all(n is None for n in frame.index.names))


def _refuse_repeated(names: list[str], path: Path) -> None:
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise DataError(
            f"the column name {min(twice)!r} occurs more than once in '{path}'; rename one of them."
        )


def read_provenance(path: str | Path) -> str | None:
    """What a file that ``kd label`` wrote says of its labels; None for other files."""
    path = Path(path)
    if path.suffix not in (".parquet", ".pq") or not path.is_file():
        return None
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except Exception:
        # Whoever reads the table itself tells what is wrong with the file.
        return None
    found = metadata.get(b"kdcore.provenance")
    return None if found is None else found.decode()


def _bundled(name: str) -> pd.DataFrame:
    if name not in BUNDLED:
        raise DataError(
            f"'sklearn:{name}' is not a bundled data set; use one of "
            f"{', '.join('sklearn:' + b for b in BUNDLED)}." + suggest(name, BUNDLED)
        )
    import sklearn.datasets

    return getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame


def infer_task(y: pd.Series) -> str:
    """``"classification"`` or ``"regression"``, from the values of a target column.

    Texts, categories and truth values are classes; whole numbers are if there are few of them.
    """
    from pandas.api import types

    known = y.dropna()
    if not types.is_numeric_dtype(known.dtype) or types.is_bool_dtype(known.dtype):
        return "classification"
    values = known.to_numpy(dtype=float)
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    distinct = len(np.unique(values))
    few = distinct <= min(_MAX_INTEGER_CLASSES, max(2, len(values) // 4))
    return "classification" if whole and few else "regression"


def labeled(
    frame: pd.DataFrame,
    target: str,
    *,
    task: str = "auto",
    sample_weight: str | None = None,
    like: LabeledTable | None = None,
) -> LabeledTable:
    """Split a frame into input columns, labels and weights, and check them all.

    Rows whose target is missing are dropped.

    Parameters
    ----------
    frame : pandas.DataFrame
    target : str
        Column to predict.
    task : {"auto", "classification", "binary", "multiclass", "regression"}
    sample_weight : str, optional
        Column of row weights; it is not an input.
    like : LabeledTable, optional
        The training table, when this one is for testing: it gives task, classes and columns.

    Raises
    ------
    DataError, ParameterError
        When a column or its values cannot be used; the message names the column.
    """
    if task not in _TASKS:
        raise ParameterError(f"task={task!r} is not known; use one of {', '.join(_TASKS)}.")
    for role, name in (("target", target), ("sample_weight", sample_weight)):
        if name is not None and name not in frame.columns:
            raise DataError(
                f"the table has no {role} column {name!r}." + suggest(name, frame.columns)
            )
    if target == sample_weight:
        raise ParameterError(f"the column {target!r} cannot be target and sample_weight at once.")
    y = frame[target]
    known = y.notna().to_numpy()
    if not known.any():
        raise DataError(f"every value of the target column {target!r} is missing.")
    source = frame
    frame, y = frame.loc[known], y.loc[known]
    if like is not None:
        task = "regression" if like.classes is None else "classification"
    kind = infer_task(y) if task == "auto" else task
    if kind == "regression":
        labels, classes = _numbers(y, target), None
    else:
        labels, classes = _classes(y, target)
        kind = _class_task(classes, task, target)
    if like is not None and classes is not None and like.classes is not None:
        labels, classes = _aligned(labels, like.classes, target), like.classes
        kind = like.task
    elif len(np.unique(labels)) < 2:
        raise DataError(
            f"the target column {target!r} is constant ({labels[0]!r}); there is nothing to learn."
        )
    weight = None if sample_weight is None else _weight(frame[sample_weight], sample_weight)
    inputs = frame.drop(columns=[c for c in (target, sample_weight) if c is not None])
    if inputs.shape[1] == 0:
        raise DataError("the table has no input columns besides the target.")
    if like is not None:
        # Refuse wrong columns before any training; unseen categories stay as they are.
        TableSchema.fit(like.X).canonical(inputs)
        inputs = inputs[list(like.X.columns)]
    X = TableSchema.fit(inputs).canonical(inputs).reset_index(drop=True)
    rows = np.flatnonzero(known)
    return LabeledTable(
        X=X,
        classes=classes,
        source=source,
        rows=rows,
        y=labels,
        sample_weight=weight,
        task=kind,
        target=target,
    )


def unlabeled(frame: pd.DataFrame, like: LabeledTable) -> RawTable:
    """Rows without labels, with the columns of a training table; other columns are ignored.

    Raises
    ------
    DataError
        When a column is missing or holds values of the wrong type.
    """
    TableSchema.fit(like.X).canonical(frame)
    inputs = frame[list(like.X.columns)]
    X = TableSchema.fit(inputs).canonical(inputs).reset_index(drop=True)
    return RawTable(X=X, classes=like.classes, source=frame, rows=np.arange(len(frame)))


def stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Two canonical tables below each other, categories kept."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    columns: dict[str, Any] = {}
    for name in first.columns:
        parts = [first[name], second[name]]
        if all(isinstance(p.dtype, pd.CategoricalDtype) for p in parts):
            columns[name] = union_categoricals(parts, sort_categories=True)
        else:
            columns[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns)


def _numbers(y: pd.Series, target: str) -> np.ndarray:
    import pandas as pd
    from pandas.api import types

    if isinstance(y.dtype, pd.CategoricalDtype) or not types.is_numeric_dtype(y.dtype):
        values = pd.to_numeric(y.astype(object), errors="coerce")
        if values.isna().any():
            bad = y[values.isna()].iloc[0]
            raise DataError(
                f"the target column {target!r} holds {bad!r}, which is not a number, so it cannot "
                "be a regression target; correct it, or use task 'classification'."
            )
        y = values
    numbers = y.to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        raise DataError(f"the target column {target!r} holds infinite values; drop those rows.")
    return numbers


def _classes(y: pd.Series, target: str) -> tuple[np.ndarray, np.ndarray]:
    from pandas.api import types

    values: np.ndarray
    if types.is_bool_dtype(y.dtype):
        values = y.to_numpy(dtype=bool)
    elif types.is_numeric_dtype(y.dtype):
        values = y.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise DataError(f"the target column {target!r} holds infinite values; drop those rows.")
        if (values == np.round(values)).all():
            values = values.astype(np.int64)
    else:
        values = np.asarray(y.astype(object))
        kinds = {type(v) for v in values.tolist()}
        if kinds <= {int} or kinds <= {bool}:
            values = values.astype(kinds.pop())
        else:
            values = np.array([str(v) for v in values])
    return values, np.unique(values)


def _class_task(classes: np.ndarray, asked: str, target: str) -> str:
    found = "binary" if len(classes) <= 2 else "multiclass"
    if asked == "binary" and found != "binary":
        raise DataError(
            f"task 'binary' was asked for, but the target column {target!r} has {len(classes)} "
            "classes; use task 'multiclass'."
        )
    if asked == "multiclass" and found == "binary":
        raise DataError(
            f"task 'multiclass' was asked for, but the target column {target!r} has "
            f"{len(classes)} classes; use task 'binary'."
        )
    return found


def _aligned(labels: np.ndarray, classes: np.ndarray, target: str) -> np.ndarray:
    """Test labels in the type of the training classes, all of them known."""
    if labels.dtype.kind != classes.dtype.kind:
        labels = labels.astype(str if classes.dtype.kind == "U" else classes.dtype)
    new = labels[~np.isin(labels, classes)]
    if len(new):
        raise DataError(
            f"the test table's target column {target!r} holds the class {str(new[0])!r}, which "
            "the training table lacks; drop those rows or add such rows to the training table."
        )
    return labels


def _weight(values: pd.Series, name: str) -> np.ndarray:
    import pandas as pd

    weight = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum() > 0:
        raise DataError(
            f"the sample_weight column {name!r} must hold finite numbers, none negative and not "
            "all zero."
        )
    return weight
