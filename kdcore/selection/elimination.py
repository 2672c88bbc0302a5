"""Recursive elimination of columns.

Guyon et al. 2002, Gene selection for cancer classification using support vector machines, Machine
Learning 46; here the student's importance is what its held-out loss gains by a shuffled column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kdcore.selection.task import shares, sizes

if TYPE_CHECKING:
    from kdcore.selection.task import SelectionTask

__all__ = ["eliminated"]


def eliminated(
    task: SelectionTask,
    columns: Sequence[str],
    *,
    prior: Mapping[str, float] | None = None,
    prior_weight: float = 0.5,
    keep_rate: float = 0.7,
) -> list[str]:
    """Columns in the order of their elimination, those that stayed longest first.

    Parameters
    ----------
    task : SelectionTask
    columns : sequence of str
        With which it starts.
    prior : mapping of str to float, optional
        The teacher's opinion of each column.
    prior_weight : float, default=0.5
        Its share of the score; the student's own has the rest.
    keep_rate : float, default=0.7
        Share of the columns that each round leaves. A round also stops at ``task.most``.
    """
    keep = set(task.keep)
    active = [c for c in columns if c not in keep]
    fixed = [c for c in columns if c in keep]
    gone: list[str] = []
    stops = _stops(len(columns), task.most, keep_rate)
    for size in stops:
        left = size - len(keep)
        if left >= len(active) or not active:
            continue
        reads = [c for c in task.X.columns if c in keep or c in set(active)]
        score = shares(task.probe(reads).drops(active))
        if prior is not None:
            opinion = shares({c: prior[c] for c in active})
            score = {c: prior_weight * opinion[c] + (1 - prior_weight) * score[c] for c in active}
        active.sort(key=lambda c: -score[c])
        cut = max(0, left)
        active, gone = active[:cut], active[cut:] + gone
    return fixed + active + gone


def _stops(start: int, most: int, rate: float) -> list[int]:
    """Numbers of columns after each round."""
    above = [size for size in sizes(start, rate, most) if size < start] if start > most else []
    below = sizes(min(most, start), rate)
    if below[0] >= start:
        below = below[1:]
    return [*above, *(size for size in below if not above or size < above[-1])]
