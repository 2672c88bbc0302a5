"""The command ``kd``: the group, its global options, and its commands.

A command is a small light module: heavy libraries are imported inside its function, so that
``kd --help`` stays quick. Exit codes stand in `kdcore.cli.common`.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import click

import kdcore
from kdcore.cli.bench import bench_command
from kdcore.cli.common import CommandGroup
from kdcore.cli.compare import compare_command
from kdcore.cli.config import add_config
from kdcore.cli.distill import distill_command
from kdcore.cli.evaluate import evaluate_command
from kdcore.cli.export import export_command
from kdcore.cli.label import label_command
from kdcore.cli.plugins import plugins_command
from kdcore.cli.predict import predict_command
from kdcore.cli.report import report_command
from kdcore.cli.search import search_command

__all__ = ["cli"]


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from kdcore.candidates import installed

    click.echo(f"kdcore {kdcore.__version__} at {Path(kdcore.__file__).parent}")
    click.echo(f"Python {platform.python_version()} at {sys.executable}")
    for plugin in installed():
        where = f" at {plugin.location}" if plugin.location else ""
        click.echo(f"{plugin.release}{where}")
    ctx.exit()


class _Root(CommandGroup):
    """The group of all commands; those with results take their options from files too."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        if not isinstance(cmd, click.Group):
            add_config(cmd)
        super().add_command(cmd, name)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of kdcore, Python and the plugins, and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Distill a strong model into a small one that is quick, portable, or readable.

    \b
    Examples:
      kd plugins                                                    what is installed
      kd distill sklearn:digits -t target --student decision_tree   a first student
      kd COMMAND --help                                             what a command does
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


cli.add_command(bench_command)
cli.add_command(compare_command)
cli.add_command(distill_command)
cli.add_command(evaluate_command)
cli.add_command(export_command)
cli.add_command(label_command)
cli.add_command(plugins_command)
cli.add_command(predict_command)
cli.add_command(report_command)
cli.add_command(search_command)
