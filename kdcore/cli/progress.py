"""What a person sees on stderr while a command works: a bar with the time left, or lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["progress", "verbose_option"]

#: Stage, steps done, and steps in all, where that is known.
OnProgress = Callable[[str, int, int | None], None]

_VERBOSE = "kdcore.verbose"

_TITLES = {
    "read": "Reading the table",
    "teacher": "Fitting the teacher",
    "select": "Choosing columns",
    "relabel": "Labelling again",
    "stability": "Choosing columns on bootstrap samples",
    "students": "Fitting the students",
    "validate": "Comparing recipes",
    "evaluate": "Judging on held-out rows",
    "pairs": "Distilling pairs",
    "predict": "Predicting rows",
    "nested": "Fitting the teacher to parts",
    "trials": "Trying settings",
}


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[_VERBOSE] = value


verbose_option = click.option(
    "--verbose",
    "-v",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Print each stage with its seconds to stderr, also where that is no terminal.",
)


@contextmanager
def progress(*, show: bool) -> Iterator[OnProgress | None]:
    """A callback that tells how far the work is.

    A bar on stderr if a person is looking at it; with ``--verbose`` a line for each stage instead,
    whoever reads it.

    Raises
    ------
    click.UsageError
        When nothing is to be shown and ``--verbose`` was given.
    """
    ctx = click.get_current_context(silent=True)
    verbose = ctx is not None and bool(ctx.meta.get(_VERBOSE))
    if verbose:
        if not show:
            raise click.UsageError("--quiet and --verbose contradict each other; use one.")
        with _lines() as on_progress:
            yield on_progress
    elif show and sys.stderr.isatty():
        with _bar() as on_progress:
            yield on_progress
    else:
        yield None


@contextmanager
def _lines() -> Iterator[OnProgress]:
    last: dict[str, Any] = {"stage": None, "start": time.monotonic(), "steps": 0}

    def close() -> None:
        if last["stage"] is not None:
            seconds = time.monotonic() - last["start"]
            steps = f", {last['steps']} steps" if last["steps"] > 1 else ""
            click.echo(f"{_TITLES[last['stage']]}: {seconds:.1f} s{steps}", err=True)

    def on_progress(stage: str, done: int, total: int | None) -> None:
        if stage != last["stage"]:
            close()
            # What comes between two stages belongs to the one before.
            last.update(stage=stage, start=time.monotonic())
        last["steps"] = total or 0

    yield on_progress
    close()


@contextmanager
def _bar() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1)
        current = ""

        def on_progress(stage: str, done: int, total: int | None) -> None:
            nonlocal current
            if stage != current:
                # Another stage has another speed.
                current = stage
                bar.reset(task, description=_TITLES[stage], completed=done, total=total)
            bar.update(task, completed=done, total=total)

        yield on_progress
