"""ONNX building blocks of students: linear models, perceptrons, kernel machines, trees.

Each returns a model with one float input (N, d), the encoded columns, and one output, class
probabilities (N, K) or values (N, 1), as few wide operators; `kdcore.graph` puts the encoder in
front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kdcore.errors import KDError

__all__ = [
    "OPSETS",
    "OUTPUT",
    "constant",
    "kernel_model",
    "linear_model",
    "perceptron",
    "student_graph",
    "tree_ensemble",
    "value",
    "wrap",
]

OUTPUT = "output"

#: Operator sets of every graph that kdcore writes; a student's own model must use them too.
OPSETS = {"": 20, "ai.onnx.ml": 3}
_IR_VERSION = 9

_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": "Identity"}


_TREE_FIELDS = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
    "target_treeids",
    "target_nodeids",
    "target_ids",
    "target_weights",
)


def linear_model(coef: np.ndarray, intercept: np.ndarray, *, link: str) -> onnx.ModelProto:
    """``link(Z @ coef.T + intercept)`` as an ONNX model.

    Parameters
    ----------
    coef : array of shape (K, d)
        One row for a binary ``"logistic"`` model, which then gives two columns.
    intercept : array of shape (K,)
    link : {"identity", "logistic", "softmax"}
    """
    coef, intercept = np.atleast_2d(coef), np.atleast_1d(intercept)
    if link == "logistic":
        coef, intercept = _two_sided(coef, intercept)
    nodes = [
        helper.make_node("Gemm", ["Z", "weights", "bias"], ["scores"]),
        _link("scores", link),
    ]
    weights = [constant("weights", coef.T, np.float32), constant("bias", intercept, np.float32)]
    return student_graph(nodes, weights, ("Z", coef.shape[1]), (OUTPUT, coef.shape[0]))


def perceptron(
    weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], *, activation: str, link: str
) -> onnx.ModelProto:
    """A multilayer perceptron as an ONNX model.

    Parameters
    ----------
    weights : sequence of arrays, each of shape (in, out)
    biases : sequence of arrays, each of shape (out,)
    activation : {"relu", "tanh", "logistic", "identity"}
        Of the hidden layers.
    link : {"identity", "logistic", "softmax"}
        ``"logistic"`` turns one output into two probabilities.

    Raises
    ------
    KDError
        When the activation is none of these.
    """
    if activation not in _ACTIVATIONS:
        raise KDError(f"the activation {activation!r} cannot be written as ONNX.")
    weights, biases = list(weights), list(biases)
    if link == "logistic":
        weights[-1], biases[-1] = _two_sided(weights[-1].T, biases[-1])
        weights[-1] = weights[-1].T
    nodes, constants, name = [], [], "Z"
    last = len(weights) - 1
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        constants += [constant(f"w{i}", w, np.float32), constant(f"b{i}", b, np.float32)]
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        name = f"z{i}"
        if i < last:
            nodes.append(helper.make_node(_ACTIVATIONS[activation], [name], [f"a{i}"]))
            name = f"a{i}"
    nodes.append(_link(name, link))
    return student_graph(nodes, constants, ("Z", len(weights[0])), (OUTPUT, len(biases[-1])))


def kernel_model(
    centers: np.ndarray, coef: np.ndarray, intercept: np.ndarray, *, gamma: float, link: str
) -> onnx.ModelProto:
    """``link(exp(-gamma * ||z - center||^2) @ coef.T + intercept)`` as an ONNX model.

    It computes in double precision: squared distances of float32 rows, and sums over many
    centres, would otherwise lose the digits by which a decision is made.

    Parameters
    ----------
    centers : array of shape (m, d)
        Support vectors, or the landmarks of a Nystroem approximation; kept in float32.
    coef : array of shape (K, m)
        One row for a binary ``"logistic"`` model, which then gives two columns.
    intercept : array of shape (K,)
    gamma : float
    link : {"identity", "logistic", "softmax"}
    """
    coef, intercept = np.atleast_2d(coef), np.atleast_1d(intercept)
    if link == "logistic":
        coef, intercept = _two_sided(coef, intercept)
    centers = centers.astype(np.float32)
    norms = (centers.astype(np.float64) ** 2).sum(axis=1)
    constants = [
        constant("centers", centers.T, np.float32),
        constant("twice_gamma", np.array(2 * gamma), np.float64),
        constant("minus_gamma", np.array(-gamma), np.float64),
        constant("norms", -gamma * norms[None], np.float64),
        constant("weights", coef.T, np.float64),
        constant("bias", intercept[None], np.float64),
        constant("columns", np.array([1]), np.int64),
    ]
    double = TensorProto.DOUBLE
    nodes = [
        helper.make_node("Cast", ["Z"], ["z"], to=double),
        helper.make_node("Cast", ["centers"], ["c"], to=double),
        helper.make_node("Mul", ["z", "twice_gamma"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "c"], ["products"]),
        helper.make_node("ReduceSumSquare", ["z", "columns"], ["lengths"], keepdims=1),
        helper.make_node("Mul", ["lengths", "minus_gamma"], ["own_norms"]),
        helper.make_node("Add", ["products", "norms"], ["part"]),
        helper.make_node("Add", ["part", "own_norms"], ["exponents"]),
        helper.make_node("Exp", ["exponents"], ["kernel"]),
        helper.make_node("MatMul", ["kernel", "weights"], ["sums"]),
        helper.make_node("Add", ["sums", "bias"], ["scores"]),
        _link("scores", link, "wide"),
        helper.make_node("Cast", ["wide"], [OUTPUT], to=TensorProto.FLOAT),
    ]
    return student_graph(nodes, constants, ("Z", centers.shape[1]), (OUTPUT, len(intercept)))


def _link(source: str, link: str, target: str = OUTPUT) -> onnx.NodeProto:
    if link == "identity":
        return helper.make_node("Identity", [source], [target])
    return helper.make_node("Softmax", [source], [target], axis=1)


def _two_sided(coef: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows for the logits -z/2 and z/2, whose softmax is (1 - sigmoid(z), sigmoid(z))."""
    return np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2


def tree_ensemble(
    trees: Sequence[dict[str, np.ndarray]],
    *,
    n_features: int,
    n_outputs: int,
    base: Sequence[float] = (),
    less_or_equal: bool,
    link: str = "identity",
) -> onnx.ModelProto:
    """The sum of decision trees as an ONNX model whose decisions equal float32 Python's.

    Parameters
    ----------
    trees : sequence of dict
        Arrays over nodes: ``left`` and ``right`` (child positions, -1 in leaves), ``feature``,
        ``threshold``, ``missing_left`` (bool), and ``value`` (nodes, n_outputs) or, for a tree
        that feeds one output only, ``value`` (nodes,) with ``output`` (its position); optionally
        ``equal`` (bool): where rows with ``x == threshold`` go left (`kdcore.tree_sets`).
    n_features, n_outputs : int
    base : sequence of float, default=()
        Added to each output.
    less_or_equal : bool
        Whether rows with ``x <= threshold`` go left; else those with ``x < threshold``.
        Thresholds are rounded to float32 so that no float32 input changes sides.
    link : {"identity", "logistic", "softmax"}, default="identity"
        ``"logistic"`` turns one output into two probabilities.
    """
    fields: dict[str, list[Any]] = {key: [] for key in _TREE_FIELDS}
    branch = "BRANCH_LEQ" if less_or_equal else "BRANCH_LT"
    for number, tree in enumerate(trees):
        leaf = tree["left"] < 0
        n = len(leaf)
        thresholds = _round_threshold(np.where(leaf, 0.0, tree["threshold"]), less_or_equal)
        fields["nodes_treeids"] += [number] * n
        fields["nodes_nodeids"] += range(n)
        fields["nodes_featureids"] += np.where(leaf, 0, tree["feature"]).tolist()
        fields["nodes_values"] += thresholds.tolist()
        modes = np.where(leaf, "LEAF", branch)
        if "equal" in tree:
            modes = np.where(~leaf & tree["equal"], "BRANCH_EQ", modes)
        fields["nodes_modes"] += modes.tolist()
        fields["nodes_truenodeids"] += np.where(leaf, 0, tree["left"]).tolist()
        fields["nodes_falsenodeids"] += np.where(leaf, 0, tree["right"]).tolist()
        fields["nodes_missing_value_tracks_true"] += (
            np.where(leaf, 0, tree["missing_left"]).astype(int).tolist()
        )
        values = tree["value"]
        outputs = [int(tree["output"])] if values.ndim == 1 else list(range(n_outputs))
        leaves = np.flatnonzero(leaf)
        weights = values.reshape(n, len(outputs))[leaves].astype(np.float32)
        fields["target_treeids"] += [number] * weights.size
        fields["target_nodeids"] += np.repeat(leaves, len(outputs)).tolist()
        fields["target_ids"] += outputs * len(leaves)
        fields["target_weights"] += weights.ravel().tolist()
    unfed = sorted(set(range(n_outputs)) - set(fields["target_ids"]))
    if unfed:
        # ONNX Runtime leaves an output at 0, base and all, unless some leaf feeds it.
        for key in _TREE_FIELDS[:8]:
            fields[key].append("LEAF" if key == "nodes_modes" else 0)
        fields["nodes_treeids"][-1] = len(trees)
        fields["nodes_values"][-1] = 0.0
        fields["target_treeids"] += [len(trees)] * len(unfed)
        fields["target_nodeids"] += [0] * len(unfed)
        fields["target_ids"] += unfed
        fields["target_weights"] += [0.0] * len(unfed)
    if len(base):
        fields["base_values"] = [float(b) for b in base]
    sums = OUTPUT if link == "identity" else "sums"
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["Z"], [sums], domain="ai.onnx.ml", n_targets=n_outputs
    )
    ensemble.attribute.extend(_list_attribute(name, items) for name, items in fields.items())
    nodes = [ensemble]
    constants = []
    if link == "logistic":
        # Softmax of (-z/2, z/2) is (1 - sigmoid(z), sigmoid(z)), accurate at both ends.
        constants = [constant("halves", np.array([[-0.5, 0.5]]), np.float32)]
        nodes.append(helper.make_node("MatMul", ["sums", "halves"], ["scores"]))
        nodes.append(helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1))
        n_outputs = 2
    elif link == "softmax":
        nodes.append(helper.make_node("Softmax", ["sums"], [OUTPUT], axis=1))
    return student_graph(nodes, constants, ("Z", n_features), (OUTPUT, n_outputs))


def _list_attribute(name: str, values: list[Any]) -> onnx.AttributeProto:
    """As `onnx.helper.make_attribute`, which takes seconds for the lists of a large forest."""
    attribute = onnx.AttributeProto(name=name)
    if isinstance(values[0], str):
        attribute.type = onnx.AttributeProto.STRINGS
        attribute.strings.extend(text.encode() for text in values)
    elif isinstance(values[0], float):
        attribute.type = onnx.AttributeProto.FLOATS
        attribute.floats.extend(values)
    else:
        attribute.type = onnx.AttributeProto.INTS
        attribute.ints.extend(values)
    return attribute


def _round_threshold(values: np.ndarray, less_or_equal: bool) -> np.ndarray:
    """float32 thresholds that send every float32 number to the side the float64 ones do."""
    with np.errstate(over="ignore"):
        # Boosters split missing values off by the largest number there is.
        rounded = values.astype(np.float32)
        below = np.nextafter(rounded, np.float32(-np.inf))
        above = np.nextafter(rounded, np.float32(np.inf))
    if less_or_equal:
        # x <= t for float32 x means x <= the largest float32 not above t.
        return np.where(rounded > values, below, rounded)
    return np.where(rounded < values, above, rounded)


def student_graph(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    source: tuple[str, int],
    target: tuple[str, int],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "student",
        [value(source[0], TensorProto.FLOAT, source[1])],
        [value(target[0], TensorProto.FLOAT, target[1])],
        constants,
    )
    return wrap(graph)


def wrap(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def value(name: str, kind: int, width: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["N", width])


def constant(name: str, values: np.ndarray, dtype: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name)
