"""CatBoost's oblivious trees as the arrays that `kdcore.onnx_models.tree_ensemble` reads."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from catboost import Pool

from kdcore.errors import KDError
from kdcore.tree_sets import with_sets
from kdcore_catboost.frames import MISSING_TEXT

__all__ = ["model_to_onnx", "read_trees", "with_normalised_sigmoids"]


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
    return _read(_told(model), n_outputs, {})


def model_to_onnx(model: Any, schema: Any, n_classes: int) -> Any:
    """The graph of a model from raw columns to its predictions; see `kdcore.graph.raw_trees`.

    Parameters
    ----------
    model : catboost.CatBoostClassifier or CatBoostRegressor
        Fitted to the columns of the schema, categories as texts.
    schema : TableSchema
    n_classes : int
        0 in regression.

    Raises
    ------
    KDError
        When it has asymmetric trees, statistics of categories (only columns of few categories are
        read one by one, see ``one_hot_max_size``), or a loss of a kind that is not written.
    """
    from kdcore.graph import raw_trees

    loss = str(model.get_all_params().get("loss_function"))
    links = {"Logloss": "logistic", "MultiClass": "softmax", "RMSE": "identity"}
    if loss not in links:
        raise KDError(f"CatBoost models with the loss {loss} cannot be written as ONNX.")
    n_outputs = n_classes if links[loss] == "softmax" else 1
    told = _told(model, _pool_of_categories(schema))
    trees, bias = _read(told, n_outputs, _codes_by_hash(told, schema))
    return raw_trees(
        schema,
        trees,
        n_outputs=n_outputs,
        base=bias.tolist(),
        less_or_equal=True,
        link=links[loss],
    )


def _told(model: Any, pool: Any = None) -> dict[str, Any]:
    """What CatBoost says of a model in JSON; with a pool, of the hashes of its texts too."""
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json", pool=pool)
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def _pool_of_categories(schema: Any) -> Any:
    """Rows in which every category occurs; None where there are no categories."""
    import pandas as pd

    if not schema.categorical:
        return None
    texts = {c.name: [*c.categories, MISSING_TEXT] for c in schema.categorical}
    n = max(map(len, texts.values()))
    rows = {
        name: np.resize(np.array(texts[name], dtype=object), n) if name in texts else np.zeros(n)
        for name in schema.names
    }
    return Pool(pd.DataFrame(rows), label=np.arange(n), cat_features=list(texts))


def _codes_by_hash(told: dict[str, Any], schema: Any) -> dict[int, dict[int, list[int]]]:
    """By position of a column: CatBoost's hash of a category to its codes, -1 for missing."""
    hashes = {e["value"]: e["hash"] for e in told["features_info"].get("cat_features_hash", ())}
    found: dict[int, dict[int, list[int]]] = {}
    for position, column in enumerate(schema.columns):
        by_hash: dict[int, list[int]] = {}
        texts = [*column.categories, MISSING_TEXT] if column.kind == "categorical" else []
        for i, text in enumerate(texts):
            # Splits have the hash as a signed number of 32 bits.
            signed = (hashes[text] + 2**31) % 2**32 - 2**31
            by_hash.setdefault(signed, []).append(-1 if i == len(texts) - 1 else i)
        found[position] = by_hash
    return found


def _read(
    told: dict[str, Any], n_outputs: int, codes: dict[int, dict[int, list[int]]]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    if "oblivious_trees" not in told:
        raise KDError("CatBoost models of asymmetric trees cannot be written as ONNX.")
    scale, bias = told["scale_and_bias"]
    info = told["features_info"]
    columns = {c["feature_index"]: c for c in info.get("float_features") or []}
    texts = {c["feature_index"]: c for c in info.get("categorical_features") or []}
    trees = []
    for tree in told["oblivious_trees"]:
        values = scale * np.array(tree["leaf_values"], dtype=float).reshape(-1, n_outputs)
        questions = []
        for split in tree.get("splits") or ():
            if split["split_type"] == "FloatFeature":
                column = columns[split["float_feature_index"]]
                missing_left = column["nan_value_treatment"] != "AsTrue"
                position, border = column["flat_feature_index"], split["border"]
                questions.append(_Question(position, border, missing_left))
            elif split["split_type"] == "OneHotFeature":
                position = texts[split["cat_feature_index"]]["flat_feature_index"]
                asked = codes[position].get(split["value"], [])
                questions.append(_Question(position, 0.0, -1 in asked, tuple(asked)))
            else:
                raise KDError(
                    "CatBoost models with statistics of categories cannot be written as ONNX; "
                    "a larger one_hot_max_size avoids them."
                )
        trees.append(_expanded(questions, values))
    return trees or [_leaf(n_outputs)], np.broadcast_to(bias, n_outputs).astype(float)


class _Question(NamedTuple):
    """``x <= border``, or ``x`` among some categories; there, yes is CatBoost's bit 1."""

    column: int
    border: float
    missing_left: bool
    codes: tuple[int, ...] | None = None


def _expanded(questions: list[_Question], values: np.ndarray) -> dict[str, Any]:
    """Nodes level by level; all in level k ask question k, whose answer is bit k of a leaf."""
    depth = len(questions)
    inner, n = 2**depth - 1, 2 ** (depth + 1) - 1
    at = np.arange(n)
    level = np.floor(np.log2(at + 1)).astype(int)
    is_inner = at < inner
    asked = [questions[k] if k < depth else _Question(0, 0.0, False) for k in level]
    left = np.where(is_inner, 2 * at + 1, -1)
    right = np.where(is_inner, left + 1, -1)
    value = np.zeros((n, values.shape[1]))
    for position in range(2**depth):
        # The first question decides at the root, and is the lowest bit of CatBoost's number.
        number = sum(((position >> (depth - 1 - k)) & 1) << k for k in range(depth))
        value[inner + position] = values[number]
    sets = {i: [c for c in q.codes if c >= 0] for i, q in enumerate(asked) if q.codes is not None}
    for node in sets:
        # Rows of the set go left in a set of ours, and right in CatBoost's numbering.
        left[node], right[node] = right[node], left[node]
    tree = {
        "left": left,
        "right": right,
        "feature": np.array([q.column for q in asked]),
        "threshold": np.array([q.border for q in asked]),
        "missing_left": np.array([q.missing_left for q in asked]),
        "value": value,
    }
    return with_sets(tree, sets) if sets else tree


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
