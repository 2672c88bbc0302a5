"""LightGBM's trees as the arrays that `kdcore.onnx_models.tree_ensemble` reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.errors import KDError
from kdcore.tree_sets import with_sets

__all__ = ["booster_to_onnx", "read_trees"]

#: LightGBM predicts numbers up to this size, and of either sign, as if they were 0.
_ZERO = float(np.float32(1e-35))


def read_trees(booster: Any) -> list[dict[str, Any]]:
    """The trees of a booster of numeric columns and of categories as codes.

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


def booster_to_onnx(booster: Any, schema: Any) -> Any:
    """The graph of a booster from raw columns to its predictions; see `kdcore.graph.raw_trees`.

    Parameters
    ----------
    booster : lightgbm.Booster
        Fitted to the columns of the schema, categories as codes.
    schema : TableSchema

    Raises
    ------
    KDError
        When its leaves, its objective or its way of boosting are of a kind that is not written.
    """
    from kdcore.graph import raw_trees

    dump = booster.dump_model()
    told = str(dump.get("objective", "custom")).split()
    links = {"binary": "logistic", "multiclass": "softmax", "regression": "identity"}
    plain = len(told) == 1 or told[1] == "sigmoid:1" or told[1].startswith("num_class:")
    linear = any(_is_linear(tree["tree_structure"]) for tree in dump["tree_info"])
    if told[0] not in links or not plain or dump.get("average_output") or linear:
        raise KDError(
            f"LightGBM models with the objective {' '.join(told)!r}, averaged or linear leaves "
            "cannot be written as ONNX; plain trees for classes or squared error can."
        )
    # LightGBM compares doubles, ONNX floats. A threshold often is a value that rows have, written
    # with few digits; rounded as that value is, it keeps such rows on their side.
    with np.errstate(over="ignore"):
        trees = [
            {**tree, "threshold": tree["threshold"].astype(np.float32)}
            for tree in read_trees(booster)
        ]
    return raw_trees(
        schema,
        trees,
        n_outputs=dump["num_tree_per_iteration"],
        less_or_equal=True,
        link=links[told[0]],
    )


def _is_linear(node: dict[str, Any]) -> bool:
    while "left_child" in node:
        node = node["left_child"]
    return "leaf_coeff" in node


def _arrays(root: dict[str, Any]) -> dict[str, Any]:
    rows: list[tuple[int, int, int, float, bool, float]] = []
    sets: dict[int, list[int]] = {}

    def add(node: dict[str, Any]) -> int:
        here = len(rows)
        rows.append((-1, -1, 0, 0.0, False, float(node.get("leaf_value", 0.0))))
        if node.get("decision_type") == "==":
            # Categories of the set go left; missing ones are in no set.
            sets[here] = [int(code) for code in node["threshold"].split("||")]
            left, right = add(node["left_child"]), add(node["right_child"])
            rows[here] = (left, right, node["split_feature"], 0.0, False, 0.0)
        elif "split_feature" in node:
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
    arrays = {
        "left": np.array(left),
        "right": np.array(right),
        "feature": np.array(feature),
        "threshold": np.array(threshold),
        "missing_left": np.array(missing_left, dtype=bool),
        "value": np.array(value),
    }
    return with_sets(arrays, sets) if sets else arrays
