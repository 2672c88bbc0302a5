"""Rows from single columns: marginal swap, bootstrap with noise, and the Gaussian copula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kdcore.transfer.base import Augmenter, positive, share
from kdcore.transfer.neighbours import some_cells
from kdcore.transfer.rows import WeightedDraw

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Bootstrap", "Copula", "Swap"]


@dataclass(kw_only=True, eq=False)
class Swap(Augmenter):
    """Rows in which some cells, at least one, are those of random other rows.

    Parameters
    ----------
    p : float, default=0.15
        Probability of a cell.

    References
    ----------
    The swap noise of Jahrer (Porto Seguro's Safe Driver Prediction, 2017); as rows for a teacher
    to label, near to "spunge" in Ribeiro, Singh, Guestrin (KDD 2016).
    """

    name: ClassVar[str] = "swap"

    p: float = 0.15

    def _check(self) -> None:
        share(self, "p")

    def _learn(self, rng: np.random.Generator) -> None:
        self._pick = WeightedDraw(self.real_.weight)

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        own = self._pick(n, rng)
        others = self._pick((n, self.real_.n_columns), rng)
        swapped = some_cells(self.real_.differ(own, others), self.p, rng)
        return self.real_.table(np.where(swapped, others, own[:, None]))


@dataclass(kw_only=True, eq=False)
class Bootstrap(Augmenter):
    """Rows drawn with replacement, with normal noise on numbers.

    Parameters
    ----------
    noise : float, default=0.1
        Standard deviation of the noise, in those of the column.

    References
    ----------
    Efron: Bootstrap methods: another look at the jackknife. Annals of Statistics 7, 1979 (the
    smoothed bootstrap).
    """

    name: ClassVar[str] = "bootstrap"

    noise: float = 0.1

    def _check(self) -> None:
        positive(self, "noise")

    def _learn(self, rng: np.random.Generator) -> None:
        rows = self.real_
        self._pick = WeightedDraw(rows.weight)
        weight = np.where(np.isnan(rows.numbers), 0.0, rows.weight[:, None])
        total = weight.sum(axis=0)
        values = np.nan_to_num(rows.numbers)
        mean = (weight * values).sum(axis=0) / total
        self._scale = np.sqrt((weight * (values - mean) ** 2).sum(axis=0) / total) * self.noise

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        own = self._pick(n, rng)
        numbers = self.real_.numbers[own]
        return self.real_.table(own, numbers + self._scale * rng.standard_normal(numbers.shape))


@dataclass(kw_only=True, eq=False)
class Copula(Augmenter):
    """Gaussian copula: each column as it is distributed, joined by the correlation of ranks.

    Categories are ordered by frequency and missing values lie below all others; each takes its
    share of the unit interval. The correlation is shrunk (Ledoit, Wolf 2004), so that
    there may be more columns than rows.

    Parameters
    ----------
    max_rows : int, default=20000
        Most real rows (a random sample beyond).

    References
    ----------
    Sklar 1959; for tables, Patki, Wedge, Veeramachaneni: The synthetic data vault. DSAA 2016.
    """

    name: ClassVar[str] = "copula"

    max_rows: int = 20_000

    def _check(self) -> None:
        positive(self, "max_rows", whole=True)

    def _learn(self, rng: np.random.Generator) -> None:
        from scipy.special import ndtri
        from sklearn.covariance import ledoit_wolf
        from threadpoolctl import threadpool_limits

        rows = self.rows_ = self.real_.sampled(max(self.max_rows, 2), rng)
        n, p = len(rows), rows.n_columns
        keys = self._keys()
        scores = np.empty((n, p))
        self._order = np.empty((p, n), dtype=np.int64)
        self._edges = np.empty((p, n))
        for j in range(p):
            # Ties are broken at random: each of equal values takes its share of the interval.
            order = np.lexsort((rng.random(n), keys[:, j]))
            mass = rows.weight[order]
            edges = np.cumsum(mass) / mass.sum()
            scores[order, j] = ndtri(edges - mass / mass.sum() / 2)
            self._order[j], self._edges[j] = order, edges
        rows_drawn = WeightedDraw(rows.weight)(n, rng)
        weighted = scores if np.ptp(rows.weight) == 0 else scores[rows_drawn]
        # The last bits of matrix products depend on the number of threads.
        with threadpool_limits(1):
            covariance = ledoit_wolf(weighted)[0]
            scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
            values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        self._root = vectors * np.sqrt(np.maximum(values, 0.0))

    def _keys(self) -> np.ndarray:
        """(n, p) by what each column is ordered; missing values first."""
        rows = self.rows_
        keys = rows.coded.astype(float)
        # All digits, not those of float32 alone.
        keys[:, rows.number_columns] = rows.numbers
        for j, column in enumerate(rows.schema.columns):
            if column.kind == "categorical":
                known = ~np.isnan(keys[:, j])
                codes = keys[known, j].astype(np.int64)
                counts = np.bincount(codes, minlength=len(column.categories))
                keys[known, j] = np.argsort(np.argsort(-counts, kind="stable"))[codes]
        keys[np.isnan(keys)] = -np.inf
        return keys

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        from scipy.special import ndtr
        from threadpoolctl import threadpool_limits

        rows = self.rows_
        with threadpool_limits(1):
            u = ndtr(rng.standard_normal((n, rows.n_columns)) @ self._root.T)
        donors = np.empty((n, rows.n_columns), dtype=np.int64)
        numbers = np.empty((n, len(rows.number_columns)))
        slots = {int(c): k for k, c in enumerate(rows.number_columns)}
        last = len(rows) - 1
        for j in range(rows.n_columns):
            order, edges = self._order[j], self._edges[j]
            place = np.minimum(np.searchsorted(edges, u[:, j], side="right"), last)
            donors[:, j] = order[place]
            if j in slots:
                k = slots[j]
                value = rows.numbers[order[place], k]
                upper = rows.numbers[order[np.minimum(place + 1, last)], k]
                below = np.where(place > 0, edges[place - 1], 0.0)
                way = np.clip((u[:, j] - below) / (edges[place] - below), 0.0, 1.0)
                numbers[:, k] = value + way * (upper - value)
        return rows.table(donors, numbers)
