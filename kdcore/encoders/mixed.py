"""`MixedEncoder`: what all encoders for linear models and networks do with gaps and categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from kdcore.encoders.base import Encoder
from kdcore.targets import SoftTargets

__all__ = ["MixedEncoder"]


class MixedEncoder(Encoder):
    """Encoded numbers, marks of missing numbers, one-hot categories, and further columns.

    A subclass has the constructor parameters below and writes

    ``_learn_numbers(numbers, weight, y)``
        Returns names (of the encoded columns) and positions (in the numeric block) of their raw
        columns; learns how each is encoded.
    ``_encode_numbers(numbers, out)``
        Writes these columns; missing values give 0.
    ``_learn_more(numbers, codes, weight)``, ``_encode_more(numbers, one_hot, out)``
        Optional: further columns at the end; the first returns their names, owners and partners.

    Parameters
    ----------
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own. The others share one
        column "other", which unseen categories fall into as well; where there is no such column,
        an unseen category is encoded like a missing one.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.
    """

    min_frequency: int
    max_categories: int

    _counts: ClassVar[Mapping[str, int]] = {"min_frequency": 0, "max_categories": 1}

    def _learn_numbers(
        self, numbers: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> tuple[list[str], list[int]]:
        raise TypeError(f"{type(self).__name__} must define _learn_numbers")

    def _encode_numbers(self, numbers: np.ndarray, out: np.ndarray) -> None:
        raise TypeError(f"{type(self).__name__} must define _encode_numbers")

    def _learn_more(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray
    ) -> tuple[list[str], list[int], list[int]]:
        return [], [], []

    def _encode_more(self, numbers: np.ndarray, one_hot: np.ndarray, out: np.ndarray) -> None:
        """Nothing more by default."""

    def _learn(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> None:
        numeric = self._positions("numeric")
        self.names_, columns = self._learn_numbers(numbers, weight, y)
        owners = [numeric[j] for j in columns]
        self.numbers_width_ = len(owners)
        self.missing_ = np.flatnonzero(np.isnan(numbers).any(axis=0))
        self.names_ += [f"{self.schema_.numeric[j].name} is missing" for j in self.missing_]
        owners += [numeric[j] for j in self.missing_]
        #: For each categorical column, the output column of each category; the last two entries
        #: are for unseen and missing values; -1 stands for "no column": all zeros.
        self.slots_: list[np.ndarray] = []
        self.one_hot_width_ = 0
        for j, position in enumerate(self._positions("categorical")):
            slots, labels = self._slots(codes[:, j], self.schema_.columns[position].categories)
            self.slots_.append(np.where(slots >= 0, slots + self.one_hot_width_, -1))
            self.one_hot_width_ += len(labels)
            self.names_ += [f"{self.schema_.columns[position].name}={label}" for label in labels]
            owners += [position] * len(labels)
        names, first, second = self._learn_more(numbers, codes, weight)
        self.names_ += names
        self.partners_ = np.array(owners + second, dtype=np.int64)
        self.owners_ = np.array(owners + first, dtype=np.int64)

    def _slots(self, codes: np.ndarray, keys: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
        counts = np.bincount(codes[codes >= 0], minlength=len(keys))
        order = np.argsort(-counts, kind="stable")
        common = [k for k in order[: self.max_categories] if counts[k] >= self.min_frequency]
        if not common and len(keys):
            common = [order[0]]
        slots = np.full(len(keys) + 2, -1, dtype=np.int64)
        labels = [keys[k] for k in sorted(common)]
        slots[sorted(common)] = np.arange(len(common))
        if len(common) < len(keys):
            rare = [k for k in range(len(keys)) if slots[k] < 0]
            slots[rare] = slots[-2] = len(labels)
            labels.append("(other)")
        if (codes == -1).any():
            slots[-1] = len(labels)
            if slots[-2] < 0:
                slots[-2] = slots[-1]
            labels.append("(missing)")
        return slots, labels

    def encode(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        n = len(numbers)
        out = np.zeros((n, len(self.owners_)), dtype=np.float32)
        start = self.numbers_width_
        self._encode_numbers(numbers, out[:, :start])
        stop = start + len(self.missing_)
        out[:, start:stop] = np.isnan(numbers[:, self.missing_])
        one_hot = out[:, stop : stop + self.one_hot_width_]
        rows = np.arange(n)
        for j, slots in enumerate(self.slots_):
            # Codes -2 (unseen) and -1 (missing) index the last two entries.
            column = slots[codes[:, j]]
            hit = column >= 0
            one_hot[rows[hit], column[hit]] = 1.0
        self._encode_more(numbers, one_hot, out[:, stop + self.one_hot_width_ :])
        return out
