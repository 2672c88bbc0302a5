"""Forward and backward passes of a network in training.

PyTorch's autograd keeps a graph of every operation. For a chain of a few small layers that takes
longer than the matrix products, so chains of known layers are differentiated layer by layer, into
gradients that exist already; any other network goes through autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from kdcore_torch.devices import autocast
from kdcore_torch.layers import Dropout, Pixels, Shift

__all__ = ["Autograd", "Chain", "Passes", "passes"]

_aten: Any = torch.ops.aten


class Passes(Protocol):
    """A forward pass, and then a backward pass that sets (not adds to) gradients."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of a batch, without a graph."""

    def backward(self, grad: torch.Tensor) -> None:
        """Set the gradients of all parameters from that of the outputs."""


def passes(module: nn.Module, device: torch.device, precision: str, clear: Any) -> Passes:
    """The fastest passes of a network whose parameters have gradients.

    Parameters
    ----------
    module : torch.nn.Module
    device : torch.device
    precision : str
    clear : callable
        Sets all gradients to 0.
    """
    if device.type == "cpu" and precision == "float32":
        links = _links(module)
        if links is not None:
            return Chain(*links)
    return Autograd(module, device, precision, clear)


class Autograd:
    """Passes of any network."""

    def __init__(
        self, module: nn.Module, device: torch.device, precision: str, clear: Callable[[], None]
    ) -> None:
        self.module, self.device, self.precision, self.clear = module, device, precision, clear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with autocast(self.device, self.precision):
            output = self.module(x)
        self._output = output.float()
        return self._output.detach()

    def backward(self, grad: torch.Tensor) -> None:
        self.clear()
        torch.autograd.backward(self._output, grad)


class Chain:
    """Passes of a chain of known layers.

    Parameters
    ----------
    front : list of modules
        Without parameters; not differentiated.
    links : list of links
        The rest, the first of which has parameters.
    """

    def __init__(self, front: list[nn.Module], links: list[Any]) -> None:
        self.front, self.links = front, links
        links[0].first = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for module in self.front:
            x = module(x)
        for link in self.links:
            x = link.forward(x)
        return x

    def backward(self, grad: torch.Tensor) -> None:
        for link in reversed(self.links):
            grad = link.backward(grad)


class _Link:
    """One layer. ``first``: nobody needs the gradient of its input."""

    first = False

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        for name in ("weight", "bias"):
            value = getattr(layer, name, None)
            setattr(self, name, None if value is None else value.data)
            setattr(self, f"{name}_grad", None if value is None else value.grad)

    weight: Any
    bias: Any
    weight_grad: Any
    bias_grad: Any

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} must define forward")

    def backward(self, g: torch.Tensor) -> Any:
        raise TypeError(f"{type(self).__name__} must define backward")


class _Linear(_Link):
    def __init__(self, layer: Any) -> None:
        super().__init__(layer)
        self.turned = self.weight.t()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        if self.bias is None:
            return torch.mm(x, self.turned)
        return torch.addmm(self.bias, x, self.turned)

    def backward(self, g: torch.Tensor) -> Any:
        torch.mm(g.t(), self.x, out=self.weight_grad)
        if self.bias is not None:
            torch.sum(g, 0, out=self.bias_grad)
        return None if self.first else torch.mm(g, self.weight)


class _Conv(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # In this order of memory pooling and batch norm are several times faster.
        self.x = x = x.contiguous(memory_format=torch.channels_last)
        c = self.layer
        return torch.conv2d(x, self.weight, self.bias, c.stride, c.padding, c.dilation, c.groups)

    def backward(self, g: torch.Tensor) -> Any:
        c, biased = self.layer, self.bias is not None
        before, weight, bias = _aten.convolution_backward.default(
            g, self.x, self.weight, [len(self.weight)] if biased else None, c.stride, c.padding,
            c.dilation, False, [0, 0], c.groups, [not self.first, True, biased],
        )  # fmt: skip
        self.weight_grad.copy_(weight)
        if biased:
            self.bias_grad.copy_(bias)
        return before


class _Norm(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = self.layer
        self.x = x
        n.num_batches_tracked.add_(1)
        out, self.mean, self.scale = torch.native_batch_norm(
            x, self.weight, self.bias, n.running_mean, n.running_var, True, n.momentum, n.eps
        )
        return out

    def backward(self, g: torch.Tensor) -> Any:
        n = self.layer
        before, weight, bias = _aten.native_batch_norm_backward.default(
            g, self.x, self.weight, n.running_mean, n.running_var, self.mean, self.scale, True,
            n.eps, [not self.first, True, True],
        )  # fmt: skip
        self.weight_grad.copy_(weight)
        self.bias_grad.copy_(bias)
        return before


class _MaxPool(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = self.layer
        self.x = x
        self.sizes = [_pair(v) for v in (p.kernel_size, p.stride, p.padding, p.dilation)]
        out, self.places = _aten.max_pool2d_with_indices.default(
            x, *self.sizes, p.ceil_mode
        )
        return out  # type: ignore[no-any-return]

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.max_pool2d_with_indices_backward.default(
            g, self.x, *self.sizes, self.layer.ceil_mode, self.places
        )


class _ReLU(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.y = torch.relu(x)
        return self.y

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.threshold_backward.default(g, self.y, 0)


class _Tanh(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.y = torch.tanh(x)
        return self.y

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.tanh_backward.default(g, self.y)


class _Sigmoid(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.y = torch.sigmoid(x)
        return self.y

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.sigmoid_backward.default(g, self.y)


class _GELU(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return nn.functional.gelu(x, approximate=self.layer.approximate)

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.gelu_backward.default(g, self.x, approximate=self.layer.approximate)


class _SiLU(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return nn.functional.silu(x)

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.silu_backward.default(g, self.x)


class _Flatten(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shape = x.shape
        return x.flatten(1)

    def backward(self, g: torch.Tensor) -> Any:
        return g.reshape(self.shape)


class _Identity(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def backward(self, g: torch.Tensor) -> Any:
        return g


class _Dropout(_Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept = self.layer.kept(x)
        return x * self.kept

    def backward(self, g: torch.Tensor) -> Any:
        return g * self.kept


#: The links of layers; a layer that is not of exactly this type is unknown.
_LINKS: dict[type[nn.Module], type[_Link]] = {
    nn.Linear: _Linear,
    nn.Conv2d: _Conv,
    nn.BatchNorm1d: _Norm,
    nn.BatchNorm2d: _Norm,
    nn.MaxPool2d: _MaxPool,
    nn.ReLU: _ReLU,
    nn.Tanh: _Tanh,
    nn.Sigmoid: _Sigmoid,
    nn.GELU: _GELU,
    nn.SiLU: _SiLU,
    nn.Flatten: _Flatten,
    nn.Identity: _Identity,
    Dropout: _Dropout,
}


def _links(module: nn.Module) -> tuple[list[nn.Module], list[_Link]] | None:
    """The links of a chain of known layers, None for any other network."""
    layers, front = _layers(module), []
    if layers is None or len(set(map(id, layers))) < len(layers):
        return None
    while layers and not any(True for _ in layers[0].parameters()):
        front.append(layers.pop(0))
    if not layers or not all(type(layer) in _LINKS and _is_plain(layer) for layer in layers):
        return None
    if not all(type(layer) in _LINKS or isinstance(layer, (Pixels, Shift)) for layer in front):
        return None
    return front, [_LINKS[type(layer)](layer) for layer in layers]


def _layers(module: nn.Module) -> list[nn.Module] | None:
    """The layers of nested Sequentials, None where a hook wants to see them."""
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return None
    if type(module) is not nn.Sequential:
        return [module]
    parts = [_layers(part) for part in module]
    return None if None in parts else [layer for part in parts for layer in part or ()]


def _is_plain(layer: Any) -> bool:
    """Whether a layer is used as its link uses it."""
    if not all(p.requires_grad and p.grad is not None for p in layer.parameters()):
        return False
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
        usual = layer.affine and layer.track_running_stats and layer.momentum is not None
        return bool(usual)
    if isinstance(layer, nn.MaxPool2d):
        return not layer.return_indices
    return not isinstance(layer, nn.Flatten) or (layer.start_dim, layer.end_dim) == (1, -1)


def _pair(value: Any) -> list[int]:
    return [int(v) for v in (value if isinstance(value, (tuple, list)) else (value, value))]
