"""``kd label``: a teacher's soft labels for all rows of a table, once, for many students."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kdcore.cli.common import echo_json, require_free
from kdcore.cli.completion import files
from kdcore.cli.options import cache_of, label_options, teacher_of, teacher_options
from kdcore.cli.progress import progress
from kdcore.errors import KDError

__all__ = ["label_command"]


@click.command("label", short_help="Write a teacher's out-of-fold labels as a table.")
@click.argument("data", shell_complete=files)
@click.option("--target", "-t", required=True, metavar="COL", help="Column to predict.")
@teacher_options
@click.option("--task", default="auto", show_default=True, metavar="TASK", help="As in kd distill.")
@click.option("--sample-weight", metavar="COL", help="Column of row weights.")
@click.option(
    "--output", "-o", required=True, metavar="FILE", help="A .parquet or .csv file of the labels."
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@label_options
def label_command(
    data: str,
    teacher: str | None,
    output: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    seed: int,
    jobs: int,
    no_cache: bool,
    **options: Any,
) -> None:
    """Label every row of DATA out of fold, and write one row of labels for each row.

    The columns are proba_CLASS for each class, or prediction in regression. A Parquet file also
    says how the labels were made, so that `kd distill --teacher-proba FILE` can tell.

    \b
    Examples:
      kd label adult.parquet -t target --teacher xgboost -o labels.parquet
      kd distill adult.parquet -t target --teacher-proba labels.parquet --student decision_tree
    """
    path = Path(output)
    if path.suffix not in (".parquet", ".csv"):
        raise click.BadParameter(f"'{path}' must end in .parquet or .csv.", param_hint="--output")
    require_free(path, force=force)
    if not path.parent.is_dir():
        raise KDError(f"there is no folder '{path.parent}' for the output; make it first.")
    from kdcore.labelling import label_table, write_labels

    with progress(show=not quiet) as on_progress:
        table, labels, name, cached = label_table(
            data,
            teacher=teacher_of(teacher) or "xgboost",
            random_state=seed,
            n_jobs=jobs,
            cache=cache_of(no_cache),
            on_progress=on_progress,
            **options,
        )
    write_labels(path, table, labels, teacher=name)
    summary = {
        "labels": str(path),
        "teacher": name,
        "rows": len(table.source),
        "labelled": len(table),
        "classes": None if table.classes is None else table.classes.tolist(),
        "provenance": labels.provenance,
        "folds": labels.folds,
        "cached": cached,
        "seconds": labels.seconds,
    }
    if as_json:
        echo_json(summary)
    else:
        click.echo(
            f"{name} labelled {len(table):,} rows {labels.provenance} in {labels.folds} folds "
            f"({'from the cache' if cached else f'{labels.seconds:.1f} s'}); saved {path}"
        )
