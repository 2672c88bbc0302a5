"""`Annealing`: first imitate a teacher that grows from pale to full, then learn from labels."""

from __future__ import annotations

import copy
import math
from numbers import Real
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.losses import Blend, LogitMSE, Loss
from kdcore.targets import SoftTargets, logits_of, softmax

__all__ = ["Annealing"]


class Annealing(Loss):
    """Imitation of a teacher that grows step by step, and labels alone at the end.

    The training has two phases, of which the loss learns by `at`:

    1. ``mean_k (z_s - phi(T) * z_t)^2 / 2`` of logits that are centred over the classes, where
       ``phi(T) = 1 - (T - 1) / max_temperature`` and T falls from ``max_temperature`` to 1 in
       whole steps, so that phi grows from ``1 / max_temperature`` to 1;
    2. ``CE(y, p_s)``. Rows without a label keep the full teacher.

    In regression the phases are ``(f_s - c - phi(T) * (f_t - c))^2``, c the teacher's mean in the
    training rows, and ``(f_s - y)^2``.

    Parameters
    ----------
    alpha : float, default=0.7
        The teacher's share of the *training*: how much of it is phase 1. With 1 the labels are
        never heard, with 0 the teacher is not, except in rows without a label. Where nobody says
        how far the training is, it is the teacher's share of the loss, as in `LogitMSE` (in
        regression `Blend`).
    temperature : float, default=1.0
        Must stay 1; the schedule has its own.
    max_temperature : int, default=10
        The number of steps of phase 1 (the paper's T_max).
    clip : float, default=1e-4
        Teacher probabilities are raised to this before the logarithm, since trees give zeros.

    Paper: Jafari et al. 2021 (annealing knowledge distillation), arXiv:2104.07163.
    """

    uses_progress = True

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        temperature: float = 1.0,
        max_temperature: float = 10,
        clip: float = 1e-4,
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        whole = isinstance(max_temperature, Real) and not isinstance(max_temperature, bool)
        if not whole or not (
            1 <= max_temperature < 1e6 and max_temperature == int(max_temperature)
        ):
            raise ParameterError(
                f"max_temperature={max_temperature!r} must be a whole number of at least 1."
            )
        self.max_temperature = int(max_temperature)
        # It refuses what clip cannot be.
        self.clip = LogitMSE(clip=clip).clip
        self._centre: float | None = None
        self._phi = 1.0
        # Shared by all phases: what they keep with the targets is made once for each of them.
        self._terms: dict[tuple[bool, float], Loss] = {}
        self._term_alpha = self.alpha

    def prepared(self, targets: SoftTargets) -> Annealing:
        if targets.classes is not None or targets.teacher is None:
            return self
        ready = copy.copy(self)
        ready._centre = _mean(targets)
        return ready

    def at(self, progress: float) -> Annealing:
        """The loss of a phase: see the class.

        Raises
        ------
        ParameterError
            When progress is not in [0, 1].
        """
        if not 0 <= progress <= 1:
            raise ParameterError(f"progress={progress!r} must lie in [0, 1].")
        phase = copy.copy(self)
        # With alpha=1 the last moment belongs to phase 1 as well.
        imitating = progress < self.alpha or self.alpha == 1
        done = math.floor(self.max_temperature * progress / self.alpha) if imitating else 0
        t = max(1, self.max_temperature - done) if imitating else 1
        phase._phi = 1 - (t - 1) / self.max_temperature
        phase._term_alpha = 1.0 if imitating else 0.0
        return phase

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        return self._term(targets).value_and_grad(logits, self._pale(targets))

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        return self._term(targets).hessian_bound(logits, self._pale(targets))

    def _term(self, targets: SoftTargets) -> Loss:
        """The loss between student and pale teacher, with the share of the phase."""
        regression, alpha = targets.classes is None, self._term_alpha
        if (regression, alpha) not in self._terms:
            made = Blend(alpha=alpha) if regression else LogitMSE(alpha=alpha, clip=1e-15)
            self._terms[regression, alpha] = made
        return self._terms[regression, alpha]

    def _pale(self, targets: SoftTargets) -> SoftTargets:
        """The same targets with a teacher whose logits (or deviations) are phi times as large."""
        if targets.teacher is None:
            return targets
        centre = self._centre
        key = ("pale", self.clip, self._phi, centre)
        if key not in targets._cache:
            if targets.classes is None:
                middle = _mean(targets) if centre is None else centre
                teacher = middle + self._phi * (targets.teacher - middle)
            else:
                teacher = softmax(self._phi * logits_of(targets.teacher, self.clip))
            targets._cache[key] = SoftTargets(
                targets.labels, teacher, targets.sample_weight, targets.classes, "given"
            )
        return targets._cache[key]


def _mean(targets: SoftTargets) -> float:
    return float(np.average(targets.blended(1.0), weights=targets.sample_weight))
