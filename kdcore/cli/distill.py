"""``kd distill``: from a table to a judged, deployable student."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdcore.cli.common import echo_json

if TYPE_CHECKING:
    from kdcore.report import DistillReport

__all__ = ["distill_command"]


def _names(role: str) -> Any:
    """Shell completion of registered names."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from kdcore.registry import default_registry

        return [n for n in default_registry().specs(role) if n.startswith(incomplete)]

    return complete


def _parameters(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE.")
        parsed[key.strip()] = _value(value.strip())
    return parsed


def _value(text: str) -> Any:
    """Numbers, true, false, null, lists and quoted text as in JSON; anything else is text."""
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _folds(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    if value == "auto":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor 'auto'.") from None


@click.command("distill")
@click.argument("data")
@click.option("--target", "-t", required=True, metavar="COL", help="Column to predict.")
@click.option(
    "--teacher",
    default="xgboost",
    show_default=True,
    metavar="NAME",
    shell_complete=_names("teacher"),
    help="The strong model; `kd plugins` lists names.",
)
@click.option(
    "--student",
    default="logistic_regression",
    show_default=True,
    metavar="NAME",
    shell_complete=_names("student"),
    help="The small model.",
)
@click.option("--test", metavar="FILE", help="Held-out rows; by default a share of DATA.")
@click.option(
    "--test-size", type=float, default=0.25, show_default=True, help="Share of rows held out."
)
@click.option(
    "--task",
    default="auto",
    show_default=True,
    metavar="TASK",
    help="auto, classification, binary, multiclass or regression.",
)
@click.option(
    "--teacher-param",
    "teacher_params",
    multiple=True,
    metavar="K=V",
    callback=_parameters,
    help="Parameter of the teacher; may be repeated.",
)
@click.option(
    "--student-param",
    "student_params",
    multiple=True,
    metavar="K=V",
    callback=_parameters,
    help="Parameter of the student; may be repeated.",
)
@click.option(
    "--folds",
    default="auto",
    show_default=True,
    callback=_folds,
    help="Folds of the out-of-fold labels; auto is 5, fewer for rare classes.",
)
@click.option("--temperature", type=float, help="Softens teacher and student; 1 unless given.")
@click.option("--alpha", type=float, help="Share of the teacher in the loss; 0.7 unless given.")
@click.option(
    "--loss",
    metavar="NAME",
    shell_complete=_names("loss"),
    help="Loss of the student; kl (blend in regression) unless given.",
)
@click.option("--sample-weight", metavar="COL", help="Column of row weights.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "--jobs",
    type=int,
    default=-1,
    show_default=True,
    help="Teacher fits at a time; -1 for one on each core. Results do not depend on it.",
)
@click.option(
    "--output",
    "-o",
    metavar="DIR",
    help="Folder of the results; by default a new one below kd-out/.",
)
@click.option("--force", is_flag=True, help="Replace results that exist in the folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes on stderr.")
def distill_command(
    data: str,
    output: str | None,
    as_json: bool,
    quiet: bool,
    seed: int,
    jobs: int,
    **options: Any,
) -> None:
    """Distill a teacher into a small student and judge it on held-out rows.

    DATA is a CSV, TSV, Parquet or Feather file, or a bundled set such as sklearn:digits.

    \b
    Examples:
      kd distill sklearn:digits --target target --student decision_tree
      kd distill adult.parquet -t target --teacher xgboost --student logistic_regression -o out
      kd distill houses.csv -t price --student decision_tree --student-param max_leaf_nodes=32
    """
    if jobs == 0 or jobs < -1:
        raise click.BadParameter("use a number of at least 1, or -1.", param_hint="--jobs")
    from kdcore.experiment import distill

    folder = output or _fresh_folder(data, options["student"])
    with _progress(show=not quiet) as on_progress:
        result = distill(
            data,
            random_state=seed,
            n_jobs=jobs,
            output=folder,
            on_progress=on_progress,
            **options,
        )
    report = result.report
    if as_json:
        echo_json(report.to_dict())
    else:
        _show(report)
    if not quiet:
        for note in report.notes:
            click.echo(f"Note: {note}", err=True)


def _fresh_folder(data: str, student: str) -> str:
    """A folder that does not exist yet, so that a forgotten -o neither loses nor replaces."""
    stem = Path(data.replace(":", "-")).name.split(".")[0] or "data"
    base = Path("kd-out") / f"{stem}-{student}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return str(folder)


@contextmanager
def _progress(*, show: bool) -> Iterator[Any]:
    """A callback that moves a progress bar on stderr, if a person is looking at it."""
    if not show or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    titles = {
        "read": "Reading the table",
        "teacher": "Fitting the teacher",
        "students": "Fitting the students",
        "evaluate": "Judging on held-out rows",
    }
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1)

        def on_progress(stage: str, done: int, total: int) -> None:
            bar.update(task, description=titles[stage], completed=done, total=total)

        yield on_progress


def _show(report: DistillReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kdcore.report import summary_rows

    # A table that does not fit is better wrapped than cut.
    console = Console(highlight=False, soft_wrap=True, width=200)
    rows = report.rows
    what = report.task
    if report.classes is not None:
        what += f", {len(report.classes)} classes"
    console.print(
        f"{what}; {rows['train']:,} rows to learn from, {rows['test']:,} held out; "
        f"{report.columns} columns; teacher labels: {report.teacher['labels']}, "
        f"{report.recipe['folds']} folds",
        markup=False,
    )
    headings, body = summary_rows(report)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < 2 else "right", no_wrap=True)
    for line in body:
        table.add_row(*(Text(cell) for cell in line))
    console.print()
    console.print(table)
    console.print()
    verdict = report.verdict
    console.print(f"Verdict: {verdict['reason']}", markup=False)
    if verdict["choice"] == "distilled" and verdict["gap_closed"] is not None:
        console.print(
            f"It closes {verdict['gap_closed']:.0%} of the gap between plain student and teacher.",
            markup=False,
        )
    if report.bundle is not None:
        console.print(f"Saved {report.bundle}", markup=False)
