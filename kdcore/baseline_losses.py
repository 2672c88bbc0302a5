"""Losses that learn from labels alone: what a comparison of teachers has to be measured against.

A softened target regularises, whoever softens it. These two show how much of a gain is that, and
how much is the teacher's knowledge. The teacher that is given has no effect on them, and neither
have rows without a label: students drop both, and so does the loss itself.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.loss_arrays import namespace
from kdcore.losses import KL, Loss
from kdcore.targets import SoftTargets

__all__ = ["LabelSmoothing", "TfKD"]


class _VirtualTeacher(Loss):
    """A loss against a teacher that is made of the label."""

    uses_teacher = False

    #: The divergence from the virtual teacher, with the share that it has.
    _kl: KL

    def _correct(self, n_classes: int) -> float:
        """Probability that the virtual teacher gives to the label's class."""
        raise TypeError(f"{type(self).__name__} must define _correct(n_classes)")

    def value_and_grad(self, logits: Any, targets: SoftTargets) -> tuple[Any, Any]:
        virtual = self._virtual(targets)
        if virtual is None:
            return namespace(logits).sum(logits * 0), logits * 0
        return self._kl.value_and_grad(logits, virtual)

    def hessian_bound(self, logits: Any, targets: SoftTargets) -> Any:
        virtual = self._virtual(targets)
        # Above 0 in rows without a label as well, since boosters divide by it.
        least = 1e-12 + logits * 0
        return least if virtual is None else least + self._kl.hessian_bound(logits, virtual)

    def blend(self, targets: SoftTargets) -> np.ndarray:
        """Smoothed labels (n, K); rows without a label, which are to be left out, are uniform."""
        virtual = self._virtual(targets)
        k = targets.n_classes
        if virtual is None:
            return np.full((len(targets), k), 1 / k)
        return np.where(targets.unlabeled[:, None], 1 / k, self._kl.blend(virtual))

    def _virtual(self, targets: SoftTargets) -> SoftTargets | None:
        """Targets of the virtual teacher; None where no row has a label."""
        key = (self, "virtual")
        if key not in targets._cache:
            known = ~targets.unlabeled
            weight = targets.sample_weight * known
            made = None
            if weight.sum() > 0:
                k = targets.n_classes
                correct = self._correct(k)
                teacher = np.full((len(targets), k), (1 - correct) / (k - 1))
                labels = np.where(known, targets.labels, 0)
                teacher[np.arange(len(targets)), labels] = correct
                made = SoftTargets(labels, teacher, weight, targets.classes)
            targets._cache[key] = made
        return targets._cache[key]


class LabelSmoothing(_VirtualTeacher):
    """Cross-entropy to labels that leave a little to every class; no teacher.

    ``CE((1 - smoothing) * y + smoothing / K, p_s)``, less the entropy that no student can remove
    of its uniform part.

    Parameters
    ----------
    alpha : float, default=0.7
        Unused, since there is no teacher to have a share; it is taken so that one setting serves
        all losses of a comparison.
    temperature : float, default=1.0
        Must stay 1.
    smoothing : float, default=0.1
        In [0, 1).

    Paper: Szegedy et al. 2016 (rethinking the Inception architecture), arXiv:1512.00567.
    """

    def __init__(
        self, *, alpha: float = 0.7, temperature: float = 1.0, smoothing: float = 0.1
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if not _number(smoothing) or not 0 <= smoothing < 1:
            raise ParameterError(f"smoothing={smoothing!r} must lie in [0, 1).")
        self.smoothing = float(smoothing)
        self._kl = KL(alpha=self.smoothing)

    def _correct(self, n_classes: int) -> float:
        return 1 / n_classes


class TfKD(_VirtualTeacher):
    """Teacher-free distillation: a virtual teacher is right in every row, and nearly sure.

    ``alpha * T^2 * KL(u^T || p_s^T) + (1 - alpha) * CE(y, p_s)``, where ``u`` gives the label's
    class the probability ``correct`` and the rest to the other classes in equal parts. A high
    temperature (the paper: 10 to 40) makes it soft; at 1 it is little more than the label.

    Parameters
    ----------
    alpha : float, default=0.7
        Share of the virtual teacher. The paper uses 0.1 to 0.95.
    temperature : float, default=1.0
        Softens the virtual teacher and the student.
    correct : float, default=0.99
        In (1 / K, 1); the paper asks for at least 0.9.

    Paper: Yuan et al. 2020 (revisiting knowledge distillation via label smoothing
    regularization), arXiv:1909.11723.
    """

    uses_temperature = True

    def __init__(
        self, *, alpha: float = 0.7, temperature: float = 1.0, correct: float = 0.99
    ) -> None:
        super().__init__(alpha=alpha, temperature=temperature)
        if not _number(correct) or not 0 < correct < 1:
            raise ParameterError(f"correct={correct!r} must lie in (0, 1).")
        self.correct = float(correct)
        self._kl = KL(alpha=alpha, temperature=temperature)

    def _correct(self, n_classes: int) -> float:
        if self.correct * n_classes <= 1:
            raise ParameterError(
                f"correct={self.correct:g} is no more than chance with {n_classes} classes; the "
                "virtual teacher would be wrong, so use a value near 1."
            )
        return self.correct


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
