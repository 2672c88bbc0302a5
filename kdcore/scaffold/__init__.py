"""``kd plugins new``: a complete package of a plugin, with its tests, to start from.

The files stand in ``templates``: those in ``common``, and those of the kind. ``${...}`` in them,
and ``__module__`` in their paths, are filled in.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from kdcore.errors import KDError, ParameterError
from kdcore.hints import OFFICIAL
from kdcore.registry import ROLES, default_registry

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["Scaffold", "write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*\Z")
_PREFIX = "kdcore"

# What a new plugin is tried with: arguments of `kd distill sklearn:breast_cancer -t target`.
_TRIALS = {
    "teacher": "--teacher {name} --student decision_tree",
    "student": "--teacher xgboost --student {name}",
    "loss": "--teacher xgboost --student logistic_regression --loss {name}",
    "selector": "--teacher xgboost --student decision_tree --max-features 5 --selector {name}",
}


class Scaffold:
    """The files of a new plugin.

    Parameters
    ----------
    name : str
        Lower-case words joined by hyphens or underscores, such as ``"my-teacher"``; a leading
        ``kdcore-`` is dropped.
    kind : {"teacher", "student", "loss", "selector"}, default="teacher"

    Attributes
    ----------
    name : str
        What users type, for instance ``"my_teacher"``.
    distribution, module : str
        ``"kdcore-my-teacher"`` and ``"kdcore_my_teacher"``.

    Raises
    ------
    ParameterError
        When the kind is unknown, or the name is invalid or taken.
    """

    def __init__(self, name: str, kind: str = "teacher") -> None:
        if kind not in ROLES:
            raise ParameterError(f"kind={kind!r} is none of {', '.join(ROLES)}.")
        words = name.removeprefix(f"{_PREFIX}-")
        if not _NAME.match(words):
            raise ParameterError(
                f"the name {name!r} cannot be that of a plugin; use lower-case words joined by "
                "hyphens, such as my-teacher."
            )
        self.kind = kind
        self.name = words.replace("-", "_")
        self.distribution = f"{_PREFIX}-{words.replace('_', '-')}"
        self.module = self.distribution.replace("-", "_")
        registry = default_registry()
        official = set(OFFICIAL.get(kind, {}).values())
        if self.name in {*OFFICIAL.get(kind, {}), *registry.specs(kind)}:
            raise ParameterError(f"there is a {kind} {self.name!r} already; choose another name.")
        if self.distribution in official:
            raise ParameterError(f"{self.distribution} is a plugin of kdcore; choose another name.")

    @property
    def trial(self) -> str:
        """A first command with the new plugin."""
        return "kd distill sklearn:breast_cancer -t target " + _TRIALS[self.kind].format(
            name=self.name
        )

    def files(self) -> dict[str, str]:
        """The text of each file by its path in the package, in the order of paths."""
        templates = resources.files("kdcore.scaffold") / "templates"
        found = {}
        for folder in ("common", self.kind):
            for path, text in _walk(templates / folder):
                where = path.removesuffix(".tmpl").replace("__module__", self.module)
                found[where] = Template(text).substitute(self._values())
        return dict(sorted(found.items()))

    def _values(self) -> dict[str, str]:
        from kdcore import __version__

        major, minor = __version__.split(".")[:2]
        return {
            "name": self.name,
            "kind": self.kind,
            "distribution": self.distribution,
            "module": self.module,
            "classname": "".join(word.capitalize() for word in self.name.split("_")),
            "bounds": f">={major}.{minor},<{major}.{int(minor) + 1}",
            "trial": self.trial,
        }


def write_plugin(
    name: str, kind: str = "teacher", folder: str | Path | None = None
) -> tuple[Path, Scaffold]:
    """Write the package of a new plugin into a folder that does not exist yet.

    Parameters
    ----------
    name, kind
        See `Scaffold`.
    folder : str or Path, optional
        The package's folder; by default one with the distribution's name in the current one.

    Returns
    -------
    folder : Path
    scaffold : Scaffold

    Raises
    ------
    KDError
        When the name cannot be used, or the folder exists or cannot be written.
    """
    scaffold = Scaffold(name, kind)
    root = Path(folder) if folder is not None else Path(scaffold.distribution)
    if root.exists():
        raise KDError(f"'{root}' exists; name another folder with --output, or remove it.")
    try:
        for path, text in scaffold.files().items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KDError(f"cannot write to '{root}': {error.strerror}; name another folder.") from None
    return root, scaffold


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry.read_text(encoding="utf-8")))
    return found
