"""``kd plugins new``: the package of a new plugin."""

from __future__ import annotations

import shlex

import click

from kdcore.cli.common import echo_json, json_option
from kdcore.specs import ROLES

__all__ = ["new_command"]


@click.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(ROLES),
    default="teacher",
    show_default=True,
    help="What the plugin provides.",
)
@click.option(
    "--output",
    "-o",
    metavar="DIR",
    help="Folder of the package, which must not exist; by default kdcore-NAME.",
)
@json_option
def new_command(name: str, kind: str, output: str | None, as_json: bool) -> None:
    """Write a complete, tested package of a plugin called NAME.

    It holds a small model that works and passes the conformance kit: put your own in its place.

    \b
    Examples:
      kd plugins new my-teacher
      kd plugins new my-loss --kind loss -o plugins/my-loss
    """
    from kdcore.scaffold import write_plugin

    root, scaffold = write_plugin(name, kind, output)
    files = list(scaffold.files())
    if as_json:
        echo_json(
            {
                "folder": str(root),
                "distribution": scaffold.distribution,
                "module": scaffold.module,
                "kind": kind,
                "name": scaffold.name,
                "files": files,
            }
        )
        return
    click.echo(f"Wrote {root}: {', '.join(files)}")
    click.echo("Next:")
    place = str(root) if root.is_absolute() else f"./{root}"
    click.echo(f"  pip install -e {shlex.quote(place + '[testing]')}")
    click.echo("  kd plugins --check")
    click.echo(f"  {scaffold.trial}")
    click.echo(f"  pytest {shlex.quote(str(root))}")
