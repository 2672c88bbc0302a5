"""How many rows a student is fitted to, where its encoding makes them much wider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.encoders import make_encoder
from kdcore.notes import note

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.targets import SoftTargets

__all__ = ["MOST_CELLS", "affordable_rows"]

#: Most encoded cells (rows times encoded columns, of 4 bytes) that a student is fitted to, unless
#: the table itself has half as many, which then take no more memory than the table does.
MOST_CELLS = 32_000_000
#: Rows that tell how wide the encoding is.
_PROBED = 5_000


def affordable_rows(
    estimator: Any,
    X: pd.DataFrame,
    targets: SoftTargets,
    *,
    most_cells: int = MOST_CELLS,
    random_state: int = 0,
) -> tuple[np.ndarray | None, str]:
    """Positions of the rows that a student is fitted to; None for all of them.

    Parameters
    ----------
    estimator : Student
        Unfitted; its encoder tells how wide a row becomes.
    X : table of n rows
    targets : SoftTargets of these rows
    most_cells : int, default=32000000
        Rows times encoded columns; twice the cells of the table are allowed in any case.
    random_state : int, default=0
        Draws the rows. All are equally likely, so that weights keep their meaning.

    Returns
    -------
    rows : int array, sorted, or None
    note : str
        What a report should say; empty where all rows are used.
    """
    n, p = X.shape
    limit = max(most_cells, 2 * n * p)
    encoder = make_encoder(estimator.encoder)
    if n * _widest(encoder, X) <= limit:
        return None, ""
    rng = np.random.default_rng(random_state)
    some = np.sort(rng.choice(n, min(n, _PROBED), replace=False))
    some = some[targets.sample_weight[some] > 0]
    part = targets.take(some)
    width = len(encoder.fit(X.iloc[some], part, part.sample_weight).owners_)
    keep = limit // width
    if n <= keep:
        return None, ""
    rows = np.sort(rng.choice(n, keep, replace=False))
    return rows, note(
        "part_of_rows",
        encoder=estimator.encoder,
        width=width,
        size=limit * 4 / 1e6,
        rows=keep,
        all_rows=n,
    )


def _widest(encoder: Any, X: pd.DataFrame) -> float:
    """No fewer columns than an encoder makes; infinite for one that we do not know."""
    names = ("n_bins", "n_knots", "max_categories", "pairs", "pair_steps")
    told = {name: getattr(encoder, name, 0) for name in names}
    if not type(encoder).__module__.startswith("kdcore.encoders."):
        return float("inf")
    width = told["pairs"] * told["pair_steps"] ** 2
    for dtype in X.dtypes:
        if str(dtype) == "category":
            width += min(len(dtype.categories), told["max_categories"]) + 2
        else:
            # A number itself, its bins or its cubic splines, and the mark of a gap.
            width += max(1, told["n_bins"], told["n_knots"] + 2) + 1
    return float(width)
