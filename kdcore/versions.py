"""Versions of the libraries and plugins that a result was made with."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from kdcore.candidates import installed
from kdcore.errors import KDError

__all__ = ["library_versions"]

_ALWAYS = ("kdcore", "numpy", "pandas", "scikit-learn", "onnx", "onnxruntime")


def library_versions(
    models: Sequence[Any] = (), names: Iterable[tuple[str, str | None]] = ()
) -> dict[str, str]:
    """Versions of Python, kdcore and its libraries, and of plugins with theirs, by distribution.

    Parameters
    ----------
    models : sequence
        Fitted students and teachers, of plugins or of any other library; None is passed over.
    names : iterable of (str, str or None), optional
        Roles and registered names of further things that were used.
    """
    candidates = installed()
    plugins = {c.value.partition(":")[0].partition(".")[0]: c for c in candidates}
    requires = {c.distribution: c.requires for c in candidates}
    wanted: list[str] = list(_ALWAYS)
    for model in _parts(models):
        top = type(model).__module__.partition(".")[0]
        if top in plugins:
            wanted.append(plugins[top].distribution)
        elif top not in ("builtins", "__main__"):
            wanted.append(top)
    wanted += _providers(names)
    wanted += [
        required
        for name in dict.fromkeys(wanted)
        for required in map(_required, requires.get(name, ()))
    ]
    found = {"python": platform.python_version()}
    for name in dict.fromkeys(wanted):
        try:
            found[name] = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue
    return found


def _parts(models: Iterable[Any]) -> Iterator[Any]:
    """Models, and those that they hold: in kdcore's wrappers, averages, and Pipelines."""
    for model in models:
        if model is None:
            continue
        yield model
        inner = [getattr(model, "model", None), *(getattr(model, "members", None) or ())]
        steps = getattr(model, "steps", None)
        inner += [s[-1] for s in steps if isinstance(s, tuple)] if isinstance(steps, list) else []
        yield from _parts(inner)


def _providers(names: Iterable[tuple[str, str | None]]) -> list[str]:
    from kdcore.registry import default_registry

    found = []
    for role, name in names:
        try:
            found.append(default_registry().provider(role, name or "").distribution)
        except KDError:
            # A teacher or a loss of the user's own.
            continue
    return found


def _required(requirement: str) -> str:
    try:
        return Requirement(requirement).name
    except InvalidRequirement:
        return ""
