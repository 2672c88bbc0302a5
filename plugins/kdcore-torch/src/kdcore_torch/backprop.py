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

from kdcore_torch.chain_layers import LINKS, Link
from kdcore_torch.devices import autocast
from kdcore_torch.layers import Pixels, Shift

__all__ = ["Autograd", "Chain", "Passes", "passes"]


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

    def __init__(self, front: list[nn.Module], links: list[Link]) -> None:
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


def _links(module: nn.Module) -> tuple[list[nn.Module], list[Link]] | None:
    """The links of a chain of known layers, None for any other network."""
    layers, front = _layers(module), []
    if layers is None or len(set(map(id, layers))) < len(layers):
        return None
    while layers and not any(True for _ in layers[0].parameters()):
        front.append(layers.pop(0))
    if not layers or not all(type(layer) in LINKS and _is_plain(layer) for layer in layers):
        return None
    if not all(type(layer) in LINKS or isinstance(layer, (Pixels, Shift)) for layer in front):
        return None
    return front, [LINKS[type(layer)](layer) for layer in layers]


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
