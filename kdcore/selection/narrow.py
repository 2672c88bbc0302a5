"""A student that reads some of the columns only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdcore.resolve import Resolved

__all__ = ["narrowed"]


def narrowed(student: Resolved, columns: Sequence[str]) -> Resolved:
    """The same student, which reads these columns only."""
    from sklearn.base import clone

    def less(estimator: Any) -> Any:
        return clone(estimator).set_params(features=list(columns))

    return replace(
        student,
        estimator=less(student.estimator),
        plain=None if student.plain is None else less(student.plain),
    )
