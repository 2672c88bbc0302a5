"""What a network's outputs mean: logits of classes, a margin of two, or standardised values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["Link", "link_of"]


@dataclass(frozen=True)
class Link:
    """From outputs to what losses read, and to predictions.

    Parameters
    ----------
    kind : {"identity", "logistic", "softmax"}
        ``"logistic"``: one output z stands for the logits -z/2 and z/2 of two classes.
    scale, shift : float
        Of the values, in regression.
    """

    kind: str
    scale: float = 1.0
    shift: float = 0.0

    def logits(self, output: torch.Tensor) -> torch.Tensor:
        """Logits (b, K), or values (b,), of outputs (b, w) or (b,)."""
        if self.kind == "softmax":
            return output
        if self.kind == "logistic":
            half = 0.5 * output.reshape(-1, 1)
            return torch.cat((-half, half), dim=1)
        z = output.reshape(len(output))
        # Values far from 0 in float32 would lose the digits in which they differ.
        if z.device.type != "mps":
            z = z.double()
        return z * self.scale + self.shift

    def pull(self, grad: Any, output: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
        """``factor`` times the gradient of outputs, of their shape and type.

        Parameters
        ----------
        grad : array or tensor
            Gradient of the `logits` of these outputs.
        output : tensor of shape (b, w) or (b,)
        factor : float
        """
        grad = torch.as_tensor(grad)
        if self.kind == "softmax":
            return grad * factor
        if self.kind == "logistic":
            grad = (0.5 * factor) * (grad[:, 1] - grad[:, 0])
        else:
            grad = grad * (self.scale * factor)
        return grad.reshape(output.shape).to(output.dtype)

    def predict(self, output: np.ndarray) -> np.ndarray:
        """Probabilities (b, K), or values (b,)."""
        logits = self.logits(torch.from_numpy(output).double())
        if self.kind == "identity":
            return logits.numpy()
        return torch.softmax(logits, dim=1).numpy()


def link_of(targets: SoftTargets, loss: Loss, width: int) -> Link:
    """The link of a network with ``width`` outputs for these targets."""
    if targets.classes is not None:
        return Link("logistic" if width == 1 else "softmax")
    values, weight = targets.blended(loss.alpha), targets.sample_weight
    shift = float(np.average(values, weights=weight))
    scale = float(np.sqrt(np.average((values - shift) ** 2, weights=weight))) or 1.0
    return Link("identity", scale, shift)
