"""Errors meant for users: each says what happened, to what, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import islice

__all__ = [
    "BundleError",
    "DataError",
    "FitError",
    "KDError",
    "KDWarning",
    "ParameterError",
    "PluginError",
    "SpecError",
    "UnknownNameError",
    "first_line",
    "listed",
    "shown",
    "suggest",
]


class KDError(Exception):
    """Base of every error that kdcore raises for its users.

    The command line prints ``str(error)`` as one line and exits with 1.
    """


class KDWarning(UserWarning):
    """Something a user should know that is no error; the command line prints it as one line."""


class DataError(KDError, ValueError):
    """A table, a column or a set of labels cannot be used as given."""


class ParameterError(KDError, ValueError):
    """A parameter has a value, or a name, that cannot be used."""


class FitError(KDError, ValueError):
    """A teacher or a student fails on the data or the parameters it was given."""


class SpecError(KDError, ValueError):
    """A spec that a plugin yields breaks the rules of its kind."""


class UnknownNameError(KDError, LookupError):
    """No teacher, student, loss or selector of that name can be had."""


class PluginError(KDError):
    """A plugin failed, clashes with another, or returned something unusable."""


class BundleError(KDError):
    """A bundle is missing, damaged, unsafe, or made by a newer kdcore."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known name, else an empty string."""
    # Comparing with all columns of a very wide table would take minutes.
    some = [str(k) for k in islice(known, 5000)]
    match = difflib.get_close_matches(name[:200], some, n=1, cutoff=0.6)
    return f" Did you mean '{match[0]}'?" if match else ""


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, for messages: ``'a', 'b', ...``."""
    return ", ".join(map(repr, names[:most])) + (", ..." if len(names) > most else "")


def shown(value: object, most: int = 100) -> str:
    """How a message shows a value: its `repr` in one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        # Huge integers, and objects of users, may not tell.
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
