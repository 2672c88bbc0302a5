"""What a user allows a student to read: a budget, columns to keep and to drop, costs."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import ParameterError, suggest
from kdcore.selection.choice import (
    DEFAULT_SELECTOR,
    make_selector,
    require_suited,
    selector_name,
)
from kdcore.selectors import budget

if TYPE_CHECKING:
    from kdcore.resolve import Resolved

__all__ = ["DEFAULT_SELECTOR", "RELABEL", "ColumnWishes", "Limits", "either_budget"]

#: What ``relabel=`` can be.
RELABEL = ("auto", "always", "never")


@dataclass(frozen=True)
class Limits:
    """A budget on the columns of one table.

    Parameters
    ----------
    names : list of str
        All columns, in the order of the table.
    pool : list of str
        Those that the student may read.
    keep : list of str
        Those that it reads in any case.
    most : int
        Most columns.
    costs : mapping of str to float, default={}
        1 where a column is not named.
    max_cost : float, default=inf
    """

    names: list[str]
    pool: list[str]
    keep: list[str]
    most: int
    costs: Mapping[str, float] = field(default_factory=dict)
    max_cost: float = np.inf

    def cost(self, columns: Iterable[str]) -> float:
        """What these columns cost together."""
        return float(sum(self.costs.get(c, 1.0) for c in columns))

    def take(self, ranking: Sequence[str], size: int) -> list[str]:
        """The best columns, at most ``size`` and the budget, in the order of the table.

        Columns to keep come first; one that would cost too much is passed over.
        """
        chosen = list(self.keep)
        allowed = set(self.pool) - set(chosen)
        size = min(size, self.most)
        spent = self.cost(chosen)
        for name in ranking:
            price = self.costs.get(name, 1.0)
            if len(chosen) < size and name in allowed and spent + price <= self.max_cost + 1e-9:
                chosen.append(name)
                allowed.discard(name)
                spent += price
        return [n for n in self.names if n in set(chosen)]


@dataclass(frozen=True, kw_only=True)
class ColumnWishes:
    """Which columns a user wants a student to read.

    Parameters
    ----------
    max_features : int or float, optional
        Most columns, or a ratio of all raw columns; see `kdcore.selectors.budget`. None allows all.
    selector : str or Selector, optional
        A registered name, which parameters may follow, or an object with ``select``. None stands,
        where there is a budget, for the one that the student prefers, or ``"prior_backward"``.
    keep, drop : sequence of str, default=()
    costs : mapping of str to float, optional
        What a column costs; 1 unless given.
    max_cost : float, optional
        Most that all columns may cost together; needs ``costs``.
    tolerance : float or "one_se", default=0.002
        The smallest size is taken whose validation loss is at most so much, relatively, above the
        lowest; ``"one_se"`` takes the smallest that is not worse by more than one standard error.
        0 takes the lowest loss, and of equal ones the smallest size.
    relabel : {"auto", "always", "never"}, default="auto"
        Whether the teacher is fitted anew on the chosen columns and its labels used: where they are
        better on held-out training rows, in any case, or not.
    stability : int, default=0
        Bootstrap samples on which columns are chosen again, to tell how far they can be trusted.

    Raises
    ------
    ParameterError, UnknownNameError, PluginError
        When one of them cannot be used, whatever the table.
    """

    max_features: int | float | None = None
    selector: Any = None
    keep: Sequence[str] = ()
    drop: Sequence[str] = ()
    costs: Mapping[str, float] | None = None
    max_cost: float | None = None
    tolerance: float | str = 0.002
    relabel: str = "auto"
    stability: int = 0

    def __post_init__(self) -> None:
        for name in ("keep", "drop"):
            given = getattr(self, name)
            if given is None:
                object.__setattr__(self, name, ())
            elif isinstance(given, str) or not all(isinstance(c, str) for c in given):
                raise ParameterError(
                    f"{name}={given!r} must be a list of columns, such as [{str(given)!r}]."
                )
        if self.max_features is not None:
            budget(self.max_features, 1)
        both = [c for c in self.keep if c in set(self.drop)]
        if both:
            raise ParameterError(f"keep and drop both name {both[0]!r}; take it out of one.")
        if self.keep and not self.selects:
            raise ParameterError(
                "keep names columns that are kept within a budget, but there is none; give "
                "max_features too, or leave keep out."
            )
        if self.relabel not in RELABEL:
            raise ParameterError(
                f"relabel={self.relabel!r} is not known; use one of {', '.join(RELABEL)}."
            )
        if isinstance(self.stability, bool) or not isinstance(self.stability, numbers.Integral):
            raise ParameterError(
                f"stability={self.stability!r} must be a number of bootstrap samples, such as 20."
            )
        if self.stability < 0 or self.stability == 1:
            raise ParameterError(
                f"stability={self.stability} samples cannot be compared; use 2 at least, such as "
                "20, or 0 for none."
            )
        if self.stability and not self.selects:
            raise ParameterError(
                "stability tells how stable a choice of columns is, but none are chosen; give "
                "max_features too, or leave it out."
            )
        if self.relabel == "always" and not self.asked:
            raise ParameterError(
                "relabel='always' fits the teacher anew on chosen columns, but none are chosen; "
                "give max_features too, or leave relabel out."
            )
        self._check_costs()
        self._check_tolerance()
        if self.selects:
            self.made()

    def _check_costs(self) -> None:
        if (self.costs is None) != (self.max_cost is None):
            raise ParameterError(
                "costs and max_cost belong together: the price of columns, and the most that the "
                "student's columns may cost."
            )
        if self.costs is None:
            return
        if not isinstance(self.costs, Mapping):
            raise ParameterError(f"costs={self.costs!r} must map columns to numbers.")
        prices: dict[str, Any] = {f"costs[{name!r}]": v for name, v in self.costs.items()}
        for what, price in {**prices, "max_cost": self.max_cost}.items():
            if not _is_number(price) or not 0 <= price < np.inf:
                raise ParameterError(f"{what}={price!r} must be a number of at least 0.")

    def _check_tolerance(self) -> None:
        if self.tolerance != "one_se" and not (
            _is_number(self.tolerance) and 0 <= float(self.tolerance) < np.inf
        ):
            raise ParameterError(
                f"tolerance={self.tolerance!r} must be a number of at least 0, such as 0.01 for "
                "1 % more loss, or 'one_se'."
            )

    @property
    def selects(self) -> bool:
        """Whether columns are to be selected, rather than only left out by name."""
        return any(v is not None for v in (self.max_features, self.selector, self.max_cost))

    @property
    def asked(self) -> bool:
        """Whether the student is to read less than everything, or may."""
        return self.selects or bool(self.drop)

    @property
    def name(self) -> str:
        """The selector's name for reports."""
        return selector_name(DEFAULT_SELECTOR if self.selector is None else self.selector)

    def made(self) -> Any:
        """The selector itself."""
        return make_selector(DEFAULT_SELECTOR if self.selector is None else self.selector)

    def suited(self, student: Resolved) -> ColumnWishes:
        """The same wishes, with the selector that the student prefers where none is named.

        Raises
        ------
        ParameterError
            When the selector trains inside a student, and this one does not allow it.
        """
        if not self.selects:
            return self
        if self.selector is None:
            return self if student.selector is None else replace(self, selector=student.selector)
        require_suited(self.selector, student)
        return self

    def limits(self, names: Sequence[str], features: Sequence[str] | None = None) -> Limits:
        """What they mean for a table.

        Parameters
        ----------
        names : sequence of str
            Its raw columns.
        features : sequence of str, optional
            Those that the student may read anyway.

        Raises
        ------
        ParameterError
            When a column is not there, or nothing can satisfy all wishes.
        """
        names = list(names)
        for what, given in (("keep", self.keep), ("drop", self.drop), ("costs", self.costs or ())):
            for name in given:
                if name not in names:
                    raise ParameterError(
                        f"{what}: the table has no column {name!r}." + suggest(name, names)
                    )
        readable = set(names if features is None else features) - set(self.drop)
        pool = [n for n in names if n in readable]
        if not pool:
            raise ParameterError("drop leaves no column for the student; name fewer columns.")
        lost = [n for n in self.keep if n not in readable]
        if lost:
            raise ParameterError(
                f"keep names {lost[0]!r}, which is not among the student's features; add it there."
            )
        keep = [n for n in names if n in set(self.keep)]
        most = len(pool)
        if self.max_features is not None:
            most = min(most, budget(self.max_features, len(names)))
        if len(keep) > most:
            raise ParameterError(
                f"keep names {len(keep)} columns, but max_features={self.max_features} allows "
                f"{most} of {len(names)}; name fewer columns, or allow more."
            )
        limits = Limits(
            names,
            pool,
            keep,
            most,
            dict(self.costs or {}),
            np.inf if self.max_cost is None else float(self.max_cost),
        )
        if limits.cost(keep) > limits.max_cost:
            raise ParameterError(
                f"the columns to keep cost {limits.cost(keep):g} together, more than "
                f"max_cost={self.max_cost:g}; keep fewer, or allow more."
            )
        if not limits.take(pool, most):
            raise ParameterError(
                f"every column costs more than max_cost={self.max_cost:g}; allow more."
            )
        return limits


def either_budget(max_features: Any, max_factor_ratio: Any) -> Any:
    """The one budget that was given, by either name.

    Raises
    ------
    ParameterError
        When both were, or the ratio is none.
    """
    if max_factor_ratio is None:
        return max_features
    if max_features is not None:
        raise ParameterError(
            f"max_features={max_features} and max_factor_ratio={max_factor_ratio} are two names "
            "of the same budget; give one of them."
        )
    if not _is_number(max_factor_ratio) or not 0 < max_factor_ratio <= 1:
        raise ParameterError(
            f"max_factor_ratio={max_factor_ratio!r} is not a ratio in (0, 1]; use max_features "
            "for a number of columns."
        )
    return float(max_factor_ratio)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
