"""Teacher labels on disk, found again by the content of everything that they depend on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import kdcore
from kdcore.errors import KDError
from kdcore.files import atomic_path
from kdcore.labels import TeacherLabels

if TYPE_CHECKING:
    from kdcore.table import RawTable
    from kdcore.teacher_run import TeacherRun

__all__ = ["LabelCache", "default_folder", "fingerprint"]

_MAX_BYTES = 2 * 2**30


def default_folder() -> Path:
    """``KD_CACHE_DIR``, or ``kdcore`` in the user's cache folder."""
    named = os.environ.get("KD_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kdcore"


class LabelCache:
    """What teachers said, kept in a folder.

    An entry is found again only if data, teacher, its parameters, folds, seed and the versions
    of kdcore and of the teacher's libraries are the same. Entries are arrays and JSON: nothing
    in them is ever executed. The oldest go when there are more than 2 GiB.

    Parameters
    ----------
    folder : str or Path, optional
        By default `default_folder`.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder)

    def key(
        self,
        identity: Any,
        tables: Sequence[RawTable],
        *,
        folds: int | str,
        random_state: int,
    ) -> str:
        """The name of an entry: a hash of all that its content depends on."""
        parts = [
            json.dumps([identity, str(folds), random_state, _versions(identity)], sort_keys=True)
        ]
        parts += [fingerprint(table) for table in tables]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]

    def get(self, key: str, name: str) -> TeacherRun | None:
        """An entry, or None when there is none or it cannot be read."""
        from kdcore.teacher_run import TeacherRun

        path = self._path(key)
        try:
            # numpy would leave a file that it cannot read open.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                meta = json.loads(stored["meta"].tobytes())
                arrays = {k: stored[k] for k in stored.files if k != "meta"}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        with suppress(OSError):
            path.touch()
        labels = TeacherLabels(
            values=arrays["values"],
            teacher=None,
            provenance=meta["provenance"],
            folds=meta["folds"],
            fit_seconds=meta["fit_seconds"],
            seconds=0.0,
        )
        return TeacherRun(
            name=name,
            labels=labels,
            held=arrays.get("held"),
            unlabeled=arrays.get("unlabeled"),
            latency=meta["latency"],
            size=meta["size"],
            cached=True,
        )

    def put(self, key: str, run: TeacherRun) -> None:
        """Store an entry; a cache that cannot be written to is no error."""
        meta = {
            "provenance": run.labels.provenance,
            "folds": run.labels.folds,
            "fit_seconds": run.labels.fit_seconds,
            "latency": run.latency,
            "size": run.size,
        }
        arrays = {"values": run.labels.values, "held": run.held, "unlabeled": run.unlabeled}
        kept: dict[str, Any] = {k: v for k, v in arrays.items() if v is not None}
        kept["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
        with suppress(OSError, KDError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._path(key)) as temporary, open(temporary, "wb") as file:
                np.savez(file, **kept)
            self._prune()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _prune(self) -> None:
        entries = sorted(self.folder.glob("*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
        total = 0
        for path in entries:
            total += path.stat().st_size
            if total > _MAX_BYTES:
                path.unlink(missing_ok=True)


def fingerprint(table: RawTable) -> str:
    """A hash of the content of a table: columns, values, labels and weights."""
    from pandas.util import hash_pandas_object

    from kdcore.table import LabeledTable

    digest = hashlib.sha256()
    digest.update(
        json.dumps([list(table.X.columns), [str(t.name) for t in table.X.dtypes]]).encode()
    )
    digest.update(hash_pandas_object(table.X, index=False).to_numpy().tobytes())
    if isinstance(table, LabeledTable):
        digest.update(f"{table.y.dtype}{table.target}{table.task}".encode())
        digest.update(np.ascontiguousarray(table.y).tobytes())
        if table.sample_weight is not None:
            digest.update(table.sample_weight.tobytes())
    return digest.hexdigest()


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    # It reads the file lists of everything that is installed.
    return metadata.packages_distributions()


def _versions(identity: Any) -> dict[str, str]:
    """Versions of kdcore, of the teacher's distribution, and of what that requires."""
    found = {"kdcore": kdcore.__version__}
    by_module = _distributions()
    for member in identity.get("members", [identity]):
        for name in by_module.get(member["class"].split(".")[0], []):
            found[name] = metadata.version(name)
            for requirement in metadata.requires(name) or []:
                required = requirement.split(";")[0]
                for mark in "<>=!~[( ":
                    required = required.split(mark)[0]
                with suppress(metadata.PackageNotFoundError):
                    found[required] = metadata.version(required)
    return found
