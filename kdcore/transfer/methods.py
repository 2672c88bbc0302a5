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
from kdcore.transfer.mixture import Mixture
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
        One of `AUGMENTERS`, several of them as in ``"cart+munge"`` (as many rows of each), an
        augmenter (whose parameters are copied), or a function ``f(frame, n, rng) -> frame``.
    **params
        Parameters of the method; several methods have none.

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
        kinds = [_known(name) for name in method.split("+")]
        if len(kinds) == 1:
            _refuse_unknown(kinds[0], params)
            made = kinds[0](**params)
        elif params:
            raise ParameterError(
                f"the augmenter {method!r} takes no parameter {min(params)!r}; make a "
                "kdcore.transfer.Mixture of augmenters that have it."
            )
        else:
            made = Mixture(parts=[kind() for kind in kinds])
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


def default_method(n_columns: int, n_classes: int, few: str = "cart") -> str:
    """The method for a table: ``few`` up to 60 columns and 10 classes, else MUNGE.

    Trees describe few columns well. With many columns, or many classes that each have few rows,
    rows near real ones are the safer choice.

    Parameters
    ----------
    n_columns : int
    n_classes : int
        0 in regression.
    few : str, default="cart"
        A student may know a better one than CART, see `kdcore.StudentRecipe`.
    """
    return few if n_columns <= 60 and n_classes <= 10 else "munge"


def _known(name: str) -> type[Augmenter]:
    if name not in AUGMENTERS:
        raise ParameterError(
            f"the augmenter {name!r} is not known; use one of {', '.join(AUGMENTERS)}, two of them "
            "as in 'cart+munge', or a function f(frame, n, rng)." + suggest(name, AUGMENTERS)
        )
    return AUGMENTERS[name]


def _refuse_unknown(method: type[Augmenter], params: dict[str, Any]) -> None:
    known = [f.name for f in dataclasses.fields(method)]  # type: ignore[arg-type]
    for name in params:
        if name not in known:
            raise ParameterError(
                f"the augmenter {method.name!r} has no parameter {name!r}; it has "
                f"{', '.join(known)}." + suggest(name, known)
            )
