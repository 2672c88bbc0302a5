"""``kd bench``: time, size and memory of a bundle and of its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kdcore.cli.common import echo_json, json_option, require_free, table_lines
from kdcore.cli.completion import files
from kdcore.cli.options import teacher_options

__all__ = ["bench_command"]


@click.command("bench", short_help="Time, size and memory of a saved student.")
@click.argument("bundle", shell_complete=files)
@click.argument("data", shell_complete=files)
@teacher_options
@click.option(
    "--target",
    "-t",
    metavar="COL",
    help="Column of the labels, for a teacher; the student's own unless given.",
)
@click.option(
    "--save-teacher",
    metavar="FILE",
    help="Also write the compiled teacher, fitted to all labelled rows of DATA, as a bundle.",
)
@click.option("--force", is_flag=True, help="Replace that file if it exists.")
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Threads of ONNX Runtime.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.01, 600),
    default=1.0,
    show_default=True,
    help="Time for each measurement.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of the teacher.",
)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def bench_command(
    bundle: str,
    data: str,
    teacher: str | None,
    teacher_params: dict[str, Any],
    target: str | None,
    save_teacher: str | None,
    force: bool,
    threads: int,
    seconds: float,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a saved student on the rows of DATA: time of single rows, throughput, size, memory.

    With --teacher, a teacher is fitted to these rows and measured beside it, as its users call it
    (a pandas frame of one row) and, where its trees can be written as ONNX, compiled.

    \b
    Examples:
      kd bench out/student.kd adult.parquet
      kd bench out/student.kd adult.parquet --teacher xgboost --json
      kd bench out/student.kd adult.parquet --teacher xgboost --save-teacher teacher.kd
    """
    if save_teacher is not None:
        require_free(Path(save_teacher), force=force)
    from kdcore.bench import bench

    found = bench(
        bundle,
        data,
        teacher=teacher,
        teacher_params=teacher_params,
        target=target,
        save_teacher=save_teacher,
        threads=threads,
        seconds=seconds,
        random_state=seed,
    )
    if as_json:
        echo_json({"bundle": bundle, **found})
    else:
        click.echo("\n".join(table_lines(_rows(found))))
    if not quiet:
        for note in found["notes"]:
            click.echo(f"Note: {note}", err=True)


def _rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("", "model", "1 row p50", "p99", "rows/s", "size", "load", "peak memory")
    ]
    for key in ("student", "python_student", "teacher", "compiled_teacher", "treelite_teacher"):
        costs = found[key]
        if costs is None:
            continue
        load = costs["load_seconds"]
        rows.append(
            (
                key.replace("_", " "),
                str(costs["name"]),
                _time(costs["single_us"]["p50"]),
                _time(costs["single_us"]["p99"]),
                f"{costs['rows_per_second']:,.0f}",
                _bytes(costs["size_bytes"]),
                "-" if load is None else _time(load * 1e6),
                _bytes(costs["peak_bytes"]),
            )
        )
    return rows


def _time(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms" if microseconds >= 1000 else f"{microseconds:.0f} us"


def _bytes(size: int | None) -> str:
    if size is None:
        return "-"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
