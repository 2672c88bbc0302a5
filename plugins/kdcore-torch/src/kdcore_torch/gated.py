"""A student with gates on its columns: trained round by round, on ever fewer of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from kdcore.encoders import make_encoder
from kdcore.errors import FitError
from kdcore.loss_choice import make_loss
from kdcore.selection.probes import row_losses_to
from kdcore_torch.batches import BatchTargets
from kdcore_torch.devices import global_seed, threads
from kdcore_torch.gates import Gates
from kdcore_torch.layers import Dropout, Pixels, Shift
from kdcore_torch.links import link_of
from kdcore_torch.mlp import Perceptron
from kdcore_torch.modules import check_outputs, own_module
from kdcore_torch.network import widths_of
from kdcore_torch.weights import FlatWeights

if TYPE_CHECKING:
    from kdcore import SoftTargets
    from kdcore.selection import SelectionTask

__all__ = ["AT_ONCE", "GatedStudent", "Pace"]

#: Rows of the networks' inputs that are looked at together.
AT_ONCE = 16_384


@dataclass(frozen=True)
class Pace:
    """How gated networks are trained.

    Parameters
    ----------
    learning_rate, gate_rate : float
        Of the network's weights and of the gates (Adam).
    batch : int
        Rows of a step.
    """

    learning_rate: float = 0.002
    gate_rate: float = 0.02
    batch: int = 128


class GatedStudent:
    """A student's network behind gates, on the candidates of a task.

    Parameters
    ----------
    task : SelectionTask
    estimator : TorchStudent
        Unfitted; its architecture, encoder and loss are used.
    make_gates : callable
        ``make_gates(n, owners, partners)`` returns `Gates`.
    pace : Pace
    rows : int array
        Positions in ``task.X`` to train on.

    Attributes
    ----------
    active : list of str
        Raw columns that are still read, in the order of the table.
    best_weight : tensor
        ``weight`` of the gates after the best epoch of the last training that looked.
    """

    def __init__(
        self,
        task: SelectionTask,
        estimator: Any,
        make_gates: Callable[[int, torch.Tensor, torch.Tensor], Gates],
        pace: Pace,
        rows: np.ndarray,
    ) -> None:
        self.pace, self.seed = pace, task.random_state
        self.rng = np.random.default_rng([self.seed, 3])
        self.active = list(task.candidates)
        # Choosing among columns or rows copies them, all of them too.
        read = task.X if len(self.active) == task.X.shape[1] else task.X[self.active]
        frame = read if len(rows) == len(read) else read.iloc[rows]
        targets = task.targets.take(rows)
        del read
        self.held = task.held_targets
        own = clone(estimator).set_params(features=self.active)
        loss = make_loss(
            own.loss,
            alpha=own.alpha,
            temperature=own.temperature,
            task=targets.task,
            n_classes=targets.n_classes,
            gradient=True,
            steps=own.uses_steps,
        )
        if not getattr(loss, "uses_teacher", True):
            known = ~targets.unlabeled
            frame, targets = frame.loc[known], targets.plain()
        prepare = getattr(loss, "prepared", None)
        self.loss = loss if prepare is None else prepare(targets)
        own._check()
        encoder = make_encoder(own.encoder)
        if getattr(encoder, "uses_structure", False):
            targets = targets.with_structure(task.structure)
        encoder.fit(frame, targets, targets.sample_weight)
        own.encoder_ = encoder
        self.targets = targets
        own._all_features, own._given_shape = list(map(str, task.X.columns)), None
        # The encoder takes the columns that it knows.
        Z, held = encoder.transform(frame), encoder.transform(task.held_X)
        del frame
        self._build(own, Z, make_gates)
        self.mean = torch.zeros(Z.shape[1])
        self.x, self.held_x = self._fronted(Z), self._fronted(held)
        self.mean = self.x.mean(dim=0)

    def _build(self, own: Any, Z: np.ndarray, make_gates: Callable[..., Gates]) -> None:
        targets, everything = self.targets, np.arange(len(Z))
        shape, widths = own._shape(Z), widths_of(self.targets)
        with global_seed(self.seed, torch.device("cpu")):
            if own.module is not None:
                network: Any = own_module(own.module, shape, widths[0])
            else:
                generator = torch.Generator().manual_seed(self.seed)
                network = own._build(shape, widths[0], generator)
            front = own._front(Z, shape, targets.sample_weight, everything)
            #: What comes before the gates has nothing to train, and is done once.
            self.before: nn.Module = front[0] if front else nn.Identity()
            owners = torch.from_numpy(np.asarray(own.encoder_.owners_, dtype=np.int64))
            partners = torch.from_numpy(np.asarray(own.encoder_.partners_, dtype=np.int64))
            if isinstance(self.before, Pixels):
                owners, partners = (self.before.spread(o, -1) for o in (owners, partners))
            self.gates = make_gates(len(self.active), owners, partners)
            self.module = nn.Sequential(self.gates, *front[1:], network)
            width = check_outputs(self.module, self.before(torch.from_numpy(Z[:2])), widths)
        self.link = link_of(targets, self.loss, width)
        #: The layer that inputs go to, where it can be sliced.
        plain = isinstance(own, Perceptron) and own.module is None
        self._draws = own.module is not None
        self.first: nn.Linear | None = network[0] if plain else None
        self.rest = network[1:] if plain else network
        generator = torch.Generator().manual_seed(self.seed)
        for part in self.module.modules():
            if isinstance(part, (Dropout, Shift, Gates)):
                part.generator = generator

    def _fronted(self, Z: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            return torch.as_tensor(self.before(torch.from_numpy(np.ascontiguousarray(Z))))

    def train(
        self,
        epochs: int,
        price: Callable[[Gates], torch.Tensor],
        *,
        look: bool = False,
        each: Callable[[Gates], None] | None = None,
    ) -> np.ndarray | None:
        """Train network and gates for some epochs, with fresh moments of both optimisers.

        Parameters
        ----------
        epochs : int
        price : callable
            What is added to the loss for the gates: one number, differentiable. In regression the
            unit is the variance of the target.
        look : bool, default=False
            Whether to return the losses (m,) on held-out rows of the best epoch.
        each : callable, optional
            Called with the gates after each step.

        Raises
        ------
        FitError
            When a gate stops being a finite number.
        """
        batches = BatchTargets(self.targets, self.loss)
        weights = FlatWeights(self.module, l2=0.0, averaging=0.0)
        moments = torch.optim.Adam([self.gates.weight], lr=self.pace.gate_rate)
        n = len(self.targets)
        edges = np.linspace(0, n, max(1, -(-n // self.pace.batch)) + 1).astype(int)
        sizes = np.diff(edges).tolist()
        usual = float(self.targets.sample_weight.sum()) / len(sizes)
        unit = 1.0 / self.link.scale**2
        best: np.ndarray | None = None
        # Only networks of users draw from the global random state.
        seed = int(self.rng.integers(2**31)) if self._draws else 0
        seeded = global_seed(seed, torch.device("cpu")) if self._draws else nullcontext()
        with threads(1), seeded:
            for _ in range(epochs):
                self.module.train()
                order = torch.from_numpy(self.rng.permutation(n))
                parts = batches.split(order, sizes)
                for which, (part, weight) in zip(
                    torch.split_with_sizes(order, sizes), parts, strict=True
                ):
                    logits = self.link.logits(self.module(self.x[which]))
                    _, grad = self.loss.value_and_grad(logits.detach(), part)
                    share = unit * weight / usual
                    weights.clear()
                    self.gates.weight.grad = None
                    torch.autograd.backward(logits, torch.as_tensor(grad) * share)
                    cost = price(self.gates)
                    if cost.requires_grad:
                        torch.autograd.backward(cost)
                    weights.step(self.pace.learning_rate, None)
                    moments.step()
                    if each is not None:
                        each(self.gates)
                if look:
                    losses = self.losses()
                    if best is None or self._mean(losses) < self._mean(best):
                        best = losses
                        self.best_weight = self.gates.weight.detach().clone()
        if not bool(torch.isfinite(self.gates.weight).all()):
            raise FitError("the gates of the selector are no finite numbers; lower its gate_rate.")
        return best

    def gate_values(self) -> np.ndarray:
        """The gate of each active column, (k,)."""
        return np.asarray(self.gates.values().detach(), dtype=float)

    def losses(self) -> np.ndarray:
        """Loss of each held-out row, (m,)."""
        self.module.eval()
        with torch.no_grad(), threads(1):
            parts = [self.module(part) for part in torch.split(self.held_x, AT_ONCE)]
        return self.row_losses(torch.cat(parts), self.held)

    def keep(self, columns: Sequence[str]) -> None:
        """Read these columns only; weights, gates and inputs of the others are gone for good."""
        wanted = set(columns)
        which = [j for j, name in enumerate(self.active) if name in wanted]
        place = torch.full((len(self.active) + 1,), -1, dtype=torch.int64)
        place[which] = torch.arange(len(which))
        owners, partners = place[self.gates.owners], place[self.gates.partners]
        left = (owners >= 0) & (partners >= 0)
        self.gates.keep(torch.tensor(which, dtype=torch.int64))
        if self.first is None:
            # Pictures keep their shape: a pixel that is not read is 0, as a missing one.
            owners, partners = (torch.where(left, o, -1) for o in (owners, partners))
        else:
            inside = torch.nonzero(left)[:, 0]
            owners, partners = owners[inside], partners[inside]
            weight = self.first.weight.detach()[:, inside].clone()
            self.first.weight, self.first.in_features = nn.Parameter(weight), len(inside)
            self.x, self.held_x = self.x[:, inside].clone(), self.held_x[:, inside].clone()
            self.mean = self.mean[inside].clone()
        self.gates.place(owners, partners)
        self.active = [self.active[j] for j in which]

    def row_losses(self, output: torch.Tensor, targets: SoftTargets) -> np.ndarray:
        """Loss (n,) of each row of the network's output (n, width)."""
        return row_losses_to(self.link.predict(output.numpy()), targets)

    def _mean(self, losses: np.ndarray) -> float:
        return float(np.average(losses, weights=self.held.sample_weight))
