"""The methods of making rows, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kdcore.errors import ParameterError, suggest
from kdcore.transfer.base import Augmenter
from kdcore.transfer.cart import Cart
from kdcore.transfer.custom import Custom
from kdcore.transfer.marginal import Bootstrap, Copula, Swap
from kdcore.transfer.neighbours import Mixup, Munge, Smote

__all__ = ["AUGMENTERS", "default_method", "make_augmenter"]

AUGMENTERS: dict[str, type[Augmenter]] = {
    m.name: m for m in (Cart, Munge, Smote, Mixup, Copula, Swap, Bootstrap)
}


def make_augmenter(method: str | Augmenter | Callable[..., Any], **params: Any) -> Augmenter:
    """An unfitted augmenter.

    Parameters
    ----------
    method : str, Augmenter or callable
        One of `AUGMENTERS`, an augmenter (whose parameters are copied), or a function
        ``f(frame, n, rng) -> frame``.
    **params
        Parameters of the method.

    Raises
    ------
    ParameterError
        When there is no such method or parameter, or a value is out of range.
    """
    if isinstance(method, Augmenter):
        made = method.clone()
        _refuse_unknown(type(made), params)
        for name, value in params.items():
            setattr(made, name, value)
    elif isinstance(method, str):
        if method not in AUGMENTERS:
            raise ParameterError(
                f"the augmenter {method!r} is not known; use one of {', '.join(AUGMENTERS)}, or a "
                "function f(frame, n, rng)." + suggest(method, AUGMENTERS)
            )
        _refuse_unknown(AUGMENTERS[method], params)
        made = AUGMENTERS[method](**params)
    elif callable(method):
        if params:
            raise ParameterError(
                f"a function has no parameter {min(params)!r}; bind it with functools.partial."
            )
        made = Custom(function=method)
    else:
        raise ParameterError(
            f"{method!r} is no augmenter; use one of {', '.join(AUGMENTERS)}, or a function "
            "f(frame, n, rng)."
        )
    made._check()
    return made


def default_method(n_columns: int, n_classes: int) -> str:
    """The method for a table: CART up to 60 columns and 10 classes, else MUNGE.

    Trees describe few columns well. With many columns, or many classes that each have few rows,
    rows near real ones are the safer choice.

    Parameters
    ----------
    n_columns : int
    n_classes : int
        0 in regression.
    """
    return "cart" if n_columns <= 60 and n_classes <= 10 else "munge"


def _refuse_unknown(method: type[Augmenter], params: dict[str, Any]) -> None:
    known = [f.name for f in dataclasses.fields(method)]  # type: ignore[arg-type]
    for name in params:
        if name not in known:
            raise ParameterError(
                f"the augmenter {method.name!r} has no parameter {name!r}; it has "
                f"{', '.join(known)}." + suggest(name, known)
            )
