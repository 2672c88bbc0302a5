"""Classification: which classes are taken for which, and whether probabilities can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["MOST_CLASSES", "agreement", "calibration"]

#: More classes than this cannot be read in a table; the rarest are put together.
MOST_CLASSES = 30
_BINS = 10


def agreement(
    outputs: Mapping[str, np.ndarray], codes: np.ndarray, classes: np.ndarray
) -> dict[str, Any]:
    """Counts of held-out rows by the classes that models name.

    Parameters
    ----------
    outputs : mapping of str to arrays of shape (m, K)
    codes : int array of shape (m,)
        Positions of the true labels in ``classes``.
    classes : array of shape (K,)

    Returns
    -------
    dict
        ``classes`` (texts; with more than 30, the rarest become one, and ``others`` counts them),
        ``teacher_student`` (rows: what the teacher says; None without a teacher), and
        ``truth_student``, ``truth_teacher`` (rows: the true class).
    """
    names, others, place = [str(c) for c in classes], 0, np.arange(len(classes))
    if len(classes) > MOST_CLASSES:
        counts = np.bincount(codes, minlength=len(classes))
        kept = np.sort(np.argsort(-counts, kind="stable")[: MOST_CLASSES - 1])
        place = np.full(len(classes), MOST_CLASSES - 1)
        place[kept] = np.arange(len(kept))
        others = len(classes) - len(kept)
        names = [names[k] for k in kept]
    size = len(names) + (others > 0)

    def table(rows: np.ndarray, columns: np.ndarray) -> list[list[int]]:
        flat = place[rows] * size + place[columns]
        return np.bincount(flat, minlength=size * size).reshape(size, size).tolist()

    said = {name: output.argmax(axis=1) for name, output in outputs.items()}
    teacher = said.get("teacher")
    return {
        "classes": names,
        "others": others,
        "teacher_student": None if teacher is None else table(teacher, said["student"]),
        "truth_student": table(codes, said["student"]),
        "truth_teacher": None if teacher is None else table(codes, teacher),
    }


def calibration(
    outputs: Mapping[str, np.ndarray],
    codes: np.ndarray,
    classes: np.ndarray,
    weight: np.ndarray | None = None,
) -> dict[str, Any]:
    """Predicted against observed frequencies in ten bins of equal width.

    Of the second class where there are two, else of whichever class a model names.

    Returns
    -------
    dict
        ``of`` (the class as text, or None for the class named) and ``curves``: for each model
        ``[mean prediction, observed share, rows]`` of every bin that holds rows.
    """
    weight = np.ones(len(codes)) if weight is None else weight
    curves = {}
    for name, output in outputs.items():
        if len(classes) == 2:
            chance, hit = output[:, 1], codes == 1
        else:
            best = output.argmax(axis=1)
            chance, hit = output[np.arange(len(codes)), best], codes == best
        bins = np.clip((chance * _BINS).astype(int), 0, _BINS - 1)
        mass, rows = np.bincount(bins, weight, _BINS), np.bincount(bins, minlength=_BINS)
        sums = np.bincount(bins, weight * chance, _BINS), np.bincount(bins, weight * hit, _BINS)
        curves[name] = [
            [round(float(sums[0][b] / mass[b]), 5), round(float(sums[1][b] / mass[b]), 5), int(n)]
            for b, n in enumerate(rows)
            if mass[b] > 0
        ]
    return {"of": str(classes[1]) if len(classes) == 2 else None, "curves": curves}
