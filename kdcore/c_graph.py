"""An ONNX graph of kdcore for one row as plain C: every operator becomes a loop.

All shapes are known, since the batch is one row. Numbers have the precision that they have in the
graph, and operations their order, so a number is on the same side of a step in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcore.c_trees import tree_function
from kdcore.c_values import C_TYPES, array, literal, text
from kdcore.encoder_graphs import CATEGORICAL, NUMERIC
from kdcore.errors import KDError

__all__ = ["Translation", "translate"]

#: Elementwise operators: an expression, in which f stands for the suffix of float's functions.
_ELEMENTWISE = {
    "Add": "{0} + {1}",
    "Sub": "{0} - {1}",
    "Mul": "{0} * {1}",
    "Div": "{0} / {1}",
    "Less": "{0} < {1}",
    "Greater": "{0} > {1}",
    "Where": "{0} ? {1} : {2}",
    "Clip": "{0} < {1} ? {1} : {0} > {2} ? {2} : {0}",
    "IsNaN": "{0} != {0}",
    "Identity": "{0}",
    "Cast": "({t}){0}",
    "Exp": "exp{f}({0})",
    "Erf": "erf{f}({0})",
    "Neg": "-{0}",
    "Sqrt": "sqrt{f}({0})",
    "Relu": "{0} > 0 ? {0} : 0",
    "Tanh": "tanh{f}({0})",
    "Sigmoid": "1 / (1 + exp{f}(-{0}))",
    "Gelu": "0.5 * {0} * (1 + erf{f}({0} * 0.70710678118654752))",
}
_TRUTH = {"Less", "Greater", "IsNaN"}


@dataclass
class _Tensor:
    """A value of the graph: its C name, shape and kind, and its elements where constant."""

    name: str
    shape: tuple[int, ...]
    kind: str
    values: np.ndarray | None = None


@dataclass
class Translation:
    """C text under construction.

    Parameters
    ----------
    constants : list of str
        Definitions outside of functions.
    body : list of str
        Statements of the function that predicts a row, from ``numeric`` and ``categorical`` to
        ``output``.
    """

    constants: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    tensors: dict[str, _Tensor] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    uses_keys: bool = False

    def fresh(self, shape: tuple[int, ...], kind: str) -> _Tensor:
        name = f"v{len(self.tensors)}"
        self.body.append(f"{C_TYPES[kind]} {name}[{math.prod(shape)}];")
        return _Tensor(name, shape, kind)

    def read(self, name: str) -> _Tensor:
        tensor = self.tensors[name]
        if tensor.values is not None and tensor.name not in self.written:
            self.constants.append(array(tensor.name, tensor.values.ravel(), tensor.kind))
            self.written.add(tensor.name)
        return tensor

    def known(self, name: str) -> np.ndarray:
        values = self.tensors[name].values
        if values is None:
            raise KDError("a graph that computes its own axes or tables cannot be written as C.")
        return values


def translate(model: Any, widths: dict[str, int]) -> Translation:
    """Turn a model from ``numeric`` and ``categorical`` to ``output`` into C.

    Parameters
    ----------
    model : onnx.ModelProto
        As from `kdcore.graph.build_graph`.
    widths : dict of str to int
        Number of numeric and of categorical columns.

    Raises
    ------
    KDError
        When it has an operator that kdcore does not write as C; the message names it.
    """
    from onnx import numpy_helper

    out = Translation()
    for i, held in enumerate(model.graph.initializer):
        values = numpy_helper.to_array(held)
        kind = {"f": "f", "i": "l", "u": "l", "b": "?"}.get(values.dtype.kind, "s")
        if values.dtype == np.float64:
            kind = "d"
        out.tensors[held.name] = _Tensor(f"c{i}", values.shape, kind, values)
    out.tensors[NUMERIC] = _Tensor(NUMERIC, (1, widths[NUMERIC]), "f")
    out.tensors[CATEGORICAL] = _Tensor(CATEGORICAL, (1, widths[CATEGORICAL]), "s")
    for node in model.graph.node:
        write = _OPERATORS.get(node.op_type)
        if node.op_type in _ELEMENTWISE:
            write = _elementwise
        if write is None:
            raise KDError(
                f"a model with the ONNX operator {node.op_type} cannot be written as C; export it "
                "as onnx."
            )
        out.tensors[node.output[0]] = write(out, node)
    result = out.read(model.graph.output[0].name)
    out.body.append(
        f"for (i = 0; i < {math.prod(result.shape)}; i++) output[i] = {result.name}[i];"
    )
    return out


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _elementwise(out: Translation, node: Any) -> _Tensor:
    sources = [out.read(name) for name in node.input]
    shape = np.broadcast_shapes(*(s.shape for s in sources))
    kind = sources[-1].kind
    if node.op_type == "Clip":
        kind = sources[0].kind
    elif node.op_type in _TRUTH:
        kind = "?"
    elif node.op_type == "Cast":
        from onnx import TensorProto

        kinds = {TensorProto.FLOAT: "f", TensorProto.DOUBLE: "d", TensorProto.INT64: "l"}
        wanted = _attributes(node)["to"]
        if wanted not in kinds:
            raise KDError(f"a cast to ONNX type {wanted} cannot be written as C.")
        kind = kinds[wanted]
    result = out.fresh(shape, kind)
    items = [f"{s.name}[{_index(s.shape, shape)}]" for s in sources]
    if node.op_type == "Gelu" and _attributes(node).get("approximate", b"none") != b"none":
        raise KDError("a Gelu by its approximation cannot be written as C.")
    suffix = "" if kind == "d" else "f"
    told = _ELEMENTWISE[node.op_type].format(*items, t=C_TYPES[kind], f=suffix)
    _loop(out, shape, f"{result.name}[{_index(shape, shape)}] = {told};")
    return result


def _loop(out: Translation, shape: tuple[int, ...], statement: str) -> None:
    heads = [
        f"for (i{axis} = 0; i{axis} < {size}; i{axis}++)"
        for axis, size in enumerate(shape)
        if size != 1
    ]
    out.body.append(" ".join([*heads, statement]))


def _index(shape: tuple[int, ...], whole: tuple[int, ...]) -> str:
    """Position of an element, by the loop variables of a shape that it is broadcast to."""
    terms, step, offset = [], 1, len(whole) - len(shape)
    for axis in reversed(range(len(shape))):
        if shape[axis] != 1:
            terms.append(f"i{axis + offset}" + (f" * {step}" if step > 1 else ""))
        step *= shape[axis]
    return " + ".join(reversed(terms)) or "0"


def _gather(out: Translation, node: Any) -> _Tensor:
    data, at = out.read(node.input[0]), out.read(node.input[1])
    axis = _attributes(node).get("axis", 0)
    before, after = data.shape[:axis], data.shape[axis + 1 :]
    if math.prod(before) != 1 or math.prod(after) != 1:
        raise KDError("a Gather along an inner axis cannot be written as C.")
    shape = (*before, *at.shape, *after)
    result = out.fresh(shape, data.kind)
    count = math.prod(shape)
    out.body.append(f"for (i = 0; i < {count}; i++) {result.name}[i] = {data.name}[{at.name}[i]];")
    return result


def _concat(out: Translation, node: Any) -> _Tensor:
    parts = [out.read(name) for name in node.input]
    widths = [math.prod(p.shape) for p in parts]
    if any(len(p.shape) != 2 or p.shape[0] != 1 for p in parts):
        raise KDError("a Concat of other than rows cannot be written as C.")
    result = out.fresh((1, sum(widths)), parts[0].kind)
    start = 0
    for part, width in zip(parts, widths, strict=True):
        target = f"{result.name}[{start} + i]" if start else f"{result.name}[i]"
        out.body.append(f"for (i = 0; i < {width}; i++) {target} = {part.name}[i];")
        start += width
    return result


def _string_concat(out: Translation, node: Any) -> _Tensor:
    """Marks before texts, by which one table serves all columns; C has a table for each column."""
    marks = out.known(node.input[0])
    return _Tensor(CATEGORICAL, marks.shape, "s", marks)


def _label_encoder(out: Translation, node: Any) -> _Tensor:
    source, given = out.tensors[node.input[0]], _attributes(node)
    if source.kind != "s" or source.values is None or "keys_strings" not in given:
        raise KDError("a LabelEncoder of other than marked texts cannot be written as C.")
    whole = "values_int64s" in given
    kind = "l" if whole else "f"
    values = given["values_int64s" if whole else "values_floats"]
    default = literal(given["default_int64" if whole else "default_float"], kind)
    result = out.fresh(source.shape, kind)
    out.uses_keys = True
    for j, mark in enumerate(source.values.ravel().tolist()):
        mark = mark.decode() if isinstance(mark, bytes) else mark
        keys = [
            (key.decode()[len(mark) :], value)
            for key, value in zip(given["keys_strings"], values, strict=True)
            if key.decode().startswith(mark)
        ]
        # strcmp orders by bytes.
        keys.sort(key=lambda pair: pair[0].encode())
        name = f"{result.name}_{j}"
        if not keys:
            out.body.append(f"{result.name}[{j}] = {default};")
            continue
        listed = ",\n  ".join(text(key) for key, _ in keys)
        out.constants.append(
            f"static const char *const {name}_key[{len(keys)}] = {{\n  {listed}}};"
        )
        out.constants.append(array(f"{name}_value", [value for _, value in keys], kind))
        out.body.append(f"i = find({name}_key, {len(keys)}, {CATEGORICAL}[{j}]);")
        out.body.append(f"{result.name}[{j}] = i < 0 ? {default} : {name}_value[i];")
    return result


def _one_hot(out: Translation, node: Any) -> _Tensor:
    slots, depth = out.read(node.input[0]), int(out.known(node.input[1]).ravel()[0])
    off, on = out.known(node.input[2]).tolist()
    if (off, on) != (0.0, 1.0) or _attributes(node).get("axis", -1) != -1:
        raise KDError("a OneHot of other than 0 and 1 along the last axis cannot be written as C.")
    n = math.prod(slots.shape)
    result = out.fresh((*slots.shape, depth), "f")
    out.body.append(f"for (i = 0; i < {n * depth}; i++) {result.name}[i] = 0;")
    place = f"{result.name}[i * {depth} + {slots.name}[i]]"
    inside = f"{slots.name}[i] >= 0 && {slots.name}[i] < {depth}"
    out.body.append(f"for (i = 0; i < {n}; i++) if ({inside}) {place} = 1;")
    return result


def _reduce(out: Translation, node: Any) -> _Tensor:
    source, given = out.read(node.input[0]), _attributes(node)
    axes = {int(a) % len(source.shape) for a in out.known(node.input[1]).ravel()}
    kept = tuple(1 if i in axes else s for i, s in enumerate(source.shape))
    shape = kept
    if not given.get("keepdims", 1):
        shape = tuple(s for i, s in enumerate(source.shape) if i not in axes)
    result = out.fresh(shape, source.kind)
    item = f"{source.name}[{_index(source.shape, source.shape)}]"
    if node.op_type == "ReduceSumSquare":
        item = f"{item} * {item}"
    out.body.append(f"for (i = 0; i < {math.prod(shape)}; i++) {result.name}[i] = 0;")
    _loop(out, source.shape, f"{result.name}[{_index(kept, source.shape)}] += {item};")
    return result


def _gemm(out: Translation, node: Any) -> _Tensor:
    row, weights = out.read(node.input[0]), out.read(node.input[1])
    given = _attributes(node)
    plain = given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0 and not given.get("transA", 0)
    if not plain or math.prod(row.shape[:-1]) != 1 or len(weights.shape) != 2:
        raise KDError(f"a {node.op_type} of other than one row cannot be written as C.")
    turned = given.get("transB", 0)
    n, k = weights.shape[::-1] if turned else weights.shape
    at = f"i0 * {n} + i1" if turned else f"i1 * {k} + i0"
    result = out.fresh((1, k), row.kind)
    start = "0"
    if len(node.input) > 2:
        bias = out.read(node.input[2])
        start = f"{bias.name}[{'i0' if math.prod(bias.shape) > 1 else 0}]"
    # Sums in double: the order of summing differs among libraries, the exact sum does not.
    out.body.append(
        f"for (i0 = 0; i0 < {k}; i0++) {{ double sum = {start}; "
        f"for (i1 = 0; i1 < {n}; i1++) sum += (double){row.name}[i1] * {weights.name}[{at}]; "
        f"{result.name}[i0] = ({C_TYPES[row.kind]})sum; }}"
    )
    return result


def _softmax(out: Translation, node: Any) -> _Tensor:
    source = out.read(node.input[0])
    if _attributes(node).get("axis", -1) % len(source.shape) != len(source.shape) - 1:
        raise KDError("a Softmax along an inner axis cannot be written as C.")
    n, c_type = source.shape[-1], C_TYPES[source.kind]
    result = out.fresh(source.shape, source.kind)
    s, r, f = source.name, result.name, "f" if source.kind == "f" else ""
    out.body.append(
        f"{{ {c_type} top = {s}[0], sum = 0; "
        f"for (i = 1; i < {n}; i++) if ({s}[i] > top) top = {s}[i]; "
        f"for (i = 0; i < {n}; i++) sum += {r}[i] = exp{f}({s}[i] - top); "
        f"for (i = 0; i < {n}; i++) {r}[i] /= sum; }}"
    )
    return result


def _trees(out: Translation, node: Any) -> _Tensor:
    source = out.read(node.input[0])
    name = f"trees{len(out.tensors)}"
    told, k = tree_function(node, name)
    out.constants.append(told)
    result = out.fresh((1, k), "f")
    out.body.append(f"{name}({source.name}, {result.name});")
    return result


_OPERATORS = {
    "Concat": _concat,
    "Gather": _gather,
    "Gemm": _gemm,
    "LabelEncoder": _label_encoder,
    "MatMul": _gemm,
    "OneHot": _one_hot,
    "ReduceSum": _reduce,
    "ReduceSumSquare": _reduce,
    "Softmax": _softmax,
    "StringConcat": _string_concat,
    "TreeEnsembleRegressor": _trees,
}
