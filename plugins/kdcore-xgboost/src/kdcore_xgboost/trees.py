"""XGBoost's trees: their splits, for student encoders, and all of them, for ONNX."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kdcore.errors import KDError
from kdcore.structure import SplitTree, TeacherStructure, structure_from_trees
from kdcore.tree_sets import with_sets

__all__ = ["booster_to_onnx", "structure_of_booster"]


def structure_of_booster(booster: Any, names: Sequence[str]) -> TeacherStructure | None:
    """Thresholds and pairs of a booster's trees; None where it has none (``gblinear``).

    Parameters
    ----------
    booster : xgboost.Booster
    names : sequence of str
        The raw columns in the order of training: XGBoost may know them by other names.
    """
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    # DART keeps its trees one level deeper.
    trees = model.get("gbtree", model).get("model", {}).get("trees")
    if trees is None:
        return None
    return structure_from_trees(map(_splits, trees), names, less_or_equal=False)


def _splits(tree: dict[str, Any]) -> SplitTree:
    left = np.array(tree["left_children"])
    inner = left >= 0
    between_categories = np.array(tree["split_type"]) == 1
    return SplitTree(
        feature=np.where(inner, np.array(tree["split_indices"]), -1),
        threshold=np.where(
            inner & ~between_categories, np.array(tree["split_conditions"], dtype=float), np.nan
        ),
        gain=np.array(tree["loss_changes"], dtype=float),
        left=left,
        right=np.array(tree["right_children"]),
    )


#: Objectives whose output is understood: the link, and the margin of a base score.
_LINKS = {
    "binary:logistic": "logistic",
    "multi:softprob": "softmax",
    "reg:squarederror": "identity",
}


def booster_to_onnx(booster: Any, schema: Any) -> Any:
    """The graph of a booster from raw columns to its predictions; see `kdcore.graph.raw_trees`.

    Parameters
    ----------
    booster : xgboost.Booster
        Fitted to the columns of the schema, categories as codes.
    schema : TableSchema

    Raises
    ------
    KDError
        When it has no trees, or an objective or a booster of a kind that is not written.
    """
    from kdcore.graph import raw_trees

    learner = json.loads(booster.save_raw("json"))["learner"]
    boosted, objective = learner["gradient_booster"], learner["objective"]["name"]
    if boosted["name"] != "gbtree" or objective not in _LINKS:
        raise KDError(
            f"XGBoost models of {boosted['name']} with the objective {objective} cannot be "
            "written as ONNX; gbtree with a plain objective can."
        )
    model, param = boosted["model"], learner["learner_model_param"]
    n_outputs = max(1, int(param["num_class"]))
    base = np.broadcast_to(np.array(json.loads(param["base_score"]), dtype=float), n_outputs)
    if objective == "binary:logistic":
        base = np.log(base / (1 - base))
    trees = [
        {**_arrays(tree), "output": output}
        for output, tree in zip(model["tree_info"], model["trees"], strict=True)
    ]
    return raw_trees(
        schema,
        trees,
        n_outputs=n_outputs,
        base=base.tolist(),
        less_or_equal=False,
        link=_LINKS[objective],
    )


def _arrays(tree: dict[str, Any]) -> dict[str, Any]:
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    arrays = {
        "left": np.array(tree["left_children"]),
        "right": np.array(tree["right_children"]),
        "feature": np.array(tree["split_indices"]),
        "threshold": conditions,
        "missing_left": np.array(tree["default_left"], dtype=bool),
        # A leaf's value stands where an inner node has its threshold.
        "value": conditions,
    }
    sets = {}
    for node, start, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        # Categories of the set go right, so the sides change places.
        sets[node] = tree["categories"][start : start + size]
        left, right = arrays["left"][node], arrays["right"][node]
        arrays["left"][node], arrays["right"][node] = right, left
        arrays["missing_left"][node] = not arrays["missing_left"][node]
    return with_sets(arrays, sets) if sets else arrays
