"""How stable a choice of columns is: the same choice on bootstrap samples of the training rows.

Kuncheva 2007, A stability index for feature selection; Meinshausen, Buehlmann 2010, Stability
selection, arXiv:0809.2932.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.encoders.ordinal import OrdinalEncoder
from kdcore.recipe_fit import Lesson, soft_targets
from kdcore.selection.some_rows import of_some_rows
from kdcore.splits import Data

if TYPE_CHECKING:
    from kdcore.selection.judges import Judge

__all__ = ["interchangeable", "kuncheva", "resampled", "stability"]

#: Rank correlation, in size, from which two columns can stand for each other.
_ALIKE = 0.8
#: Most rows that correlations are taken of.
_MOST_ROWS = 5_000


def stability(
    lesson: Lesson,
    judge_of: Callable[[Lesson], Judge],
    choose: Callable[[Judge], list[str]],
    *,
    samples: int,
    candidates: Sequence[str],
    time_left: Callable[[], float],
    random_state: int,
    step: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Choose columns again on bootstrap samples, each with a teacher of its own where it may have.

    Parameters
    ----------
    lesson : Lesson
        All training rows.
    judge_of : callable
        Makes a `Judge` of a lesson.
    choose : callable
        Columns by a judge.
    samples : int
    candidates : sequence of str
    time_left, step : callables
    random_state : int

    Returns
    -------
    dict
        ``samples``; ``frequency``, for each column that was ever chosen the share of samples, the
        largest first; ``jaccard``, the mean over pairs of samples of shared columns over columns in
        either; ``kuncheva``, shared columns corrected for chance, 1 for the same and 0 for random
        sets (None where all columns are chosen); ``groups`` of `interchangeable` columns.
    """
    sets: list[list[str]] = []
    for number in range(samples):
        if sets and time_left() <= 0:
            break
        step("stability", number, samples)
        sets.append(choose(judge_of(resampled(lesson, [random_state, 7, number]))))
    names = [name for one in sets for name in one]
    counts = {name: names.count(name) / len(sets) for name in candidates if name in set(names)}
    frequency = dict(sorted(counts.items(), key=lambda item: -item[1]))
    pairs = [(set(a), set(b)) for a, b in itertools.combinations(sets, 2)]
    indices = [kuncheva(a, b, len(candidates)) for a, b in pairs]
    told = [index for index in indices if index is not None]
    return {
        "samples": len(sets),
        "frequency": frequency,
        "jaccard": float(np.mean([len(a & b) / len(a | b) for a, b in pairs])) if pairs else None,
        "kuncheva": float(np.mean(told)) if told else None,
        "groups": [
            {
                "columns": group,
                "frequency": float(np.mean([bool(set(group) & set(one)) for one in sets])),
            }
            for group in interchangeable(lesson, list(frequency))
        ],
    }


def resampled(lesson: Lesson, seed: Sequence[int]) -> Lesson:
    """A lesson on a bootstrap sample of its rows, judged by the rows that were not drawn.

    Rows in order of time are drawn in blocks of n^(1/3), so that a sample keeps their likeness.
    """
    train, labels = lesson.data.train, lesson.run.labels
    n = len(train)
    rng = np.random.default_rng(list(seed))
    block = max(1, round(n ** (1 / 3))) if train.ordered else 1
    starts = rng.integers(0, n, -(-n // block))
    drawn = np.sort(((starts[:, None] + np.arange(block)) % n).ravel()[:n])
    left = np.setdiff1d(np.arange(n), drawn)
    if not len(left):
        left = np.arange(n)
    own = replace(labels, values=labels.values[drawn])
    if lesson.run.refit is not None:
        own = replace(own, teacher=None)
    run = replace(lesson.run, labels=own, held=labels.values[left])
    data = Data(lesson.data.table, train.take(drawn), train.take(left), lesson.data.extra)
    whole = lesson if lesson.run.refit is None else None
    return of_some_rows(Lesson(data, run, lesson.random_state, whole=whole), lesson.random_state)


def kuncheva(one: set[str], other: set[str], n_columns: int) -> float | None:
    """Kuncheva's index of two sets; sets of unlike sizes as Lustgarten et al. 2009 have it.

    None where every column is chosen, so that sets cannot differ.
    """
    a, b = len(one), len(other)
    expected = a * b / n_columns
    spread = min(a, b) - expected if a == b else min(a, b) - max(0, a + b - n_columns)
    return None if spread <= 0 else (len(one & other) - expected) / spread


def interchangeable(lesson: Lesson, columns: Sequence[str]) -> list[list[str]]:
    """Groups of columns with a rank correlation of 0.8 or more, directly or by way of another.

    Categories are ranked by their mean target, and gaps by the middle rank.
    """
    from scipy.stats import rankdata

    train = lesson.data.train
    names = [name for name in train.names if name in set(columns)]
    if len(names) < 2:
        return []
    rows = np.arange(len(train))
    if len(rows) > _MOST_ROWS:
        rows = np.linspace(0, len(rows) - 1, _MOST_ROWS).astype(int)
    some = train.take(rows)
    frame, targets = some.X[names], soft_targets(some)
    encoder = OrdinalEncoder().fit(frame, targets, targets.sample_weight)
    Z = np.asarray(encoder.transform(frame), dtype=float)[:, np.argsort(encoder.owners_)]
    for j in range(Z.shape[1]):
        known = np.isfinite(Z[:, j])
        ranks = rankdata(Z[known, j]) if known.any() else np.zeros(0)
        Z[known, j] = ranks
        Z[~known, j] = ranks.mean() if len(ranks) else 0.0
    Z -= Z.mean(axis=0)
    Z /= np.maximum(np.sqrt((Z**2).sum(axis=0)), 1e-12)
    alike = np.abs(Z.T @ Z) >= _ALIKE
    left, groups = set(range(len(names))), []
    while left:
        group, edge = set(), {min(left)}
        while edge:
            group |= edge
            edge = {int(j) for i in edge for j in np.flatnonzero(alike[i])} - group
        left -= group
        if len(group) > 1:
            groups.append([names[j] for j in sorted(group)])
    return groups
