"""``--config FILE`` and ``--print-config``: the options of a command as a TOML file, and back.

A key is the long name of an option without its dashes, or the name of an argument in lower case.
Options that take ``K=V`` may be tables, and those that take several values may be lists. What is
given on the command line wins over the file.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kdcore.errors import ParameterError, suggest

__all__ = ["add_config", "config_text", "read_config"]

_PRINT = "kdcore.print_config"
_OWN = ("config", "print-config", "debug", "help")


def add_config(command: click.Command) -> None:
    """Give a command the options ``--config`` and ``--print-config``."""
    callback = command.callback
    if callback is None or any(param.name == "config" for param in command.params):
        return

    @functools.wraps(callback)
    def run_or_print(*args: Any, **kwargs: Any) -> Any:
        ctx = click.get_current_context()
        if ctx.meta.get(_PRINT):
            click.echo(config_text(ctx), nl=False)
            return None
        return callback(*args, **kwargs)

    command.callback = run_or_print
    command.params += [
        click.Option(
            ["--config"],
            metavar="FILE",
            is_eager=True,
            expose_value=False,
            callback=_use,
            help="A TOML file of options; those on the command line win over it.",
        ),
        click.Option(
            ["--print-config"],
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print all options as such a file, and do nothing else.",
        ),
    ]


def _use(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        ctx.default_map = read_config(ctx.command, value)


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[_PRINT] = value


def _keys(command: click.Command) -> dict[str, click.Parameter]:
    """Parameters of a command by their key in a file."""
    found = {}
    for param in command.params:
        option = next((o for o in reversed(param.opts) if o.startswith("--")), param.name or "")
        found[option.lstrip("-")] = param
    return {key: param for key, param in found.items() if key not in _OWN}


def read_config(command: click.Command, file: str) -> dict[str, Any]:
    """What a file says of the options of a command, as click's ``default_map``.

    Raises
    ------
    ParameterError
        When the file cannot be read, a key is no option of the command, or a value is of a kind
        that the option cannot have.
    """
    import tomllib

    try:
        content = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(
            f"cannot read the file '{file}' (--config): {error.strerror}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"'{file}' (--config) is not a TOML file: {error}.") from None
    keys = _keys(command)
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = key.replace("_", "-") if key not in keys else key
        if name not in keys:
            near = suggest(name, keys)
            raise ParameterError(
                f"'{file}' (--config): '{key}' is no option of kd {command.name}."
                + (near or f" `kd {command.name} --print-config` shows all.")
            )
        param = keys[name]
        if param.name in found:
            raise ParameterError(f"'{file}' (--config): '{name}' is there twice; keep one.")
        try:
            found[str(param.name)] = _as_typed(param, value)
        except ValueError as error:
            raise ParameterError(f"'{file}' (--config): {key} = {value!r} {error}.") from None
    return found


def _as_typed(param: click.Parameter, value: Any) -> Any:
    """A value of a file as the texts that somebody would have typed."""
    metavar = getattr(param, "metavar", None) or ""
    several = getattr(param, "multiple", False)
    if getattr(param, "is_flag", False):
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    if isinstance(value, dict):
        if "=" not in metavar:
            raise ValueError("must not be a table")
        if ":" in metavar:
            if not all(isinstance(inner, dict) for inner in value.values()):
                raise ValueError(f"must hold a table for each model, as in {metavar}")
            return [f"{m}:{k}={_json(v)}" for m, inner in value.items() for k, v in inner.items()]
        return [f"{k}={_json(v)}" for k, v in value.items()]
    if isinstance(value, list):
        texts = [_text(item) for item in value]
        if several:
            return texts
        if "," in metavar:
            return ",".join(texts)
        raise ValueError("must not be a list")
    return [_text(value)] if several else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be text or a number")
    return str(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        raise ValueError("holds a date or a time, which no option takes") from None


def config_text(ctx: click.Context) -> str:
    """All options of a command, as they are in a context, as a file for ``--config``.

    Those without a value stand there as comments.
    """
    lines = [f"# kd {ctx.command.name} --config FILE"]
    tables: list[str] = []
    for key, param in _keys(ctx.command).items():
        value = ctx.params.get(str(param.name))
        if isinstance(value, tuple):
            value = list(value)
        if value is None or value == [] or value == {}:
            lines.append(f"# {key} =")
        elif not isinstance(value, dict):
            lines.append(f"{key} = {_toml(value)}")
        elif _without_null(value):
            tables.append(_table(key, value, nested=":" in (getattr(param, "metavar", "") or "")))
        else:
            # TOML has no null; as texts K=V any value can be written.
            lines.append(f"{key} = {_toml(_typed_pairs(param, value))}")
    return "\n".join(lines) + "\n" + "".join(tables)


def _typed_pairs(param: click.Parameter, value: dict[str, Any]) -> list[str]:
    typed = _as_typed(param, value)
    return [str(text) for text in typed]


def _without_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_without_null, value.values()))
    if isinstance(value, list):
        return all(map(_without_null, value))
    return value is not None


def _table(key: str, value: Mapping[str, Any], *, nested: bool) -> str:
    if nested:
        return "".join(_table(f"{key}.{_key(k)}", v, nested=False) for k, v in value.items())
    body = "".join(f"{_key(k)} = {_toml(v)}\n" for k, v in value.items())
    return f"\n[{key}]\n{body}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    # TOML's basic strings are JSON's, but for one control character that JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
