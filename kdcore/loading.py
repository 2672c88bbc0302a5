"""The way of one plugin from its entry point to checked specs, and the blame when it fails."""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

import pluggy
from packaging.requirements import InvalidRequirement, Requirement

from kdcore import __version__, hookspecs
from kdcore.candidates import Candidate, describe_error
from kdcore.errors import suggest
from kdcore.specs import LossSpec, SelectorSpec, Spec, StudentSpec, TeacherSpec

__all__ = ["HOOKS", "LoadError", "load_specs", "new_manager"]

HOOKS: dict[str, type[Spec]] = {
    "kd_teachers": TeacherSpec,
    "kd_students": StudentSpec,
    "kd_losses": LossSpec,
    "kd_selectors": SelectorSpec,
}

# More specs than this from one hook means a generator that never ends.
_MOST_SPECS = 1000


class LoadError(Exception):
    """A plugin cannot be used; internal, it becomes a status and a reason.

    Parameters
    ----------
    reason : str
        One line.
    claimed : sequence of Spec, default=()
        What the plugin had provided before it failed.
    incompatible : bool, default=False
        Whether it was only made for another core, rather than broken.
    """

    def __init__(
        self, reason: str, claimed: Sequence[Spec] = (), *, incompatible: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.claimed = tuple(claimed)
        self.incompatible = incompatible


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows the four hooks and no plugin."""
    manager = pluggy.PluginManager(hookspecs.hookspec.project_name)
    manager.add_hookspecs(hookspecs)
    return manager


def load_specs(
    manager: pluggy.PluginManager, candidate: Candidate, trace: Callable[[str], None]
) -> list[Spec]:
    """Check, import and register one plugin, and call its hooks.

    Raises
    ------
    LoadError
        Whatever goes wrong, except KeyboardInterrupt. The plugin is then not registered.
    """
    _check_metadata(candidate)
    started = time.perf_counter()
    with _blamed("importing it failed with "):
        plugin = candidate.load()
    trace(f"import {candidate}: {(time.perf_counter() - started) * 1000:.1f} ms")
    with _blamed("it cannot be registered: "):
        manager.register(plugin, candidate.name)
    specs: list[Spec] = []
    try:
        _check_hook_names(manager, plugin)
        for hook in HOOKS:
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    found = _call(hook, implementation, specs)
                    names = ", ".join(spec.name for spec in found) or "nothing"
                    trace(f"{hook} of {candidate}: {names}")
                    specs.extend(found)
        _refuse_duplicates(specs)
    except LoadError:
        manager.unregister(plugin)
        raise
    return specs


@contextlib.contextmanager
def _blamed(what: str, claimed: Sequence[Spec] = ()) -> Iterator[None]:
    """Turn any failure of plugin code into a `LoadError`; keep its prints out of stdout."""
    try:
        # A plugin that prints would otherwise spoil `kd ... --json`.
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except LoadError:
        raise
    except pluggy.PluginValidationError as error:
        # Only the last line of this message names the argument at fault.
        raise LoadError(f"{what}{str(error).strip().splitlines()[-1]}", claimed) from error
    except (Exception, SystemExit) as error:
        raise LoadError(f"{what}{describe_error(error)}", claimed) from error


def _check_metadata(candidate: Candidate) -> None:
    if candidate.problem:
        raise LoadError(candidate.problem)
    for line in candidate.requires:
        if not re.match(r"kdcore(?![\w.-])", line.strip(), re.IGNORECASE):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            raise LoadError(f"its metadata holds the unreadable requirement {line!r}") from None
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            raise LoadError(
                f"it needs kdcore{requirement.specifier}, this is kdcore {__version__}; install "
                f"a release of {candidate.distribution} made for it",
                incompatible=True,
            )


def _check_hook_names(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse misspelt hooks, forgotten markers, and a plugin without any hook."""
    implemented = False
    for attribute in dir(plugin):
        with _blamed(f"reading its attribute {attribute} failed with "):
            options = manager.parse_hookimpl_opts(plugin, attribute)
            value = getattr(plugin, attribute, None) if attribute in HOOKS else None
        if options is None:
            if inspect.isroutine(value) and not hasattr(value, "kdcore_spec"):
                raise LoadError(f"its {attribute} lacks the mark @kdcore.hookimpl")
            continue
        hook = options.get("specname") or attribute
        if hook in HOOKS:
            implemented = True
        elif not options.get("optionalhook"):
            raise LoadError(
                f"it implements {hook}, which is no hook of kdcore {__version__}."
                f"{suggest(hook, HOOKS)}",
            )
    if not implemented:
        where = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__name__
        raise LoadError(f"{where} implements no hook; write one of {', '.join(HOOKS)}")


def _call(hook: str, implementation: pluggy.HookImpl, before: Sequence[Spec]) -> list[Spec]:
    """Call one hook of one plugin and return its specs, all of the right kind."""
    if implementation.hookwrapper or implementation.wrapper:
        raise LoadError(f"its {hook} is a hook wrapper; write a plain hookimpl", before)
    kind = HOOKS[hook]
    with _blamed(f"its {hook} failed with ", before):
        returned: Any = implementation.function()
    if not isinstance(returned, Iterable):
        raise LoadError(
            f"its {hook} returned {_type(returned)}, not an iterable; yield each {kind.__name__} "
            "or return a list of them",
            before,
        )
    found: list[Spec] = []
    try:
        with _blamed(f"its {hook} failed with "):
            for item in islice(returned, _MOST_SPECS + 1):
                if not isinstance(item, kind):
                    raise LoadError(f"its {hook} gave {_type(item)} where {kind.__name__} is due")
                found.append(item)
    except LoadError as error:
        error.claimed = (*before, *found)
        raise
    if len(found) > _MOST_SPECS:
        raise LoadError(f"its {hook} gave more than {_MOST_SPECS} specs", before)
    return found


def _type(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _refuse_duplicates(specs: Sequence[Spec]) -> None:
    seen: set[tuple[str, str]] = set()
    for spec in specs:
        if (spec.role, spec.name) in seen:
            raise LoadError(f"it provides the {spec.role} '{spec.name}' twice", specs)
        seen.add((spec.role, spec.name))
