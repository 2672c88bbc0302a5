"""``kd distill``: from a table to a judged, deployable student."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kdcore.cli.column_options import column_options
from kdcore.cli.common import echo_json
from kdcore.cli.completion import files, names
from kdcore.cli.options import (
    asked_for,
    cache_of,
    data_options,
    default_output,
    force_option,
    mlflow_option,
    recipe_options,
    run_options,
    student_params_option,
    teacher_of,
    teacher_options,
    tracker_of,
    weights,
)
from kdcore.cli.progress import progress

if TYPE_CHECKING:
    from kdcore.report import DistillReport

__all__ = ["distill_command", "show_report"]


@click.command("distill", short_help="Distill a teacher into a small student.")
@click.argument("data", shell_complete=files)
@data_options
@teacher_options
@click.option(
    "--teacher-model",
    metavar="FILE",
    help="Instead: a saved model (ONNX, or what a plugin reads, as XGBoost's .ubj).",
)
@click.option(
    "--teacher-proba",
    metavar="FILE",
    help="Instead: a table of probabilities (or values), one row for each row of DATA.",
)
@click.option("--teacher-logits", metavar="FILE", help="Instead: a table of logits.")
@click.option(
    "--teacher-weights",
    metavar="W,W",
    callback=weights,
    help="Weights of several teachers, or auto for those that are best on rows they have not seen; "
    "equal unless given.",
)
@click.option(
    "--fitted",
    default="in-sample",
    show_default=True,
    metavar="HOW",
    help="Which rows a --teacher-model was fitted on: in-sample (these) or held-out (others).",
)
@click.option(
    "--student",
    default="logistic_regression",
    show_default=True,
    metavar="NAME",
    shell_complete=names("student"),
    help="The small model.",
)
@student_params_option
@click.option(
    "--recipe",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="auto: the best recipe known, compared with others on held-out training rows; fast: "
    "without that comparison; plain: soft labels and nothing else.",
)
@recipe_options
@column_options
@click.option(
    "--stability",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Choose columns again on N bootstrap samples, and tell how alike the choices are.",
)
@click.option("--temperature", type=float, help="Softens teacher and student; 1 unless given.")
@click.option(
    "--encoder",
    metavar="NAME",
    help="How columns become the student's input: standard, ordinal, quantile, ple, spline, "
    "teacher_bins; parameters may follow: teacher_bins:pairs=20.",
)
@click.option(
    "--label-correction",
    metavar="NAME",
    help="dao: move the teacher's labels towards the true ones, as far as its estimated error asks "
    "for (for a weak or biased teacher); dao:error=0.1 names the error.",
)
@click.option(
    "--time-limit",
    type=float,
    metavar="S",
    help="Seconds after which no optional work (comparing, tuning, synthetic rows) is started.",
)
@click.option(
    "--loss",
    metavar="NAME",
    shell_complete=names("loss"),
    help="Loss of the student; kl (blend in regression) unless given. Parameters may follow: "
    "quantile:q=0.9.",
)
@click.option(
    "--output",
    "-o",
    metavar="DIR",
    help="Folder of the results; by default a new one below kd-out/.",
)
@force_option
@click.option(
    "--state/--no-state",
    default=True,
    show_default=True,
    help="Also keep the Python student in the bundle, for kdcore.load(path, native=True).",
)
@mlflow_option
@run_options
def distill_command(
    data: str,
    teacher: str | None,
    output: str | None,
    as_json: bool,
    quiet: bool,
    seed: int,
    jobs: int,
    no_cache: bool,
    mlflow: str | None,
    **options: Any,
) -> None:
    """Distill a teacher into a small student and judge it on held-out rows.

    DATA is a CSV, TSV, Parquet or Feather file, or a bundled set such as sklearn:digits.

    \b
    Examples:
      kd distill sklearn:digits --target target --student decision_tree
      kd distill adult.parquet -t target --teacher xgboost --student logistic_regression -o out
      kd distill adult.parquet -t target --teacher-proba labels.csv --student decision_tree
      kd distill houses.csv -t price --student decision_tree --student-param max_leaf_nodes=32
    """
    from kdcore.experiment import distill

    tracker = tracker_of(mlflow)
    folder = output or _fresh_folder(data, options["student"])
    with progress(show=not quiet) as on_progress:
        result = distill(
            data,
            teacher=teacher_of(teacher),
            random_state=seed,
            n_jobs=jobs,
            output=folder,
            cache=cache_of(no_cache),
            on_progress=on_progress,
            **options,
        )
    report = result.report
    if tracker is not None:
        tracker.log_distillation(report.to_dict(), asked_for())
    if as_json:
        echo_json(report.to_dict())
    else:
        show_report(report)
    if not quiet:
        for note in report.notes:
            click.echo(f"Note: {note}", err=True)


def _fresh_folder(data: str, student: str) -> str:
    """A folder that does not exist yet, so that a forgotten -o neither loses nor replaces."""
    folder = base = default_output(data, student)
    number = 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return str(folder)


def show_report(report: DistillReport) -> None:
    """Print the table and the verdict."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kdcore.report import recipe_line, selection_line, stability_lines, summary_rows

    # A table that does not fit is better wrapped than cut.
    console = Console(highlight=False, soft_wrap=True, width=200)
    rows = report.rows
    what = report.task
    if report.classes is not None:
        what += f", {len(report.classes)} classes"
    console.print(
        f"{what}; {rows['train']:,} rows to learn from, {rows['test']:,} held out; "
        f"{report.columns} columns; teacher labels: {report.teacher['labels']}"
        + (f", {report.recipe['folds']} folds" if report.recipe["folds"] else "")
        + (f"; {rows['unlabeled']:,} unlabeled rows" if rows["unlabeled"] else ""),
        markup=False,
    )
    console.print(f"recipe: {recipe_line(report)}", markup=False)
    chosen = selection_line(report)
    if chosen is not None:
        console.print(chosen, markup=False)
        for text in stability_lines(report):
            console.print(text, markup=False)
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
        closed = (
            f"It closes {verdict['gap_closed']:.0%} of the gap between plain student and teacher."
        )
        better = "On these rows it is even better than the teacher."
        console.print(closed if verdict["gap_closed"] <= 1 else better, markup=False)
    if report.bundle is not None:
        console.print(f"Saved {report.bundle}", markup=False)
    if report.report is not None:
        console.print(f"Saved {report.report}, to look at in a browser", markup=False)
    if report.deploy != report.bundle:
        console.print(f"Saved {report.deploy}, the one to deploy", markup=False)
