"""``kd evaluate``: the metrics of a bundle on labelled rows."""

from __future__ import annotations

from dataclasses import asdict

import click

from kdcore.cli.common import echo_json, json_option, table_lines
from kdcore.cli.completion import files

__all__ = ["evaluate_command"]


@click.command("evaluate", short_help="Judge a saved student on labelled rows.")
@click.argument("bundle", shell_complete=files)
@click.argument("data", shell_complete=files)
@click.option(
    "--target", "-t", metavar="COL", help="Column of the labels; the student's own unless given."
)
@click.option("--sample-weight", metavar="COL", help="Column of row weights.")
@json_option
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def evaluate_command(
    bundle: str,
    data: str,
    target: str | None,
    sample_weight: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Judge a saved student on the labelled rows of DATA.

    Beside the metrics on these rows stand those on the held-out rows of its making, so that rows of
    another day show what has changed.

    \b
    Examples:
      kd evaluate out/student.kd june.parquet
      kd evaluate out/student.kd june.csv --target bought --json
    """
    from kdcore.deployed import evaluate
    from kdcore.runtime import load

    model = load(bundle)
    found = evaluate(model, data, target=target, sample_weight=sample_weight)
    if as_json:
        echo_json({"bundle": bundle, "student": model.manifest.get("student"), **asdict(found)})
    else:
        recorded = found.recorded or {}
        rows = [("", "these rows", "when saved")]
        rows += [(n, _number(v), _number(recorded.get(n))) for n, v in found.metrics.items()]
        click.echo(f"{found.task}; {found.rows:,} rows; target {found.target!r}")
        click.echo("\n".join(table_lines(rows)))
    if quiet:
        return
    if found.unlabelled:
        click.echo(f"Note: {found.unlabelled} row(s) without a label were left out.", err=True)
    for column, count in found.unseen.items():
        click.echo(
            f"Note: column {column!r} holds {count} value(s) that were not there in training.",
            err=True,
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
