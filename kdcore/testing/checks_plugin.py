"""Checks of a plugin as a whole: its metadata, its light module, its specs. All of them are cheap.

What they look at is a `PluginCase`: the installed plugin, its hooks called once, nothing else.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kdcore import __version__
from kdcore.candidates import Candidate, describe_error, installed
from kdcore.errors import PluginError, suggest
from kdcore.loading import LoadError, load_specs, new_manager
from kdcore.plugins import discover
from kdcore.specs import Spec
from kdcore.testing.checks import Violation
from kdcore.testing.isolation import run_python

__all__ = ["HEAVY", "PluginCase", "find_plugin", "plugin_checks"]

#: Libraries that a plugin's light module must not import.
HEAVY = (
    "catboost",
    "jax",
    "lightgbm",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "skl2onnx",
    "sklearn",
    "tensorflow",
    "torch",
    "xgboost",
)

_LONGEST_SUMMARY = 100

_IMPORT_ALONE = """
import sys
from importlib_metadata import EntryPoint
from kdcore.plugins import discover
discover(entry_points=[EntryPoint(name="plugin", value={value!r}, group="kdcore")], environ={{}})
print("imported:", *sorted(set({heavy!r}) & set(sys.modules)))
"""


class PluginCase:
    """One plugin.

    Parameters
    ----------
    candidate : Candidate
        The plugin as its metadata describes it; without a distribution where no entry point leads
        to it.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate

    @functools.cached_property
    def _loaded(self) -> tuple[tuple[Spec, ...], str]:
        # Requirements have a check of their own.
        candidate = replace(self.candidate, requires=())
        try:
            return tuple(load_specs(new_manager(), candidate, lambda line: None)), ""
        except LoadError as error:
            return error.claimed, error.reason

    @property
    def specs(self) -> tuple[Spec, ...]:
        """What its hooks yield, up to the first fault."""
        return self._loaded[0]

    @property
    def fault(self) -> str:
        """Why the plugin cannot be loaded, or empty."""
        return self._loaded[1]

    @property
    def twice(self) -> list[str]:
        """Names that it provides more than once in one role."""
        keys = [(spec.role, spec.name) for spec in self.specs]
        return sorted(
            {f"the {role} '{name}'" for role, name in keys if keys.count((role, name)) > 1}
        )


def find_plugin(name: str) -> PluginCase:
    """The plugin of that entry name, distribution or module; entry names come first.

    Raises
    ------
    PluginError
        When nothing of that name is installed, or a distribution has several plugins.
    """
    found = installed()
    for matches in (
        [c for c in found if c.name == name],
        [c for c in found if c.value == name],
        [c for c in found if c.value.partition(":")[0] == name],
        [c for c in found if canonicalize_name(c.distribution) == canonicalize_name(name)],
    ):
        if len(matches) == 1:
            return PluginCase(matches[0])
        if matches:
            several = ", ".join(f"{c.name} = {c.value} of {c.release}" for c in matches)
            raise PluginError(f"'{name}' stands for several plugins: {several}; name one of them.")
    if _can_be_imported(name.partition(":")[0]):
        load = functools.partial(pkgutil.resolve_name, name)
        return PluginCase(Candidate(name=name, distribution="", version="", load=load, value=name))
    known = [c.name for c in found]
    raise PluginError(
        f"there is no plugin '{name}': no entry point, distribution or module has that name."
        f"{suggest(name, known)} Installed: {', '.join(known) or 'none'}."
    )


def plugin_checks() -> Iterator[Callable[[PluginCase], None]]:
    """The checks of a plugin as a whole."""
    yield check_has_an_entry_point
    yield check_bounds_kdcore
    yield check_loads
    yield check_import_is_light
    yield check_names_are_unique
    yield check_specs_are_valid
    yield check_summaries_fit_a_line
    yield check_factories_resolve


def check_has_an_entry_point(case: PluginCase) -> None:
    """A distribution leads to the plugin by an entry point of the group ``kdcore``."""
    if not case.candidate.distribution:
        value = case.candidate.value
        raise Violation(
            f"none that leads to {value}",
            f"add [project.entry-points.kdcore] with a line such as my_model = '{value}' to "
            "pyproject.toml, and install the distribution again",
        )


def check_bounds_kdcore(case: PluginCase) -> None:
    """The distribution requires kdcore with a lower and an upper bound, and this core is within:
    a later core may change what plugins rely on."""
    if not case.candidate.distribution:
        return
    major, minor = __version__.split(".")[:2]
    do = f"require kdcore>={major}.{minor},<{major}.{int(minor) + 1} in pyproject.toml"
    for line in case.candidate.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) != "kdcore" or requirement.extras:
            continue
        operators = {clause.operator for clause in requirement.specifier}
        exact = bool(operators & {"==", "===", "~="})
        if not exact and not (operators & {">", ">="} and operators & {"<", "<="}):
            raise Violation(f"the requirement {line}", do)
        if not requirement.specifier.contains(__version__, prereleases=True):
            raise Violation(f"the requirement {line}, and this is kdcore {__version__}", do)
        return
    raise Violation("no requirement on kdcore", do)


def check_loads(case: PluginCase) -> None:
    """The plugin can be imported, and its hooks yield specs."""
    if case.fault and not case.twice:
        raise Violation(case.fault, "correct it; KD_STRICT_PLUGINS=1 gives the traceback")
    if not case.specs:
        raise Violation("no spec from any hook", "yield a spec for each thing that it provides")


def check_import_is_light(case: PluginCase) -> None:
    """Importing the plugin and calling its hooks imports no heavy library, since every listing
    does so."""
    path = os.pathsep.join(filter(None, sys.path))
    code = _IMPORT_ALONE.format(value=case.candidate.value, heavy=HEAVY)
    done = run_python(code, env={"PYTHONPATH": path})
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode or not last.startswith("imported:"):
        reason = (done.stderr.strip().splitlines() or ["the process died"])[-1]
        raise Violation(reason, "make the module importable in a new process")
    if heavy := last.removeprefix("imported:").split():
        raise Violation(
            f"it imports {', '.join(heavy)}",
            f"import them in the module that the factory is in, not in {case.candidate.value}",
        )


def check_names_are_unique(case: PluginCase) -> None:
    """Each name is provided once in its role, by this plugin and by all that are installed."""
    if case.twice:
        raise Violation(f"{' and '.join(case.twice)} twice", "give each a name of its own")
    for info in discover(environ={}).plugins:
        mine = (info.name, info.distribution) == (
            case.candidate.name,
            case.candidate.distribution,
        )
        if mine and info.status == "conflict":
            raise Violation(str(info.reason), "choose another name, or uninstall the other plugin")


def check_specs_are_valid(case: PluginCase) -> None:
    """Every spec keeps the rules of its kind."""
    for spec in case.specs:
        try:
            replace(spec)
        except Exception as error:
            raise Violation(describe_error(error), "build specs by their constructors") from None


def check_summaries_fit_a_line(case: PluginCase) -> None:
    """The summary of every spec is one line of at most 100 characters, without blanks around."""
    for spec in case.specs:
        text = spec.summary
        if text != text.strip() or len(text) > _LONGEST_SUMMARY:
            raise Violation(
                f"{len(text)} characters for the {spec.role} '{spec.name}': {text!r}",
                "say in a few words what it is",
            )


def check_factories_resolve(case: PluginCase) -> None:
    """The factory of every spec, and the loader where there is one, can be imported and called."""
    for spec in case.specs:
        for field in ("factory", "loader"):
            target = getattr(spec, field, None)
            if target is None:
                continue
            try:
                found = pkgutil.resolve_name(target)
            except (Exception, SystemExit) as error:
                raise Violation(
                    f"{field}='{target}' of the {spec.role} '{spec.name}' gives "
                    f"{describe_error(error)}",
                    "correct it, or install what it needs",
                ) from None
            if not callable(found):
                raise Violation(
                    f"{field}='{target}' of the {spec.role} '{spec.name}' is a "
                    f"{type(found).__name__}",
                    "name a function or a class",
                )


def _can_be_imported(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
