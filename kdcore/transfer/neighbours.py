"""Rows between near neighbours: MUNGE and SMOTE, and mixup with its partners from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kdcore.transfer.base import Augmenter, positive, share
from kdcore.transfer.rows import RealRows, WeightedDraw

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Mixup", "Munge", "Smote", "between", "nearest", "some_cells"]

#: Multiplications that a search for neighbours may cost, and the rows to search in at least.
_PRODUCTS, _FEWEST = 4e10, 2000


@dataclass(kw_only=True, eq=False)
class Munge(Augmenter):
    """MUNGE: some cells of a row are moved to those of a near neighbour, with noise.

    Each cell is changed with probability ``p``, and at least one that differs. A changed number
    is drawn from a normal distribution around the neighbour's, its standard deviation their
    distance over ``s``; anything else is copied from the neighbour. The paper takes the nearest
    neighbour; one of several gives more diverse rows.

    Parameters
    ----------
    neighbours : int, default=5
    p : float, default=0.25
    s : float, default=5.0
    max_rows : int, default=20000
        Most real rows (a random sample beyond).

    References
    ----------
    Bucila, Caruana, Niculescu-Mizil: Model compression. KDD 2006.
    """

    name: ClassVar[str] = "munge"

    neighbours: int = 5
    p: float = 0.25
    s: float = 5.0
    max_rows: int = 20_000

    def _check(self) -> None:
        for name in ("neighbours", "max_rows"):
            positive(self, name, whole=True)
        share(self, "p")
        positive(self, "s")

    def _learn(self, rng: np.random.Generator) -> None:
        self.rows_ = self.real_.sampled(max(self.max_rows, 2), rng, distinct=True)
        self._near = nearest(self.rows_, self.neighbours, rng)
        self._pick = WeightedDraw(self.rows_.weight)

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        rows = self.rows_
        own = self._pick(n, rng)
        other = self._near[own, rng.integers(self._near.shape[1], size=n)]
        changed = some_cells(rows.differ(own, other), self.p, rng)
        mine, theirs = rows.numbers[own], rows.numbers[other]
        # A gap on either side leaves a NaN here, and the neighbour's cell is copied as it is.
        noise = rng.standard_normal(mine.shape) * (np.abs(mine - theirs) / self.s)
        moved = theirs + np.nan_to_num(noise)
        numbers = np.where(changed[:, rows.number_columns], moved, mine)
        return rows.table(np.where(changed, other[:, None], own[:, None]), numbers)


@dataclass(kw_only=True, eq=False)
class Smote(Augmenter):
    """Points on the line from a row to one of its nearest neighbours, whatever their classes.

    Cells that are no numbers, or missing on one side, are copied from either end, the nearer one
    more often.

    Parameters
    ----------
    neighbours : int, default=5
    max_rows : int, default=20000
        Most real rows (a random sample beyond).

    References
    ----------
    Chawla, Bowyer, Hall, Kegelmeyer: SMOTE. Journal of Artificial Intelligence Research 16, 2002.
    """

    name: ClassVar[str] = "smote"

    neighbours: int = 5
    max_rows: int = 20_000

    def _check(self) -> None:
        for name in ("neighbours", "max_rows"):
            positive(self, name, whole=True)

    def _learn(self, rng: np.random.Generator) -> None:
        self.rows_ = self.real_.sampled(max(self.max_rows, 2), rng, distinct=True)
        self._near = nearest(self.rows_, self.neighbours, rng)
        self._pick = WeightedDraw(self.rows_.weight)

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        own = self._pick(n, rng)
        other = self._near[own, rng.integers(self._near.shape[1], size=n)]
        return between(self.rows_, own, other, rng.random(n), rng)


@dataclass(kw_only=True, eq=False)
class Mixup(Augmenter):
    """Points on the line between two rows from anywhere; the teacher labels them, not a mixture.

    Parameters
    ----------
    alpha : float, default=1.0
        Both parameters of the beta distribution of the place on the line; 1 is uniform, less is
        nearer to the ends.

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz: mixup: beyond empirical risk minimization. ICLR 2018.
    """

    name: ClassVar[str] = "mixup"

    alpha: float = 1.0

    def _check(self) -> None:
        positive(self, "alpha")

    def _learn(self, rng: np.random.Generator) -> None:
        self._pick = WeightedDraw(self.real_.weight)

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        own, other = self._pick(n, rng), self._pick(n, rng)
        return between(self.real_, own, other, rng.beta(self.alpha, self.alpha, n), rng)


def between(
    rows: RealRows, own: np.ndarray, other: np.ndarray, way: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Rows at a share ``way`` (n,) of the line from real rows ``own`` to ``other``."""
    crossed = rng.random((len(own), rows.n_columns)) < way[:, None]
    mine, theirs = rows.numbers[own], rows.numbers[other]
    line = mine + way[:, None] * (theirs - mine)
    copied = np.where(crossed[:, rows.number_columns], theirs, mine)
    numbers = np.where(np.isnan(line), copied, line)
    return rows.table(np.where(crossed, other[:, None], own[:, None]), numbers)


def some_cells(differ: np.ndarray, p: float, rng: np.random.Generator) -> np.ndarray:
    """Boolean mask of cells to change: each with probability p, and in every row one that differs.

    A row that stays as it is teaches nothing, and the teacher would label a row that it was
    fitted on. Only where no cell differs is none changed.
    """
    score = rng.random(differ.shape)
    out = score < p
    same = np.flatnonzero(~(out & differ).any(axis=1))
    least = np.where(differ[same], score[same], 2.0).argmin(axis=1)
    out[same, least] = True
    return out


def nearest(rows: RealRows, k: int, rng: np.random.Generator) -> np.ndarray:
    """(n, k) positions of near other rows in the standard encoding; all of them if there are few.

    In large and wide tables neighbours are looked for in a random sample of the rows, so that the
    time is bounded.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    from kdcore.encoders import StandardEncoder

    n = len(rows)
    if n == 1:
        return np.zeros((1, 1), dtype=np.int64)
    k = min(k, n - 1)
    encoder = StandardEncoder(min_frequency=1).fit(rows.frame, sample_weight=rows.weight)
    points = encoder.transform(rows.frame)
    most = max(int(_PRODUCTS / points.size), _FEWEST, k + 1)
    among = np.arange(n)
    if n > most:
        among = np.sort(rng.choice(n, most, replace=False))
    # With several threads, which of equally near rows comes first would be a matter of luck.
    with threadpool_limits(1):
        index = NearestNeighbors(n_neighbors=k + 1).fit(points[among])
        found = among[index.kneighbors(points, return_distance=False)]
    # The row itself is mostly, but not surely, the first of its neighbours.
    itself = found == np.arange(n)[:, None]
    return np.take_along_axis(found, np.argsort(itself, axis=1, kind="stable"), axis=1)[:, :k]
