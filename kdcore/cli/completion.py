"""Shell completion: names of models, losses and selectors, columns of the table, and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = ["columns", "files", "names"]


def names(role: str) -> Any:
    """Completion of registered names, also of the last one in a list with commas."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from kdcore.registry import default_registry

        return _last_of(incomplete, list(default_registry().specs(role)))

    return complete


def columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Completion of the columns of the table that stands on the command line already."""
    # An option that still waits for its value leaves the arguments unread.
    for word in [ctx.params.get("data"), *ctx.args]:
        if word and (found := _header(Path(str(word)))):
            return _last_of(incomplete, found)
    return []


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion by the shell itself."""
    return [CompletionItem(incomplete, type="file")]


def _last_of(incomplete: str, known: Sequence[str]) -> list[str]:
    head, comma, last = incomplete.rpartition(",")
    return [f"{head}{comma}{name}" for name in known if name.startswith(last)]


def _header(path: Path) -> list[str]:
    """Names of columns, read from the first bytes of a file; nothing where that cannot be done."""
    try:
        ending = path.suffix.lower()
        if ending in (".csv", ".tsv"):
            import csv

            with path.open(newline="", encoding="utf-8-sig") as file:
                return next(csv.reader(file, delimiter="\t" if ending == ".tsv" else ","), [])
        if ending == ".parquet":
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(path).names)
        if ending == ".feather":
            import pyarrow.ipc

            with pyarrow.ipc.open_file(path) as file:
                return list(file.schema.names)
    except Exception:
        # Whoever is typing is not helped by a traceback.
        return []
    return []
