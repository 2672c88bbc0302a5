"""``kd report``: the page of a saved result."""

from __future__ import annotations

from pathlib import Path

import click

from kdcore.cli.common import echo_json

__all__ = ["report_command"]


@click.command("report", short_help="Write the page of a result again, also in Chinese.")
@click.argument("result")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="The page; report.html or compare.html in the folder unless given, - for stdout.",
)
@click.option(
    "--lang", default="en", show_default=True, metavar="LANG", help="Its language: en or zh."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print where it was written, for programs.")
def report_command(result: str, output: str | None, lang: str, force: bool, as_json: bool) -> None:
    """Write the page of a RESULT: what was gained, what was lost, and what to deploy.

    RESULT is the folder that kd distill or kd compare has written, a bundle, a JSON result, or an
    earlier page. The page is one file that loads nothing from the network.

    \b
    Examples:
      kd report out --force
      kd report out/student.kd -o student.html
      kd report out -o bericht.html --lang zh
    """
    from kdcore.errors import KDError
    from kdcore.files import atomic_path
    from kdcore.saved_results import COMPARISON_PAGE, REPORT_NAME, page_of, read_result

    data = read_result(result)
    page = page_of(data, lang=lang)
    if output == "-":
        click.echo(page)
        return
    folder = Path(result) if Path(result).is_dir() else Path(result).parent
    path = (
        Path(output) if output else folder / (COMPARISON_PAGE if "pairs" in data else REPORT_NAME)
    )
    if path.exists() and not force:
        raise KDError(f"'{path}' exists; use --force to replace it, or name another file with -o.")
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    if as_json:
        echo_json({"output": str(path), "size_bytes": path.stat().st_size, "lang": lang})
    else:
        click.echo(f"Saved {path}")
