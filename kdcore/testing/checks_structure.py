"""The checks of what a teacher tells of its columns: ``structure`` and ``contributions``."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.schema import TableSchema
from kdcore.structure import TeacherStructure
from kdcore.testing.cases import ModelCase
from kdcore.testing.checks import Violation

__all__ = ["check_contributions", "check_structure"]


def check_structure(case: ModelCase) -> None:
    """A teacher with a method structure() returns None, or a TeacherStructure of raw columns:
    sorted, distinct, finite thresholds of numeric ones, a gain of at least 0 for each, and pairs of
    two different columns, each pair once, the largest gain first."""
    if not hasattr(case.fitted, "structure"):
        return
    told = case.fitted.structure()
    if told is None:
        return
    if not isinstance(told, TeacherStructure):
        raise Violation(f"a {type(told).__name__}", "return a TeacherStructure, or None")
    schema = TableSchema.fit(case.data.X)
    fault = _fault(told, schema.names, [c.name for c in schema.numeric])
    if fault:
        raise Violation(
            fault, "sum up the trees with kdcore.structure.structure_from_trees and raw names"
        )


def check_contributions(case: ModelCase) -> None:
    """A teacher with a method contributions(X) returns one finite size of at least 0 for each raw
    column, some of them above 0, or None."""
    if not hasattr(case.fitted, "contributions"):
        return
    told = case.fitted.contributions(case.data.X)
    if told is None:
        return
    values, p = np.asarray(told, dtype=float), case.data.X.shape[1]
    if values.shape != (p,) or not np.isfinite(values).all() or (values < 0).any():
        raise Violation(f"{told!r}", f"return sizes of shape ({p},), in the order of the table")
    if not values.sum() > 0:
        raise Violation("zeros alone", "sum up sizes, for instance by kdcore.teachers.mean_sizes")


def _fault(told: TeacherStructure, names: list[str], numeric: list[str]) -> str:
    """What is wrong, or an empty text."""
    if set(told.thresholds) != set(told.gains):
        return "thresholds and gains of different columns"
    for name, values in told.thresholds.items():
        if name not in numeric:
            return f"thresholds of {name!r}, which is no numeric column of the table"
        values, gains = np.asarray(values, dtype=float), np.asarray(told.gains[name], dtype=float)
        if values.ndim != 1 or values.shape != gains.shape:
            return f"{values.shape} thresholds and {gains.shape} gains of {name!r}"
        if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
            return f"thresholds of {name!r} that are not finite, sorted and distinct"
        if not np.isfinite(gains).all() or (gains < 0).any():
            return f"gains of {name!r} that are negative or not finite"
    for name, gain in told.columns.items():
        if name not in names or not np.isfinite(gain) or gain < 0:
            return f"a gain of {gain!r} of {name!r}"
    return _pair_fault(told.pairs, names)


def _pair_fault(pairs: Any, names: list[str]) -> str:
    known: set[frozenset[str]] = set()
    last = np.inf
    for a, b, gain in pairs:
        if a == b or a not in names or b not in names:
            return f"the pair {a!r}, {b!r}, which is not of two columns of the table"
        if frozenset((a, b)) in known:
            return f"the pair {a!r}, {b!r} twice"
        if not 0 <= gain <= last:
            return f"the gain {gain:.6g} of the pair {a!r}, {b!r} after {last:.6g}"
        known.add(frozenset((a, b)))
        last = gain
    return ""
