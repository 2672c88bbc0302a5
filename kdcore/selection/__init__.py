"""Selection of the raw columns that a student reads, within a budget that is a promise."""

from kdcore.selection.limits import DEFAULT_SELECTOR, ColumnWishes, Limits, either_budget
from kdcore.selection.narrow import narrowed
from kdcore.selection.search import Selection, select_columns
from kdcore.selection.task import SelectionTask

__all__ = [
    "DEFAULT_SELECTOR",
    "ColumnWishes",
    "Limits",
    "Selection",
    "SelectionTask",
    "either_budget",
    "narrowed",
    "select_columns",
]
