"""ONNX graphs: encoder and student in one graph, from raw columns to predictions.

Students write ``to_onnx()`` with the building blocks of `kdcore.onnx_models`, whose names are
here as well, or with any converter: a model with one float input (N, d), the encoded columns, and
one output, class probabilities (N, K) or values (N, 1). Teachers of trees write theirs with
`raw_trees`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from kdcore.encoder_graphs import CATEGORICAL, NUMERIC, encoder_model
from kdcore.encoders import OrdinalEncoder
from kdcore.errors import KDError
from kdcore.onnx_models import (
    OPSETS,
    OUTPUT,
    kernel_model,
    linear_model,
    perceptron,
    tree_ensemble,
)

if TYPE_CHECKING:
    from kdcore.schema import TableSchema

__all__ = [
    "CATEGORICAL",
    "NUMERIC",
    "OPSETS",
    "OUTPUT",
    "build_graph",
    "joined",
    "kernel_model",
    "linear_model",
    "perceptron",
    "raw_trees",
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
    return joined(encoder_model(student.encoder_), student.to_onnx())


def raw_trees(
    schema: TableSchema, trees: Sequence[dict[str, Any]], **options: Any
) -> onnx.ModelProto:
    """One graph from raw columns to the sum of trees that read them as boosters do.

    Parameters
    ----------
    schema : TableSchema
    trees : sequence of dict
        As in `kdcore.onnx_models.tree_ensemble`; a ``feature`` is the position of a column in the
        table. Categories are read as their positions in ``Column.categories``, NaN where missing
        or unseen.
    options
        The further parameters of `kdcore.onnx_models.tree_ensemble`, but ``n_features``.
    """
    front = OrdinalEncoder()
    front.schema_ = schema
    front.ranks_ = [
        np.array([*range(len(c.categories)), np.nan, np.nan], dtype=np.float32)
        for c in schema.categorical
    ]
    order = [c.name for c in (*schema.numeric, *schema.categorical)]
    front.owners_ = np.array([schema.names.index(name) for name in order], dtype=np.int64)
    place = np.argsort(front.owners_)
    moved = [{**tree, "feature": place[np.maximum(tree["feature"], 0)]} for tree in trees]
    return joined(encoder_model(front), tree_ensemble(moved, n_features=len(order), **options))


def joined(front: onnx.ModelProto, back: onnx.ModelProto) -> onnx.ModelProto:
    """An encoder's model and a model of encoded columns as one graph; see `build_graph`."""
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
