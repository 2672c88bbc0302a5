"""All weights of a network as two flat arrays, so that a step is a few operations on each.

An optimiser, a norm and a running mean over dozens of small tensors cost more than the matrix
products of a small network.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["FlatWeights"]


class FlatWeights:
    """The weights of a network, its gradients, and a running mean, as flat arrays.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters become views of the flat arrays.
    l2 : float
        Decoupled weight decay of matrices and filters; biases and norms have none.
    learning_rate : float
    averaging : float
        How much of the running mean each step keeps; 0 for no averaging.
    """

    def __init__(
        self, module: nn.Module, *, l2: float, learning_rate: float, averaging: float
    ) -> None:
        trained = [p for p in module.parameters() if p.requires_grad]
        groups = ([p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1])
        self.flats = [_flattened(group) for group in groups if group]
        decays = [decay for group, decay in zip(groups, (l2, 0.0), strict=True) if group]
        self.buffers = [b for b in module.buffers() if b.is_floating_point()]
        self.averaging = averaging
        self._options = [
            {"params": [flat], "weight_decay": decay}
            for flat, decay in zip(self.flats, decays, strict=True)
        ]
        self._learning_rate = learning_rate
        self.restart()

    def restart(self) -> None:
        """Forget the optimiser's moments, and begin the running mean anew."""
        options = [dict(option) for option in self._options]
        self.optimiser = torch.optim.AdamW(options, lr=self._learning_rate, fused=True)
        self.mean = self.copy()
        self._steps = 0

    def copy(self) -> list[torch.Tensor]:
        """Weights and buffers (such as those of batch norm) as they are now."""
        return [t.detach().clone() for t in (*self.flats, *self.buffers)]

    @torch.no_grad()
    def put(self, values: list[torch.Tensor]) -> None:
        """Set weights and buffers to what `copy` returned, or to the running mean."""
        for target, source in zip((*self.flats, *self.buffers), values, strict=True):
            target.copy_(source)

    def clear(self) -> None:
        """Set gradients to 0."""
        for flat in self.flats:
            assert flat.grad is not None
            flat.grad.zero_()

    @torch.no_grad()
    def step(self, rate: float, clip: float | None) -> None:
        """One step of AdamW (Loshchilov, Hutter 2019, arXiv:1711.05101).

        Parameters
        ----------
        rate : float
            Learning rate.
        clip : float or None
            Largest Euclidean norm of the gradient (Pascanu et al. 2013, arXiv:1211.5063).
        """
        if clip is not None:
            grads = [flat.grad for flat in self.flats if flat.grad is not None]
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g)
                                                         for g in grads]))  # fmt: skip
            factor = (clip / (norm + 1e-12)).clamp(max=1.0)
            for grad in grads:
                grad.mul_(factor)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self._steps += 1
        if self.averaging:
            # Polyak, Juditsky 1992; the first steps count alike, so that no bias is left.
            share = max(1 - self.averaging, 1 / self._steps)
            for mean, now in zip(self.mean, (*self.flats, *self.buffers), strict=True):
                mean.lerp_(now.detach(), share)
        else:
            self.mean = [t.detach() for t in (*self.flats, *self.buffers)]


def _flattened(group: list[nn.Parameter]) -> nn.Parameter:
    flat = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in group]))
    flat.grad = torch.zeros_like(flat)
    at = 0
    for p in group:
        end = at + p.numel()
        p.data = flat.data[at:end].view(p.shape)
        # Backward adds to a gradient that exists, in place.
        p.grad = flat.grad[at:end].view(p.shape)
        at = end
    return flat
