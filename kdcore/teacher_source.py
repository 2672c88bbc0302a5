"""`Source`: a teacher as the user gave it, and how it labels a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdcore.labels import TeacherLabels
    from kdcore.table import LabeledTable

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """A teacher as the user gave it, and how it labels a table.

    Parameters
    ----------
    name : str
    label : callable
        ``label(train, folds=..., random_state=..., n_jobs=..., on_step=...)`` returns
        `TeacherLabels`.
    identity : object
        Plain data that tells this teacher from others, for caching; None if there is none.
    can_be_asked : bool, default=True
        Whether it can label other rows too; given labels cannot.
    was_fitted : bool, default=False
        Whether it came fitted, so that what the user says of that has a meaning.
    refit : callable, optional
        ``refit(train)`` fits the teacher to a table, without labelling it; None where it is not
        fitted here.
    """

    name: str
    label: Callable[..., TeacherLabels]
    identity: Any = None
    can_be_asked: bool = True
    was_fitted: bool = False
    refit: Callable[[LabeledTable], Any] | None = None
