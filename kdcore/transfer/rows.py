"""`RealRows`: real rows as numbers to compute with, and the way back to a table of the same types.

A made cell is either copied from a real row, its *donor*, or it is a number between real ones.
Copying donors keeps every type, category level and missing value without knowing any of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError
from kdcore.schema import TableSchema, as_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RealRows", "WeightedDraw"]

#: Beyond it a float64 does not hold every whole number: such columns are names, not amounts.
_EXACT = 2.0**53


class RealRows:
    """Some rows of a table, with their weights.

    Parameters
    ----------
    frame : pandas.DataFrame
    weight : array of shape (n,)
        All positive.

    Attributes
    ----------
    schema : TableSchema
    """

    def __init__(self, frame: pd.DataFrame, weight: np.ndarray) -> None:
        self.frame, self.weight = frame, weight
        self.schema = TableSchema.fit(frame)

    @classmethod
    def of(cls, X: Any, sample_weight: Any = None) -> RealRows:
        """Check a table and its weights; rows of weight zero are left out.

        Raises
        ------
        DataError
            When fewer than two rows are left, or a column or the weights cannot be used.
        """
        frame = as_frame(X)
        weight = np.ones(len(frame)) if sample_weight is None else np.asarray(sample_weight, float)
        if weight.shape != (len(frame),):
            raise DataError(f"sample_weight has shape {weight.shape}, expected ({len(frame)},).")
        if not np.isfinite(weight).all() or (weight < 0).any():
            raise DataError("sample_weight must be finite and not negative; correct those rows.")
        used = weight > 0
        if used.sum() < 2:
            raise DataError(
                f"new rows cannot be made from {int(used.sum())} row(s) with a positive weight; "
                "give at least 2 rows, or learn without augmentation."
            )
        if not used.all():
            frame, weight = frame.loc[used], weight[used]
        rows = cls(frame, weight)
        # Refuses infinite values in a message that names the column.
        rows.schema.numbers(frame)
        return rows

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def n_columns(self) -> int:
        """Number of columns of the table."""
        return self.frame.shape[1]

    @cached_property
    def number_columns(self) -> np.ndarray:
        """(q,) positions of the columns in which numbers between real ones make sense."""
        found = [
            j
            for j, column in enumerate(self.schema.columns)
            if column.kind == "numeric" and _amounts(self.frame.iloc[:, j]) is not None
        ]
        return np.array(found, dtype=np.int64)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(n, q) values of ``number_columns``, NaN where missing."""
        out = np.empty((len(self), len(self.number_columns)))
        for k, j in enumerate(self.number_columns.tolist()):
            out[:, k] = _amounts(self.frame.iloc[:, j])
        return out

    @cached_property
    def limits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lowest, highest (q,), and whether all are whole (q,), of ``numbers``."""
        fractional = (self.numbers - np.round(self.numbers)) != 0
        fractional &= ~np.isnan(self.numbers)
        if not self.numbers.shape[1]:
            return np.empty(0), np.empty(0), np.empty(0, dtype=bool)
        low, high = np.nanmin(self.numbers, axis=0), np.nanmax(self.numbers, axis=0)
        return low, high, ~fractional.any(axis=0)

    @cached_property
    def coded(self) -> np.ndarray:
        """(n, p) float32: numbers, and positions in the categories; NaN where missing."""
        out = np.empty((len(self), self.n_columns), dtype=np.float32)
        numbers = iter(self.schema.numbers(self.frame).T)
        codes = iter(self.schema.codes(self.frame).T)
        for j, column in enumerate(self.schema.columns):
            if column.kind == "categorical":
                code = next(codes)
                out[:, j] = np.where(code < 0, np.nan, code)
            else:
                out[:, j] = next(numbers)
        return out

    def differ(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(m, p) boolean: where rows ``first`` (m,) differ from rows ``second``, (m,) or (m, p)."""
        columns = np.arange(self.n_columns)
        a = self.coded[first]
        b = self.coded[second] if second.ndim == 1 else self.coded[second, columns]
        return (a != b) & ~(np.isnan(a) & np.isnan(b))

    def sampled(self, most: int, rng: np.random.Generator, *, distinct: bool = False) -> RealRows:
        """At most ``most`` rows, in the order of the table; with ``distinct``, no row twice.

        The first of equal rows then stands for all, with the sum of their weights.
        """
        rows = self
        if len(rows) > most:
            kept = np.sort(rng.choice(len(rows), most, replace=False))
            rows = RealRows(rows.frame.iloc[kept], rows.weight[kept])
        if not distinct:
            return rows
        names = list(rows.frame.columns)
        group = rows.frame.groupby(names, sort=False, dropna=False, observed=True).ngroup()
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        if len(first) == len(rows):
            return rows
        return RealRows(rows.frame.iloc[first], np.bincount(inverse, rows.weight))

    def table(self, donors: np.ndarray, numbers: np.ndarray | None = None) -> pd.DataFrame:
        """A table of the same columns and types.

        Parameters
        ----------
        donors : int array of shape (m,) or (m, p)
            The real row from which each row, or each cell, is copied.
        numbers : array of shape (m, q), optional
            Values of ``number_columns`` in place of the donors': NaN for missing. They are
            clipped to the real range, and rounded where all real values are whole.
        """
        import pandas as pd

        slot: dict[int, int] = {}
        if numbers is not None:
            slot = {int(c): k for k, c in enumerate(self.number_columns)}
            low, high, whole = self.limits
        out: dict[str, Any] = {}
        for j, name in enumerate(self.frame.columns):
            column = self.frame.iloc[:, j].array
            if numbers is not None and j in slot:
                k = slot[j]
                values = np.round(numbers[:, k]) if whole[k] else numbers[:, k]
                out[name] = _typed(np.clip(values, low[k], high[k]), column)
            else:
                out[name] = column.take(donors if donors.ndim == 1 else donors[:, j])
        return pd.DataFrame(out, copy=False)


class WeightedDraw:
    """Draws positions 0 ... n-1 with replacement, in proportion to their weights."""

    def __init__(self, weight: np.ndarray) -> None:
        self.edges = np.cumsum(weight)

    def __call__(self, size: int | tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Positions, in an int array of the given shape."""
        at = np.searchsorted(self.edges, rng.random(size) * self.edges[-1], side="right")
        # The product may round up to the last edge.
        return np.minimum(at, len(self.edges) - 1)


def _amounts(values: pd.Series) -> np.ndarray | None:
    """A numeric column as float64; None if its values are to be copied whole."""
    from pandas.api import types

    if not types.is_numeric_dtype(values.dtype):
        return None
    out = values.to_numpy(dtype=float, na_value=np.nan)
    known = out[~np.isnan(out)]
    if not len(known) or (types.is_integer_dtype(values.dtype) and np.abs(known).max() > _EXACT):
        return None
    return out


def _typed(values: np.ndarray, like: Any) -> Any:
    """Numbers as an array of the same type as ``like``."""
    import pandas as pd

    if isinstance(like.dtype, np.dtype):
        return values.astype(like.dtype)
    return pd.array(values, dtype="Float64").astype(like.dtype)
