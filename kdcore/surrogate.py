"""A small boosted model of soft labels, whose trees stand in for those of a teacher without any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kdcore.structure import TeacherStructure, sklearn_splits, structure_from_trees

if TYPE_CHECKING:
    from kdcore.schema import TableSchema
    from kdcore.targets import SoftTargets

__all__ = ["surrogate_structure"]

#: Most outputs that are boosted; more classes are projected on the axes along which they vary.
_MOST_OUTPUTS = 8


def surrogate_structure(
    schema: TableSchema,
    numbers: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    targets: SoftTargets,
    *,
    n_trees: int = 40,
    max_depth: int = 5,
    learning_rate: float = 0.2,
    max_rows: int = 20_000,
    rows_per_tree: int = 4_000,
    random_state: int = 0,
) -> TeacherStructure | None:
    """Boost multi-output trees on the teacher's outputs (the labels without one), by squared error.

    Parameters
    ----------
    schema : TableSchema
    numbers : array of shape (n, p)
        What ``schema.numbers`` gives.
    codes : array of shape (n, c)
        What ``schema.codes`` gives.
    weight : array of shape (n,)
    targets : SoftTargets of the n rows
    n_trees, max_depth, learning_rate
        Of the boosting.
    max_rows : int, default=20000
        Where there are more, so many are drawn.
    rows_per_tree : int, default=4000
        Of these, so many are drawn for each tree (Friedman 2002, Stochastic gradient boosting).
    random_state : int, default=0
        Draws rows, and breaks ties among splits.

    Returns
    -------
    TeacherStructure or None
        With ``source="surrogate"``; None where no split helps.
    """
    from sklearn.tree import DecisionTreeRegressor

    from kdcore.encoders.ordinal import OrdinalEncoder

    rng = np.random.default_rng(random_state)
    rows = np.flatnonzero(weight > 0)
    if len(rows) > max_rows:
        rows = np.sort(rng.choice(rows, max_rows, replace=False))
    numbers, codes, weight, targets = numbers[rows], codes[rows], weight[rows], targets.take(rows)
    ranks = OrdinalEncoder()
    ranks.learn_blocks(schema, numbers, codes, weight, targets)
    Z = ranks.encode(numbers, codes)
    residual = _outputs(targets, weight)
    trees = []
    p = Z.shape[1]
    for _ in range(n_trees):
        part = np.arange(len(Z))
        if len(Z) > rows_per_tree:
            part = np.sort(rng.choice(len(Z), rows_per_tree, replace=False))
        tree = DecisionTreeRegressor(
            max_depth=max_depth,
            min_samples_leaf=max(1, min(10, len(Z) // 20)),
            # Of many columns a split looks at some, or hundreds of them would take minutes.
            max_features=min(p, max(16, int(2 * p**0.5))),
            random_state=int(rng.integers(2**31 - 1)),
        ).fit(Z[part], residual[part], sample_weight=weight[part])
        residual -= learning_rate * tree.predict(Z).reshape(residual.shape)
        trees.append(tree.tree_)
    numeric = numbers.shape[1]
    return structure_from_trees(
        (sklearn_splits(tree, ranks.owners_, numeric) for tree in trees),
        schema.names,
        source="surrogate",
    )


def _outputs(targets: SoftTargets, weight: np.ndarray) -> np.ndarray:
    """What to predict as centred columns of like importance, few of them."""
    mix = targets.blended(1.0)
    values = mix[:, None] if targets.classes is None else mix
    values = values - np.average(values, axis=0, weights=weight)
    if values.shape[1] == 2 and targets.classes is not None:
        # The second probability says nothing new.
        values = values[:, 1:]
    elif values.shape[1] > _MOST_OUTPUTS:
        scatter = (values * weight[:, None]).T @ values
        values = values @ np.linalg.eigh(scatter)[1][:, -_MOST_OUTPUTS:]
    scale = np.abs(values).max()
    return values / scale if scale > 0 else values
