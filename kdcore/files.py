"""Writing files so that a reader only ever sees a whole one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kdcore.errors import KDError

__all__ = ["atomic_path", "prepare_folder"]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it becomes ``path`` if all goes well.

    Whatever goes wrong inside, ``path`` is left as it was and the temporary file is removed.

    Raises
    ------
    KDError
        When the folder cannot be written to.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise KDError(f"cannot write to the folder '{path.parent}': {error.strerror}.") from error
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        # mkstemp files are private; a finished file gets the mode that open() would give it.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def prepare_folder(folder: str | Path, *, force: bool, names: tuple[str, ...]) -> Path:
    """Check, before any long work, that results can be written to a folder; nothing is made yet.

    Parameters
    ----------
    folder : str or Path
    force : bool
        Whether files of these names may be replaced.
    names : tuple of str
        The files that will be written.

    Raises
    ------
    KDError
        When the folder is a file, cannot be written to, or holds such files and not ``force``.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise KDError(f"the output folder '{folder}' is a file; name another with -o.")
    there = [n for n in names if (folder / n).exists()]
    if there and not force:
        raise KDError(
            f"the output '{folder / there[0]}' exists; use --force to replace it, or name another "
            "folder with -o."
        )
    parent = folder
    while not parent.exists():
        parent = parent.parent
    try:
        # os.access knows nothing of read-only file systems where root asks.
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise KDError(
            f"cannot write to the folder '{parent}' ({error.strerror}); name another with -o."
        ) from error
    return folder
