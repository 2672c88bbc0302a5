"""kdcore's own networks, and the layers that PyTorch lacks: random layers with a seed of their own.

Nothing here draws from PyTorch's global random state, since folds are fitted side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils import skip_init

__all__ = ["ACTIVATIONS", "Dropout", "Pixels", "Shift", "convolutional", "perceptron"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}

#: Maps of the last convolution are pooled down to this many pixels a side at most.
_LARGEST_MAP = 7


class Dropout(nn.Module):
    """Dropout whose draws come from ``generator``, which a training sets.

    Paper: Srivastava et al. 2014 (dropout).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.kept(x) if self.training else x

    def kept(self, x: torch.Tensor) -> torch.Tensor:
        """A new mask: 0 for what is dropped, 1 / (1 - p) for the rest."""
        keep = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return keep.div_(1 - self.p)


class Shift(nn.Module):
    """Move each picture by up to ``most`` pixels in training, repeating its border.

    It is a crop of a padded picture. Directions of fewer than 4 pixels are left alone.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        n, _, height, width = x.shape
        down, right = (self.most if side >= 4 else 0 for side in (height, width))
        padded = nn.functional.pad(x, (right, right, down, down), mode="replicate")

        def starts(most: int) -> torch.Tensor:
            return torch.randint(0, 2 * most + 1, (n, 1), generator=self.generator, device=x.device)

        rows = starts(down) + torch.arange(height, device=x.device)
        columns = starts(right) + torch.arange(width, device=x.device)
        which = torch.arange(n, device=x.device)[:, None, None]
        return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class Pixels(nn.Module):
    """Encoded columns (n, d) to standardised pictures (n, C, H, W).

    A missing value becomes the mean of its channel, and so does a pixel that is not read.

    Parameters
    ----------
    shape : tuple of int
        C, H, W.
    places : int tensor of shape (d,)
        The pixel, counted over C, H and W, that each column fills.
    mean, scale : float tensors of shape (d,)
        Those of the column's channel.
    """

    places: torch.Tensor
    sources: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        places: torch.Tensor,
        mean: torch.Tensor,
        scale: torch.Tensor,
    ) -> None:
        super().__init__()
        self.shape = shape
        n_pixels = shape[0] * shape[1] * shape[2]
        # Pixels that no column fills read a column of zeros behind the others.
        sources = torch.full((n_pixels,), len(places), dtype=torch.int64)
        sources[places] = torch.arange(len(places))
        self.in_order = bool((sources == torch.arange(n_pixels)).all())
        self.register_buffer("sources", sources)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def spread(self, values: torch.Tensor, empty: int) -> torch.Tensor:
        """Values (d,) of columns as values of all pixels; ``empty`` where no column fills one."""
        return nn.functional.pad(values, (0, 1), value=empty)[self.sources]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.mean) / self.scale
        x = torch.where(torch.isnan(x), torch.zeros_like(x), x)
        if not self.in_order:
            x = nn.functional.pad(x, (0, 1)).index_select(1, self.sources)
        return x.reshape(-1, *self.shape)


def perceptron(
    n_inputs: int,
    hidden: Sequence[int],
    n_outputs: int,
    generator: torch.Generator,
    *,
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Linear layers, each hidden one with an activation, and batch norm and dropout if wanted.

    Weights are drawn as in Glorot, Bengio 2010; biases start at 0.
    """
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(_linear(n_inputs, width, generator))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(Dropout(dropout))
        n_inputs = width
    return nn.Sequential(*layers, _linear(n_inputs, n_outputs, generator))


def convolutional(
    shape: tuple[int, int, int],
    channels: Sequence[int],
    hidden: Sequence[int],
    n_outputs: int,
    generator: torch.Generator,
    *,
    activation: str = "relu",
    batch_norm: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Blocks of a 3 x 3 convolution, an activation and a max-pool of 2, then a perceptron.

    Weights of convolutions are drawn as in He et al. 2015.
    """
    depth, height, width = shape
    layers: list[nn.Module] = []
    for i, n_maps in enumerate(channels):
        conv: nn.Conv2d = skip_init(nn.Conv2d, depth, n_maps, 3, padding=1)  # type: ignore[no-untyped-call]
        nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu", generator=generator)
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        layers.append(conv)
        if batch_norm:
            layers.append(nn.BatchNorm2d(n_maps))
        layers.append(ACTIVATIONS[activation]())
        last = i == len(channels) - 1
        pool = tuple(
            1 if side == 1 else max(2, -(-side // _LARGEST_MAP) if last else 2)
            for side in (height, width)
        )
        if pool != (1, 1):
            layers.append(nn.MaxPool2d(pool))
        depth, height, width = n_maps, height // pool[0], width // pool[1]
    head = perceptron(
        depth * height * width,
        hidden,
        n_outputs,
        generator,
        activation=activation,
        batch_norm=batch_norm,
        dropout=dropout,
    )
    return nn.Sequential(*layers, nn.Flatten(), *head)


def _linear(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Linear:
    layer: nn.Linear = skip_init(nn.Linear, n_inputs, n_outputs)  # type: ignore[no-untyped-call]
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
