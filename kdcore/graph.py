"""ONNX graphs: encoder and student in one graph, from raw columns to predictions.

Students write ``to_onnx()`` with the building blocks of `kdcore.onnx_models`, whose names are
here as well, or with any converter: a model with one float input (N, d), the encoded columns, and
one output, class probabilities (N, K) or values (N, 1).
"""

from __future__ import annotations

from typing import Any

import onnx

from kdcore.encoder_graphs import CATEGORICAL, NUMERIC, encoder_model
from kdcore.errors import KDError
from kdcore.onnx_models import (
    OPSETS,
    OUTPUT,
    kernel_model,
    linear_model,
    perceptron,
    tree_ensemble,
)

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
    front = encoder_model(student.encoder_)
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


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for info in (*model.graph.input, *model.graph.output):
        if info.name == old:
            info.name = new
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
