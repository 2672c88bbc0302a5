"""LightGBM's trees as the arrays that `kdcore.onnx_models.tree_ensemble` reads."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["read_trees"]

#: LightGBM predicts numbers up to this size, and of either sign, as if they were 0.
_ZERO = float(np.float32(1e-35))


def read_trees(booster: Any) -> list[dict[str, Any]]:
    """The trees of a booster of numeric columns.

    LightGBM sends NaN where it sends 0 if a column had no NaN in training, and to the learned
    side if it had some; both become ``missing_left``.

    Parameters
    ----------
    booster : lightgbm.Booster

    Returns
    -------
    list of dict
        One for each tree, with ``output``, the score that it adds to.
    """
    dump = booster.dump_model()
    per_round = dump["num_tree_per_iteration"]
    return [
        {**_arrays(tree["tree_structure"]), "output": number % per_round}
        for number, tree in enumerate(dump["tree_info"])
    ]


def _arrays(root: dict[str, Any]) -> dict[str, np.ndarray]:
    rows: list[tuple[int, int, int, float, bool, float]] = []

    def add(node: dict[str, Any]) -> int:
        here = len(rows)
        rows.append((-1, -1, 0, 0.0, False, float(node.get("leaf_value", 0.0))))
        if "split_feature" in node:
            threshold = float(node["threshold"])
            if threshold == -_ZERO:
                threshold = np.nextafter(threshold, -1.0)
            learned = node["missing_type"] == "NaN"
            left_if_missing = node["default_left"] if learned else threshold >= 0
            left, right = add(node["left_child"]), add(node["right_child"])
            rows[here] = (left, right, node["split_feature"], threshold, left_if_missing, 0.0)
        return here

    add(root)
    left, right, feature, threshold, missing_left, value = zip(*rows, strict=True)
    return {
        "left": np.array(left),
        "right": np.array(right),
        "feature": np.array(feature),
        "threshold": np.array(threshold),
        "missing_left": np.array(missing_left, dtype=bool),
        "value": np.array(value),
    }
