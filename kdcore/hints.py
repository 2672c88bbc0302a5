"""What to tell a user who asks for a name that cannot be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.utils import canonicalize_name

from kdcore.errors import UnknownNameError, suggest
from kdcore.plugins import Discovery

__all__ = ["OFFICIAL", "unknown_name"]

# Role -> name -> the distribution of this project that provides it.
OFFICIAL: Mapping[str, Mapping[str, str]] = {
    "teacher": {
        "catboost": "kdcore-catboost",
        "lightgbm": "kdcore-lightgbm",
        "pytorch_cnn": "kdcore-torch",
        "pytorch_mlp": "kdcore-torch",
        "random_forest": "kdcore-forest",
        "xgboost": "kdcore-xgboost",
    },
    "student": {
        "catboost": "kdcore-catboost",
        "decision_tree": "kdcore-sklearn",
        "lightgbm": "kdcore-lightgbm",
        "logistic_regression": "kdcore-sklearn",
        "pytorch_cnn": "kdcore-torch",
        "pytorch_mlp": "kdcore-torch",
        "ridge": "kdcore-sklearn",
        "sklearn_mlp": "kdcore-sklearn",
        "svm": "kdcore-sklearn",
        "xgboost": "kdcore-xgboost",
    },
}

_PLURAL = {"teacher": "teachers", "student": "students", "loss": "losses", "selector": "selectors"}


def unknown_name(
    role: str, name: str, known: Mapping[str, Sequence[str]], discovery: Discovery
) -> UnknownNameError:
    """Return the error for a name that nothing usable provides.

    Parameters
    ----------
    role, name : str
        What was asked for.
    known : mapping of role to names
        What can be had.
    discovery : Discovery
        Where the reasons are.
    """
    reason = _reason(role, name, discovery)
    package = OFFICIAL.get(role, {}).get(name)
    if reason:
        text = f"The {role} {name!r} is not available: {reason}."
    elif package and (plugin := _plugin_of(package, discovery)):
        text = (
            f"The {role} {name!r} is not in {plugin}; update it: `pip install --upgrade {package}`."
        )
    elif package:
        text = f"The {role} {name!r} is not installed; run `pip install {package}`."
    else:
        text = f"Unknown {role} {name!r}.{_near(role, name, known)}"
    return UnknownNameError(f"{text} {_listing(role, known[role])}")


def _reason(role: str, name: str, discovery: Discovery) -> str:
    """Return why a plugin that provides the name, or is named like it, cannot be used."""
    if (role, name) in discovery.withheld:
        return discovery.withheld[role, name].rstrip(".")
    package = OFFICIAL.get(role, {}).get(name)
    likely = {canonicalize_name(n) for n in (f"kdcore-{name}", package or "") if n}
    for plugin in discovery.plugins:
        named_like = plugin.name == name or canonicalize_name(plugin.distribution) in likely
        if named_like and plugin.status != "ok":
            return plugin.verdict.rstrip(".")
    return ""


def _plugin_of(distribution: str, discovery: Discovery) -> str:
    """Return a usable plugin of a distribution, for a message, or nothing."""
    for plugin in discovery.plugins:
        if canonicalize_name(plugin.distribution) == distribution:
            return str(plugin)
    return ""


def _near(role: str, name: str, known: Mapping[str, Sequence[str]]) -> str:
    """Return a sentence, with a blank before it, on what may have been meant."""
    if hint := suggest(name, known[role]):
        return hint
    official = OFFICIAL.get(role, {})
    if hint := suggest(name, official):
        package = next(p for n, p in official.items() if f"'{n}'" in hint)
        return f"{hint} It comes with `pip install {package}`."
    others = [other for other, names in known.items() if other != role and name in names]
    return f" There is a {others[0]} of that name." if others else ""


def _listing(role: str, names: Sequence[str]) -> str:
    if not names:
        return f"No {role} is installed."
    return f"Known {_PLURAL[role]}: {', '.join(names)}."
