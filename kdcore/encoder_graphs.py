"""Fitted encoders as ONNX models of a few wide operators.

Arithmetic is float32 as in Python, and operation by operation the same, so that a number is on
the same side of a step in both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kdcore.encoders import (
    MixedEncoder,
    OrdinalEncoder,
    PiecewiseLinearEncoder,
    QuantileEncoder,
    SplineEncoder,
    StandardEncoder,
    TeacherBinsEncoder,
)
from kdcore.errors import KDError
from kdcore.onnx_models import constant, tree_ensemble, value, wrap

if TYPE_CHECKING:
    from kdcore.encoders import Encoder

__all__ = ["CATEGORICAL", "NUMERIC", "encoder_model"]

NUMERIC, CATEGORICAL = "numeric", "categorical"

#: Stands for a missing number: below every edge and every step.
_LOWEST = float(np.finfo(np.float32).min)


@dataclass
class _Graph:
    """A graph under construction; ``parts`` are the blocks of encoded columns, in order."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def add(self, kind: str, sources: list[str], target: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, sources, [target], **attributes))
        return target

    def hold(self, name: str, values: Any, dtype: Any) -> str:
        self.constants.append(constant(name, np.asarray(values), dtype))
        return name


def encoder_model(encoder: Encoder) -> onnx.ModelProto:
    """The ONNX model of a fitted encoder.

    Its inputs are ``numeric`` float (N, p) and ``categorical`` string (N, c), each only where
    there are such columns; its output is ``encoded`` float (N, d).

    Raises
    ------
    KDError
        When it is an encoder of another kind, without ``to_onnx()``.
    """
    graph = _Graph()
    if hasattr(encoder, "to_onnx"):
        return encoder.to_onnx()
    if isinstance(encoder, OrdinalEncoder):
        _ordinal(graph, encoder)
    elif isinstance(encoder, MixedEncoder) and _writer(encoder) is not None:
        _mixed(graph, encoder)
    else:
        raise KDError(
            f"the encoder {type(encoder).__name__} cannot be written as ONNX; define to_onnx()."
        )
    graph.add("Concat", graph.parts, "encoded", axis=1)
    schema = encoder.schema_
    inputs = []
    if schema.numeric:
        inputs.append(value(NUMERIC, TensorProto.FLOAT, len(schema.numeric)))
    if schema.categorical:
        inputs.append(value(CATEGORICAL, TensorProto.STRING, len(schema.categorical)))
    output = value("encoded", TensorProto.FLOAT, len(encoder.owners_))
    return wrap(helper.make_graph(graph.nodes, "encoder", inputs, [output], graph.constants))


def _writer(encoder: MixedEncoder) -> Any:
    """The function that writes the encoded numbers of such an encoder."""
    writers = {
        StandardEncoder: _standard,
        PiecewiseLinearEncoder: _piecewise,
        SplineEncoder: _spline,
        QuantileEncoder: _quantile,
    }
    return next((write for kind, write in writers.items() if isinstance(encoder, kind)), None)


def _mixed(graph: _Graph, encoder: MixedEncoder) -> None:
    if encoder.schema_.numeric:
        graph.add("IsNaN", [NUMERIC], "gaps")
        graph.parts.append(_writer(encoder)(graph, encoder))
        if len(encoder.missing_):
            graph.hold("with_gaps", encoder.missing_, np.int64)
            graph.add("Gather", ["gaps", "with_gaps"], "some_gaps", axis=1)
            graph.parts.append(graph.add("Cast", ["some_gaps"], "marks", to=TensorProto.FLOAT))
    if encoder.schema_.categorical:
        graph.parts.append(_one_hot(graph, encoder))
    if isinstance(encoder, TeacherBinsEncoder) and encoder.factors_.shape[1]:
        graph.parts.append(_products(graph, encoder))


def _standard(graph: _Graph, encoder: StandardEncoder) -> str:
    graph.hold("mean", encoder.mean_[None], np.float32)
    graph.hold("scale", encoder.scale_[None], np.float32)
    graph.add("Sub", [NUMERIC, "mean"], "centred")
    graph.add("Div", ["centred", "scale"], "scaled")
    return _zero_in_gaps(graph, "gaps", "scaled")


def _zero_in_gaps(graph: _Graph, gaps: str, values: str) -> str:
    graph.hold("zero", np.zeros((1, 1)), np.float32)
    return graph.add("Where", [gaps, "zero", values], "filled")


def _known(graph: _Graph) -> str:
    """The numbers, with the lowest of all in place of missing ones."""
    graph.hold("lowest", np.full((1, 1), _LOWEST), np.float32)
    return graph.add("Where", ["gaps", "lowest", NUMERIC], "known_numbers")


def _piecewise(graph: _Graph, encoder: PiecewiseLinearEncoder | SplineEncoder) -> str:
    graph.hold("columns", encoder.columns_, np.int64)
    graph.hold("lows", encoder.lows_[None], np.float32)
    graph.hold("slopes", encoder.slopes_[None], np.float32)
    graph.hold("nothing", np.array(0.0), np.float32)
    graph.hold("all", np.array(1.0), np.float32)
    graph.add("Gather", [_known(graph), "columns"], "spread", axis=1)
    graph.add("Sub", ["spread", "lows"], "above")
    graph.add("Mul", ["above", "slopes"], "unbounded")
    return graph.add("Clip", ["unbounded", "nothing", "all"], "ramps")


def _spline(graph: _Graph, encoder: SplineEncoder) -> str:
    """Horner's rule for the four cubics of every spline at once, (N, 4, d)."""
    ramps = _piecewise(graph, encoder)
    graph.hold("own_ramps", encoder.ramps_, np.int64)
    for name, power in zip(("linear", "square", "cube"), encoder.cubics_, strict=True):
        graph.hold(name, power[None], np.float32)
    graph.hold("starts", encoder.starts_[None], np.float32)
    graph.hold("four", np.array([1]), np.int64)
    graph.add("Gather", [ramps, "own_ramps"], "t", axis=1)
    graph.add("Mul", ["cube", "t"], "t1")
    graph.add("Add", ["t1", "square"], "t2")
    graph.add("Mul", ["t2", "t"], "t3")
    graph.add("Add", ["t3", "linear"], "t4")
    graph.add("Mul", ["t4", "t"], "rises")
    graph.add("ReduceSum", ["rises", "four"], "rise", keepdims=0)
    graph.add("Add", ["rise", "starts"], "splines")
    graph.hold("spline_columns", encoder.columns_[encoder.ramps_[0]], np.int64)
    graph.add("Gather", ["gaps", "spline_columns"], "spline_gaps", axis=1)
    return _zero_in_gaps(graph, "spline_gaps", "splines")


def _quantile(graph: _Graph, encoder: QuantileEncoder) -> str:
    """A tree for each column finds the piece; what holds there is gathered from tables."""
    p = len(encoder.knots_)
    trees = [_search_tree(knots[1:-1], j) for j, knots in enumerate(encoder.knots_)]
    search = tree_ensemble(trees, n_features=p, n_outputs=p, less_or_equal=True).graph.node[0]
    search.input[0], search.output[0] = _known(graph), "piece"
    graph.nodes.append(search)
    graph.add("Cast", ["piece"], "piece_number", to=TensorProto.INT64)
    sizes = [len(slopes) for slopes in encoder.slopes_]
    graph.hold("offsets", np.cumsum([0, *sizes[:-1]])[None], np.int64)
    graph.add("Add", ["piece_number", "offsets"], "at")
    tables = {
        "knot": [k[:m] for k, m in zip(encoder.knots_, sizes, strict=True)],
        "slope": encoder.slopes_,
        "score": [s[:m] for s, m in zip(encoder.scores_, sizes, strict=True)],
        "step": [np.diff(s) if len(s) > 1 else np.zeros(1) for s in encoder.scores_],
    }
    for name, columns in tables.items():
        graph.hold(f"{name}s", np.concatenate(columns), np.float32)
        graph.add("Gather", [f"{name}s", "at"], name)
    graph.hold("nothing", np.array(0.0), np.float32)
    graph.hold("all", np.array(1.0), np.float32)
    graph.add("Sub", ["known_numbers", "knot"], "above")
    graph.add("Mul", ["above", "slope"], "unbounded")
    graph.add("Clip", ["unbounded", "nothing", "all"], "share")
    graph.add("Mul", ["share", "step"], "rise")
    graph.add("Add", ["score", "rise"], "normal")
    return _zero_in_gaps(graph, "gaps", "normal")


def _search_tree(inner: np.ndarray, column: int) -> dict[str, Any]:
    """A balanced tree that gives the number of sorted values below ``x``."""
    left: list[int] = []
    right: list[int] = []
    threshold: list[float] = []
    leaf: list[float] = []

    def add(start: int, stop: int) -> int:
        here = len(left)
        middle = (start + stop) // 2
        left.append(-1)
        right.append(-1)
        threshold.append(0.0)
        leaf.append(float(start))
        if start < stop:
            threshold[here] = float(inner[middle])
            left[here] = add(start, middle)
            right[here] = add(middle + 1, stop)
        return here

    add(0, len(inner))
    n = len(left)
    return {
        "left": np.array(left),
        "right": np.array(right),
        "feature": np.full(n, column),
        "threshold": np.array(threshold),
        "missing_left": np.ones(n, dtype=bool),
        "value": np.array(leaf),
        "output": column,
    }


def _one_hot(graph: _Graph, encoder: MixedEncoder) -> str:
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
    graph.hold("unseen", [unseen], np.int64)
    graph.hold("minus", np.zeros((1, 1)), np.int64)
    graph.hold("width", [width], np.int64)
    graph.hold("off_on", [0, 1], np.float32)
    graph.hold("middle", [1], np.int64)
    graph.add(
        "LabelEncoder",
        [_keyed(graph, encoder)],
        "known",
        domain="ai.onnx.ml",
        keys_strings=keys,
        values_int64s=slots,
        default_int64=-1,
    )
    graph.add("Less", ["known", "minus"], "is_unseen")
    graph.add("Where", ["is_unseen", "unseen", "known"], "slots")
    graph.add("OneHot", ["slots", "width", "off_on"], "one_hots")
    return graph.add("ReduceSum", ["one_hots", "middle"], "one_hot", keepdims=0)


def _products(graph: _Graph, encoder: TeacherBinsEncoder) -> str:
    sources = []
    if len(encoder.steps_):
        graph.hold("step_columns", encoder.step_columns_, np.int64)
        graph.hold("thresholds", encoder.steps_[None], np.float32)
        graph.add("Gather", ["known_numbers", "step_columns"], "stepped", axis=1)
        graph.add("Greater", ["stepped", "thresholds"], "is_above")
        sources.append(graph.add("Cast", ["is_above"], "steps", to=TensorProto.FLOAT))
    if encoder.schema_.categorical:
        sources.append("one_hot")
    graph.add("Concat", sources, "sources", axis=1)
    for name, side in zip(("left", "right"), encoder.factors_, strict=True):
        graph.hold(f"{name}_positions", side, np.int64)
        graph.add("Gather", ["sources", f"{name}_positions"], name, axis=1)
    return graph.add("Mul", ["left", "right"], "products")


def _ordinal(graph: _Graph, encoder: OrdinalEncoder) -> None:
    if encoder.schema_.numeric:
        graph.parts.append(NUMERIC)
    if not encoder.schema_.categorical:
        return
    keys: list[str] = []
    ranks: list[float] = []
    for j, (column, table) in enumerate(
        zip(encoder.schema_.categorical, encoder.ranks_, strict=True)
    ):
        keys += [f"{j}={key}" for key in column.categories]
        ranks += table[:-2].tolist()
    # Without any category (a column that was always missing) the operator still needs one.
    keys, ranks = keys or ["\0"], ranks or [0.0]
    ranked = graph.add(
        "LabelEncoder",
        [_keyed(graph, encoder)],
        "ranks",
        domain="ai.onnx.ml",
        keys_strings=keys,
        values_floats=ranks,
        default_float=float("nan"),
    )
    graph.parts.append(ranked)


def _keyed(graph: _Graph, encoder: Encoder) -> str:
    """Texts marked with their column, so that one operator looks up all columns at once."""
    marks = [f"{j}=" for j in range(len(encoder.schema_.categorical))]
    graph.constants.append(numpy_helper.from_array(np.array([marks], dtype=object), "column_marks"))
    return graph.add("StringConcat", ["column_marks", CATEGORICAL], "keyed")
