"""What all commands share: exit codes, ``--debug``, where files go, how results are printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kdcore.errors import KDError

__all__ = [
    "EXIT_ERROR",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_USAGE",
    "CommandGroup",
    "Settings",
    "echo_json",
    "json_option",
    "require_free",
    "table_lines",
]

# The exit codes of `kd`; a command that fails for a user's reason raises a KDError.
EXIT_OK = 0  # done
EXIT_ERROR = 1  # a KDError, a failed check, or a fault of the program
EXIT_USAGE = 2  # wrong options or arguments; click uses the same number
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells count it


@dataclass
class Settings:
    """Options that hold for every command; the object of click's root context."""

    debug: bool = False


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Settings).debug = True


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )


class CommandGroup(click.Group):
    """A group that takes ``--debug`` before and after the name of a command."""

    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, with ``--debug`` among its options."""
        if all(param.name != "debug" for param in cmd.params):
            cmd.params.append(_debug_option())
        super().add_command(cmd, name)


#: For every command that has a result.
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")


def echo_json(data: Any) -> None:
    """Print the result of a command for programs."""
    click.echo(json.dumps(data, indent=2))


def require_free(path: Path, *, force: bool) -> None:
    """Refuse a file that cannot be written, or would replace another unasked.

    Raises
    ------
    KDError
    """
    if path.is_dir():
        raise KDError(f"the output '{path}' is a folder; name a file in it.")
    if path.exists() and not force:
        raise KDError(f"the output '{path}' exists; use --force to replace it.")


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text as lines with aligned columns, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
