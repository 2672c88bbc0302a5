"""All weights of a network as one flat array, so that a step is a few operations on it.

An optimiser, a norm and a running mean over dozens of small tensors cost more than the matrix
products of a small network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["FlatWeights"]

# The operation under `torch.optim.AdamW(fused=True)`: the class around it, and the function around
# it too, take longer than the rest of a step of a small network.
_fused_adamw: Any = torch._fused_adamw_


class FlatWeights:
    """The weights of a network, its gradients, and a running mean, as flat arrays.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters become views of the flat array.
    l2 : float
        Decoupled weight decay of matrices and filters; biases and norms have none.
    averaging : float
        How much of the running mean each step keeps; 0 for no averaging.
    """

    def __init__(self, module: nn.Module, *, l2: float, averaging: float) -> None:
        trained = [p for p in module.parameters() if p.requires_grad]
        flat = _flattened(trained)
        assert flat.grad is not None
        self.flat, self._grad = flat.detach(), flat.grad
        self._all = [self.flat, *(b for b in module.buffers() if b.is_floating_point())]
        self.averaging = averaging
        self._l2 = l2
        #: 1 for what decays.
        self._decayed = torch.cat(
            [torch.full((p.numel(),), float(p.ndim > 1), device=p.device) for p in trained]
        )
        self.restart()

    def restart(self) -> None:
        """Forget the optimiser's moments, and begin the running mean anew."""
        self._moments = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self._count = torch.zeros((), dtype=torch.float32, device=self.flat.device)
        self.mean = self.copy() if self.averaging else self._all
        self._steps = 0

    def copy(self) -> list[torch.Tensor]:
        """Weights and buffers (such as those of batch norm) as they are now."""
        return [t.clone() for t in self._all]

    def put(self, values: list[torch.Tensor]) -> None:
        """Set weights and buffers to what `copy` returned, or to the running mean."""
        for target, source in zip(self._all, values, strict=True):
            target.copy_(source)

    def clear(self) -> None:
        """Set gradients to 0."""
        self._grad.zero_()

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
            self._clip(clip)
        if self._l2:
            self.flat.addcmul_(self.flat, self._decayed, value=-rate * self._l2)
        self._count.add_(1)
        _fused_adamw(
            [self.flat], [self._grad], [self._moments[0]], [self._moments[1]], [], [self._count],
            lr=rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False,
            maximize=False,
        )  # fmt: skip
        self._steps += 1
        if self.averaging:
            # Polyak, Juditsky 1992; the first steps count alike, so that no bias is left.
            share = max(1 - self.averaging, 1 / self._steps)
            for mean, now in zip(self.mean, self._all, strict=True):
                mean.lerp_(now, share)

    def _clip(self, most: float) -> None:
        norm = torch.linalg.vector_norm(self._grad)
        if norm.device.type != "cpu":
            # A comparison would wait for the device.
            self._grad.mul_((most / norm).clamp(max=1.0))
        elif float(norm) > most:
            self._grad.mul_(most / float(norm))


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
