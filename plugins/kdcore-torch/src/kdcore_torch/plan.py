"""How a network is to be trained, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["SCHEDULES", "History", "Training"]

SCHEDULES: dict[str, Callable[[float], float]] = {
    # Loshchilov, Hutter 2017, arXiv:1608.03983 (without restarts).
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t)),
    # Smith, Topin 2019, arXiv:1708.07120: up for 30 % of the steps, then down.
    "one_cycle": lambda t: (
        0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * t / 0.3))
        if t < 0.3
        else 0.5 * (1 + math.cos(math.pi * (t - 0.3) / 0.7))
    ),
    "constant": lambda t: 1.0,
}


@dataclass(frozen=True)
class Training:
    """How to train.

    Parameters
    ----------
    steps : int
        Most gradient steps.
    batch : int
        Rows of a step, about.
    learning_rate : float
        The largest; `SCHEDULES` tell its course.
    schedule : str
    l2 : float
        Decoupled weight decay.
    clip : float or None
        Largest norm of a gradient.
    averaging : float
        Of the weights; 0 for none.
    held : int
        Rows that are not trained on but decide when to stop and which weights to keep.
    patience : float
        Training stops after this share of all steps without a better value on held-out rows.
    device : torch.device
    precision : str
    threads : int
        Most threads on a CPU. More than one are used only where the first steps show that they
        are faster and give the same bits.
    seed : int
    on_step : callable or None
        Called with steps done, steps in all, and the loss, about 50 times.
    keep_on_interrupt : bool
        Whether Ctrl-C ends the training with the best weights so far, or is passed on.
    """

    steps: int
    batch: int
    learning_rate: float
    schedule: str
    l2: float
    clip: float | None
    averaging: float
    held: int
    patience: float
    device: torch.device
    precision: str
    threads: int
    seed: int
    on_step: Callable[[int, int, float], Any] | None = None
    keep_on_interrupt: bool = False


@dataclass(frozen=True)
class History:
    """What came of a training: steps done, values of the loss in its course, threads used."""

    steps: int
    values: list[float]
    threads: int
