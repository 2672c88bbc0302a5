"""Losses that users write in PyTorch, as losses of kdcore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kdcore import Loss, SoftTargets
from kdcore.errors import ParameterError

__all__ = ["AutogradLoss", "TorchTargets", "adapt_autograd"]


@dataclass(frozen=True)
class TorchTargets:
    """What a loss written in PyTorch gets beside the logits: tensors of b rows.

    Parameters
    ----------
    labels : tensor of shape (b,)
        Class positions, -1 where a row has no label; in regression values, NaN there.
    teacher : tensor of shape (b, K) or (b,), or None
        The teacher's probabilities, or its values.
    logits : tensor of shape (b, K), or None
        The teacher's logits, centred.
    weight : tensor of shape (b,)
        Row weights that sum to 1.
    alpha : tensor of shape (b,)
        The teacher's share: 1 where a row has no label, 0 where there is no teacher.
    temperature : float
    """

    labels: torch.Tensor
    teacher: torch.Tensor | None
    logits: torch.Tensor | None
    weight: torch.Tensor
    alpha: torch.Tensor
    temperature: float


class AutogradLoss(Loss):
    """A loss whose gradient PyTorch finds; see `adapt_autograd`."""

    uses_temperature = True

    def __init__(
        self,
        function: Callable[[torch.Tensor, TorchTargets], torch.Tensor],
        *,
        alpha: float = 0.7,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        self.function = function

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        """Mean loss and its gradient, as tensors, or as arrays where ``logits`` are one."""
        given = isinstance(logits, torch.Tensor)
        z = (logits if given else torch.tensor(np.asarray(logits))).detach().requires_grad_()
        known = self._tensors(z, targets)
        with torch.enable_grad():
            value = self.function(z, known)
            self._require(value, z)
            if value.ndim == 1:
                value = (known.weight * value).sum()
            (grad,) = torch.autograd.grad(value, z)
        value = value.detach()
        return (value, grad) if given else (float(value), grad.numpy())

    def _tensors(self, z: torch.Tensor, targets: SoftTargets) -> TorchTargets:
        def like(values: np.ndarray | None) -> torch.Tensor | None:
            return None if values is None else torch.as_tensor(values, dtype=z.dtype).to(z.device)

        weight = np.asarray(targets.sample_weight)
        teacher = targets.teacher
        with_logits = teacher is not None and targets.classes is not None
        labels = (
            like(targets.labels)
            if targets.classes is None
            else torch.from_numpy(np.asarray(targets.labels)).to(z.device)
        )
        shares, alpha = like(weight / weight.sum()), like(targets.row_alpha(self.alpha))
        assert labels is not None
        assert shares is not None
        assert alpha is not None
        return TorchTargets(
            labels=labels,
            teacher=like(teacher),
            logits=like(targets.logits) if with_logits else None,
            weight=shares,
            alpha=alpha,
            temperature=self.temperature,
        )

    def _require(self, value: Any, z: torch.Tensor) -> None:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        if not isinstance(value, torch.Tensor) or value.shape not in ((), (len(z),)):
            seen = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise ParameterError(
                f"loss: {name} returned {seen} for {len(z)} rows; it must return a tensor, one "
                "number or one for each row."
            )
        if not value.requires_grad:
            raise ParameterError(
                f"loss: what {name} returned does not depend on the logits by PyTorch operations, "
                "so it has no gradient; do not detach them or leave PyTorch."
            )


class _Adapted:
    """What `adapt_autograd` returns: makes the loss for an alpha and a temperature."""

    def __init__(self, function: Callable[[torch.Tensor, TorchTargets], torch.Tensor]) -> None:
        self.function = function

    def __call__(self, *, alpha: float = 0.7, temperature: float = 1.0) -> AutogradLoss:
        return AutogradLoss(self.function, alpha=alpha, temperature=temperature)

    def __repr__(self) -> str:
        return f"adapt_autograd({getattr(self.function, '__name__', self.function)!s})"


def adapt_autograd(
    function: Callable[[torch.Tensor, TorchTargets], torch.Tensor],
) -> Callable[..., AutogradLoss]:
    """Use a loss written in PyTorch as ``loss=`` of any student that minimises gradients.

    Parameters
    ----------
    function : callable
        ``function(logits, targets)`` with logits (b, K), or values (b,), and `TorchTargets`;
        returns one number, or the loss of each row, which is then averaged by row weights.

    Raises
    ------
    ParameterError
        In training, when the function returns anything else.

    Examples
    --------
    >>> import torch
    >>> from kdcore_torch import adapt_autograd
    >>> def reverse_kl(logits, targets):
    ...     log_p = torch.log_softmax(logits, dim=1)
    ...     return (log_p.exp() * (log_p - targets.teacher.log())).sum(dim=1)
    >>> adapt_autograd(reverse_kl)
    adapt_autograd(reverse_kl)
    """
    if not callable(function):
        raise ParameterError(f"adapt_autograd needs a function, not {function!r}.")
    return _Adapted(function)
