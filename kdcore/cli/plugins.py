"""``kd plugins``: what is installed, whether it works, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from kdcore.cli.common import EXIT_ERROR, CommandGroup, echo_json, table_lines
from kdcore.cli.new import new_command
from kdcore.errors import KDError
from kdcore.specs import ROLES

if TYPE_CHECKING:
    from kdcore.plugins import PluginInfo
    from kdcore.registry import Registry

__all__ = ["plugins_command"]

_COLOURS = {"ok": "green", "disabled": "yellow"}


@click.group("plugins", cls=CommandGroup, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects for programs.")
@click.option("--all", "show_all", is_flag=True, help="List what is built into kdcore too.")
@click.option(
    "--kind", type=click.Choice(ROLES), help="List only plugins that provide this kind of thing."
)
@click.option(
    "--check",
    is_flag=True,
    help="Import everything that is provided, and exit with 1 if any plugin has a fault.",
)
@click.pass_context
def plugins_command(
    ctx: click.Context, as_json: bool, show_all: bool, kind: str | None, check: bool
) -> None:
    """List the installed plugins, or write a new one.

    A plugin that cannot be used is listed with the reason; it never stops the others. With
    --kind such a plugin is listed all the same when nobody can tell what it would provide.

    \b
    Environment:
      KD_DISABLE_PLUGINS=a,b      do not load these (names or distributions; * is all)
      KD_STRICT_PLUGINS=1         stop at the first plugin that fails
      KD_TRACE_PLUGINS=1          print each import and hook call to stderr

    \b
    Examples:
      kd plugins
      kd plugins --kind student --json
      kd plugins --check
    """
    if ctx.invoked_subcommand is not None:
        given = [p for p in (as_json, show_all, kind, check) if p]
        if given:
            raise click.UsageError(
                "options of the listing do not go with a command; put options after it."
            )
        return
    from kdcore.plugins import BUILTIN
    from kdcore.registry import default_registry

    registry = default_registry()
    plugins = [p for p in registry.plugins if kind is None or _concerns(p, kind)]
    if check:
        plugins = [_checked(registry, plugin) for plugin in plugins]
    faulty = [p for p in plugins if p.status not in ("ok", "disabled")]
    shown = [p for p in plugins if show_all or p.name != BUILTIN or p in faulty]
    if as_json:
        echo_json([{**asdict(p), "exports": _exports(registry, p)} for p in shown])
    else:
        _echo_table(shown)
        if not shown:
            what = f"plugin for a {kind}" if kind else "plugin"
            click.echo(
                f"No {what} is installed; try `pip install kdcore-xgboost kdcore-sklearn`, "
                "or --all for what is built in.",
                err=True,
            )
    if check:
        click.echo(f"Checked {len(plugins)}, {len(faulty)} with a fault.", err=True)
    if check and faulty:
        ctx.exit(EXIT_ERROR)


plugins_command.add_command(new_command)


def _exports(registry: Registry, plugin: PluginInfo) -> dict[str, list[str]]:
    """The formats that each student of a plugin can be written to."""
    names = [item.partition(": ")[2] for item in plugin.provides if item.startswith("student: ")]
    known = registry.specs("student")
    return {name: list(known[name].exports) for name in names if name in known}


def _concerns(plugin: PluginInfo, kind: str) -> bool:
    roles = {item.partition(":")[0] for item in plugin.provides}
    return kind in roles or (not roles and plugin.status != "ok")


def _echo_table(plugins: Sequence[PluginInfo]) -> None:
    if not plugins:
        return
    rows = [("name", "version", "status", "provides")]
    rows += [(p.name, p.version, p.status, _summary(p.provides)) for p in plugins]
    header, *lines = table_lines(rows)
    click.echo(header)
    for plugin, line in zip(plugins, lines, strict=True):
        colour = _COLOURS.get(plugin.status, "red")
        start = header.index("status")
        end = start + len(plugin.status)
        click.echo(line[:start] + click.style(line[start:end], fg=colour) + line[end:])
        for reason in (plugin.reason or "").splitlines():
            click.echo(f"    {reason}")


def _summary(provides: Sequence[str]) -> str:
    """Return ``"teacher: a, b; student: a"``."""
    names: dict[str, list[str]] = {}
    for item in provides:
        role, _, name = item.partition(": ")
        names.setdefault(role, []).append(name)
    return "; ".join(f"{role}: {', '.join(found)}" for role, found in names.items())


def _checked(registry: Registry, plugin: PluginInfo) -> PluginInfo:
    """Return the plugin as it stands after everything it provides has been imported."""
    from kdcore.plugins import BUILTIN

    problems: list[str] = []
    for item in plugin.provides:
        role, _, name = item.partition(": ")
        spec = registry.get(role, name)
        fields = ["factory", *(f for f in ("loader", "restore") if getattr(spec, f, None))]
        for field in fields:
            try:
                registry.resolve(role, name, field)
            except KDError as error:
                problems.append(str(error))
    if plugin.status == "ok" and plugin.name != BUILTIN and not problems:
        problems = _failed_checks(plugin.name)
    if not problems:
        return plugin
    reasons = [plugin.reason, *problems] if plugin.reason else problems
    return replace(plugin, status="broken", reason="\n".join(r.rstrip(".") for r in reasons))


def _failed_checks(name: str) -> list[str]:
    """Run the cheap checks of the conformance kit on a plugin."""
    from kdcore.candidates import describe_error
    from kdcore.testing import check_plugin

    try:
        results = check_plugin(name, cheap=True)
    except (Exception, SystemExit) as error:
        return [f"its checks cannot be run ({describe_error(error)})"]
    return [
        f"{result.id} failed: {result.message}" for result in results if result.status == "failed"
    ]
