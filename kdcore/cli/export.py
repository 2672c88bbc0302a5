"""``kd export``: a bundle in a form that needs no kdcore."""

from __future__ import annotations

from pathlib import Path

import click

from kdcore.cli.common import echo_json, json_option, require_free
from kdcore.cli.completion import files

__all__ = ["export_command"]


@click.command("export", short_help="Write a saved student as ONNX, C, TorchScript, treelite ...")
@click.argument("bundle", shell_complete=files)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "onnx-int8", "c", "sklearn", "torchscript", "treelite"]),
    required=True,
    help="onnx: a graph from raw columns to predictions; onnx-int8: the same with weights of one "
    "byte; c: one C99 file without dependencies; sklearn: a Pipeline as a skops file; torchscript: "
    "an archive for torch.jit.load; treelite: trees for the library of that name.",
)
@click.option("--output", "-o", required=True, metavar="FILE", help="The file to write.")
@click.option(
    "--rows",
    metavar="FILE",
    help="Rows on which the file is compared with the bundle; for C (at most 100 of them) they "
    "become its self-test.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@json_option
def export_command(
    bundle: str, kind: str, output: str, rows: str | None, force: bool, as_json: bool
) -> None:
    """Write a saved student in a form that needs no kdcore.

    What each student can be written as stands under `exports` in `kd plugins --json`. Files that
    can be run here are compared with the bundle, and refused where they differ; those of int8
    differ by nature, and how much is told.

    \b
    Examples:
      kd export out/student.kd --format onnx -o student.onnx
      kd export out/student.kd --format c -o student.c --rows some.csv
    """
    if rows is not None and kind == "onnx":
        raise click.BadParameter(
            "an ONNX file is the bundle's own graph; it needs no rows.", param_hint="--rows"
        )
    path = Path(output)
    from kdcore.exports import export, files_of

    for file in files_of(path, kind):
        require_free(file, force=force)
    found = export(bundle, path, format=kind, rows=rows)
    if as_json:
        echo_json(
            {
                "bundle": bundle,
                "format": kind,
                "output": str(path),
                "files": list(found.files),
                "size_bytes": found.size_bytes,
                "parity": found.parity,
            }
        )
        return
    click.echo(f"Wrote {', '.join(found.files)} ({found.size_bytes:,} bytes)")
    if found.parity is not None:
        click.echo(
            "Against the bundle: {flipped} changed decision(s) in {rows} rows, difference at most "
            "{max_difference:.2g}, {mean_difference:.2g} on average".format(**found.parity)
        )
