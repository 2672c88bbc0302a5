"""The trees of a bundle as a treelite model, and how columns become what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.columns import category_keys, numeric_values
from kdcore.errors import KDError

if TYPE_CHECKING:
    from kdcore.runtime import Bundle

__all__ = ["encoded_rows", "treelite_model"]

_ENCODER = {"StringConcat", "LabelEncoder", "Concat", "Identity"}
_LINKS = {(): "identity_multiclass", ("Softmax",): "softmax", ("MatMul", "Softmax"): "sigmoid"}


def treelite_model(model: Any, manifest: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A treelite model of a bundle's trees.

    Parameters
    ----------
    model : onnx.ModelProto
        The bundle's graph.
    manifest : dict

    Returns
    -------
    model : treelite.Model
        Reads encoded columns, float32 (n, d); gives probabilities (the second class's alone with
        two classes) or values.
    columns : dict
        ``columns``: the name of each encoded column; ``categories``: for those of texts, the
        number that stands for each (NaN where missing or unseen).

    Raises
    ------
    KDError
        When treelite is not installed, or the student is no sum of trees behind the encoder
        "ordinal".
    """
    try:
        from treelite import model_builder as build
    except ImportError:
        raise KDError(
            "treelite is not installed; `pip install treelite` for this format."
        ) from None
    from onnx import helper

    nodes = list(model.graph.node)
    at = [i for i, n in enumerate(nodes) if n.op_type == "TreeEnsembleRegressor"]
    before = {n.op_type for n in nodes[: at[0]]} if at else set()
    after = tuple(n.op_type for n in nodes[at[0] + 1 :] if n.op_type != "Identity") if at else ()
    if len(at) != 1 or not before <= _ENCODER or after not in _LINKS:
        raise KDError(
            "only sums of trees behind the encoder 'ordinal' can be written for treelite; export "
            "this student as onnx."
        )
    given = {a.name: helper.get_attribute_value(a) for a in nodes[at[0]].attribute}
    columns = _columns(nodes[: at[0]], manifest)
    trees = _trees(given)
    k = given["n_targets"]
    vector = any(len(t["leaf"].get(i, ())) > 1 for t in trees for i in t["leaf"])
    annotation = [0 if k == 1 else -1 if vector else next(iter(_fed(t)), 0) for t in trees]
    link = "identity" if after == () and k == 1 else _LINKS[after]
    builder: Any = build.ModelBuilder(
        threshold_type="float32",
        leaf_output_type="float32",
        metadata=build.Metadata(
            num_feature=len(columns["columns"]),
            task_type="kRegressor"
            if k == 1 and not after
            else "kBinaryClf"
            if k == 1
            else "kMultiClf",
            average_tree_output=False,
            num_target=1,
            num_class=[k],
            leaf_vector_shape=(1, k if vector and k > 1 else 1),
        ),
        tree_annotation=build.TreeAnnotation(
            num_tree=len(trees), target_id=[0] * len(trees), class_id=annotation
        ),
        postprocessor=build.PostProcessorFunc(name=link),
        base_scores=list(given.get("base_values") or [0.0] * k),
    )
    for tree in trees:
        builder.start_tree()
        for number in tree["order"]:
            builder.start_node(number)
            test = tree["test"].get(number)
            if test is None:
                pairs = dict(tree["leaf"].get(number, ()))
                many = vector and k > 1
                value = [pairs.get(c, 0.0) for c in range(k)] if many else sum(pairs.values())
                builder.leaf(value)
            else:
                builder.numerical_test(**test)
            builder.end_node()
        builder.end_tree()
    return builder.commit(), columns


def encoded_rows(bundle: Bundle, columns: dict[str, Any], table: Any) -> np.ndarray:
    """What such a model reads of the rows of a table, float32 (n, d)."""
    kinds = {c.name: c for c in bundle.columns}
    encoded = []
    for name in columns["columns"]:
        if name in columns["categories"]:
            ranks = columns["categories"][name]
            encoded.append([ranks.get(key, np.nan) for key in category_keys(table[name])])
        else:
            encoded.append(numeric_values(table[name], kinds[name]).tolist())
    return np.array(encoded, dtype=np.float32).T.copy()


def _fed(tree: dict[str, Any]) -> set[int]:
    return {output for pairs in tree["leaf"].values() for output, _ in pairs}


def _trees(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Each tree's nodes in order, their tests, and what its leaves add to which output."""
    modes = [m.decode() for m in given["nodes_modes"]]
    odd = sorted(set(modes) - {"LEAF", "BRANCH_LEQ", "BRANCH_LT"})
    if odd:
        raise KDError(f"trees with {odd[0]} cannot be written for treelite; export as onnx.")
    trees: dict[int, dict[str, Any]] = {}
    missing = given.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    names = ("treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids")
    lists = [given[f"nodes_{name}"] for name in names]
    for tree, node, feature, value, yes, no, mode, gap in zip(*lists, modes, missing, strict=True):
        own = trees.setdefault(tree, {"order": [], "test": {}, "leaf": {}})
        own["order"].append(node)
        if mode != "LEAF":
            own["test"][node] = {
                "feature_id": feature,
                "threshold": float(np.float32(value)),
                "default_left": bool(gap),
                "opname": "<=" if mode == "BRANCH_LEQ" else "<",
                "left_child_key": yes,
                "right_child_key": no,
            }
    targets = (given[f"target_{n}"] for n in ("treeids", "nodeids", "ids", "weights"))
    for tree, node, output, weight in zip(*targets, strict=True):
        trees[tree]["leaf"].setdefault(node, []).append((output, weight))
    return list(trees.values())


def _columns(nodes: list[Any], manifest: dict[str, Any]) -> dict[str, Any]:
    from onnx import helper

    numbers = [c["name"] for c in manifest["columns"] if c["kind"] != "categorical"]
    texts = [c["name"] for c in manifest["columns"] if c["kind"] == "categorical"]
    categories: dict[str, dict[str, float]] = {name: {} for name in texts}
    for node in nodes:
        if node.op_type != "LabelEncoder":
            continue
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        for key, rank in zip(given["keys_strings"], given["values_floats"], strict=True):
            position, found, category = key.decode().partition("=")
            if found:
                categories[texts[int(position)]][category] = rank
    return {"columns": [*numbers, *texts], "categories": categories}
