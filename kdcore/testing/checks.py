"""What a check of the conformance kit is: a rule, and the way its breach is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kdcore.candidates import describe_error

__all__ = ["Check", "CheckFailure", "Violation"]


class Violation(Exception):
    """What a ``check_*`` function raises when its rule is broken.

    Parameters
    ----------
    seen : str
        What was seen instead.
    do : str
        What the author of the plugin should do.
    """

    def __init__(self, seen: str, do: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.do = do


class CheckFailure(AssertionError):
    """A check failed; the text gives the rule, what was seen, and what to do."""


@dataclass(frozen=True)
class Check:
    """One rule applied to one thing: call it, and it raises `CheckFailure` if the rule is broken.

    Parameters
    ----------
    id : str
        Such as ``"teacher.xgboost.binary.check_rows_sum_to_one"``.
    function : callable
        A ``check_*`` function; its docstring is the rule.
    case : object
        What the function gets.
    """

    id: str
    function: Callable[[Any], None]
    case: Any

    @property
    def name(self) -> str:
        """Name of the function, the last part of the id."""
        return self.id.rpartition(".")[2]

    @property
    def rule(self) -> str:
        """The rule as one line."""
        return " ".join((inspect.getdoc(self.function) or "").split())

    def __call__(self) -> None:
        __tracebackhide__ = True
        try:
            self.function(self.case)
        except Violation as violation:
            raise CheckFailure(self._message(violation.seen, violation.do)) from None
        except (Exception, SystemExit) as error:
            do = "find the cause in the traceback: call the check, or run it under pytest"
            raise CheckFailure(self._message(describe_error(error), do)) from error

    def _message(self, seen: str, do: str) -> str:
        return f"{self.rule} Seen: {seen.rstrip('.')}. To do: {do.rstrip('.')}."
