"""`TeacherBinsEncoder`: bins and interactions borrowed from the teacher's trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from kdcore.encoders.pieces import (
    blocks,
    capped,
    distinct_values,
    quantile_edges,
    weighted_quantiles,
)
from kdcore.encoders.piecewise import PiecewiseLinearEncoder
from kdcore.structure import TeacherStructure
from kdcore.surrogate import surrogate_structure
from kdcore.targets import SoftTargets

__all__ = ["TeacherBinsEncoder"]

#: Bins of a column that the teacher never splits.
_FEW = 4


class TeacherBinsEncoder(PiecewiseLinearEncoder):
    """Ramps between the teacher's own split thresholds, and products for its interactions.

    Numbers are encoded as by `PiecewiseLinearEncoder`, but with edges at gain-weighted quantiles
    of the thresholds of all the teacher's trees; a column on which the teacher never splits gets
    four quantile bins, and one with few distinct values an edge at each. For each of the
    ``pairs`` strongest pairs of columns that a branch of the teacher uses one below the other,
    products of steps follow: ``[a > s] * [b > t]`` for up to ``pair_steps`` thresholds of either
    column. A categorical column takes part with the indicators of its commonest categories; a
    missing number is on no side of any step.

    The structure comes from ``y.structure``. Where that is None, it is that of a small boosted
    model of the soft labels, or of the labels (`kdcore.surrogate`); without ``y`` edges are
    quantiles and there are no pairs.

    Parameters
    ----------
    n_bins : int, default=16
        Most bins of a column.
    pairs : int, default=0
        Pairs of columns that get products.
    pair_steps : int, default=4
        Most steps of either column of a pair.
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.

    Attributes
    ----------
    source_ : {"teacher", "surrogate", "none"}
        Whose structure it is.
    step_columns_, steps_ : arrays of shape (m,)
        Of each step, the position of its column in the numeric block, and its threshold.
    factors_ : int array of shape (2, d)
        Of each product, positions among the steps and, after them, the one-hot columns.
    """

    _counts: ClassVar[Mapping[str, int]] = {
        **PiecewiseLinearEncoder._counts,
        "pairs": 0,
        "pair_steps": 1,
    }

    uses_structure = True

    def __init__(
        self,
        *,
        n_bins: int = 16,
        pairs: int = 0,
        pair_steps: int = 4,
        min_frequency: int = 10,
        max_categories: int = 100,
    ) -> None:
        self.n_bins = n_bins
        self.pairs = pairs
        self.pair_steps = pair_steps
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def _learn(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> None:
        found = None if y is None else y.structure
        if found is None and y is not None:
            found = surrogate_structure(self.schema_, numbers, codes, weight, y)
        self.source_ = "none" if found is None else found.source
        self._structure = TeacherStructure() if found is None else found
        super()._learn(numbers, codes, weight, y)
        del self._structure

    def _edges(self, name: str, values: np.ndarray, mass: np.ndarray) -> np.ndarray:
        if len(values) <= self.n_bins + 1:
            return values
        if name not in self._structure.thresholds:
            few = self.n_bins if self.source_ == "none" else min(_FEW, self.n_bins)
            return quantile_edges(values, mass, few)
        inner = self._chosen(name, values, self.n_bins - 1)
        return np.unique(np.concatenate([values[:1], inner, values[-1:]]))

    def _chosen(self, name: str, values: np.ndarray, count: int) -> np.ndarray:
        """At most ``count`` thresholds that part the values, with gain spread evenly over them."""
        told = self._structure.thresholds.get(name, np.zeros(0))
        thresholds = np.asarray(told, dtype=np.float32)
        inside = (thresholds >= values[0]) & (thresholds < values[-1])
        thresholds = thresholds[inside]
        if not len(thresholds) or not count:
            return np.zeros(0, dtype=np.float32)
        gains = np.asarray(self._structure.gains[name], dtype=float)[inside]
        gains = gains if gains.sum() > 0 else np.ones(len(gains))
        if len(thresholds) <= count:
            return thresholds
        # A few thresholds often hold most of the gain, and they would be all that is chosen.
        levels = (np.arange(count) + 0.5) / count
        return np.unique(weighted_quantiles(thresholds, capped(gains, count), levels))

    def _learn_more(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray
    ) -> tuple[list[str], list[int], list[int]]:
        sides = _Sides(self, numbers, codes, weight)
        left: list[int] = []
        right: list[int] = []
        names, first, second = [], [], []
        done = 0
        for a, b, _ in self._structure.pairs:
            if done == self.pairs:
                break
            one, other = sides.of(a), sides.of(b)
            if a == b or not one or not other:
                continue
            done += 1
            for p, label in one:
                for q, other_label in other:
                    left.append(p)
                    right.append(q)
                    names.append(f"{label} & {other_label}")
                    first.append(sides.positions[a])
                    second.append(sides.positions[b])
        self.step_columns_ = np.array(sides.columns, dtype=np.int64)
        self.steps_ = np.array(sides.steps, dtype=np.float32)
        factors = np.array([left, right], dtype=np.int64).reshape(2, -1)
        # One-hot columns come after the steps, whose number is known only now.
        self.factors_ = np.where(factors < 0, len(self.steps_) - factors - 1, factors)
        return names, first, second

    def _encode_more(self, numbers: np.ndarray, one_hot: np.ndarray, out: np.ndarray) -> None:
        if not out.shape[1]:
            return
        left, right = self.factors_
        m = len(self.steps_)
        for rows in blocks(len(out)):
            part = one_hot[rows].T
            sources = np.empty((m + len(part), part.shape[1]), dtype=np.float32)
            sources[:m] = numbers[rows].T[self.step_columns_] > self.steps_[:, None]
            sources[m:] = part
            out[rows] = (sources[left] * sources[right]).T


class _Sides:
    """The steps or indicators with which each raw column takes part in products."""

    def __init__(
        self,
        encoder: TeacherBinsEncoder,
        numbers: np.ndarray,
        codes: np.ndarray,
        weight: np.ndarray,
    ) -> None:
        schema = encoder.schema_
        self.encoder, self.numbers, self.codes, self.weight = encoder, numbers, codes, weight
        self.positions = {name: i for i, name in enumerate(schema.names)}
        self._numeric = {c.name: j for j, c in enumerate(schema.numeric)}
        self._categorical = {c.name: j for j, c in enumerate(schema.categorical)}
        self.columns: list[int] = []
        self.steps: list[float] = []
        self._known: dict[str, list[tuple[int, str]]] = {}

    def of(self, name: str) -> list[tuple[int, str]]:
        """Positions and labels; an indicator k is written -1 - k. Empty where there are none."""
        if name not in self._known:
            if name in self._numeric:
                self._known[name] = self._number(name, self._numeric[name])
            elif name in self._categorical:
                self._known[name] = self._category(self._categorical[name])
            else:
                self._known[name] = []
        return self._known[name]

    def _number(self, name: str, j: int) -> list[tuple[int, str]]:
        values, mass = distinct_values(self.numbers[:, j], self.weight)
        if len(values) < 2:
            return []
        count = self.encoder.pair_steps
        chosen = self.encoder._chosen(name, values, count)
        if not len(chosen):
            chosen = quantile_edges(values, mass, count + 1)[:-1][:count]
        # Half way to the next training value, so that no rounding decides on which side it is.
        low = np.searchsorted(values, chosen, side="right") - 1
        low = np.unique(np.clip(low, 0, len(values) - 2))
        a, b = values[low].astype(np.float64), values[low + 1]
        middle = (a / 2 + b / 2).astype(np.float32)
        steps = np.where(middle < b, middle, values[low])
        start = len(self.steps)
        self.columns += [j] * len(steps)
        self.steps += steps.tolist()
        return [(start + k, f"{name} > {step:.7g}") for k, step in enumerate(steps)]

    def _category(self, j: int) -> list[tuple[int, str]]:
        slots = self.encoder.slots_[j][self.codes[:, j]]
        hit = slots >= 0
        mass = np.bincount(slots[hit], self.weight[hit], minlength=self.encoder.one_hot_width_)
        order = np.argsort(-mass, kind="stable")[: self.encoder.pair_steps]
        first = self.encoder.numbers_width_ + len(self.encoder.missing_)
        return [(-1 - int(k), self.encoder.names_[first + k]) for k in sorted(order) if mass[k] > 0]
