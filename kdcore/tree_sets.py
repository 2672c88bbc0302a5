"""Splits of categories in trees: a set of codes becomes a chain of comparisons with one code each.

ONNX trees compare numbers only. All comparisons of a chain share the child that rows of the set go
to, so the tree does not grow with the sets' subtrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["with_sets"]


def with_sets(tree: Mapping[str, Any], sets: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    """A tree in which rows whose category is in a node's set go left at that node.

    Parameters
    ----------
    tree : mapping
        Arrays over nodes, as in `kdcore.onnx_models.tree_ensemble`.
    sets : mapping of int to sequence of int
        Node to the codes whose rows go left; ``missing_left`` says where missing values go.

    Returns
    -------
    dict
        The same arrays with further nodes at the end, and ``equal`` (bool): whether a node asks
        ``x == threshold``.
    """
    names = ("left", "right", "feature", "threshold", "missing_left")
    nodes: dict[str, list[Any]] = {name: list(tree[name]) for name in names}
    values = [*tree["value"]]
    equal = [False] * len(values)

    def add(left: int, right: int, feature: int, code: float) -> int:
        for name, item in zip(names, (left, right, feature, code, False), strict=True):
            nodes[name].append(item)
        values.append(np.zeros_like(values[0]))
        equal.append(True)
        return len(equal) - 1

    for node, codes in sets.items():
        left, after, feature = (nodes[n][node] for n in ("left", "right", "feature"))
        equal[node] = True
        # An empty set is a comparison with a code that no row has.
        first, *others = list(codes) or [-1]
        nodes["threshold"][node] = float(first)
        for code in reversed(others):
            after = add(left, after, feature, float(code))
        nodes["right"][node] = after
    arrays = {
        "left": np.array(nodes["left"], dtype=int),
        "right": np.array(nodes["right"], dtype=int),
        "feature": np.array(nodes["feature"], dtype=int),
        "threshold": np.array(nodes["threshold"], dtype=float),
        "missing_left": np.array(nodes["missing_left"], dtype=bool),
        "value": np.array(values),
        "equal": np.array(equal),
    }
    return {**tree, **arrays}
