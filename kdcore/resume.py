"""Predictions of very large tables in parts, so that a run that was killed goes on where it was.

Finished parts lie in a hidden folder beside the output, with a note of what they were made from.
When all are there they are joined to the output, and the folder is removed. Nothing in a part is
trusted unless bundle and data are what they were.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore import __version__
from kdcore.errors import KDError
from kdcore.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ROWS", "Parts"]

#: Rows of a part: what is lost, at most, when a run is killed.
ROWS = 1_000_000
_NOTE = "job.json"


class Parts:
    """The parts of one output.

    Parameters
    ----------
    output : Path
    bundle, data : str or Path
        What the predictions are made from; parts of others are removed.
    rows : int, default=ROWS
        Of a part.

    Attributes
    ----------
    done : int
        Rows in finished parts.
    unseen : Counter
        Values in each column that were not there in training, of these rows.
    """

    def __init__(
        self, output: Path, bundle: str | Path, data: str | Path, *, rows: int = ROWS
    ) -> None:
        self.folder = output.with_name(f".{output.name}.parts")
        self.rows = rows
        self.done, self.unseen = 0, Counter[str]()
        self._held: list[pd.DataFrame] = []
        self._count, self._held_unseen = 0, Counter[str]()
        self._job = _job(Path(bundle), Path(data), rows)
        self._open()

    def _open(self) -> None:
        try:
            told = json.loads((self.folder / _NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = None
        if told != self._job:
            self.remove()
            return
        while (note := self._path(".json")).exists():
            part = json.loads(note.read_text(encoding="utf-8"))
            self.done += part["rows"]
            self.unseen.update(part["unseen"])
            self._count += 1

    def _path(self, ending: str, number: int | None = None) -> Path:
        return self.folder / f"{self._count if number is None else number:06d}{ending}"

    def append(self, frame: pd.DataFrame, unseen: dict[str, int]) -> None:
        """Add predictions; they are kept as soon as they make a part.

        Raises
        ------
        KDError
            When the folder cannot be written to, or is full.
        """
        self._held.append(frame)
        self._held_unseen.update(unseen)
        if sum(map(len, self._held)) >= self.rows:
            self._keep()

    def _keep(self) -> None:
        import pandas as pd

        frame = pd.concat(self._held, ignore_index=True)
        try:
            if not self.folder.exists():
                self.folder.mkdir()
                with atomic_path(self.folder / _NOTE) as note:
                    note.write_text(json.dumps(self._job), encoding="utf-8")
            with atomic_path(self._path(".feather")) as path:
                frame.to_feather(path, compression="lz4")
            # The note comes last: a part without one is not finished.
            with atomic_path(self._path(".json")) as note:
                told = {"rows": len(frame), "unseen": self._held_unseen}
                note.write_text(json.dumps(told), encoding="utf-8")
        except OSError as error:
            raise KDError(f"cannot write '{self.folder}': {error.strerror or error}.") from error
        self.done += len(frame)
        self.unseen.update(self._held_unseen)
        self._held, self._held_unseen = [], Counter[str]()
        self._count += 1

    def frames(self) -> Iterator[pd.DataFrame]:
        """All predictions in their order, some thousand rows at a time."""
        import pyarrow as pa

        for number in range(self._count):
            with pa.memory_map(str(self._path(".feather", number))) as source:
                file = pa.ipc.open_file(source)
                for i in range(file.num_record_batches):
                    yield file.get_batch(i).to_pandas()
        yield from self._held

    def total_unseen(self) -> dict[str, int]:
        """Values that were not there in training, of all rows so far."""
        return dict(self.unseen + self._held_unseen)

    def remove(self) -> None:
        """Forget all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _job(bundle: Path, data: Path, rows: int) -> dict[str, Any]:
    """What predictions depend on; a file of data is known by its size and time."""
    told: dict[str, Any] = {"kdcore": __version__, "rows": rows, "data": str(data)}
    told["bundle"] = hashlib.sha256(bundle.read_bytes()).hexdigest()
    if data.is_file():
        status = data.stat()
        told |= {"data": str(data.resolve()), "size": status.st_size, "time": status.st_mtime_ns}
    return told
