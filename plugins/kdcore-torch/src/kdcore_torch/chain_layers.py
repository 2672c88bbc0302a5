"""Layers that a chain differentiates itself: each with its forward and its backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kdcore_torch.embeddings import Embeddings
from kdcore_torch.layers import Dropout

__all__ = ["LINKS", "Link"]

_aten: Any = torch.ops.aten


class Link:
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


class _Linear(Link):
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


class _Conv(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x, c = x, self.layer
        out = torch.conv2d(x, self.weight, self.bias, c.stride, c.padding, c.dilation, c.groups)
        # In this order of memory pools and batch norm are several times faster.
        return out.contiguous(memory_format=torch.channels_last)

    def backward(self, g: torch.Tensor) -> Any:
        c, biased = self.layer, self.bias is not None
        if self.first:
            g = g.contiguous()
        before, weight, bias = _aten.convolution_backward.default(
            g, self.x, self.weight, [len(self.weight)] if biased else None, c.stride, c.padding,
            c.dilation, False, [0, 0], c.groups, [not self.first, True, biased],
        )  # fmt: skip
        self.weight_grad.copy_(weight)
        if biased:
            self.bias_grad.copy_(bias)
        return before


class _Norm(Link):
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


class _MaxPool(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = self.layer
        self.x = x
        self.sizes = [_pair(v) for v in (p.kernel_size, p.stride, p.padding, p.dilation)]
        out, self.places = _aten.max_pool2d_with_indices.default(x, *self.sizes, p.ceil_mode)
        return out

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.max_pool2d_with_indices_backward.default(
            g, self.x, *self.sizes, self.layer.ceil_mode, self.places
        )


class _Embeddings(Link):
    def __init__(self, layer: Any) -> None:
        super().__init__(layer)
        self.blocks = layer.blocks
        self.tables = [(table.data, table.grad) for table in layer.tables]
        self.widths = [len(layer.others), *(table.shape[1] for table, _ in self.tables)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.parts = [x.index_select(1, block) for block in self.blocks]
        vectors = [
            torch.mm(part, table) for part, (table, _) in zip(self.parts, self.tables, strict=True)
        ]
        return torch.cat([x.index_select(1, self.layer.others), *vectors], dim=1)

    def backward(self, g: torch.Tensor) -> Any:
        _, *grads = torch.split_with_sizes(g, self.widths, dim=1)
        for part, (_, grad), own in zip(self.parts, self.tables, grads, strict=True):
            torch.mm(part.t(), own, out=grad)
        # It comes first always.
        return None


class _ReLU(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.y = torch.relu(x)
        return self.y

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.threshold_backward.default(g, self.y, 0)


class _Tanh(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.y = torch.tanh(x)
        return self.y

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.tanh_backward.default(g, self.y)


class _Sigmoid(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.y = torch.sigmoid(x)
        return self.y

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.sigmoid_backward.default(g, self.y)


class _GELU(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return nn.functional.gelu(x, approximate=self.layer.approximate)

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.gelu_backward.default(g, self.x, approximate=self.layer.approximate)


class _SiLU(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return nn.functional.silu(x)

    def backward(self, g: torch.Tensor) -> Any:
        return _aten.silu_backward.default(g, self.x)


class _Flatten(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shape = x.shape
        return x.flatten(1)

    def backward(self, g: torch.Tensor) -> Any:
        return g.reshape(self.shape)


class _Identity(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def backward(self, g: torch.Tensor) -> Any:
        return g


class _Dropout(Link):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept = self.layer.kept(x)
        return x * self.kept

    def backward(self, g: torch.Tensor) -> Any:
        return g * self.kept


def _pair(value: Any) -> list[int]:
    return [int(v) for v in (value if isinstance(value, (tuple, list)) else (value, value))]


#: The links of layers; a layer that is not of exactly this type is unknown.
LINKS: dict[type[nn.Module], type[Link]] = {
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
    Embeddings: _Embeddings,
}
