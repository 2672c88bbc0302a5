"""What each column is worth to a network behind gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from kdcore_torch.devices import threads
from kdcore_torch.gated import AT_ONCE

if TYPE_CHECKING:
    from kdcore import SoftTargets
    from kdcore_torch.gated import GatedStudent

__all__ = ["missed"]

#: Rows whose gradients are held at a time.
_GRADIENTS_AT_ONCE = 1024


def missed(student: GatedStudent, rows: np.ndarray) -> np.ndarray:
    """What each active column is worth on some held-out rows, (k,), not negative.

    Where the first layer is known: by how much the mean loss rises when all inputs of a column
    are at their training mean. Else by its Taylor expansion (Molchanov et al. 2017,
    arXiv:1611.06440): the mean square of gradient times distance from the mean.

    Parameters
    ----------
    student : GatedStudent
    rows : int array
        Positions in its held-out rows.
    """
    x, targets = student.held_x[torch.from_numpy(rows)], student.held.take(rows)
    student.module.eval()
    with threads(1):
        if student.first is None:
            return _expanded(student, x, targets)
        return _left_out(student, student.first, x, targets)


def _left_out(
    student: GatedStudent, first: torch.nn.Linear, x: torch.Tensor, targets: SoftTargets
) -> np.ndarray:
    def loss(output: torch.Tensor) -> float:
        losses = student.row_losses(output, targets)
        return float(np.average(losses, weights=targets.sample_weight))

    found = np.empty(len(student.active))
    several = max(1, AT_ONCE // len(x))
    with torch.no_grad():
        gated, centre = student.gates(x), student.gates(student.mean[None])
        away = gated - centre
        hidden = first(gated)
        base = loss(student.rest(hidden))
        inputs = _inputs(student)
        for start in range(0, len(inputs), several):
            some = inputs[start : start + several]
            less = torch.stack([hidden - away[:, i] @ first.weight[:, i].T for i in some])
            outputs = student.rest(less.flatten(0, 1)).reshape(len(some), len(x), -1)
            for k, output in enumerate(outputs):
                found[start + k] = loss(output) - base
    return np.maximum(found, 0.0)


def _expanded(student: GatedStudent, x: torch.Tensor, targets: SoftTargets) -> np.ndarray:
    goal = torch.from_numpy(targets.blended(0.0))
    n = len(student.active)
    found = torch.zeros(n, dtype=torch.float64)
    weight = torch.from_numpy(targets.sample_weight / targets.sample_weight.sum())
    gates = student.gates
    paired = gates.owners != gates.partners
    for part in torch.split(torch.arange(len(x)), _GRADIENTS_AT_ONCE):
        inputs = x[part].clone().requires_grad_()
        logits = student.link.logits(student.module(inputs)).double()
        if targets.classes is None:
            loss = ((logits - goal[part]) ** 2).sum() / student.link.scale**2
        else:
            loss = -(goal[part] * torch.log_softmax(logits, dim=1)).sum()
        (grad,) = torch.autograd.grad(loss, inputs)
        moved = (grad * (inputs.detach() - student.mean)).flatten(1).double()
        # Inputs of no column (-1) go to one behind the last.
        by_column = moved.new_zeros((len(part), n + 1))
        by_column.index_add_(1, gates.owners % (n + 1), moved)
        by_column.index_add_(1, gates.partners[paired] % (n + 1), moved[:, paired])
        found += weight[part] @ by_column[:, :-1].square()
    return np.asarray(found)


def _inputs(student: GatedStudent) -> list[torch.Tensor]:
    """Positions of the inputs that each active column takes part in."""
    owners, partners = np.asarray(student.gates.owners), np.asarray(student.gates.partners)
    found: list[list[int]] = [[] for _ in student.active]
    for i, (one, other) in enumerate(zip(owners, partners, strict=True)):
        for j in {int(one), int(other)}:
            found[j].append(i)
    return [torch.tensor(i, dtype=torch.int64) for i in found]
