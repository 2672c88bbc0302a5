"""ONNX graphs: an encoder as a few wide operators, students' building blocks, and both in one.

Students write ``to_onnx()`` with the helpers here (or any converter): a model with one float
input (N, d), the encoded columns, and one output, class probabilities (N, K) or values (N, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kdcore.encoders import OrdinalEncoder, StandardEncoder
from kdcore.errors import KDError

if TYPE_CHECKING:
    from kdcore.encoders import Encoder

__all__ = [
    "CATEGORICAL",
    "NUMERIC",
    "OPSETS",
    "OUTPUT",
    "build_graph",
    "linear_model",
    "tree_ensemble",
]

NUMERIC, CATEGORICAL, OUTPUT = "numeric", "categorical", "output"

#: Operator sets of every graph that kdcore writes; a student's own model must use them too.
OPSETS = {"": 20, "ai.onnx.ml": 3}
_IR_VERSION = 9

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


def build_graph(student: Any) -> onnx.ModelProto:
    """One graph from raw columns to a fitted student's predictions.

    Its inputs are ``numeric`` float (N, p) with NaN for missing values and ``categorical``
    string (N, c) with empty text for them (each only where there are such columns), in the order
    of ``student.encoder_.schema_``; its output is ``output``.

    Raises
    ------
    KDError
        When the student or its encoder cannot be written as ONNX.
    """
    if not hasattr(student, "to_onnx"):
        raise KDError(
            f"{type(student).__name__} cannot be written as ONNX; its plugin must define to_onnx()."
        )
    front = _encoder_model(student.encoder_)
    back = student.to_onnx()
    merged = onnx.compose.merge_models(
        front,
        back,
        io_map=[(front.graph.output[0].name, back.graph.input[0].name)],
        prefix1="encoder/",
        prefix2="student/",
    )
    _rename(merged, f"encoder/{NUMERIC}", NUMERIC)
    _rename(merged, f"encoder/{CATEGORICAL}", CATEGORICAL)
    _rename(merged, merged.graph.output[0].name, OUTPUT)
    merged.graph.name = "kdcore"
    merged.producer_name = "kdcore"
    onnx.checker.check_model(merged)
    return merged


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
        coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
    nodes = [
        helper.make_node("Gemm", ["Z", "weights", "bias"], ["scores"]),
        helper.make_node("Identity", ["scores"], [OUTPUT])
        if link == "identity"
        else helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1),
    ]
    weights = [_constant("weights", coef.T, np.float32), _constant("bias", intercept, np.float32)]
    return _model(nodes, weights, ("Z", coef.shape[1]), (OUTPUT, coef.shape[0]))


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
        that feeds one output only, ``value`` (nodes,) with ``output`` (its position).
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
        fields["nodes_modes"] += np.where(leaf, "LEAF", branch).tolist()
        fields["nodes_truenodeids"] += np.where(leaf, 0, tree["left"]).tolist()
        fields["nodes_falsenodeids"] += np.where(leaf, 0, tree["right"]).tolist()
        fields["nodes_missing_value_tracks_true"] += (
            np.where(leaf, 0, tree["missing_left"]).astype(int).tolist()
        )
        values = tree["value"]
        outputs = [int(tree["output"])] if values.ndim == 1 else list(range(n_outputs))
        values = values.reshape(n, len(outputs))
        for node in np.flatnonzero(leaf):
            fields["target_treeids"] += [number] * len(outputs)
            fields["target_nodeids"] += [int(node)] * len(outputs)
            fields["target_ids"] += outputs
            fields["target_weights"] += values[node].astype(np.float32).tolist()
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
    attributes: dict[str, Any] = {"n_targets": n_outputs, **fields}
    if len(base):
        attributes["base_values"] = [float(b) for b in base]
    sums = OUTPUT if link == "identity" else "sums"
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["Z"],
            [sums],
            domain="ai.onnx.ml",
            **attributes,
        )
    ]
    constants = []
    if link == "logistic":
        # Softmax of (-z/2, z/2) is (1 - sigmoid(z), sigmoid(z)), accurate at both ends.
        constants = [_constant("halves", np.array([[-0.5, 0.5]]), np.float32)]
        nodes.append(helper.make_node("MatMul", ["sums", "halves"], ["scores"]))
        nodes.append(helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1))
        n_outputs = 2
    elif link == "softmax":
        nodes.append(helper.make_node("Softmax", ["sums"], [OUTPUT], axis=1))
    return _model(nodes, constants, ("Z", n_features), (OUTPUT, n_outputs))


def _round_threshold(values: np.ndarray, less_or_equal: bool) -> np.ndarray:
    """float32 thresholds that send every float32 number to the side the float64 ones do."""
    rounded = values.astype(np.float32)
    if less_or_equal:
        # x <= t for float32 x means x <= the largest float32 not above t.
        return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return np.where(rounded < values, np.nextafter(rounded, np.float32(np.inf)), rounded)


def _encoder_model(encoder: Encoder) -> onnx.ModelProto:
    if isinstance(encoder, StandardEncoder):
        nodes, constants, parts = _standard(encoder)
    elif isinstance(encoder, OrdinalEncoder):
        nodes, constants, parts = _ordinal(encoder)
    elif hasattr(encoder, "to_onnx"):
        return encoder.to_onnx()
    else:
        raise KDError(
            f"the encoder {type(encoder).__name__} cannot be written as ONNX; define to_onnx()."
        )
    nodes.append(helper.make_node("Concat", parts, ["encoded"], axis=1))
    schema = encoder.schema_
    inputs = []
    if schema.numeric:
        inputs.append(_value(NUMERIC, TensorProto.FLOAT, len(schema.numeric)))
    if schema.categorical:
        inputs.append(_value(CATEGORICAL, TensorProto.STRING, len(schema.categorical)))
    output = _value("encoded", TensorProto.FLOAT, len(encoder.owners_))
    return _wrap(helper.make_graph(nodes, "encoder", inputs, [output], constants))


def _standard(
    encoder: StandardEncoder,
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[str]]:
    nodes, constants, parts = [], [], []
    if encoder.schema_.numeric:
        constants += [
            _constant("mean", encoder.mean_[None], np.float32),
            _constant("scale", encoder.scale_[None], np.float32),
            _constant("zero", np.zeros((1, 1)), np.float32),
        ]
        nodes += [
            helper.make_node("IsNaN", [NUMERIC], ["gaps"]),
            helper.make_node("Sub", [NUMERIC, "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["scaled"]),
            helper.make_node("Where", ["gaps", "zero", "scaled"], ["filled"]),
        ]
        parts.append("filled")
        if len(encoder.missing_):
            constants.append(_constant("with_gaps", encoder.missing_, np.int64))
            nodes += [
                helper.make_node("Gather", ["gaps", "with_gaps"], ["some_gaps"], axis=1),
                helper.make_node("Cast", ["some_gaps"], ["marks"], to=TensorProto.FLOAT),
            ]
            parts.append("marks")
    if encoder.schema_.categorical:
        width = encoder.one_hot_width_
        keys: list[str] = []
        slots: list[int] = []
        unseen = []
        for j, (column, table) in enumerate(
            zip(encoder.schema_.categorical, encoder.slots_, strict=True)
        ):
            # OneHot gives a row of zeros for a position beyond its depth: no column.
            table = np.where(table < 0, width, table)
            keys += [f"{j}={key}" for key in (*column.categories, "")]
            slots += [*table[:-2].tolist(), int(table[-1])]
            unseen.append(int(table[-2]))
        constants += [
            _constant("unseen", np.array([unseen]), np.int64),
            _constant("minus", np.zeros((1, 1)), np.int64),
            _constant("width", np.array([width]), np.int64),
            _constant("off_on", np.array([0, 1]), np.float32),
            _constant("middle", np.array([1]), np.int64),
        ]
        nodes += [
            *_keyed(encoder, constants),
            helper.make_node(
                "LabelEncoder",
                ["keyed"],
                ["known"],
                domain="ai.onnx.ml",
                keys_strings=keys,
                values_int64s=slots,
                default_int64=-1,
            ),
            helper.make_node("Less", ["known", "minus"], ["is_unseen"]),
            helper.make_node("Where", ["is_unseen", "unseen", "known"], ["slots"]),
            helper.make_node("OneHot", ["slots", "width", "off_on"], ["one_hots"]),
            helper.make_node("ReduceSum", ["one_hots", "middle"], ["one_hot"], keepdims=0),
        ]
        parts.append("one_hot")
    return nodes, constants, parts


def _ordinal(
    encoder: OrdinalEncoder,
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[str]]:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    parts = [NUMERIC] if encoder.schema_.numeric else []
    if encoder.schema_.categorical:
        keys: list[str] = []
        ranks: list[float] = []
        for j, (column, table) in enumerate(
            zip(encoder.schema_.categorical, encoder.ranks_, strict=True)
        ):
            keys += [f"{j}={key}" for key in column.categories]
            ranks += table[:-2].tolist()
        # Without any category (a column that was always missing) the operator still needs one.
        keys, ranks = keys or ["\0"], ranks or [0.0]
        nodes += [
            *_keyed(encoder, constants),
            helper.make_node(
                "LabelEncoder",
                ["keyed"],
                ["ranks"],
                domain="ai.onnx.ml",
                keys_strings=keys,
                values_floats=ranks,
                default_float=float("nan"),
            ),
        ]
        parts.append("ranks")
    return nodes, constants, parts


def _keyed(encoder: Encoder, constants: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Texts marked with their column, so that one operator looks up all columns at once."""
    marks = [f"{j}=" for j in range(len(encoder.schema_.categorical))]
    constants.append(numpy_helper.from_array(np.array([marks], dtype=object), "column_marks"))
    return [helper.make_node("StringConcat", ["column_marks", CATEGORICAL], ["keyed"])]


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    source: tuple[str, int],
    target: tuple[str, int],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "student",
        [_value(source[0], TensorProto.FLOAT, source[1])],
        [_value(target[0], TensorProto.FLOAT, target[1])],
        constants,
    )
    return _wrap(graph)


def _wrap(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def _value(name: str, kind: int, width: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["N", width])


def _constant(name: str, values: np.ndarray, dtype: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        if value.name == old:
            value.name = new
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
