"""The trees of a ``TreeEnsembleRegressor`` as arrays, for the formats that walk them themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcore.errors import KDError

__all__ = ["MODES", "TreeNodes", "tree_nodes"]

#: What a node asks of its number x and threshold t: nothing, ``x <= t``, ``x < t``, ``x == t``.
MODES = {"LEAF": 0, "BRANCH_LEQ": 1, "BRANCH_LT": 2, "BRANCH_EQ": 3}


@dataclass(frozen=True)
class TreeNodes:
    """All nodes of all trees, one after the other.

    Parameters
    ----------
    roots : list of int
        Position of each tree's first node.
    tree : list of int
        Of each node, its tree's position in ``roots``.
    modes : list of int
        Of each node, one of `MODES`.
    missing : list of bool
        Whether a missing number goes the way of "yes".
    feature : list of int
    threshold : list of float
    yes, no : list of int
        Positions of a node's children; a leaf's own.
    leaves : dict of int to list of (int, float)
        By the position of a leaf: what it adds to which output.
    base : list of float
        What each output begins with.
    """

    roots: list[int]
    tree: list[int]
    modes: list[int]
    missing: list[bool]
    feature: list[int]
    threshold: list[float]
    yes: list[int]
    no: list[int]
    leaves: dict[int, list[tuple[int, float]]]
    base: list[float]

    def depth(self) -> int:
        """Questions on the longest way from a root to a leaf."""
        at = np.array(self.roots)
        yes, no = np.array(self.yes), np.array(self.no)
        asks = np.array(self.modes) > 0
        for depth in range(len(self.modes) + 1):
            at = np.unique(at[asks[at]])
            if not len(at):
                return depth
            at = np.concatenate([yes[at], no[at]])
        raise KDError("the model's trees are damaged: their nodes lead in a circle.")


def tree_nodes(node: Any, form: str) -> TreeNodes:
    """Read an ONNX node of trees.

    Parameters
    ----------
    node : onnx.NodeProto
    form : str
        What the trees become, for messages.

    Raises
    ------
    KDError
        When it has a kind of node, or a way to add up, that is not known here.
    """
    from onnx import helper

    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    modes = [m.decode() for m in given["nodes_modes"]]
    odd = sorted(set(modes) - set(MODES))
    if odd or given.get("aggregate_function", b"SUM") != b"SUM":
        raise KDError(f"trees with {', '.join(odd) or 'another sum'} cannot be written as {form}.")
    if given.get("post_transform", b"NONE") != b"NONE":
        raise KDError(f"trees with a transformed output cannot be written as {form}.")
    keys = list(zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True))
    place = {key: i for i, key in enumerate(keys)}
    missing = given.get("nodes_missing_value_tracks_true") or [0] * len(keys)
    leaves: dict[int, list[tuple[int, float]]] = {}
    targets = (given[f"target_{n}"] for n in ("treeids", "nodeids", "ids", "weights"))
    for tree, leaf, output, weight in zip(*targets, strict=True):
        leaves.setdefault(place[tree, leaf], []).append((output, weight))
    roots: dict[int, int] = {}
    yes, no = list(range(len(keys))), list(range(len(keys)))
    for i, (tree, _) in enumerate(keys):
        # A tree's first node is its root.
        roots.setdefault(tree, i)
        if modes[i] != "LEAF":
            yes[i] = place[tree, given["nodes_truenodeids"][i]]
            no[i] = place[tree, given["nodes_falsenodeids"][i]]
    number = {tree: i for i, tree in enumerate(roots)}
    return TreeNodes(
        roots=list(roots.values()),
        tree=[number[tree] for tree, _ in keys],
        modes=[MODES[m] for m in modes],
        missing=[bool(m) for m in missing],
        feature=list(given["nodes_featureids"]),
        threshold=list(given["nodes_values"]),
        yes=yes,
        no=no,
        leaves=leaves,
        base=list(given.get("base_values") or [0.0] * given["n_targets"]),
    )
