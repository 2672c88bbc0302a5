"""``kd export``: a bundle in a form that needs no kdcore."""

from __future__ import annotations

from pathlib import Path

import click

from kdcore.cli.common import echo_json
from kdcore.cli.completion import files
from kdcore.errors import KDError

__all__ = ["export_command"]


@click.command("export")
@click.argument("bundle", shell_complete=files)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "c"]),
    required=True,
    help="onnx: a graph from raw columns to predictions; c: one C99 file without dependencies.",
)
@click.option("--output", "-o", required=True, metavar="FILE", help="The file to write.")
@click.option(
    "--rows",
    metavar="FILE",
    help="Rows (at most 100) whose predictions become the self-test of a C file.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
def export_command(
    bundle: str, kind: str, output: str, rows: str | None, force: bool, as_json: bool
) -> None:
    """Write a saved student as an ONNX or a C file.

    Which students can be written as C is in the column `exports` of `kd plugins`.

    \b
    Examples:
      kd export out/student.kd --format onnx -o student.onnx
      kd export out/student.kd --format c -o student.c --rows some.csv
    """
    if rows is not None and kind != "c":
        raise click.BadParameter("only a C file has a self-test.", param_hint="--rows")
    path = Path(output)
    if path.is_dir():
        raise KDError(f"the output '{path}' is a folder; name a file in it.")
    if path.exists() and not force:
        raise KDError(f"the output '{path}' exists; use --force to replace it.")
    from kdcore.exports import export

    size = export(bundle, path, format=kind, rows=rows)
    if as_json:
        echo_json({"bundle": bundle, "format": kind, "output": str(path), "size_bytes": size})
    else:
        click.echo(f"Wrote {path} ({size:,} bytes)")
