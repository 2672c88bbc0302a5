"""Sequential CART synthesis: a column is drawn from leaves of a tree on the columns before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kdcore.errors import ParameterError
from kdcore.transfer.base import Augmenter, positive

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cart"]

#: Classes that a tree tells apart in a column of categories; the others are one class to it.
_MAX_STATES = 20


@dataclass(kw_only=True, eq=False)
class Cart(Augmenter):
    """Rows drawn column by column from trees, as by synthpop's ``cart``.

    The first column is a bootstrap of itself. For each other one a tree on the columns before it
    is grown on real rows; a made row falls into a leaf, and takes the value, or the gap, of a
    random real row there.

    Parameters
    ----------
    min_leaf : int, default=5
        Fewest real rows of a leaf.
    smooth : bool, default=False
        Whether to draw numbers between two neighbouring values of a leaf, not the values alone.
    max_features : int, default=60
        Most columns that a split chooses from (at random beyond), which bounds the time.
    max_rows : int, default=20000
        Most real rows (a random sample beyond).

    References
    ----------
    Reiter: Using CART to generate partially synthetic public use microdata. Journal of Official
    Statistics 21, 2005. Nowok, Raab, Dibben: synthpop. Journal of Statistical Software 74, 2016.
    """

    name: ClassVar[str] = "cart"

    min_leaf: int = 5
    smooth: bool = False
    max_features: int = 60
    max_rows: int = 20_000

    def _check(self) -> None:
        for name in ("min_leaf", "max_features", "max_rows"):
            positive(self, name, whole=True)
        if not isinstance(self.smooth, bool):
            raise ParameterError(f"smooth={self.smooth!r} of the augmenter 'cart' must be a bool.")

    def _learn(self, rng: np.random.Generator) -> None:
        self.rows_ = self.real_.sampled(max(self.max_rows, 2), rng)
        self._values = self.rows_.coded
        #: Numbers of categories; 0 in other columns.
        self._kinds = [
            max(len(c.categories), 1) if c.kind == "categorical" else 0
            for c in self.rows_.schema.columns
        ]
        self._steps = [self._step(j, rng) for j in range(self.rows_.n_columns)]

    def _step(self, j: int, rng: np.random.Generator) -> _Step:
        rows, target = self.rows_, self._values[:, j]
        slot = np.flatnonzero(rows.number_columns == j)
        order_by = rows.numbers[:, slot[0]] if len(slot) else None
        categorical = self._kinds[j] > 0
        y = (
            _states(target, self._kinds[j], self.min_leaf)
            if categorical
            else _outputs(target, rows.weight)
        )
        ranks: dict[int, np.ndarray] = {}
        tree = None
        leaves = np.zeros(len(rows), dtype=np.int64)
        if j and y is not None:
            ranks = {
                i: _ranks(self._values[:, i], self._kinds[i], y, rows.weight, self.min_leaf)
                for i in range(j)
                if self._kinds[i]
            }
            tree = self._tree(categorical, j, rng)
            X = _predictors(self._values[:, :j], ranks)
            tree.fit(X, y, sample_weight=rows.weight)
            leaves = tree.apply(X)
        return _Step(tree, ranks, _Leaves(leaves, rows.weight, order_by))

    def _tree(self, categorical: bool, width: int, rng: np.random.Generator) -> Any:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        kind = DecisionTreeClassifier if categorical else DecisionTreeRegressor
        return kind(
            min_samples_leaf=self.min_leaf,
            max_features=min(width, self.max_features),
            random_state=int(rng.integers(2**31)),
        )

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        rows = self.rows_
        values = np.empty((n, rows.n_columns), dtype=np.float32)
        donors = np.empty((n, rows.n_columns), dtype=np.int64)
        numbers = np.full((n, len(rows.number_columns)), np.nan) if self.smooth else None
        slots = {int(c): k for k, c in enumerate(rows.number_columns)}
        for j, step in enumerate(self._steps):
            leaf = np.zeros(n, dtype=np.int64)
            if step.tree is not None:
                leaf = step.tree.apply(_predictors(values[:, :j], step.ranks))
            place = step.leaves.draw(leaf, rng)
            donors[:, j] = step.leaves.order[place]
            values[:, j] = self._values[donors[:, j], j]
            if numbers is not None and j in slots:
                drawn = step.leaves.between(place, rng)
                if rows.limits[2][slots[j]]:
                    drawn = np.round(drawn)
                values[:, j] = numbers[:, slots[j]] = drawn
        return rows.table(donors, numbers)


@dataclass(frozen=True)
class _Step:
    """How one column is drawn: its tree, the order of categories before it, and its leaves."""

    tree: Any
    ranks: dict[int, np.ndarray]
    leaves: _Leaves


class _Leaves:
    """The real rows of each leaf, to be drawn by weight."""

    def __init__(self, leaf: np.ndarray, weight: np.ndarray, numbers: np.ndarray | None) -> None:
        # Within a leaf in the order of the values, missing ones last.
        self.order = np.lexsort((leaf,) if numbers is None else (numbers, leaf))
        self.leaf = leaf[self.order]
        self.numbers = None if numbers is None else numbers[self.order]
        edges = np.concatenate([[0.0], np.cumsum(weight[self.order])])
        self.edges = edges[1:]
        count = int(leaf.max()) + 1
        self.first = np.searchsorted(self.leaf, np.arange(count), side="left")
        self.last = np.searchsorted(self.leaf, np.arange(count), side="right") - 1
        self.start, self.stop = edges[self.first], edges[self.last + 1]

    def draw(self, leaf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each made row, a place in ``order`` within its leaf."""
        at = self.start[leaf] + rng.random(len(leaf)) * (self.stop - self.start)[leaf]
        place = np.searchsorted(self.edges, at, side="right")
        return np.clip(place, self.first[leaf], self.last[leaf])

    def between(self, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Numbers between the values at these places and the next ones of the same leaf."""
        assert self.numbers is not None
        following = np.minimum(place + 1, len(self.numbers) - 1)
        value, upper = self.numbers[place], self.numbers[following]
        alone = (self.leaf[following] != self.leaf[place]) | np.isnan(upper)
        return value + rng.random(len(place)) * (np.where(alone, value, upper) - value)


def _states(codes: np.ndarray, k: int, min_rows: int) -> np.ndarray | None:
    """(n,) classes for a tree: common categories, missing, and all others; None if all are one."""
    states = np.where(np.isnan(codes), k, codes).astype(np.int64)
    counts = np.bincount(states, minlength=k + 1)
    common = np.argsort(-counts, kind="stable")[: _MAX_STATES - 1]
    common = common[counts[common] >= max(min_rows, 3)]
    place = np.full(k + 1, len(common), dtype=np.int64)
    place[common] = np.arange(len(common))
    classes = place[states]
    return None if np.ptp(classes) == 0 else classes


def _outputs(values: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """(n, 1 or 2) what a tree regresses: the value, and whether it is missing; None if constant.

    Both are standardised, so that the tree splits rows by whichever it can tell better.
    """
    missing = np.isnan(values)
    columns = []
    for column, known in (
        (values.astype(float), ~missing),
        (missing.astype(float), ~missing | True),
    ):
        if not known.any():
            continue
        mean = np.average(column[known], weights=weight[known])
        centred = np.where(known, column - mean, 0.0)
        spread = np.sqrt(np.average(centred**2, weights=weight))
        if spread > 1e-6 * max(abs(mean), 1e-30):
            columns.append(centred / spread)
    return np.column_stack(columns) if columns else None


def _ranks(
    codes: np.ndarray, k: int, y: np.ndarray, weight: np.ndarray, min_rows: int
) -> np.ndarray:
    """(k,) places of the categories in the order of their mean outcome, for a tree to split.

    In regression and with two classes, such an order contains the best split (Breiman et al.
    1984); with more, classes are ordered along the first axis of their frequencies (Coppersmith,
    Hong, Hosking 1999). Categories too rare for a leaf of their own share the middle.
    """
    known = ~np.isnan(codes)
    at, w = codes[known].astype(np.int64), weight[known]
    if y.ndim == 1:
        m = int(y.max()) + 1
        sums = np.bincount(at * m + y[known], w, minlength=k * m).reshape(k, m)
        prior = np.bincount(y, weight, minlength=m) / weight.sum()
    else:
        sums = np.stack([np.bincount(at, w * c[known], minlength=k) for c in y.T], axis=1)
        prior = np.zeros(y.shape[1])
    rows, mass = np.bincount(at, minlength=k), np.bincount(at, w, minlength=k)
    common = rows >= min_rows
    profile = np.zeros_like(sums)
    profile[common] = sums[common] / mass[common, None] - prior
    if profile.shape[1] == 1:
        score = profile[:, 0]
    else:
        _, _, axes = np.linalg.svd(profile * np.sqrt(mass)[:, None], full_matrices=False)
        axis = axes[0]
        # The sign of a singular vector is arbitrary; fix it.
        score = profile @ (axis * np.sign(axis[np.abs(axis).argmax()] or 1.0))
    # Rare categories share the score of an average row, and so one place.
    places = np.unique(np.round(np.where(common, score, 0.0), 9), return_inverse=True)[1]
    return places.astype(np.float32)


def _predictors(values: np.ndarray, ranks: dict[int, np.ndarray]) -> np.ndarray:
    """What a tree reads: numbers as they are, categories by their places."""
    out = np.array(values, dtype=np.float32, order="C")
    for i, places in ranks.items():
        known = ~np.isnan(out[:, i])
        out[known, i] = places[out[known, i].astype(np.int64)]
    return out
