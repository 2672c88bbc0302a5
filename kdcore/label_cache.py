"""Teacher labels on disk, found again by the content of everything that they depend on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
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
from kdcore.notes import made_of, note_from

if TYPE_CHECKING:
    from kdcore.table import RawTable
    from kdcore.teacher_run import TeacherRun

__all__ = ["LabelCache", "default_folder", "fingerprint"]

_MAX_BYTES = 2 * 2**30


def default_folder() -> Path:
    """``KD_CACHE_DIR``, or ``kdcore`` in the user's cache folder."""
    named = os.environ.get("KD_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    if not base:
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:  # a user without a home
            base = tempfile.gettempdir()
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
            labels = TeacherLabels(
                values=arrays["values"],
                teacher=None,
                provenance=meta["provenance"],
                folds=meta["folds"],
                fit_seconds=meta["fit_seconds"],
                seconds=0.0,
            )
            run = TeacherRun(
                name=name,
                labels=labels,
                held=arrays.get("held"),
                unlabeled=arrays.get("unlabeled"),
                latency=meta["latency"],
                size=meta["size"],
                compiled=meta["compiled"],
                compiled_note=note_from(meta["compiled_note"], meta.get("compiled_note_of")),
                cached=True,
            )
        except Exception:
            # There are many ways to be damaged; whichever it is, the entry is made again.
            return None
        with suppress(OSError):
            path.touch()
        return run

    def put(self, key: str, run: TeacherRun) -> None:
        """Store an entry; a cache that cannot be written to is no error."""
        meta = {
            "provenance": run.labels.provenance,
            "folds": run.labels.folds,
            "fit_seconds": run.labels.fit_seconds,
            "latency": run.latency,
            "size": run.size,
            "compiled": run.compiled,
            "compiled_note": run.compiled_note,
            "compiled_note_of": made_of(run.compiled_note),
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
    digest.update(json.dumps([table.names, [str(t.name) for t in table.whole.dtypes]]).encode())
    for name in table.names:
        # Column by column, so that no second table is made.
        column = table.column(name)
        digest.update(hash_pandas_object(column, index=False).to_numpy().tobytes())
        if str(column.dtype) == "category":
            # Teachers see codes, which depend on categories that no row has too.
            digest.update(repr(column.cat.categories.tolist()).encode())
    if isinstance(table, LabeledTable):
        digest.update(f"{table.y.dtype}{table.target}{table.task}".encode())
        digest.update(np.ascontiguousarray(table.y).tobytes())
        if table.ordered:
            digest.update(b"ordered")
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
    found |= {name: metadata.version(name) for name in ("numpy", "pandas", "scikit-learn")}
    by_module = _distributions()
    for member in identity.get("members", [identity]):
        # What is installed in place, as by `pip install -e`, is not found by its module.
        named = [member["distribution"], *by_module.get(member["class"].split(".")[0], [])]
        for name in named:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
            for requirement in metadata.requires(name) or []:
                required = requirement.split(";")[0]
                for mark in "<>=!~[( ":
                    required = required.split(mark)[0]
                with suppress(metadata.PackageNotFoundError):
                    found[required] = metadata.version(required)
    return found
