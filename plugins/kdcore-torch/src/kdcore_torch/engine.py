"""Training of any network on any loss: tensors, index-permuted batches, and one flat AdamW."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kdcore.errors import FitError
from kdcore_torch.backprop import passes
from kdcore_torch.batches import BatchTargets
from kdcore_torch.devices import autocast, threads
from kdcore_torch.layers import Dropout, Shift
from kdcore_torch.links import Link
from kdcore_torch.plan import SCHEDULES, History, Training
from kdcore_torch.rows import chunks
from kdcore_torch.weights import FlatWeights

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["outputs", "train"]

#: The loss on held-out rows is looked at so often.
_LOOKS = 50
#: Numbers that are gathered from the table at once, for several batches.
_GATHERED = 500_000
#: Steps by which a number of threads is judged, after as many others to warm up.
_TRIED = 20


def train(
    module: nn.Module,
    Z: np.ndarray,
    rows: np.ndarray,
    targets: SoftTargets,
    loss: Loss,
    link: Link,
    plan: Training,
) -> History:
    """Minimise a loss, in place; the network ends on the CPU, ready to predict.

    Parameters
    ----------
    module : torch.nn.Module
        From encoded rows (b, d) to outputs.
    Z : array of shape (n, d), float32
        In memory, or mapped from a file; batches are copied from it.
    rows : int array of shape (m,)
        Positions in ``Z`` to train on.
    targets : SoftTargets of m rows
    loss : Loss
    link : Link
        From outputs to what the loss reads.
    plan : Training

    Raises
    ------
    FitError
        When the loss stops being a finite number.
    """
    module.to(plan.device).train()
    with threads(1 if plan.device.type == "cpu" else torch.get_num_threads()):
        course = _Course(module, Z, rows, targets, loss, link, plan)
        number = _best_threads(course) if plan.device.type == "cpu" and plan.threads > 1 else 1
        torch.set_num_threads(number)
        steps, values = course.run()
    course.weights.put(course.kept)
    _set_generator(module, None)
    for parameter in module.parameters():
        # Weights of their own memory, without the gradients.
        parameter.data, parameter.grad = parameter.data.clone(), None
    module.to("cpu").eval()
    return History(steps, values, number)


class _Course:
    """The state of one training."""

    def __init__(
        self,
        module: nn.Module,
        Z: np.ndarray,
        rows: np.ndarray,
        targets: SoftTargets,
        loss: Loss,
        link: Link,
        plan: Training,
    ) -> None:
        self.module, self.loss, self.link, self.plan = module, loss, link, plan
        self.rng = np.random.default_rng(plan.seed)
        order = self.rng.permutation(len(rows))
        held, kept = order[: plan.held], order[plan.held :]
        table = torch.from_numpy(Z)
        self.table = table if isinstance(Z, np.memmap) else table.to(plan.device)
        self.rows = torch.from_numpy(rows[kept])
        self.held = self._read(torch.from_numpy(rows[held]))
        self.held_targets = targets.take(held) if plan.held else targets
        self.batches = BatchTargets(targets.take(kept), loss)
        # A user's own loss need not know that losses can change.
        self.at = getattr(loss, "at", lambda progress: loss)
        self.changing = bool(getattr(loss, "uses_progress", False)) and targets.teacher is not None
        n_batches = max(1, -(-len(kept) // plan.batch))
        self.edges = np.linspace(0, len(kept), n_batches + 1).astype(int).tolist()
        self.batch_weight = float(self.batches.targets.sample_weight.sum()) / n_batches
        self.weights = FlatWeights(module, l2=plan.l2, averaging=plan.averaging)
        self.passes = passes(module, plan.device, plan.precision, self.weights.clear)
        self.kept = self.weights.copy()
        self.restart(self.kept)
        self.unit = self._unit()
        self.restart(self.kept)

    def restart(self, weights: list[torch.Tensor]) -> None:
        """Start anew from these weights."""
        self.weights.put(weights)
        self.weights.restart()
        generator = torch.Generator(self.plan.device)
        generator.manual_seed(self.plan.seed)
        _set_generator(self.module, generator)

    def first(self) -> tuple[torch.Tensor, SoftTargets, float]:
        """A batch of the rows that come first: inputs, targets, and what it weighs."""
        rows = torch.arange(self.edges[1])
        [(part, weight)] = self.batches.split(rows, [len(rows)])
        return self._read(self.rows[rows]), part, weight

    def step(self, batch: tuple[torch.Tensor, SoftTargets, float], rate: float, loss: Loss) -> Any:
        """One gradient step on a batch; returns the loss before it."""
        x, part, weight = batch
        output = self.passes.forward(x)
        value, grad = loss.value_and_grad(self.link.logits(output), part)
        # A batch's gradient is a mean; heavier batches count for more.
        share = self.unit * (weight / self.batch_weight)
        self.passes.backward(self.link.pull(grad, output, share))
        self.weights.step(rate, self.plan.clip)
        return value

    def run(self) -> tuple[int, list[float]]:
        """Train to the end; `kept` then holds the best weights."""
        plan, on_cpu = self.plan, self.plan.device.type == "cpu"
        rate, look = SCHEDULES[plan.schedule], max(1, plan.steps // _LOOKS)
        best, best_at = math.inf, 0
        values: list[float] = []
        done, loss = 0, self.loss
        try:
            for batch in self._batches():
                progress = done / plan.steps
                if done % look == 0:
                    loss = self.at(progress)
                value = self.step(batch, plan.learning_rate * rate(progress), loss)
                done += 1
                # Elsewhere a look at the loss would wait for the device.
                if on_cpu and not math.isfinite(value):
                    raise _exploded(float(value), done, plan)
                if done % look and done < plan.steps:
                    continue
                values.append(self._held_loss() if plan.held else float(value))
                if not math.isfinite(values[-1]):
                    raise _exploded(values[-1], done, plan)
                if values[-1] < best or not plan.held:
                    best, best_at = values[-1], done
                    self.kept = [mean.clone() for mean in self.weights.mean]
                if plan.on_step is not None:
                    plan.on_step(done, plan.steps, values[-1])
                if done == plan.steps or done - best_at > plan.patience * plan.steps:
                    break
        except KeyboardInterrupt:
            # Before the first look there is nothing to keep.
            if not (plan.keep_on_interrupt and values):
                raise
        return done, values

    def _batches(self) -> Iterator[tuple[torch.Tensor, SoftTargets, float]]:
        """Batches without end; rows are gathered for several of them at once."""
        n, edges = len(self.rows), self.edges
        if len(edges) == 2:
            batch = self.first()
            while True:
                yield batch
        together = max(1, _GATHERED // (edges[1] * max(1, self.table.shape[1])))
        while True:
            shuffled = torch.from_numpy(self.rng.permutation(n))
            for i in range(0, len(edges) - 1, together):
                group = edges[i : i + together + 1]
                sizes = [b - a for a, b in pairwise(group)]
                which = shuffled[group[0] : group[-1]]
                inputs = torch.split_with_sizes(self._read(self.rows[which]), sizes)
                for x, (part, weight) in zip(inputs, self.batches.split(which, sizes), strict=True):
                    yield x, part, weight

    def _unit(self) -> float:
        """What makes gradients of the first batch's outputs sum to 1.

        The size of gradients depends on the loss and on the unit of what is predicted; clipping
        and AdamW's epsilon should not.
        """
        x, part, _ = self.first()
        output = self.passes.forward(x)
        logits = self.link.logits(output)
        if not self.changing:
            self.batches.prepare(logits, torch.arange(self.edges[1]))
        _, grad = self.at(0.0).value_and_grad(logits, part)
        return 1.0 / max(float(self.link.pull(grad, output).abs().sum()), 1e-300)

    def _held_loss(self) -> float:
        now = self.weights.copy()
        self.weights.put(self.weights.mean)
        logits = self.link.logits(self._outputs(self.held))
        self.weights.put(now)
        # Only the loss at the end of the training can compare weights of different moments.
        return float(self.at(1.0).value_and_grad(logits, self.held_targets)[0])

    def _outputs(self, x: torch.Tensor) -> torch.Tensor:
        self.module.eval()
        with torch.no_grad(), autocast(self.plan.device, self.plan.precision):
            parts = [self.module(x[part]).float() for part in chunks(len(x))]
        self.module.train()
        return torch.cat(parts)

    def _read(self, rows: torch.Tensor) -> torch.Tensor:
        return self.table.index_select(0, rows.to(self.table.device)).to(self.plan.device)


def _exploded(value: float, step: int, plan: Training) -> FitError:
    return FitError(
        f"the loss is {value:g} at step {step} of {plan.steps}; lower learning_rate_init "
        f"(now {plan.learning_rate:g}), or look for extreme values in the columns."
    )


def _best_threads(course: _Course) -> int:
    """1, or the most that are allowed where they are faster by a tenth and change no bit."""
    most, start = course.plan.threads, course.weights.copy()
    one, wanted = _tried(course, 1, math.inf)
    many, got = _tried(course, most, 2 * one)
    course.restart(start)
    same = all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True))
    return most if same and many < 0.9 * one else 1


def _tried(course: _Course, number: int, limit: float) -> tuple[float, list[torch.Tensor]]:
    """Seconds and weights of the first steps with so many threads.

    Where other processes use the cores, threads that wait for each other can be a hundred times
    slower; they are given up after ``limit`` seconds.
    """
    torch.set_num_threads(number)
    course.restart(course.kept)
    batch, loss = course.first(), course.at(0.0)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        for _ in range(_TRIED):
            course.step(batch, course.plan.learning_rate, loss)
            seconds = time.perf_counter() - began
            if seconds > limit:
                return math.inf, course.weights.copy()
    return seconds, course.weights.copy()


def outputs(module: nn.Module, Z: np.ndarray, *, double: bool = False) -> np.ndarray:
    """A trained network's outputs for encoded rows, the same whatever the number of threads.

    ``double``: whether to compute in double precision.
    """
    if double:
        module = copy.deepcopy(module).double()
        Z = np.asarray(Z, dtype=np.float64)
    with threads(1), torch.inference_mode():
        parts = [module(torch.from_numpy(np.ascontiguousarray(Z[part]))) for part in chunks(len(Z))]
        return np.asarray(torch.cat(parts))


def _set_generator(module: nn.Module, generator: torch.Generator | None) -> None:
    for part in module.modules():
        if isinstance(part, (Dropout, Shift)):
            part.generator = generator
