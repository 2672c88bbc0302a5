"""The operators of ONNX that kdcore's graphs have, as PyTorch's.

A writer takes the module, the names of an operator's inputs, and its attributes, and returns the
step that computes its output of the values so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from kdcore.encoder_graphs import CATEGORICAL
from kdcore.errors import KDError

if TYPE_CHECKING:
    from kdcore.torch_graph import GraphModule

__all__ = ["MISSING_CODE", "OPERATORS", "PLAIN", "Step", "called"]

#: The code of a missing category; any other that is no position in the list of its column means
#: one that was not there in training.
MISSING_CODE = -1

_KINDS = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}

#: Operators without attributes: what they are of their inputs.
PLAIN: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "And": torch.logical_and,
    "Div": torch.div,
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "GlobalAveragePool": lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True),
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Identity": lambda x: x,
    "IsNaN": torch.isnan,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Log": torch.log,
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Where": torch.where,
}

Step = Callable[[dict[str, Any]], Any]


def called(function: Callable[..., Any], sources: list[str]) -> Step:
    return lambda values: function(*(values[name] for name in sources))


def _cast(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    if given["to"] not in _KINDS:
        raise KDError(f"a cast to ONNX type {given['to']} cannot be written as torchscript.")
    kind = _KINDS[given["to"]]
    return lambda values: values[sources[0]].to(kind)


def _clip(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    low, high = ([*sources, "", ""])[1:3]

    def step(values: dict[str, Any]) -> Any:
        x = values[sources[0]]
        x = torch.maximum(x, values[low]) if low else x
        return torch.minimum(x, values[high]) if high else x

    return step


def _concat(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    return lambda values: torch.cat([values[name] for name in sources], dim=given["axis"])


def _flatten(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    if given.get("axis", 1) != 1:
        raise KDError("a Flatten of other than rows cannot be written as torchscript.")
    return lambda values: values[sources[0]].flatten(1)


def _gather(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    data, at = sources
    axis = given.get("axis", 0)
    constant = module.constant(at)
    if constant is not None and constant.ndim == 1 and (constant >= 0).all():
        return lambda values: torch.index_select(values[data], axis, values[at])
    before = (slice(None),) * axis
    return lambda values: values[data][(*before, values[at])]


def _gelu(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    form = given.get("approximate", b"none").decode()
    return lambda values: F.gelu(values[sources[0]], approximate=form)


def _gemm(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)

    def step(values: dict[str, Any]) -> Any:
        a, b, *c = (values[name] for name in sources)
        a = a.t() if given.get("transA", 0) else a
        product = torch.matmul(a, b.t() if given.get("transB", 0) else b)
        product = product if alpha == 1.0 else product * alpha
        if not c:
            return product
        return product + (c[0] if beta == 1.0 else c[0] * beta)

    return step


def _label_encoder(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    if "keys_strings" not in given or not {"values_int64s", "values_floats"} & set(given):
        raise KDError("a LabelEncoder of other than texts cannot be written as torchscript.")
    values, starts = module.table(module.texts(sources[0]), given)
    table, start = module.hold(values), module.hold(starts[None])
    sizes = module.hold(np.array([[len(c) for c in module.categories]], dtype=np.int64))

    def step(values: dict[str, Any]) -> Any:
        codes, size = values[CATEGORICAL], getattr(module, sizes)
        strange = (codes < MISSING_CODE) | (codes >= size)
        return getattr(module, table)[
            torch.where(strange, size, codes) + 1 + getattr(module, start)
        ]

    return step


def _one_hot(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    depth = int(module.known(sources[1]).ravel()[0])
    off_on = module.known(sources[2])
    if off_on.tolist() != [0, 1] or given.get("axis", -1) != -1:
        raise KDError(
            "a OneHot of other than 0 and 1 along the last axis cannot be written as torchscript."
        )
    kind = torch.from_numpy(off_on.copy()).dtype
    columns = module.hold(np.arange(depth))
    return lambda values: (values[sources[0]].unsqueeze(-1) == getattr(module, columns)).to(kind)


def _reduced(function: Callable[..., Any]) -> Callable[..., Step]:
    def write(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
        if len(sources) < 2:
            raise KDError("a sum over all axes cannot be written as torchscript.")
        axes = tuple(int(a) for a in module.known(sources[1]).ravel())
        keep = bool(given.get("keepdims", 1))
        return lambda values: function(values[sources[0]]).sum(dim=axes, keepdim=keep)

    return write


def _reshape(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    shape = tuple(int(s) for s in module.known(sources[1]))
    if 0 in shape:
        raise KDError("a Reshape that copies a size cannot be written as torchscript.")
    return lambda values: values[sources[0]].reshape(shape)


def _softmax(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    return lambda values: torch.softmax(values[sources[0]], dim=given.get("axis", -1))


def _pad(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    ends = [int(n) for n in module.known(sources[1])]
    filler = float(module.known(sources[2])) if len(sources) > 2 and sources[2] else 0.0
    if given.get("mode", b"constant") != b"constant" or len(sources) > 3:
        raise KDError("a Pad by other than a constant cannot be written as torchscript.")
    half = len(ends) // 2
    # ONNX: all beginnings, then all ends; PyTorch: pairs, the last axis first.
    pairs = [n for i in reversed(range(half)) for n in (ends[i], ends[half + i])]
    return lambda values: F.pad(values[sources[0]], pairs, value=filler)


def _conv(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    sides = _sides("Conv", given)
    data, weight, *bias = sources
    return lambda values: torch.conv2d(
        values[data],
        values[weight],
        values[bias[0]] if bias else None,
        given.get("strides", (1, 1)),
        sides,
        given.get("dilations", (1, 1)),
        given.get("group", 1),
    )


def _max_pool(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    sides = _sides("MaxPool", given)
    return lambda values: F.max_pool2d(
        values[sources[0]],
        given["kernel_shape"],
        given.get("strides", (1, 1)),
        sides,
        given.get("dilations", (1, 1)),
        bool(given.get("ceil_mode", 0)),
    )


def _average_pool(module: GraphModule, sources: list[str], given: dict[str, Any]) -> Step:
    sides = _sides("AveragePool", given)
    if any(d != 1 for d in given.get("dilations", ())):
        raise KDError("an AveragePool with gaps cannot be written as torchscript.")
    return lambda values: F.avg_pool2d(
        values[sources[0]],
        given["kernel_shape"],
        given.get("strides", (1, 1)),
        sides,
        bool(given.get("ceil_mode", 0)),
        bool(given.get("count_include_pad", 0)),
    )


def _sides(kind: str, given: dict[str, Any]) -> tuple[int, int]:
    """How many pixels are added at the top and the bottom, and at the left and the right."""
    pads = [*given.get("pads", (0, 0, 0, 0))]
    told = given.get("auto_pad", b"NOTSET") == b"NOTSET"
    if not told or len(pads) != 4 or pads[:2] != pads[2:]:
        raise KDError(
            f"a {kind} of other than pictures with even sides cannot be written as torchscript."
        )
    return pads[0], pads[1]


#: How the others are written, from the names of their inputs and their attributes.
OPERATORS: dict[str, Callable[[GraphModule, list[str], dict[str, Any]], Step]] = {
    "AveragePool": _average_pool,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "LabelEncoder": _label_encoder,
    "MaxPool": _max_pool,
    "OneHot": _one_hot,
    "Pad": _pad,
    "ReduceSum": _reduced(lambda x: x),
    "ReduceSumSquare": _reduced(torch.square),
    "Reshape": _reshape,
    "Softmax": _softmax,
}
