"""Where a result comes from: the command that makes it again, versions, and when it was made."""

from __future__ import annotations

import inspect
import platform
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

__all__ = ["call_text", "command_line", "origin"]

#: Arguments that change nothing in the result.
_SILENT = ("on_progress", "cache", "output", "force")

_command: ContextVar[str | None] = ContextVar("command", default=None)


@contextmanager
def command_line(arguments: Sequence[str]) -> Iterator[None]:
    """While it lasts, results are said to come from this command of the shell, after ``kd``."""
    # Passwords in addresses are nobody else's.
    safe = [re.sub(r"://[^/@\s]+@", "://***@", a) for a in arguments]
    token = _command.set(shlex.join(["kd", *safe]))
    try:
        yield
    finally:
        _command.reset(token)


def origin(
    call: str | None = None,
    models: Sequence[Any] = (),
    names: Sequence[tuple[str, str | None]] = (),
) -> dict[str, Any]:
    """``command``, ``versions`` of the libraries and plugins at work, and ``created`` (UTC).

    Parameters
    ----------
    call : str, optional
        The call in Python, for where no command of the shell was given.
    models, names
        See `kdcore.versions.library_versions`.
    """
    from kdcore.versions import library_versions

    command = _command.get()
    return {
        "command": command if command is not None else call,
        "shell": command is not None,
        "versions": library_versions(models, names),
        "platform": f"{platform.system()} {platform.machine()}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def call_text(function: Callable[..., Any], given: Mapping[str, Any], name: str) -> str:
    """A call of a function as text, without the arguments that have their defaults.

    Values that cannot be written down, as tables, are told by type and shape in ``<...>``.
    """
    parts: list[str] = []
    for key, parameter in inspect.signature(function).parameters.items():
        value = given[key]
        if key in _SILENT or (value is parameter.default or _equal(value, parameter.default)):
            continue
        text = _text(value)
        parts.append(
            text if parameter.default is parameter.empty and not parts else f"{key}={text}"
        )
    return f"{name}({', '.join(parts)})"


def _equal(value: Any, default: Any) -> bool:
    return isinstance(value, (str, int, float, tuple)) and bool(value == default)


def _text(value: Any) -> str:
    if value is None or isinstance(value, (str, int, float, bool)):
        return repr(value)
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, (list, tuple)) and len(value) < 100:
        inner = ", ".join(map(_text, value))
        return f"[{inner}]"
    if isinstance(value, Mapping) and len(value) < 100:
        inner = ", ".join(f"{_text(k)}: {_text(v)}" for k, v in value.items())
        return "{" + inner + "}"
    if hasattr(value, "get_params"):
        # scikit-learn's own text leaves defaults out; its line breaks are for terminals.
        return " ".join(repr(value).split())
    shape = getattr(value, "shape", None)
    size = " x ".join(map(str, shape)) if isinstance(shape, tuple) else ""
    return f"<{getattr(value, '__name__', type(value).__name__)}{f' {size}' if size else ''}>"
