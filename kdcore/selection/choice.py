"""From the name of a selector, with or without parameters, to a selector that suits the student."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from kdcore.errors import ParameterError
from kdcore.named_params import require_known, split_name
from kdcore.registry import default_registry

if TYPE_CHECKING:
    from kdcore.resolve import Resolved

__all__ = ["DEFAULT_SELECTOR", "make_selector", "require_suited", "selector_name"]

DEFAULT_SELECTOR = "prior_backward"
_EXAMPLE = "prior_backward:prior_weight=0.7"


def make_selector(selector: Any) -> Any:
    """The selector that was named, or the one given.

    Parameters
    ----------
    selector : str or Selector
        A registered name, which parameters may follow, or an object with ``select``.

    Raises
    ------
    ParameterError, UnknownNameError, PluginError
        When there is none of that name or parameter, or it is no selector.
    """
    if not isinstance(selector, str):
        if isinstance(selector, type) or not hasattr(selector, "select"):
            raise ParameterError(
                f"selector={selector!r} is neither a name nor an object with `select`; "
                "see `kd plugins --kind selector` for names."
            )
        return selector
    name, params = split_name(selector, "selector", _EXAMPLE)
    registry = default_registry()
    usual = registry.create("selector", name)
    if not params:
        return usual
    known = inspect.signature(registry.get("selector", name).resolve()).parameters
    require_known(params, known, f"the selector {name!r}")
    return registry.create("selector", name, **params)


def selector_name(selector: Any) -> str:
    """How reports call a selector: the text that named it, or its class."""
    return selector if isinstance(selector, str) else type(selector).__name__


def require_suited(selector: Any, student: Resolved) -> None:
    """Refuse a selector that trains inside the student, where the student does not allow it.

    Raises
    ------
    ParameterError
        Naming the students that do.
    """
    if isinstance(selector, str):
        name = split_name(selector, "selector", _EXAMPLE)[0]
        embedded = default_registry().get("selector", name).kind == "embedded"
    else:
        name, embedded = selector_name(selector), getattr(selector, "embedded", False)
    if embedded and not student.embedded:
        specs = default_registry().specs("student")
        able = [own for own, spec in specs.items() if spec.embedded_selection]
        raise ParameterError(
            f"the selector {name!r} trains inside the student, which {student.name} does not "
            f"allow; use a filter such as {DEFAULT_SELECTOR!r}, or one of the students "
            f"{', '.join(able) or '(none is installed)'}."
        )
