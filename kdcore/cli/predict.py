"""``kd predict``: rows of a table through a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdcore.errors import KDError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["predict_command"]

_OUTPUTS = (".csv", ".parquet", ".feather")


@click.command("predict")
@click.argument("bundle")
@click.argument("data")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="A .csv, .parquet or .feather file; by default CSV on stdout.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def predict_command(bundle: str, data: str, output: str | None, force: bool, quiet: bool) -> None:
    """Predict the rows of DATA with a saved student.

    The result has a column `prediction` and, for classes, one column `proba_CLASS` each, in the
    order of the rows. Columns of DATA are matched by name; further ones are ignored.

    \b
    Examples:
      kd predict kd-out/digits-decision_tree/student.kd new.parquet -o predictions.parquet
      kd predict student.kd new.csv > predictions.csv
    """
    target = None if output is None else _checked(Path(output), force)
    from kdcore.runtime import load
    from kdcore.table import read_table

    model = load(bundle)
    frame = read_table(data)
    result = _predictions(model, frame)
    if target is None:
        click.echo(result.to_csv(index=False), nl=False)
    else:
        _write(result, target)
    if not quiet:
        for column, count in model.unseen(frame).items():
            click.echo(
                f"Note: column {column!r} holds {count} value(s) that were not there in training.",
                err=True,
            )


def _checked(path: Path, force: bool) -> Path:
    if path.suffix.lower() not in _OUTPUTS:
        raise click.BadParameter(
            f"'{path}' must end in one of {', '.join(_OUTPUTS)}.", param_hint="--output"
        )
    if path.is_dir():
        raise KDError(f"the output '{path}' is a folder; name a file in it.")
    if path.exists() and not force:
        raise KDError(f"the output '{path}' exists; use --force to replace it.")
    return path


def _predictions(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if model.classes is None:
        return pd.DataFrame({"prediction": model.predict(frame)})
    proba = model.predict_proba(frame)
    columns = {f"proba_{label}": proba[:, k] for k, label in enumerate(model.classes.tolist())}
    return pd.DataFrame({"prediction": model.classes[proba.argmax(axis=1)], **columns})


def _write(result: pd.DataFrame, path: Path) -> None:
    from kdcore.files import atomic_path

    ending = path.suffix.lower()
    with atomic_path(path) as temporary:
        if ending == ".csv":
            result.to_csv(temporary, index=False)
        elif ending == ".parquet":
            result.to_parquet(temporary, index=False)
        else:
            result.to_feather(temporary)
