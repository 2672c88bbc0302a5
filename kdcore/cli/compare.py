"""``kd compare``: several teachers and students in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdcore.cli.column_options import budgets_options
from kdcore.cli.common import echo_json
from kdcore.cli.completion import files, names
from kdcore.cli.options import (
    asked_for,
    cache_of,
    data_options,
    listed,
    mlflow_option,
    parameters,
    recipe_options,
    run_options,
    tracker_of,
)
from kdcore.cli.progress import progress
from kdcore.saved_results import COMPARISON_PAGE

if TYPE_CHECKING:
    from kdcore.comparison import Comparison

__all__ = ["compare_command"]


def _list(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    found = listed(value)
    if not found:
        raise click.BadParameter("name at least one.")
    return found


def _by_name(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in values:
        name, colon, rest = text.partition(":")
        if not colon or not name:
            raise click.BadParameter(f"{text!r} is not of the form MODEL:NAME=VALUE.")
        found.setdefault(name, {}).update(parameters(ctx, param, (rest,)))
    return found


@click.command("compare", short_help="Distill every teacher into every student; one table of all.")
@click.argument("data", shell_complete=files)
@data_options
@click.option(
    "--teachers",
    required=True,
    metavar="A,B",
    callback=_list,
    shell_complete=names("teacher"),
    help="Names of teachers; each labels once, whatever the number of students.",
)
@click.option(
    "--students",
    required=True,
    metavar="C,D",
    callback=_list,
    shell_complete=names("student"),
    help="Names of students.",
)
@click.option(
    "--teacher-param",
    "teacher_params",
    multiple=True,
    metavar="MODEL:K=V",
    callback=_by_name,
    help="Parameter of one teacher; may be repeated.",
)
@click.option(
    "--student-param",
    "student_params",
    multiple=True,
    metavar="MODEL:K=V",
    callback=_by_name,
    help="Parameter of one student; may be repeated.",
)
@click.option(
    "--recipe",
    default="fast",
    show_default=True,
    metavar="NAME",
    help="fast: the best recipe known for each student; auto: compared with others on held-out "
    "training rows; plain: soft labels and nothing else.",
)
@recipe_options
@budgets_options
@click.option(
    "--output",
    "-o",
    metavar="DIR",
    help="Keep each finished pair here, and at last compare.html and comparison.json; the same "
    "command after a kill goes on from there.",
)
@mlflow_option
@run_options
def compare_command(
    data: str,
    as_json: bool,
    quiet: bool,
    seed: int,
    jobs: int,
    no_cache: bool,
    mlflow: str | None,
    **options: Any,
) -> None:
    """Distill each teacher into each student and print one table of all pairs.

    A pair that fails is a row with its reason; the others go on.

    \b
    Examples:
      kd compare adult.parquet -t target --teachers xgboost --students decision_tree,xgboost
      kd compare houses.csv -t price --teachers xgboost --students ridge,decision_tree -o pairs
      kd compare adult.csv -t target --teachers xgboost --students svm --max-features 3,6,0.8
    """
    from kdcore.comparing import compare

    tracker = tracker_of(mlflow)
    with progress(show=not quiet) as on_progress:
        result = compare(
            data,
            random_state=seed,
            n_jobs=jobs,
            cache=cache_of(no_cache),
            on_progress=on_progress,
            **options,
        )
    if tracker is not None:
        pages = [Path(options["output"]) / "compare.html"] if options["output"] else []
        tracker.log_comparison(result.to_dict(), asked_for(), pages)
    if as_json:
        echo_json(result.to_dict())
    else:
        _show(result)
        if options["output"] is not None:
            click.echo(
                f"Saved {Path(options['output']) / COMPARISON_PAGE}, to look at in a browser"
            )


def _show(result: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kdcore.report import comparison_rows

    console = Console(highlight=False, soft_wrap=True, width=200)
    headings, body, failed = comparison_rows(result)
    if body:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for i, heading in enumerate(headings):
            table.add_column(heading, justify="left" if i < 3 else "right", no_wrap=True)
        for line in body:
            table.add_row(*(Text(cell) for cell in line))
        console.print(table)
        console.print("* no other student is better, faster and smaller at once", markup=False)
    for teacher, student, reason in failed:
        console.print(f"failed: {teacher} -> {student}: {reason}", markup=False)
