"""Gates in front of a network: each raw column has one, shared by all inputs made of it.

A gate lies in [0, 1] and multiplies inputs. Gates differ in how they are drawn in training, and in
how many of them count as open.
"""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["Gates", "HardConcreteGates", "SigmoidGates", "StochasticGates"]


class Gates(nn.Module):
    """Base: where gates are applied. A subclass says what they are.

    ``weight`` is trained beside the network, with a learning rate of its own; it is no parameter of
    the module, so that weight decay and the mean of weights leave it alone.

    Parameters
    ----------
    n : int
        Raw columns.
    start : float
        First value of ``weight``.
    owners, partners : int tensors of shape (d,)
        For each input, the position of its raw column, or -1 where it comes from none; of inputs
        made of two columns both gates count.
    """

    owners: torch.Tensor
    partners: torch.Tensor

    def __init__(self, n: int, start: float, owners: torch.Tensor, partners: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.full((n,), float(start), requires_grad=True)
        self.generator: torch.Generator | None = None
        self.place(owners, partners)

    def place(self, owners: torch.Tensor, partners: torch.Tensor) -> None:
        """Say which column each input is made of."""
        self.owners, self.partners = owners, partners
        self._paired = not torch.equal(owners, partners)

    def keep(self, which: torch.Tensor) -> None:
        """Leave only the gates at these positions."""
        self.weight = self.weight.detach()[which].clone().requires_grad_()

    def values(self) -> torch.Tensor:
        """The gates (n,) as they are without chance."""
        raise TypeError(f"{type(self).__name__} must define values()")

    def drawn(self) -> torch.Tensor:
        """The gates (n,) of one training step."""
        return self.values()

    def n_open(self) -> torch.Tensor:
        """How many count as open."""
        raise TypeError(f"{type(self).__name__} must define n_open()")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply inputs (b, d) or pictures (b, C, H, W) of d pixels."""
        z = nn.functional.pad(self.drawn() if self.training else self.values(), (0, 1))
        # Position -1 is the zero behind the last gate.
        gate = z[self.owners]
        if self._paired:
            gate = torch.where(self.owners == self.partners, gate, gate * z[self.partners])
        return x * gate.reshape(x.shape[1:])


class SigmoidGates(Gates):
    """``sigmoid(weight / temperature)``; half open at the start of a mask of 0."""

    def __init__(
        self, n: int, owners: torch.Tensor, partners: torch.Tensor, *, temperature: float
    ) -> None:
        self.temperature = temperature
        super().__init__(n, 0.5 * temperature, owners, partners)

    def values(self) -> torch.Tensor:
        return torch.sigmoid(self.weight / self.temperature)

    def n_open(self) -> torch.Tensor:
        return self.values().sum()


class HardConcreteGates(Gates):
    """A stretched binary concrete variable, cut to [0, 1], so that gates close fully.

    Paper: Louizos, Welling, Kingma 2018 (learning sparse neural networks through L0
    regularization), arXiv:1712.01312, with its stretch from -0.1 to 1.1.
    """

    low, high = -0.1, 1.1

    def __init__(
        self, n: int, owners: torch.Tensor, partners: torch.Tensor, *, temperature: float
    ) -> None:
        self.temperature = temperature
        # Nine of ten are open at first.
        start = math.log(9.0) + temperature * math.log(-self.low / self.high)
        super().__init__(n, start, owners, partners)

    def values(self) -> torch.Tensor:
        return self._cut(torch.sigmoid(self.weight))

    def drawn(self) -> torch.Tensor:
        u = torch.empty_like(self.weight).uniform_(1e-6, 1 - 1e-6, generator=self.generator)
        return self._cut(torch.sigmoid((torch.logit(u) + self.weight) / self.temperature))

    def n_open(self) -> torch.Tensor:
        shift = self.temperature * math.log(-self.low / self.high)
        return torch.sigmoid(self.weight - shift).sum()

    def _cut(self, s: torch.Tensor) -> torch.Tensor:
        return (s * (self.high - self.low) + self.low).clamp(0, 1)


class StochasticGates(Gates):
    """``weight`` plus normal noise, cut to [0, 1].

    Paper: Yamada, Lindenbaum, Negahban, Kluger 2020 (feature selection using stochastic gates),
    arXiv:1810.04247.
    """

    def __init__(
        self, n: int, owners: torch.Tensor, partners: torch.Tensor, *, sigma: float
    ) -> None:
        self.sigma = sigma
        super().__init__(n, 0.5, owners, partners)

    def values(self) -> torch.Tensor:
        return self.weight.clamp(0, 1)

    def drawn(self) -> torch.Tensor:
        noise = torch.empty_like(self.weight).normal_(generator=self.generator)
        return (self.weight + self.sigma * noise).clamp(0, 1)

    def n_open(self) -> torch.Tensor:
        return torch.special.ndtr(self.weight / self.sigma).sum()
