"""`TeacherStructure`: what a teacher's trees tell of the columns, for the encoders of students."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["TeacherStructure", "structure_of"]


@dataclass(frozen=True, eq=False)
class TeacherStructure:
    """Split thresholds and interacting pairs of columns.

    Parameters
    ----------
    thresholds : mapping of str to array of shape (t,)
        For each numeric raw column that is split on, the sorted distinct thresholds.
    gains : mapping of str to array of shape (t,)
        For each of these columns, how much each threshold's splits improve the teacher, summed.
    pairs : tuple of (str, str, float), default=()
        Raw columns that a branch uses one below the other, with the gain of the lower splits;
        the largest first. A pair is named once, in the order of the table.
    source : {"teacher", "surrogate"}, default="teacher"
        Whose trees these are.
    """

    thresholds: Mapping[str, np.ndarray] = field(default_factory=dict)
    gains: Mapping[str, np.ndarray] = field(default_factory=dict)
    pairs: tuple[tuple[str, str, float], ...] = ()
    source: str = "teacher"


def structure_of(teacher: Any) -> TeacherStructure | None:
    """The structure of a fitted teacher; None where it does not expose one.

    A teacher exposes it by a method ``structure()`` that returns a `TeacherStructure` whose
    columns are named as in the raw table.
    """
    ask = getattr(teacher, "structure", None)
    return None if ask is None else ask()
