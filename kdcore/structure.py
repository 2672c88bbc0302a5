"""`TeacherStructure`: what a teacher's trees tell of the columns, for the encoders of students."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcore.candidates import describe_error
from kdcore.errors import KDWarning

__all__ = [
    "SplitTree",
    "TeacherStructure",
    "merge_structures",
    "sklearn_splits",
    "structure_from_trees",
    "structure_of",
]


@dataclass(frozen=True, eq=False)
class TeacherStructure:
    """Split thresholds and interacting pairs of columns.

    Parameters
    ----------
    thresholds : mapping of str to array of shape (t,)
        For each numeric raw column that is split on, the sorted distinct thresholds. Rows with
        ``x <= threshold`` go to one side.
    gains : mapping of str to array of shape (t,)
        For each of these columns, how much each threshold's splits improve the teacher, summed.
    pairs : tuple of (str, str, float), default=()
        Raw columns that a branch uses one below the other, with the gain of the lower splits;
        the largest first. A pair is named once, in the order of the table.
    source : {"teacher", "surrogate"}, default="teacher"
        Whose trees these are.
    columns : mapping of str to float, default={}
        The gain of all splits of each raw column, those between categories too; columns that are
        never split on may be left out.
    """

    thresholds: Mapping[str, np.ndarray] = field(default_factory=dict)
    gains: Mapping[str, np.ndarray] = field(default_factory=dict)
    pairs: tuple[tuple[str, str, float], ...] = ()
    source: str = "teacher"
    columns: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SplitTree:
    """One tree's splits as arrays over its nodes.

    Parameters
    ----------
    feature : int array of shape (m,)
        Position of the column that a node splits; negative in leaves.
    threshold : float array of shape (m,)
        NaN where a split has none that means something in the raw column, such as one between
        categories; its gain then counts for pairs only.
    gain : float array of shape (m,)
        How much the split improves the model; negative and missing values count as 0.
    left, right : int arrays of shape (m,)
        Positions of the children; negative where there is none.
    """

    feature: np.ndarray
    threshold: np.ndarray
    gain: np.ndarray
    left: np.ndarray
    right: np.ndarray


def structure_from_trees(
    trees: Iterable[SplitTree],
    names: Sequence[str],
    *,
    less_or_equal: bool = True,
    source: str = "teacher",
) -> TeacherStructure | None:
    """Sum up the splits of a model's trees.

    Parameters
    ----------
    trees : iterable of SplitTree
    names : sequence of str
        Raw columns by the positions that ``feature`` holds.
    less_or_equal : bool, default=True
        Whether rows with ``x <= threshold`` go to one side; else those with ``x < threshold``,
        and thresholds become the greatest float32 below them.
    source : str, default="teacher"

    Returns
    -------
    TeacherStructure or None
        None where there is no split at all.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    lower: list[np.ndarray] = []
    for tree in trees:
        feature = np.asarray(tree.feature, dtype=np.int64)
        gain = np.maximum(np.nan_to_num(np.asarray(tree.gain, dtype=float), posinf=0.0), 0.0)
        inner = np.flatnonzero(feature >= 0)
        parts.append((feature[inner], np.asarray(tree.threshold, dtype=float)[inner], gain[inner]))
        for children in (tree.left, tree.right):
            child = np.asarray(children, dtype=np.int64)[inner]
            above = inner[child >= 0]
            child = child[child >= 0]
            both = (feature[child] >= 0) & (feature[child] != feature[above])
            above, child = above[both], child[both]
            lower.append(np.stack([feature[above], feature[child], gain[child]]))
    if not parts or not sum(len(part[0]) for part in parts):
        return None
    feature, threshold, gain = (np.concatenate(column) for column in zip(*parts, strict=True))
    thresholds, gains = {}, {}
    told = np.isfinite(threshold)
    for j in np.unique(feature[told]):
        own = told & (feature == j)
        found, where = np.unique(
            _float32(threshold[own], less_or_equal=less_or_equal), return_inverse=True
        )
        thresholds[names[j]] = found
        gains[names[j]] = np.bincount(where, gain[own], minlength=len(found))
    ends = np.concatenate(lower, axis=1)
    codes, where = np.unique(
        ends[:2].min(axis=0) * len(names) + ends[:2].max(axis=0), return_inverse=True
    )
    sums = np.bincount(where, ends[2], minlength=len(codes))
    pairs = tuple(
        (names[int(codes[k]) // len(names)], names[int(codes[k]) % len(names)], float(sums[k]))
        for k in np.argsort(-sums, kind="stable")
    )
    return TeacherStructure(
        thresholds=thresholds,
        gains=gains,
        pairs=pairs,
        source=source,
        columns={names[j]: float(gain[feature == j].sum()) for j in np.unique(feature)},
    )


def merge_structures(
    structures: Sequence[TeacherStructure], weights: Sequence[float]
) -> TeacherStructure | None:
    """The structure of several teachers together; None where there is none.

    Gains are in each teacher's own units, so each is scaled to the teacher's share of 1 first.

    Parameters
    ----------
    structures : sequence of TeacherStructure
    weights : sequence of float, one for each
    """
    if not structures:
        return None
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    pairs: dict[tuple[str, str], float] = {}
    columns: dict[str, float] = {}
    for one, weight in zip(structures, weights, strict=True):
        total = sum(float(g.sum()) for g in one.gains.values())
        total = total or sum(gain for *_, gain in one.pairs) or 1.0
        for name, values in one.thresholds.items():
            found.setdefault(name, []).append((values, one.gains[name] * (weight / total)))
        for a, b, gain in one.pairs:
            key = (b, a) if (b, a) in pairs else (a, b)
            pairs[key] = pairs.get(key, 0.0) + gain * weight / total
        whole = sum(one.columns.values()) or 1.0
        for name, gain in one.columns.items():
            columns[name] = columns.get(name, 0.0) + gain * weight / whole
    thresholds, gains = {}, {}
    for name, several in found.items():
        values, where = np.unique(np.concatenate([v for v, _ in several]), return_inverse=True)
        thresholds[name] = values
        gains[name] = np.bincount(
            where, np.concatenate([g for _, g in several]), minlength=len(values)
        )
    ordered = sorted(pairs.items(), key=lambda item: -item[1])
    teachers = all(one.source == "teacher" for one in structures)
    return TeacherStructure(
        thresholds=thresholds,
        gains=gains,
        pairs=tuple((a, b, gain) for (a, b), gain in ordered),
        source="teacher" if teachers else "surrogate",
        columns=columns,
    )


def structure_of(teacher: Any) -> TeacherStructure | None:
    """The structure of a fitted teacher; None where it does not expose one.

    A teacher exposes it by a method ``structure()`` that returns a `TeacherStructure` whose
    columns are named as in the raw table, or None. scikit-learn's trees and ensembles of trees
    that were fitted to a frame of numbers are read without one. A method that fails is warned of.
    """
    ask = getattr(teacher, "structure", None)
    if ask is not None:
        try:
            return ask()
        except Exception as error:
            # A student can do without; what else the teacher does may be in order.
            warnings.warn(
                f"the structure of the teacher {type(teacher).__name__} cannot be read "
                f"({describe_error(error)}); student encoders use a small model of its labels "
                "instead",
                KDWarning,
                stacklevel=2,
            )
            return None
    return _of_fitted_trees(teacher)


def _of_fitted_trees(model: Any) -> TeacherStructure | None:
    """The structure of scikit-learn's fitted trees, forests and gradient boosting."""
    names = getattr(model, "feature_names_in_", None)
    # Members of a bagging ensemble may each number the columns in a way of their own.
    if names is None or hasattr(model, "estimators_features_"):
        return None
    members = [model]
    if not hasattr(model, "tree_"):
        several = getattr(model, "estimators_", None)
        if not isinstance(several, (list, np.ndarray)):
            return None
        members = list(np.ravel(np.asarray(several, dtype=object)))
    trees = [getattr(member, "tree_", None) for member in members]
    if not trees or any(not hasattr(tree, "children_left") for tree in trees):
        return None
    return structure_from_trees(map(sklearn_splits, trees), [str(name) for name in names])


def sklearn_splits(
    tree: Any, owners: np.ndarray | None = None, numeric: int | None = None
) -> SplitTree:
    """The splits of scikit-learn's ``tree_``, with the decrease of impurity as gain.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree
    owners : int array, optional
        The raw column of each column that the tree reads; None where these are the same.
    numeric : int, optional
        The first so many columns that it reads are numbers, and the others codes, whose
        thresholds mean nothing in the raw column; None for all.
    """
    left, right = tree.children_left, tree.children_right
    inner = left >= 0
    mass = tree.weighted_n_node_samples * tree.impurity
    gain = np.where(inner, mass - mass[left] - mass[right], 0.0)
    feature = np.where(inner, tree.feature, -1)
    coded = feature >= (np.inf if numeric is None else numeric)
    return SplitTree(
        feature=feature if owners is None else np.where(inner, owners[feature], -1),
        threshold=np.where(inner & ~coded, tree.threshold, np.nan),
        gain=gain,
        left=left,
        right=right,
    )


def _float32(values: np.ndarray, *, less_or_equal: bool) -> np.ndarray:
    """float32 thresholds that part float32 numbers by ``<=`` as the given ones part them."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
        lower = np.nextafter(rounded, np.float32(-np.inf))
    above = rounded > values if less_or_equal else rounded >= values
    below = np.where(above, lower, rounded)
    limit = np.finfo(np.float32).max
    return np.clip(below, -limit, limit)
