"""How like the real rows the made ones are: for the report, read before a student is blamed."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.schema import TableSchema, as_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QualityMeter", "TransferQuality", "transfer_quality"]

#: Quantile bins of a number, and bins of categories, the last one for all rarer ones.
_BINS, _LEVELS = 8, 12


@dataclass(frozen=True)
class TransferQuality:
    """Made rows compared with real ones.

    Numbers are cut at quantiles of the real rows, categories are bins as they are (rare ones
    together), and missing is a bin of its own.

    Parameters
    ----------
    rows : int
        Made rows.
    coverage : float
        Of all pairs of bins, of two columns each, that real rows occupy, the share that made
        rows occupy too: low when rows are missing in some corner. Of few rows it is low anyway.
    novelty : float
        Share of made rows in a pair of bins that no real row occupies, averaged over pairs of
        columns: high when columns do not fit together.
    duplicates : float
        Share of made rows that equal a real row in every column.
    outside : float
        Share of made rows with a number outside the real range, or an unknown category.
    pairs : int
        Pairs of columns that were looked at.
    """

    rows: int
    coverage: float
    novelty: float
    duplicates: float
    outside: float
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a report."""
        return dataclasses.asdict(self)


class QualityMeter:
    """Accumulates `TransferQuality` over chunks of made rows.

    Parameters
    ----------
    real : table of n rows
    max_pairs : int, default=45
        Most pairs of columns to look at, a random choice beyond.
    random_state : int, default=0
    """

    def __init__(self, real: Any, *, max_pairs: int = 45, random_state: int = 0) -> None:
        frame = as_frame(real)
        self._schema = TableSchema.fit(frame)
        numbers, codes = self._schema.numbers(frame), self._schema.codes(frame)
        empty = np.isnan(numbers).all(axis=0)
        filled = np.where(empty, 0.0, numbers)
        self._range = (np.nanmin(filled, axis=0), np.nanmax(filled, axis=0))
        self._cuts = [_cuts(numbers[:, j]) for j in range(numbers.shape[1])]
        self._slots = [
            _slots(codes[:, k], len(c.categories)) for k, c in enumerate(self._schema.categorical)
        ]
        self._real_keys = np.unique(_keys(numbers, codes))
        p = numbers.shape[1] + codes.shape[1]
        pairs = list(itertools.combinations(range(p), 2)) or [(0, 0)]
        if len(pairs) > max_pairs:
            rng = np.random.default_rng(random_state)
            pairs = [pairs[i] for i in np.sort(rng.choice(len(pairs), max_pairs, replace=False))]
        self._pairs = pairs
        width = max(_BINS, _LEVELS) + 2
        self._width = width
        self._real = np.zeros((len(pairs), width * width), dtype=bool)
        self._made = np.zeros_like(self._real)
        for k, cells in enumerate(self._cells(numbers, codes)):
            self._real[k, cells] = True
        self._rows = self._twice = self._out = self._new = 0

    def update(self, made: pd.DataFrame) -> None:
        """Look at some more rows.

        Raises
        ------
        DataError
            When a column is missing or holds a value of the wrong type.
        """
        frame = as_frame(made)
        self._schema.require(frame)
        numbers, codes = self._schema.numbers(frame), self._schema.codes(frame)
        for k, cells in enumerate(self._cells(numbers, codes)):
            self._made[k, cells] = True
            self._new += int((~self._real[k, cells]).sum())
        self._rows += len(frame)
        self._twice += int(np.isin(_keys(numbers, codes), self._real_keys).sum())
        low, high = self._range
        out = ((numbers < low) | (numbers > high)).any(axis=1) | (codes == -2).any(axis=1)
        self._out += int(out.sum())

    def result(self) -> TransferQuality:
        """What was seen so far; shares of no rows are 0."""
        n = max(self._rows, 1)
        return TransferQuality(
            rows=self._rows,
            coverage=float((self._real & self._made).sum() / self._real.sum()),
            novelty=self._new / (n * len(self._pairs)),
            duplicates=self._twice / n,
            outside=self._out / n,
            pairs=len(self._pairs),
        )

    def _cells(self, numbers: np.ndarray, codes: np.ndarray) -> Iterable[np.ndarray]:
        """For each pair of columns, the cell that each row is in."""
        bins = [
            np.where(np.isnan(v), _BINS, np.searchsorted(cuts, v, side="right"))
            for v, cuts in zip(numbers.T, self._cuts, strict=True)
        ]
        bins += [slots[v] for v, slots in zip(codes.T, self._slots, strict=True)]
        for a, b in self._pairs:
            yield bins[a] * self._width + bins[b]


def transfer_quality(
    real: Any, made: Any, *, max_pairs: int = 45, random_state: int = 0
) -> TransferQuality:
    """Compare made rows with real ones.

    Parameters
    ----------
    real : table of n rows
    made : table, or iterable of pandas.DataFrame
        Chunks are looked at one by one, so that they need not be in memory together.
    max_pairs, random_state
        See `QualityMeter`.
    """
    meter = QualityMeter(real, max_pairs=max_pairs, random_state=random_state)
    chunks = [made] if hasattr(made, "columns") or hasattr(made, "shape") else made
    for chunk in chunks:
        meter.update(chunk)
    return meter.result()


def _cuts(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    if not len(known):
        return np.empty(0, dtype=np.float32)
    inner = np.arange(1, _BINS) / _BINS
    # The lowest value is no cut: nothing lies below it.
    cuts = np.unique(np.quantile(known, inner, method="nearest"))
    return cuts[cuts > known.min()]


def _slots(codes: np.ndarray, k: int) -> np.ndarray:
    """(k + 2,) the bin of each category; the last two entries are for unseen and missing."""
    counts = np.bincount(codes[codes >= 0], minlength=k)
    slots = np.full(k + 2, _LEVELS - 1, dtype=np.int64)
    common = np.argsort(-counts, kind="stable")[: _LEVELS - 1]
    slots[common] = np.arange(len(common))
    slots[-2:] = _LEVELS, _LEVELS + 1
    return slots


def _keys(numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(n,) a hash of each row."""
    import pandas as pd

    table = pd.concat([pd.DataFrame(numbers), pd.DataFrame(codes)], axis=1)
    return pd.util.hash_pandas_object(table, index=False).to_numpy()
