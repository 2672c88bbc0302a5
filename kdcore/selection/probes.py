"""What columns are worth to a fitted model: its loss on rows in which they were shuffled.

Permutation importance: Breiman 2001, Random forests; Fisher, Rudin, Dominici 2019,
arXiv:1801.01489. A raw column is shuffled as a whole, however many inputs come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.evaluation import row_losses

if TYPE_CHECKING:
    from kdcore.surrogate import Surrogate
    from kdcore.targets import SoftTargets

__all__ = [
    "EncodedProbe",
    "permuted_losses",
    "row_losses_to",
    "student_probe",
    "surrogate_probe",
]

#: Most rows that a teacher is asked about at a time.
_MOST_ROWS = 8_000
_CLIP = 1e-7


def row_losses_to(output: np.ndarray, targets: SoftTargets) -> np.ndarray:
    """Loss (n,) against labels, and against the teacher where there is none.

    Negative log probability, or squared error.
    """
    goal = targets.blended(0.0)
    if targets.classes is None:
        return np.asarray((output - goal) ** 2)
    if targets.unlabeled.any():
        return np.asarray(-(goal * np.log(np.clip(output, _CLIP, 1.0))).sum(axis=1))
    return row_losses(output, targets.classes[targets.labels], targets.classes)


def permuted_losses(
    ask: Callable[[Any], np.ndarray],
    frame: Any,
    targets: SoftTargets,
    columns: Sequence[str],
    random_state: int,
) -> dict[str, float]:
    """How much a model's mean loss rises when a raw column is shuffled.

    Parameters
    ----------
    ask : callable
        The model's output for a frame.
    frame : pandas.DataFrame of m rows
    targets : SoftTargets of these rows
    columns : sequence of str
    random_state : int
    """
    m = len(frame)
    weight = targets.sample_weight / targets.sample_weight.sum()
    base = float(weight @ row_losses_to(ask(frame), targets))
    found: dict[str, float] = {}
    several = max(1, _MOST_ROWS // m)
    for start in range(0, len(columns), several):
        some = columns[start : start + several]
        tiled = np.tile(np.arange(m), len(some))
        big = frame.iloc[tiled].reset_index(drop=True)
        changed = {}
        for i, name in enumerate(some):
            order = tiled.copy()
            order[i * m : (i + 1) * m] = _shuffled(m, list(frame.columns).index(name), random_state)
            changed[name] = frame[name].array.take(order)
        output = ask(big.assign(**changed))
        for i, name in enumerate(some):
            own = output[i * m : (i + 1) * m]
            found[name] = float(weight @ row_losses_to(own, targets)) - base
    return found


class EncodedProbe:
    """Shuffles the encoded columns of a raw one, which saves encoding anew.

    Parameters
    ----------
    Z : array of shape (m, d)
        Encoded held-out rows.
    owners : sequence of int arrays of shape (d,)
        Positions of the raw columns that an encoded one is made of.
    names : list of str
        Raw columns.
    weight : array of shape (m,)
    losses_of : callable
        From encoded rows to the model's losses, (m,).
    random_state : int
    """

    def __init__(
        self,
        Z: np.ndarray,
        owners: Sequence[np.ndarray],
        names: list[str],
        weight: np.ndarray,
        losses_of: Callable[[np.ndarray], np.ndarray],
        random_state: int,
    ) -> None:
        self._Z = Z
        self._owners = owners
        self._names = names
        self._weight = weight / weight.sum()
        self._losses_of = losses_of
        self._random_state = random_state

    def losses(self) -> np.ndarray:
        """Loss of each held-out row, (m,)."""
        return self._losses_of(self._Z)

    def drops(self, columns: Sequence[str]) -> dict[str, float]:
        """How much the mean loss rises when a column is shuffled."""
        base = float(self._weight @ self.losses())
        found = {}
        for name in columns:
            j = self._names.index(name)
            own = np.flatnonzero(np.any([o == j for o in self._owners], axis=0))
            kept = self._Z[:, own]
            # A product of two columns is shuffled with either of them.
            self._Z[:, own] = kept[_shuffled(len(self._Z), j, self._random_state)]
            found[name] = float(self._weight @ self.losses()) - base
            self._Z[:, own] = kept
        return found


def student_probe(model: Any, frame: Any, targets: SoftTargets, random_state: int) -> EncodedProbe:
    """A fitted student on held-out rows, a frame with its targets."""

    def losses_of(Z: np.ndarray) -> np.ndarray:
        output = model.predict_encoded(Z)
        if targets.classes is not None:
            output = output / output.sum(axis=1, keepdims=True)
        return row_losses_to(output, targets)

    encoder = model.encoder_
    return EncodedProbe(
        np.array(encoder.transform(frame)),
        [encoder.owners_, getattr(encoder, "partners_", encoder.owners_)],
        encoder.schema_.names,
        targets.sample_weight,
        losses_of,
        random_state,
    )


def surrogate_probe(
    model: Surrogate, frame: Any, targets: SoftTargets, random_state: int
) -> EncodedProbe:
    """A boosted stand-in on held-out rows, a frame with its targets."""
    return EncodedProbe(
        model.encode(frame),
        [model.ranks.owners_],
        model.schema.names,
        targets.sample_weight,
        lambda Z: model.losses(Z, targets),
        random_state,
    )


def _shuffled(m: int, column: int, random_state: int) -> np.ndarray:
    return np.random.default_rng([random_state, column]).permutation(m)
