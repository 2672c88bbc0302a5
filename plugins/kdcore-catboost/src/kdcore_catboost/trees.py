"""CatBoost's oblivious trees as the arrays that `kdcore.onnx_models.tree_ensemble` reads."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_trees", "with_normalised_sigmoids"]


def read_trees(model: Any, n_outputs: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The trees of a model of numeric columns, expanded, and its bias (n_outputs,).

    CatBoost goes right where ``x > border``, so ``x <= border`` goes left, and so does NaN unless
    the model says that it counts as the largest number.

    Parameters
    ----------
    model : catboost.CatBoost or None
        None stands for a model without trees.
    n_outputs : int
    """
    if model is None:
        return [_leaf(n_outputs)], np.zeros(n_outputs)
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        told = json.loads(path.read_text(encoding="utf-8"))
    scale, bias = told["scale_and_bias"]
    columns = {c["feature_index"]: c for c in told["features_info"]["float_features"]}
    trees = []
    for tree in told["oblivious_trees"]:
        values = scale * np.array(tree["leaf_values"], dtype=float).reshape(-1, n_outputs)
        questions = []
        for split in tree.get("splits") or ():
            column = columns[split["float_feature_index"]]
            missing_left = column["nan_value_treatment"] != "AsTrue"
            questions.append((column["flat_feature_index"], split["border"], missing_left))
        trees.append(_expanded(questions, values))
    return trees or [_leaf(n_outputs)], np.broadcast_to(bias, n_outputs).astype(float)


def _expanded(questions: list[tuple[int, float, bool]], values: np.ndarray) -> dict[str, Any]:
    """Nodes level by level; all in level k ask question k, whose answer is bit k of a leaf."""
    depth = len(questions)
    inner, n = 2**depth - 1, 2 ** (depth + 1) - 1
    at = np.arange(n)
    level = np.floor(np.log2(at + 1)).astype(int)
    is_inner = at < inner
    asked = [questions[k] if k < depth else (0, 0.0, False) for k in level]
    left = np.where(is_inner, 2 * at + 1, -1)
    value = np.zeros((n, values.shape[1]))
    for position in range(2**depth):
        # The first question decides at the root, and is the lowest bit of CatBoost's number.
        number = sum(((position >> (depth - 1 - k)) & 1) << k for k in range(depth))
        value[inner + position] = values[number]
    return {
        "left": left,
        "right": np.where(is_inner, left + 1, -1),
        "feature": np.array([q[0] for q in asked]),
        "threshold": np.array([q[1] for q in asked]),
        "missing_left": np.array([q[2] for q in asked]),
        "value": value,
    }


def _leaf(n_outputs: int) -> dict[str, Any]:
    return _expanded([], np.zeros((1, n_outputs)))


def with_normalised_sigmoids(model: Any) -> Any:
    """An ONNX model whose output (n, K) becomes its sigmoids, each row divided by its sum."""
    from onnx import TensorProto, helper

    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        for i, output in enumerate(node.output):
            if output == name:
                node.output[i] = "margins"
    graph.node.extend(
        [
            helper.make_node("Sigmoid", ["margins"], ["single"]),
            helper.make_node("ReduceSum", ["single", "classes"], ["total"], keepdims=1),
            helper.make_node("Div", ["single", "total"], [name]),
        ]
    )
    graph.initializer.append(helper.make_tensor("classes", TensorProto.INT64, [1], [1]))
    return model
