"""`Augmenter`: what makes rows like those of a table, in blocks of fixed size."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kdcore.errors import ParameterError
from kdcore.transfer.rows import RealRows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Augmenter", "generator", "positive", "share"]

#: Rows that are drawn with one generator. A change would change the rows of every seed.
_BLOCK = 4096


def generator(random_state: int, *key: int) -> np.random.Generator:
    """The generator of one task among those that share a seed."""
    return np.random.default_rng(np.random.SeedSequence(random_state, spawn_key=key))


class Augmenter:
    """Makes rows that look like those it was fitted to.

    Columns, types and category levels are those of the table. Categories, truth values and
    missing values are copied from real rows; numbers stay within the range of their column, and
    whole where the column is. The parameters of a method are the fields of its dataclass.
    """

    name: ClassVar[str]

    def fit(self, X: Any, sample_weight: Any = None, *, random_state: int = 0) -> Augmenter:
        """Learn from real rows.

        Parameters
        ----------
        X : table of n rows
        sample_weight : array of shape (n,), optional
            How often a row counts; rows of weight zero are never used.
        random_state : int, default=0
            Seed of everything that is drawn, here and in `sample`.

        Raises
        ------
        DataError
            When fewer than two rows have a positive weight, or a column cannot be used.
        ParameterError
            When ``random_state`` or a parameter of the method is out of range.
        """
        whole = isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool)
        if not whole or random_state < 0:
            raise ParameterError(
                f"random_state={random_state!r} must be a whole number, at least 0."
            )
        self._check()
        self.random_state_ = int(random_state)
        self.real_ = RealRows.of(X, sample_weight)
        self._learn(generator(self.random_state_, 0))
        return self

    def sample(self, n: int, *, chunk_rows: int = 16_384) -> Iterator[pd.DataFrame]:
        """Make n rows; the same ones at every call, and whatever the size of chunks.

        Parameters
        ----------
        n : int
        chunk_rows : int, default=16384
            Most rows of a table.

        Yields
        ------
        pandas.DataFrame

        Raises
        ------
        ParameterError
            When ``n`` or ``chunk_rows`` is out of range, or `fit` was not called.
        """
        if not hasattr(self, "real_"):
            raise ParameterError(f"the augmenter {self.name!r} is not fitted; call fit(X) first.")
        if n < 0 or chunk_rows < 1:
            raise ParameterError(
                f"n={n!r} must be at least 0 and chunk_rows={chunk_rows!r} at least 1."
            )
        return self._chunks(n, chunk_rows)

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, for reports."""
        return {"method": self.name, **_fields(self)}

    def clone(self) -> Augmenter:
        """An unfitted augmenter with the same parameters."""
        return type(self)(**_fields(self))

    def _chunks(self, n: int, chunk_rows: int) -> Iterator[pd.DataFrame]:
        from kdcore.table import stacked

        held: list[pd.DataFrame] = []
        count = 0
        for block, start in enumerate(range(0, n, _BLOCK)):
            rest = self._draw(min(_BLOCK, n - start), generator(self.random_state_, 1, block))
            while len(rest):
                part = rest.iloc[: chunk_rows - count]
                held.append(part)
                count += len(part)
                rest = rest.iloc[len(part) :]
                if count == chunk_rows:
                    yield stacked(*held)
                    held, count = [], 0
        if held:
            yield stacked(*held)

    def _check(self) -> None:
        """Raise ParameterError for parameters out of range."""

    def _learn(self, rng: np.random.Generator) -> None:
        """Learn from ``self.real_``."""

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        raise TypeError(f"{type(self).__name__} must define _draw")


def _fields(augmenter: Any) -> dict[str, Any]:
    return {f.name: getattr(augmenter, f.name) for f in dataclasses.fields(augmenter)}


def positive(augmenter: Augmenter, name: str, *, whole: bool = False) -> None:
    """Check that a parameter is a number above 0, and a whole one."""
    value = getattr(augmenter, name)
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < np.inf:
        kind = "a whole number, at least 1" if whole else "a number above 0"
        raise ParameterError(
            f"{name}={value!r} of the augmenter {augmenter.name!r} must be {kind}."
        )


def share(augmenter: Augmenter, name: str) -> None:
    """Check that a parameter is a share: above 0, at most 1."""
    value = getattr(augmenter, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ParameterError(
            f"{name}={value!r} of the augmenter {augmenter.name!r} must be above 0 and at most 1."
        )
