"""ONNX graphs of networks, layer by layer, with batch norm folded into the layer before it.

Written by hand since the graphs are small, exact, and need no converter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn

from kdcore.errors import KDError
from kdcore.onnx_models import OUTPUT, constant, student_graph
from kdcore_torch.embeddings import Embeddings
from kdcore_torch.layers import Dropout, Pixels, Shift

if TYPE_CHECKING:
    from kdcore_torch.links import Link

__all__ = ["network_to_onnx"]

_SIMPLE = {nn.ReLU: "Relu", nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid", nn.Flatten: "Flatten"}
_ABSENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, Dropout, Shift)


def network_to_onnx(module: nn.Module, n_inputs: int, link: Link) -> onnx.ModelProto:
    """A network as an ONNX model from encoded rows (N, d) to probabilities (N, K) or values.

    Parameters
    ----------
    module : torch.nn.Module
        One layer, or a Sequential of layers: linear, convolutions, batch norm, the activations of
        `kdcore_torch.layers.ACTIVATIONS`, max- and average pools, flatten, dropout.
    n_inputs : int
    link : Link

    Raises
    ------
    KDError
        When a layer is none of these; the message names it.
    """
    graph = _Graph()
    for layer in _folded(list(_flat(module))):
        graph.add(layer)
    width = graph.link(link, _n_outputs(module, n_inputs))
    return student_graph(graph.nodes, graph.constants, ("Z", n_inputs), (OUTPUT, width))


class _Graph:
    """Nodes and constants so far; ``name`` is the value that the next layer reads."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.name = "Z"

    def node(self, kind: str, *constants: Any, **attributes: Any) -> None:
        """Append a node that reads the last value and some constants."""
        target = f"v{len(self.nodes)}"
        names = []
        for i, values in enumerate(constants):
            names.append(f"{target}_{i}")
            array = np.asarray(values)
            dtype = np.int64 if array.dtype.kind == "i" else np.float32
            self.constants.append(constant(names[-1], array, dtype))
        self.nodes.append(helper.make_node(kind, [self.name, *names], [target], **attributes))
        self.name = target

    def add(self, layer: nn.Module) -> None:
        """Append a layer."""
        if type(layer) in _SIMPLE:
            self.node(_SIMPLE[type(layer)])
            return
        for kind, write in _WRITERS.items():
            if isinstance(layer, kind):
                write(self, layer)
                return
        raise KDError(
            f"the layer {type(layer).__name__} cannot be written as ONNX; use a Sequential of "
            "linear, convolution, batch norm, pool, flatten, dropout and activation layers."
        )

    def link(self, link: Link, n_outputs: int) -> int:
        """Append what turns outputs into predictions; returns their width."""
        if link.kind == "logistic":
            # Softmax of (-z/2, z/2) is (1 - sigmoid(z), sigmoid(z)), accurate at both ends.
            self.node("MatMul", [[-0.5, 0.5]])
            n_outputs = 2
        if link.kind == "identity":
            self.node("Mul", [[link.scale]])
            self.node("Add", [[link.shift]])
        else:
            self.node("Softmax", axis=1)
        self.nodes[-1].output[0] = OUTPUT
        return n_outputs


def _linear(graph: _Graph, layer: Any) -> None:
    # Weights as they lie in the state beside the graph, so that a bundle holds them once.
    graph.node("Gemm", _array(layer.weight), _bias(layer), transB=1)


def _conv(graph: _Graph, layer: Any) -> None:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise KDError(
            f"the layer Conv2d with padding={layer.padding!r} and "
            f"padding_mode={layer.padding_mode!r} cannot be written as ONNX; pad by zeros, and "
            "give the padding as a number."
        )
    graph.node(
        "Conv",
        _array(layer.weight),
        _bias(layer),
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        pads=[*layer.padding, *layer.padding],
        dilations=list(layer.dilation),
        group=layer.groups,
    )


def _norm(graph: _Graph, layer: Any) -> None:
    """Batch norm that no linear layer or convolution comes before."""
    factor, term = _affine(layer)
    shape = (1, -1, 1, 1) if isinstance(layer, nn.BatchNorm2d) else (1, -1)
    graph.node("Mul", factor.reshape(shape))
    graph.node("Add", term.reshape(shape))


def _pool(graph: _Graph, layer: Any) -> None:
    if getattr(layer, "return_indices", False) or getattr(layer, "divisor_override", None):
        raise KDError(
            f"the layer {type(layer).__name__} with return_indices or divisor_override cannot be "
            "written as ONNX."
        )
    padding = _pair(layer.padding)
    options: dict[str, Any] = {
        "kernel_shape": _pair(layer.kernel_size),
        "strides": _pair(layer.stride),
        "pads": [*padding, *padding],
        "ceil_mode": int(layer.ceil_mode),
    }
    if isinstance(layer, nn.MaxPool2d):
        graph.node("MaxPool", dilations=_pair(layer.dilation), **options)
    else:
        graph.node("AveragePool", count_include_pad=int(layer.count_include_pad), **options)


def _global_pool(graph: _Graph, layer: Any) -> None:
    if _pair(layer.output_size) != [1, 1]:
        raise KDError(
            f"the layer AdaptiveAvgPool2d({layer.output_size}) cannot be written as ONNX; only "
            "an output of one pixel can."
        )
    graph.node("GlobalAveragePool")


def _pixels(graph: _Graph, layer: Any) -> None:
    graph.node("Sub", _array(layer.mean)[None])
    graph.node("Div", _array(layer.scale)[None])
    scaled = graph.name
    graph.node("IsNaN")
    gaps = graph.name
    target = f"v{len(graph.nodes)}"
    graph.constants.append(constant(f"{target}_zero", np.zeros((1, 1)), np.float32))
    graph.nodes.append(helper.make_node("Where", [gaps, f"{target}_zero", scaled], [target]))
    graph.name = target
    if not layer.in_order:
        graph.node("Pad", np.array([0, 0, 0, 1]))
        graph.node("Gather", np.asarray(layer.sources), axis=1)
    graph.node("Reshape", np.array([-1, *layer.shape]))


def _embeddings(graph: _Graph, layer: Any) -> None:
    source, parts = graph.name, []
    for block, table in zip(layer.blocks, layer.tables, strict=True):
        graph.name = source
        graph.node("Gather", np.asarray(block), axis=1)
        graph.node("MatMul", _array(table))
        parts.append(graph.name)
    if len(layer.others):
        graph.name = source
        graph.node("Gather", np.asarray(layer.others), axis=1)
        parts.insert(0, graph.name)
    target = f"v{len(graph.nodes)}"
    graph.nodes.append(helper.make_node("Concat", parts, [target], axis=1))
    graph.name = target


def _gelu(graph: _Graph, layer: Any) -> None:
    graph.node("Gelu", approximate=layer.approximate)


def _silu(graph: _Graph, layer: Any) -> None:
    source = graph.name
    graph.node("Sigmoid")
    target = f"v{len(graph.nodes)}"
    graph.nodes.append(helper.make_node("Mul", [source, graph.name], [target]))
    graph.name = target


_WRITERS: dict[type[nn.Module], Callable[[_Graph, Any], None]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _global_pool,
    nn.GELU: _gelu,
    nn.SiLU: _silu,
    Pixels: _pixels,
    Embeddings: _embeddings,
}


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of nested Sequentials, without those that do nothing at predict time."""
    if type(module) is nn.Sequential:
        for part in module:
            yield from _flat(part)
    elif not isinstance(module, _ABSENT):
        yield module


def _folded(layers: list[nn.Module]) -> list[nn.Module]:
    """The layers with each batch norm folded into the linear layer or convolution before it."""
    out: list[nn.Module] = []
    for layer in layers:
        before = out[-1] if out else None
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and isinstance(
            before, (nn.Linear, nn.Conv2d)
        ):
            factor, term = _affine(layer)
            out[-1] = _scaled(before, factor, term)
        else:
            out.append(layer)
    return out


def _scaled(layer: Any, factor: np.ndarray, term: np.ndarray) -> nn.Module:
    import copy

    made = copy.deepcopy(layer)
    weight = _array(layer.weight).astype(np.float64)
    shaped = factor.reshape(-1, *[1] * (weight.ndim - 1))
    made.weight = nn.Parameter(torch.from_numpy((weight * shaped).astype(np.float32)))
    bias = _bias(layer).astype(np.float64) * factor + term
    made.bias = nn.Parameter(torch.from_numpy(bias.astype(np.float32)))
    return made


def _affine(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """What batch norm multiplies by and adds when it predicts, in double precision."""
    if norm.running_mean is None:
        raise KDError(
            "batch norm without track_running_stats cannot be written as ONNX: what it predicts "
            "of a row depends on the other rows."
        )
    ones = np.ones(norm.num_features)
    weight = ones if norm.weight is None else _array(norm.weight).astype(np.float64)
    bias = 0 * ones if norm.bias is None else _array(norm.bias).astype(np.float64)
    factor = weight / np.sqrt(_array(norm.running_var).astype(np.float64) + norm.eps)
    return factor, bias - _array(norm.running_mean).astype(np.float64) * factor


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.asarray(tensor.detach())


def _bias(layer: Any) -> np.ndarray:
    return np.zeros(len(layer.weight), np.float32) if layer.bias is None else _array(layer.bias)


def _pair(value: Any) -> list[int]:
    return [int(v) for v in (value if isinstance(value, (tuple, list)) else (value, value))]


def _n_outputs(module: nn.Module, n_inputs: int) -> int:
    with torch.no_grad():
        return int(module(torch.zeros(2, n_inputs)).reshape(2, -1).shape[1])
