"""Maximum relevance, minimum redundancy (mRMR).

Peng, Long, Ding 2005, IEEE TPAMI 27(8); relevance and redundancy as in FCQ of Zhao et al. 2019,
arXiv:1908.05376: the F statistic divided by the mean absolute correlation with chosen columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kdcore.encoders.ordinal import OrdinalEncoder

if TYPE_CHECKING:
    from kdcore.selection.task import SelectionTask
    from kdcore.targets import SoftTargets

__all__ = ["mrmr_order"]

_TINY = 1e-12
#: Most rows that are looked at, and columns that are float64 at a time.
_MOST_ROWS, _AT_ONCE = 20_000, 64


def mrmr_order(task: SelectionTask) -> list[str]:
    """The ``task.most`` best candidates in the order of their choice; columns to keep come first.

    The others follow by relevance alone.

    Of more than 20,000 rows so many are looked at, drawn by chance.
    Categories count as ranks by their mean target, and missing values as the mean of the others.
    """
    names, targets = task.candidates, task.targets
    frame, weight = task.X[names], targets.sample_weight
    if len(frame) > _MOST_ROWS:
        rng = np.random.default_rng([task.random_state, 5])
        rows = np.sort(rng.choice(np.flatnonzero(weight > 0), _MOST_ROWS, replace=False))
        frame, targets = frame.iloc[rows], targets.take(rows)
        weight = targets.sample_weight
    encoder = OrdinalEncoder().fit(frame, targets, weight)
    Z = encoder.transform(frame)
    order = np.argsort(encoder.owners_)
    share = weight / weight.sum()
    relevance = np.zeros(len(names))
    # Standardised columns, a row for each.
    scaled = np.empty((len(names), len(Z)), dtype=np.float32)
    for start in range(0, len(names), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        block, spread = _centred(Z[:, order[part]].astype(float), share)
        relevance[part] = np.where(spread < _TINY, 0.0, _f_statistic(block, share, targets))
        block *= np.sqrt(share)[:, None] / np.maximum(spread, _TINY)
        scaled[part] = block.T
    del Z, frame
    chosen = [names.index(c) for c in task.keep if c in names]
    together = sum((np.abs(scaled @ scaled[j]) for j in chosen), np.zeros(len(names)))
    while len(chosen) < min(task.most, len(names)):
        redundancy = together / len(chosen) if chosen else np.ones(len(names))
        score = relevance / np.maximum(redundancy, 1e-3)
        score[chosen] = -np.inf
        best = int(score.argmax())
        chosen.append(best)
        together += np.abs(scaled @ scaled[best])
    others = [j for j in np.argsort(-relevance, kind="stable") if j not in set(chosen)]
    return [names[j] for j in [*chosen, *others]]


def _centred(Z: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns less their mean, 0 where missing, and their standard deviations."""
    known = np.isfinite(Z)
    mass = (known * share[:, None]).sum(axis=0)
    Z[~known] = 0.0
    mean = (share @ Z) / np.maximum(mass, _TINY)
    Z = np.where(known, Z - mean, 0.0)
    return Z, np.sqrt(share @ Z**2)


def _f_statistic(Z: np.ndarray, share: np.ndarray, targets: SoftTargets) -> np.ndarray:
    """F (p,) of each centred column against the labels, or the teacher where there is none.

    With soft targets a row belongs to each class in part.
    """
    goal = targets.blended(0.0)
    total = share @ Z**2
    n = len(Z)
    if targets.classes is None:
        goal = goal - share @ goal
        explained = (Z.T @ (share * goal)) ** 2 / max(float(share @ goal**2), _TINY)
        free = 1
    else:
        part = goal * share[:, None]
        mass = part.sum(axis=0)
        means = (Z.T @ part) / np.maximum(mass, _TINY)
        explained = means**2 @ mass
        free = max(1, int((mass > 0).sum()) - 1)
    rest = np.maximum(total - explained, _TINY * np.maximum(total, _TINY))
    return np.asarray(explained / rest * max(1, n - free - 1) / free)
