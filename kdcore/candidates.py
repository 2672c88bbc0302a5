"""What is installed as a plugin, read from metadata alone: nothing is imported here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import importlib_metadata
from packaging.utils import canonicalize_name

__all__ = ["GROUP", "Candidate", "describe_error", "installed"]

GROUP = "kdcore"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plugin as its metadata describes it.

    Parameters
    ----------
    name : str
        The entry point's name.
    distribution, version : str
        What provides it.
    load : callable
        Imports the plugin and returns it.
    value : str
        What the entry point leads to: ``"module"`` or ``"module:attribute"``.
    requires : tuple of str
        The requirements that the distribution declares.
    location : str
        Directory of its metadata, or empty where unknown.
    problem : str
        One line when the metadata is damaged, else empty.
    """

    name: str
    distribution: str
    version: str
    load: Callable[[], object]
    value: str = ""
    requires: tuple[str, ...] = ()
    location: str = ""
    problem: str = ""

    def __str__(self) -> str:
        return f"plugin '{self.name}' ({self.release})"

    @property
    def release(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}".rstrip()

    def answers_to(self, word: str) -> bool:
        """Whether a word in ``KD_DISABLE_PLUGINS`` names this plugin or its distribution."""
        same_distribution = canonicalize_name(word) == canonicalize_name(self.distribution)
        return word == self.name or same_distribution


def installed(
    entry_points: Iterable[importlib_metadata.EntryPoint] | None = None,
) -> list[Candidate]:
    """Return the installed plugins, sorted by name and distribution.

    Damaged metadata never raises; it is noted in the candidate it belongs to.

    Parameters
    ----------
    entry_points : iterable of EntryPoint, optional
        Instead of those of the group ``kdcore`` in this environment.
    """
    candidates: list[Candidate] = []
    if entry_points is None:
        try:
            entry_points = list(importlib_metadata.entry_points(group=GROUP))
        except Exception:
            entry_points, candidates = _one_by_one()
    candidates.extend(_candidate(entry_point) for entry_point in entry_points)
    return sorted(candidates, key=lambda c: (c.name, c.distribution))


def describe_error(error: BaseException) -> str:
    """Return any exception as one line, cut to a length that fits a listing."""
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        text = str(error)
    except Exception:
        text = ""
    text = " ".join(text.split())
    if len(text) > 300:
        text = text[:297] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _one_by_one() -> tuple[list[importlib_metadata.EntryPoint], list[Candidate]]:
    """Read each distribution apart, since one damaged file stops reading them together."""
    seen: set[str] = set()
    found: list[importlib_metadata.EntryPoint] = []
    damaged: list[Candidate] = []
    for distribution in importlib_metadata.distributions():
        name, version, requires, _ = _metadata(distribution)
        if canonicalize_name(name) in seen:
            continue
        seen.add(canonicalize_name(name))
        try:
            found.extend(distribution.entry_points.select(group=GROUP))
        except Exception as error:
            if f"[{GROUP}" not in (distribution.read_text("entry_points.txt") or ""):
                continue
            damaged.append(
                Candidate(
                    name=name,
                    distribution=name,
                    version=version,
                    load=lambda: None,
                    requires=requires,
                    problem=f"its entry_points.txt cannot be read ({describe_error(error)}); "
                    "reinstall it",
                )
            )
    return found, damaged


def _candidate(entry_point: importlib_metadata.EntryPoint) -> Candidate:
    name, version, requires, problem = _metadata(entry_point.dist)
    if not entry_point.name:
        problem = problem or f"its entry point '= {entry_point.value}' has no name"
    return Candidate(
        name=entry_point.name,
        distribution=name,
        version=version,
        load=entry_point.load,
        value=entry_point.value,
        requires=requires,
        location=_location(entry_point.dist),
        problem=problem,
    )


def _metadata(distribution: Any) -> tuple[str, str, tuple[str, ...], str]:
    """Return name, version, requirements, and what is wrong with the metadata, if anything."""
    name, version = "unknown", ""
    if distribution is None:
        return name, version, (), ""
    try:
        name = distribution.name
        version = distribution.version
        return name, version, tuple(distribution.requires or ()), ""
    except Exception as error:
        return (
            name,
            version,
            (),
            f"its metadata cannot be read ({describe_error(error)}); reinstall it",
        )


def _location(distribution: Any) -> str:
    try:
        return str(distribution.locate_file("")) if distribution is not None else ""
    except Exception:
        return ""
