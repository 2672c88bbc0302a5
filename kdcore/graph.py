"""ONNX graphs: an encoder as a few wide operators, and encoder and student in one graph.

Students write ``to_onnx()`` with the building blocks of `kdcore.onnx_models`, whose names are
here as well, or with any converter: a model with one float input (N, d), the encoded columns, and
one output, class probabilities (N, K) or values (N, 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kdcore.encoders import OrdinalEncoder, StandardEncoder
from kdcore.errors import KDError
from kdcore.onnx_models import (
    OPSETS,
    OUTPUT,
    constant,
    kernel_model,
    linear_model,
    perceptron,
    tree_ensemble,
    value,
    wrap,
)

if TYPE_CHECKING:
    from kdcore.encoders import Encoder

__all__ = [
    "CATEGORICAL",
    "NUMERIC",
    "OPSETS",
    "OUTPUT",
    "build_graph",
    "kernel_model",
    "linear_model",
    "perceptron",
    "tree_ensemble",
]

NUMERIC, CATEGORICAL = "numeric", "categorical"


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
        inputs.append(value(NUMERIC, TensorProto.FLOAT, len(schema.numeric)))
    if schema.categorical:
        inputs.append(value(CATEGORICAL, TensorProto.STRING, len(schema.categorical)))
    output = value("encoded", TensorProto.FLOAT, len(encoder.owners_))
    return wrap(helper.make_graph(nodes, "encoder", inputs, [output], constants))


def _standard(
    encoder: StandardEncoder,
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[str]]:
    nodes, constants, parts = [], [], []
    if encoder.schema_.numeric:
        constants += [
            constant("mean", encoder.mean_[None], np.float32),
            constant("scale", encoder.scale_[None], np.float32),
            constant("zero", np.zeros((1, 1)), np.float32),
        ]
        nodes += [
            helper.make_node("IsNaN", [NUMERIC], ["gaps"]),
            helper.make_node("Sub", [NUMERIC, "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["scaled"]),
            helper.make_node("Where", ["gaps", "zero", "scaled"], ["filled"]),
        ]
        parts.append("filled")
        if len(encoder.missing_):
            constants.append(constant("with_gaps", encoder.missing_, np.int64))
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
            constant("unseen", np.array([unseen]), np.int64),
            constant("minus", np.zeros((1, 1)), np.int64),
            constant("width", np.array([width]), np.int64),
            constant("off_on", np.array([0, 1]), np.float32),
            constant("middle", np.array([1]), np.int64),
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


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for info in (*model.graph.input, *model.graph.output):
        if info.name == old:
            info.name = new
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
