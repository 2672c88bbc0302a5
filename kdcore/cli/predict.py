"""``kd predict``: rows of a table through a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdcore.cli.common import require_free
from kdcore.cli.completion import files
from kdcore.cli.progress import progress, verbose_option

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["predict_command"]

_OUTPUTS = (".csv", ".parquet", ".feather")


@click.command("predict", short_help="Predict rows with a saved student.")
@click.argument("bundle", shell_complete=files)
@click.argument("data", shell_complete=files)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="A .csv, .parquet or .feather file; by default CSV on stdout.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
@verbose_option
def predict_command(bundle: str, data: str, output: str | None, force: bool, quiet: bool) -> None:
    """Predict the rows of DATA with a saved student.

    The result has a column `prediction` and, for classes, one column `proba_CLASS` each, in the
    order of the rows. Columns of DATA are matched by name; further ones are ignored. Large files
    are read piece by piece, so memory does not grow with them; a file of predictions appears when
    it is whole. A run that was killed goes on where it was (each million rows are kept in a hidden
    folder beside the output) when the same command is given again.

    \b
    Examples:
      kd predict kd-out/digits-decision_tree/student.kd new.parquet -o predictions.parquet
      kd predict student.kd new.csv > predictions.csv
    """
    target = None if output is None else _checked(Path(output), force)
    from kdcore.resume import Parts
    from kdcore.runtime import load
    from kdcore.streaming import pieces, predictions, writer

    model = load(bundle)
    parts = None if target is None else Parts(target, bundle, data)
    done = 0 if parts is None else parts.done
    if done and not quiet:
        click.echo(f"Note: going on after {done:,} rows that were predicted before.", err=True)
    frames, total = pieces(data, model.features, skip=done)
    unseen = Counter[str]()
    with progress(show=not quiet and target is not None) as on_progress, ExitStack() as stack:
        # Rows on stdout are gone once they are written, so there is nothing to resume.
        append = stack.enter_context(_stdout()) if parts is None else None
        for frame in frames:
            output_rows = predictions(model, frame)
            new = {} if quiet else model.unseen(frame)
            if parts is not None:
                parts.append(output_rows, new)
            elif append is not None:
                append(output_rows)
                unseen.update(new)
            done += len(frame)
            if on_progress is not None:
                on_progress("predict", done, total)
        if parts is not None and target is not None:
            write = stack.enter_context(writer(target))
            for output_rows in parts.frames():
                write(output_rows)
    if parts is not None:
        unseen.update(parts.total_unseen())
        parts.remove()
    for column, count in unseen.items():
        click.echo(
            f"Note: column {column!r} holds {count} value(s) that were not there in training.",
            err=True,
        )


@contextmanager
def _stdout() -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that prints frames as one CSV table."""
    header = True

    def append(frame: pd.DataFrame) -> None:
        nonlocal header
        click.echo(frame.to_csv(index=False, header=header), nl=False)
        header = False

    yield append


def _checked(path: Path, force: bool) -> Path:
    if path.suffix.lower() not in _OUTPUTS:
        raise click.BadParameter(
            f"'{path}' must end in one of {', '.join(_OUTPUTS)}.", param_hint="--output"
        )
    require_free(path, force=force)
    return path
