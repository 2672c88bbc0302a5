"""A small boosted model of soft labels, whose trees stand in for those of a teacher without any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.structure import TeacherStructure, sklearn_splits, structure_from_trees

if TYPE_CHECKING:
    from kdcore.schema import TableSchema
    from kdcore.targets import SoftTargets

__all__ = ["Surrogate", "fit_surrogate", "surrogate_structure"]

#: Most outputs that are boosted; more classes are projected on the axes along which they vary.
_MOST_OUTPUTS = 8


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted surrogate; see `fit_surrogate`.

    Parameters
    ----------
    schema : TableSchema
    ranks : OrdinalEncoder
    trees : list of fitted DecisionTreeRegressor
    learning_rate : float
    outputs : callable
        From `SoftTargets` to what is predicted, (n, k).
    """

    schema: TableSchema
    ranks: Any
    trees: list[Any]
    learning_rate: float
    outputs: _Outputs

    def structure(self) -> TeacherStructure | None:
        """Its splits, with ``source="surrogate"``; None where no split helps."""
        return structure_from_trees(
            (
                sklearn_splits(tree.tree_, self.ranks.owners_, len(self.schema.numeric))
                for tree in self.trees
            ),
            self.schema.names,
            source="surrogate",
        )

    def encode(self, frame: Any) -> np.ndarray:
        """What the trees read, (n, p); ``ranks.owners_`` tells the raw column of each."""
        return np.asarray(self.ranks.encode(self.schema.numbers(frame), self.schema.codes(frame)))

    def losses(self, Z: np.ndarray, targets: SoftTargets) -> np.ndarray:
        """Squared error (n,) of encoded rows."""
        goal = self.outputs(targets)
        rows = np.ascontiguousarray(Z, dtype=np.float32)
        rest = goal.copy()
        for tree in self.trees:
            # Without the checks of `predict`, which take longer than small trees themselves.
            rest -= self.learning_rate * tree.tree_.predict(rows).reshape(goal.shape)
        return np.asarray((rest**2).sum(axis=1))


def surrogate_structure(
    schema: TableSchema,
    numbers: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    targets: SoftTargets,
    **options: Any,
) -> TeacherStructure | None:
    """The structure of a model that `fit_surrogate` fits; parameters are the same."""
    return fit_surrogate(schema, numbers, codes, weight, targets, **options).structure()


def fit_surrogate(
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
) -> Surrogate:
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
    outputs = _Outputs(targets, weight)
    residual = outputs(targets)
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
        trees.append(tree)
    return Surrogate(schema, ranks, trees, learning_rate, outputs)


class _Outputs:
    """What to predict as centred columns of like importance, few of them."""

    def __init__(self, targets: SoftTargets, weight: np.ndarray) -> None:
        values = _mix(targets)
        self.mean = np.average(values, axis=0, weights=weight)
        values = values - self.mean
        self.basis: np.ndarray | None = None
        if values.shape[1] > _MOST_OUTPUTS:
            scatter = (values * weight[:, None]).T @ values
            self.basis = np.linalg.eigh(scatter)[1][:, -_MOST_OUTPUTS:]
            values = values @ self.basis
        self.scale = np.abs(values).max() or 1.0

    def __call__(self, targets: SoftTargets) -> np.ndarray:
        values = _mix(targets) - self.mean
        return np.asarray((values if self.basis is None else values @ self.basis) / self.scale)


def _mix(targets: SoftTargets) -> np.ndarray:
    mix = targets.blended(1.0)
    if targets.classes is None:
        return mix[:, None]
    # Of two classes, the second probability says nothing new.
    return mix[:, 1:] if mix.shape[1] == 2 else mix
