"""Names with parameters, such as ``"huber:delta=2"``: how losses and encoders are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kdcore.errors import ParameterError, suggest

__all__ = ["require_known", "split_name"]


def split_name(text: str, what: str, example: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of ``"name:key=value,key=value"``.

    Values become floats where they are numbers, and stay texts otherwise.

    Parameters
    ----------
    text : str
    what : str
        The parameter that ``text`` is the value of, such as ``"loss"``.
    example : str
        What an error shows as the right way to write it.

    Raises
    ------
    ParameterError
        When it is written in another way.
    """
    name, colon, rest = text.partition(":")
    params: dict[str, Any] = {}
    for part in rest.split(",") if colon else []:
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise ParameterError(
                f"{what}={text!r}: write parameters as in '{example}', separated by commas."
            )
        try:
            params[key.strip()] = float(value)
        except ValueError:
            params[key.strip()] = value.strip()
    return name.strip(), params


def require_known(params: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse a parameter that ``what`` (such as ``"the loss 'huber'"``) does not have.

    Raises
    ------
    ParameterError
        Naming the nearest parameter that exists, or all.
    """
    known = list(known)
    for key in params:
        if key not in known:
            raise ParameterError(
                f"{what} has no parameter {key!r}."
                + (suggest(key, known) or f" It has: {', '.join(known) or 'none'}.")
            )
