"""Names with parameters, such as ``"huber:delta=2"``: how losses and encoders are written."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from kdcore.errors import ParameterError, suggest

__all__ = ["named_kind", "require_known", "split_name"]

_Kind = TypeVar("_Kind", bound=type)


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


def named_kind(
    text: str, what: str, kinds: Mapping[str, _Kind], example: str
) -> tuple[_Kind, dict[str, Any]]:
    """The class that ``"name:key=value"`` names, and the parameters to call it with.

    Parameters
    ----------
    text, what, example : str
        As in `split_name`.
    kinds : mapping of str to class

    Raises
    ------
    ParameterError
        When there is none of that name, or it has no such parameter.
    """
    name, params = split_name(text, what, example)
    if name not in kinds:
        raise ParameterError(
            f"{what}={name!r} is not known; use {'one of ' if len(kinds) > 1 else ''}"
            f"{', '.join(kinds)}." + suggest(name, kinds)
        )
    kind = kinds[name]
    known = inspect.signature(kind).parameters
    require_known(params, known, f"the {what.replace('_', ' ')} {name!r}")
    return kind, params
