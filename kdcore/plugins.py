"""What each installed plugin is worth: ok, or why not.

A plugin is an entry point of the group ``kdcore``. One that is broken, disabled, made for another
core, or in conflict with another never stops the program; it is kept in the list with a reason.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import importlib_metadata

from kdcore import __version__
from kdcore.candidates import GROUP, Candidate, installed
from kdcore.errors import KDWarning, PluginError, suggest
from kdcore.loading import LoadError, load_specs, new_manager
from kdcore.specs import Spec

__all__ = ["BUILTIN", "GROUP", "Discovery", "PluginInfo", "PluginWarning", "Status", "discover"]

BUILTIN = "builtin"

Status = Literal["ok", "disabled", "conflict", "broken", "incompatible"]
_Key = tuple[str, str]


class PluginWarning(KDWarning):
    """A setting for plugins has no effect."""


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """One plugin as ``kd plugins`` shows it.

    Parameters
    ----------
    name : str
        The entry point's name.
    distribution, version : str
        What provides it.
    status : {"ok", "disabled", "conflict", "broken", "incompatible"}
    reason : str, optional
        One line, for every status but ``"ok"``.
    provides : tuple of str
        What can be used of it, each as ``"role: name"``, for instance ``"teacher: xgboost"``.
    """

    name: str
    distribution: str
    version: str
    status: Status = "ok"
    reason: str | None = None
    provides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"plugin '{self.name}' ({f'{self.distribution} {self.version}'.rstrip()})"

    @property
    def verdict(self) -> str:
        """The plugin, its status and the reason, as one clause of a message."""
        verb = "is in conflict" if self.status == "conflict" else f"is {self.status}"
        return f"{self} {verb}: {self.reason}" if self.reason else f"{self} {verb}"


@dataclass(frozen=True)
class Discovery:
    """What was found: every plugin, every usable spec, and the names that cannot be used.

    Parameters
    ----------
    plugins : tuple of PluginInfo
        Sorted by name, then distribution; the built-in one is among them.
    provided : mapping of (role, name) to (Spec, PluginInfo)
    withheld : mapping of (role, name) to str
        Why a name that some plugin claims cannot be had.
    """

    plugins: tuple[PluginInfo, ...] = ()
    provided: Mapping[tuple[str, str], tuple[Spec, PluginInfo]] = field(default_factory=dict)
    withheld: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class _Row:
    """A candidate on its way to a `PluginInfo`."""

    candidate: Candidate
    status: Status = "ok"
    reasons: list[str] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)
    claimed: tuple[Spec, ...] = ()

    def fail(self, status: Status, reason: str) -> None:
        self.status = status
        self.reasons.append(reason)

    def info(self) -> PluginInfo:
        return PluginInfo(
            name=self.candidate.name,
            distribution=self.candidate.distribution,
            version=self.candidate.version,
            status=self.status,
            reason="; ".join(self.reasons) or None,
            provides=tuple(f"{spec.role}: {spec.name}" for spec in self.specs),
        )


def discover(
    *,
    entry_points: Iterable[importlib_metadata.EntryPoint] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Discovery:
    """Load every plugin, each on its own, and return what came of it.

    Parameters
    ----------
    entry_points : iterable of EntryPoint, optional
        Instead of those installed.
    environ : mapping, optional
        Where ``KD_DISABLE_PLUGINS``, ``KD_STRICT_PLUGINS`` and ``KD_TRACE_PLUGINS`` are looked
        up, instead of ``os.environ``.

    Raises
    ------
    PluginError
        With ``KD_STRICT_PLUGINS=1`` only: the first failure.

    Warns
    -----
    PluginWarning
        When ``KD_DISABLE_PLUGINS`` holds a name that no installed plugin has.
    """
    environ = os.environ if environ is None else environ
    words = [word.strip() for word in environ.get("KD_DISABLE_PLUGINS", "").split(",")]
    words = [word for word in words if word]
    strict = _is_on(environ, "KD_STRICT_PLUGINS")
    trace = _tracer(_is_on(environ, "KD_TRACE_PLUGINS"))

    external = installed(entry_points)
    _warn_of_unknown(words, external)
    rows = [_Row(_builtin()), *map(_Row, external)]
    enabled = [rows[0]]
    for row in rows[1:]:
        word = next((w for w in words if w == "*" or row.candidate.answers_to(w)), None)
        if word is None:
            enabled.append(row)
        else:
            row.fail("disabled", f"KD_DISABLE_PLUGINS holds '{word}'")

    manager = new_manager()
    for row in enabled:
        cause = None
        rivals = [
            other.candidate for other in enabled if other.candidate.name == row.candidate.name
        ]
        if len(rivals) > 1 and row is not rows[0]:
            row.fail(*_name_clash(row.candidate, rivals, words))
        else:
            try:
                row.specs = load_specs(manager, row.candidate, trace)
            except LoadError as error:
                row.fail("incompatible" if error.incompatible else "broken", error.reason)
                row.claimed, cause = error.claimed, error.__cause__
        _raise_if(strict, row, cause)
    withheld = {(s.role, s.name): row.info().verdict for row in rows for s in row.claimed}
    withheld |= _settle_spec_clashes(enabled, words)
    for row in enabled:
        _raise_if(strict, row)

    infos = [row.info() for row in rows]
    provided = {
        (spec.role, spec.name): (spec, info)
        for row, info in zip(rows, infos, strict=True)
        for spec in row.specs
    }
    infos.sort(key=lambda info: (info.name, info.distribution))
    return Discovery(tuple(infos), provided, withheld)


def _name_clash(
    candidate: Candidate, rivals: Sequence[Candidate], words: Sequence[str]
) -> tuple[Status, str]:
    """Say why an entry name that several entry points share cannot be used."""
    if candidate.name == BUILTIN:
        return "conflict", f"the name '{BUILTIN}' is reserved for kdcore; its author must rename it"
    if len({rival.distribution for rival in rivals}) == 1:
        return "broken", f"its distribution declares the entry point '{candidate.name}' twice"
    return (
        "conflict",
        f"the plugin name '{candidate.name}' is used by {_and(r.release for r in rivals)}, so "
        f"{_none(rivals)} is loaded; {_cure(rivals, words)}",
    )


def _settle_spec_clashes(rows: Sequence[_Row], words: Sequence[str]) -> dict[_Key, str]:
    """Take every name that two plugins provide from both; return the reasons by name."""
    claims: dict[_Key, list[_Row]] = {}
    for row in rows:
        for spec in row.specs:
            claims.setdefault((spec.role, spec.name), []).append(row)
    withheld: dict[_Key, str] = {}
    for (role, name), claimants in sorted(claims.items(), key=lambda item: item[0]):
        if len(claimants) == 1:
            continue
        builtin = next((row for row in claimants if row.candidate.name == BUILTIN), None)
        if builtin is not None:
            reason = (
                f"the {role} '{name}' is built into kdcore {__version__} and cannot be replaced; "
                "its author must rename it"
            )
        else:
            rivals = [row.candidate for row in claimants]
            reason = withheld[role, name] = (
                f"the {role} '{name}' is provided by {_and(r.release for r in rivals)}, so "
                f"{_none(rivals)} is used; {_cure(rivals, words)}"
            )
        for row in claimants:
            if row is not builtin:
                row.specs = [s for s in row.specs if (s.role, s.name) != (role, name)]
                row.fail("conflict", reason)
    return withheld


def _cure(rivals: Sequence[Candidate], words: Sequence[str]) -> str:
    """Return the values of KD_DISABLE_PLUGINS that leave one rival each."""
    cures = []
    same = len({rival.distribution for rival in rivals}) == 1
    for kept in rivals:
        off = [_word_for(rival, kept) for rival in rivals if rival is not kept]
        if all(off):
            value = ",".join(dict.fromkeys([*words, *off]))
            cures.append(
                f"KD_DISABLE_PLUGINS={value} to keep {kept.name if same else kept.distribution}"
            )
    return f"set {', or '.join(cures)}" if cures else "uninstall all but one"


def _word_for(rival: Candidate, kept: Candidate) -> str:
    """Return a word that disables the rival and not the one kept, or nothing."""
    for word in (rival.name, rival.distribution):
        if not kept.answers_to(word):
            return word
    return ""


def _builtin() -> Candidate:
    return Candidate(
        name=BUILTIN,
        distribution="kdcore",
        version=__version__,
        load=lambda: importlib.import_module("kdcore.builtin"),
    )


def _raise_if(strict: bool, row: _Row, cause: BaseException | None = None) -> None:
    if strict and row.status != "ok":
        raise PluginError(f"{row.info().verdict} (KD_STRICT_PLUGINS is set)") from cause


def _warn_of_unknown(words: Iterable[str], external: Sequence[Candidate]) -> None:
    for word in words:
        if word != "*" and not any(candidate.answers_to(word) for candidate in external):
            near = suggest(word, [candidate.name for candidate in external])
            warnings.warn(
                f"KD_DISABLE_PLUGINS holds '{word}', but no installed plugin has that name.{near}",
                PluginWarning,
                stacklevel=3,
            )


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in ("", "0", "false", "no", "off")


def _tracer(on: bool) -> Callable[[str], None]:
    def trace(line: str) -> None:
        if on:
            print(f"kd trace: {line}", file=sys.stderr)

    return trace


def _and(words: Iterable[str]) -> str:
    *head, last = dict.fromkeys(words)
    return f"{', '.join(head)} and {last}" if head else last


def _none(rivals: Sequence[Candidate]) -> str:
    return "neither" if len(rivals) == 2 else "none"
