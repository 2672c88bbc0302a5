"""`TableSchema`: the raw columns of a table, and the blocks of values that encoders read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.columns import MISSING, Column, category_key, numeric_values
from kdcore.errors import DataError, suggest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableSchema", "as_frame", "column_kind"]


def as_frame(X: Any, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Turn a pandas, polars or Arrow table, a mapping, or a 2-D array into a pandas frame.

    Unnamed columns are called ``x0, x1, ...``, as in scikit-learn.

    Raises
    ------
    DataError
        When ``X`` is none of these, or two columns share a name.
    """
    import pandas as pd

    if isinstance(X, pd.DataFrame):
        frame = X
    elif type(X).__module__.split(".")[0] in ("polars", "pyarrow"):
        # A lazy table of polars is computed first.
        frame = (X.collect() if hasattr(X, "collect") else X).to_pandas()
    elif isinstance(X, dict):
        try:
            frame = pd.DataFrame(X)
        except ValueError as error:
            raise DataError(f"expected a mapping of columns, all of one length: {error}") from error
    else:
        array = np.asarray(X)
        if array.ndim != 2:
            raise DataError(
                f"expected a table with two dimensions, got an array of shape {array.shape}."
            )
        columns = list(names) if names is not None else [f"x{i}" for i in range(array.shape[1])]
        # Nobody writes to the frame, and a large table should not be held twice.
        frame = pd.DataFrame(array, columns=columns, copy=False)
        if array.dtype == object:
            frame = frame.infer_objects()
    if not all(isinstance(c, str) for c in frame.columns):
        frame = frame.rename(columns=str)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"the column name {twice!r} occurs more than once; rename one of them.")
    return frame


def column_kind(values: pd.Series) -> str:
    """``"numeric"``, ``"boolean"`` or ``"categorical"``.

    Raises
    ------
    DataError
        For dates, complex numbers and nested values; the message names the column.
    """
    import pandas as pd
    from pandas.api import types

    dtype = values.dtype
    held = str(dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return "categorical"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_complex_dtype(dtype):
        raise DataError(
            f"Complex data not supported: column {values.name!r} holds complex numbers."
        )
    if types.is_numeric_dtype(dtype):
        return "numeric"
    if types.is_string_dtype(dtype) and not types.is_object_dtype(dtype):
        return "categorical" if values.notna().any() else "numeric"
    if types.is_object_dtype(dtype):
        inferred = types.infer_dtype(values, skipna=True)
        if inferred == "empty":
            return "numeric"
        if inferred == "boolean":
            return "boolean"
        if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
            return "numeric"
        if inferred in ("string", "mixed-integer", "mixed", "bytes"):
            known = values.dropna()
            nested = known.map(lambda v: isinstance(v, (dict, list, tuple, set, np.ndarray)))
            if not nested.any():
                return "categorical"
            raise DataError(
                f"column {values.name!r} holds nested values such as {known[nested].iloc[0]!r}; "
                "turn them into plain columns, or drop the column."
            )
        # "date" says more than "object".
        held = inferred
    raise DataError(
        f"column {values.name!r} holds {held} values, which kdcore does not read; derive numbers "
        "from it (year, month, seconds ...), or drop the column."
    )


class TableSchema:
    """Names, kinds and categories of raw columns, learned from a training table.

    Parameters
    ----------
    columns : sequence of Column
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.numeric = tuple(c for c in self.columns if c.kind != "categorical")
        self.categorical = tuple(c for c in self.columns if c.kind == "categorical")

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> TableSchema:
        """Learn the schema of a frame.

        Raises
        ------
        DataError
            When there is no column, or one has a type that cannot be used.
        """
        if frame.shape[1] == 0:
            raise DataError(
                f"0 feature(s) (shape={frame.shape}) while a minimum of 1 is required; give at "
                "least one input column."
            )
        columns = []
        for name in frame.columns:
            kind = column_kind(frame[name])
            keys: tuple[str, ...] = ()
            if kind == "categorical":
                positions, known = _factorize(frame[name])
                used = {known[p] for p in np.unique(positions) if p >= 0}
                keys = tuple(sorted(used - {MISSING}))
                _refuse_nul(str(name), keys)
            columns.append(Column(str(name), kind, keys))
        return cls(columns)

    @property
    def names(self) -> list[str]:
        """Column names, in the order of the training table."""
        return [c.name for c in self.columns]

    def require(self, frame: pd.DataFrame) -> None:
        """Check that a frame has every column; others are ignored.

        Raises
        ------
        DataError
            Naming the missing columns, and the nearest name that is there.
        """
        missing = [n for n in self.names if n not in frame.columns]
        if missing:
            shown = ", ".join(repr(n) for n in missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise DataError(
                f"the table lacks {len(missing)} column(s) that were there in training: {shown}."
                + suggest(missing[0], [c for c in frame.columns if c not in self.names])
            )

    def numbers(self, frame: pd.DataFrame) -> np.ndarray:
        """Numeric and boolean columns as a float32 array (n, p), NaN where missing.

        Raises
        ------
        DataError
            When a value is not a finite number; the message names the column.
        """
        out = np.empty((len(frame), len(self.numeric)), dtype=np.float32, order="F")
        for j, column in enumerate(self.numeric):
            out[:, j] = numeric_values(frame[column.name], column)
        return out

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Categorical columns as an int32 array (n, c) of positions in ``Column.categories``.

        -1 marks a missing value, -2 a category that was not there in training.
        """
        out = np.empty((len(frame), len(self.categorical)), dtype=np.int32, order="F")
        for j, column in enumerate(self.categorical):
            out[:, j] = self._codes(frame[column.name], column)
        return out

    def unseen(self, frame: pd.DataFrame) -> dict[str, int]:
        """Number of values in each categorical column that were not there in training."""
        codes = self.codes(frame)
        counts = (codes == -2).sum(axis=0)
        return {c.name: int(n) for c, n in zip(self.categorical, counts, strict=True) if n}

    def canonical(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The table as teachers get it: these columns in this order, numbers and ``category``.

        Unseen categories become missing. Numeric columns keep their type where they can.

        Raises
        ------
        DataError
            When a column is missing or holds a value of the wrong type.
        """
        import pandas as pd

        self.require(frame)
        data: dict[str, Any] = {}
        same = list(frame.columns) == self.names
        for column in self.columns:
            values = frame[column.name]
            if column.kind == "categorical":
                same = False
                codes = np.maximum(self._codes(values, column), -1)
                data[column.name] = pd.Categorical.from_codes(
                    codes,
                    pd.Index(column.categories, dtype=object),
                )
            elif values.dtype.kind in "iuf" and column.kind == "numeric":
                _refuse_infinite(values, column)
                data[column.name] = _shared(values)
                same = same and data[column.name] is values
            elif values.dtype.kind == "b" and column.kind == "boolean":
                data[column.name] = _shared(values)
                same = same and data[column.name] is values
            else:
                same = False
                data[column.name] = numeric_values(values, column)
        if same:
            # In one block, as it may be, libraries turn it into an array without a copy.
            return frame.copy(deep=False)
        return pd.DataFrame(data, index=frame.index, copy=False)

    @staticmethod
    def _codes(values: pd.Series, column: Column) -> np.ndarray:
        positions, keys = _factorize(values)
        lookup = {key: i for i, key in enumerate(column.categories)}
        table = np.array(
            [-1 if k == MISSING else lookup.get(k, -2) for k in keys] + [-1], dtype=np.int32
        )
        return table[positions]


def _factorize(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Positions (n,) in a list of category keys; -1 (the last entry) where missing."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(), [category_key(k) for k in values.cat.categories]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            positions, uniques = pd.factorize(values, use_na_sentinel=True)
        except TypeError:
            # Values that have no hash; this says which.
            column_kind(values)
            raise
    return positions, [category_key(k) for k in np.asarray(uniques, dtype=object)]


def _shared(values: pd.Series) -> Any:
    """The column itself, which costs no memory; nullable columns become plain arrays."""
    return values if isinstance(values.dtype, np.dtype) else values.to_numpy()


def _refuse_nul(name: str, keys: tuple[str, ...]) -> None:
    damaged = next((key for key in keys if "\0" in key), None)
    if damaged is not None:
        # Libraries in C would end the text there, or fail without saying why.
        raise DataError(
            f"column {name!r} holds {damaged!r}, a text with a NUL byte; such bytes come from "
            "damaged or binary files: remove them, or drop the column."
        )


def _refuse_infinite(values: pd.Series, column: Column) -> None:
    if values.dtype.kind == "f":
        # Beyond float32 counts too: better refused here than by a student after a long fit.
        numeric_values(values, column)
