"""Rules for the parameters of models, so that bad values are refused before any long work."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from kdcore.errors import ParameterError

__all__ = ["Rule", "number", "one_of", "require", "seed", "whole"]

#: Returns None for a value that is fine, else what the value must be: "be above 0".
Rule = Callable[[Any], str | None]


def require(estimator: Any, **rules: Rule) -> None:
    """Check parameters of an estimator.

    Parameters
    ----------
    estimator : estimator
    **rules : Rule
        By the names of its parameters.

    Raises
    ------
    ParameterError
        For the first value that breaks its rule; it names parameter, value and rule.
    """
    for name, rule in rules.items():
        value = getattr(estimator, name)
        must = rule(value)
        if must is not None:
            raise ParameterError(f"{name}={value!r} must {must}.")


def whole(
    least: int | None = None,
    most: int | None = None,
    *,
    also: tuple[Any, ...] = (),
) -> Rule:
    """A whole number in a range, ends included, or one of the values in ``also``."""
    must = _sentence(also, "a whole number", ("of at least", least), ("at most", most))

    def rule(value: Any) -> str | None:
        fine = isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))
        fine = fine and (least is None or value >= least) and (most is None or value <= most)
        return None if fine or _among(value, also) else must

    return rule


def number(
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    also: tuple[Any, ...] = (),
) -> Rule:
    """A finite number in a range, or one of the values in ``also``."""
    limits = (("above", above), ("of at least", least), ("below", below), ("at most", most))
    must = _sentence(also, "a number", *limits)

    def rule(value: Any) -> str | None:
        fine = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
        fine = fine and math.isfinite(value)
        fine = fine and (above is None or value > above) and (least is None or value >= least)
        fine = fine and (below is None or value < below) and (most is None or value <= most)
        return None if fine or _among(value, also) else must

    return rule


def one_of(*choices: Any) -> Rule:
    """One of some values."""

    def rule(value: Any) -> str | None:
        return None if _among(value, choices) else f"be one of {', '.join(map(str, choices))}"

    return rule


def seed(value: Any) -> str | None:
    """A rule: None, a whole number from 0 to 2^32 - 1, or a `numpy.random.RandomState`."""
    if isinstance(value, np.random.RandomState):
        return None
    return whole(0, 2**32 - 1, also=(None,))(value)


def _among(value: Any, choices: tuple[Any, ...]) -> bool:
    # Equal values of other types, such as True for 1, are not meant; arrays have no truth value.
    return any(value is c or (type(value) is type(c) and value == c) for c in choices)


def _sentence(also: tuple[Any, ...], what: str, *limits: tuple[str, float | None]) -> str:
    said = [f"{word} {value}" for word, value in limits if value is not None]
    what += f" {' and '.join(said)}" if said else ""
    return f"be {', '.join(map(repr, also))} or {what}" if also else f"be {what}"
