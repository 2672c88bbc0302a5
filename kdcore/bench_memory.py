"""Memory of processes that predict with a bundle, a teacher, or a treelite model."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.columns import category_keys, numeric_values
from kdcore.runtime import load

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["peak_memory", "teacher_memory", "treelite_memory"]

_TELL = """
try:
    with open("/proc/self/status") as told:
        peak = next(int(line.split()[1]) for line in told if line.startswith("VmHWM"))
except OSError:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak //= 1024 if sys.platform == "darwin" else 1
print(peak * 1024)
"""

#: A process that does what a service does: load the file, predict a batch, one row, and no more.
_BUNDLE = """
import sys
import numpy as np
import kdcore

bundle = kdcore.load(sys.argv[1], threads=int(sys.argv[3]))
stored = np.load(sys.argv[2], allow_pickle=False)
columns = {name: stored[f"c{i}"] for i, name in enumerate(bundle.features)}
bundle.predict(columns)
bundle.predict_one({name: values[0].item() for name, values in columns.items()})
"""

#: The same for the student in Python, which reads frames.
_NATIVE = """
import sys
import numpy as np
import pandas as pd
import kdcore

features = kdcore.load(sys.argv[1]).features
student = kdcore.load(sys.argv[1], native=True)
stored = np.load(sys.argv[2], allow_pickle=False)
frame = pd.DataFrame({name: stored[f"c{i}"] for i, name in enumerate(features)})
student.predict(frame)
student.predict(frame.head(1))
"""

_TREELITE = """
import sys
import numpy as np
import treelite

model = treelite.Model.deserialize(sys.argv[1])
treelite.gtil.predict(model, np.load(sys.argv[2], allow_pickle=False), nthread=int(sys.argv[3]))
"""

#: A teacher has no file of its own that is safe to read, so the process fits it; what counts begins
#: after that, when what the fit needed is given back.
_TEACHER = """
import contextlib, ctypes, gc, json, sys
import pandas as pd
from kdcore.given import input_for
from kdcore.sources import resolve_source
from kdcore.table import labeled

told = json.loads(sys.argv[2])
frame = pd.read_feather(sys.argv[1])
table = labeled(frame, told["target"], task=told["task"])
source = resolve_source(
    told["teacher"], table, params=told["params"], random_state=told["random_state"]
)
fitted = source.refit(table)
rows = input_for(fitted, table).head(told["batch"])
ask = fitted.predict if table.classes is None else fitted.predict_proba
del source, table, frame
gc.collect()
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).malloc_trim(0)
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
ask(rows)
"""


def peak_memory(
    path: str | Path, batch: Any, *, threads: int = 1, native: bool = False
) -> int | None:
    """Largest memory in bytes of a process that loads a bundle and predicts a batch.

    Parameters
    ----------
    path : str or Path
    batch : table
        With the columns that the bundle reads.
    threads : int, default=1
    native : bool, default=False
        Of the Python student in the bundle.

    Returns
    -------
    int or None
        None where such a process cannot be run.
    """
    from kdcore.columns import Column

    columns = load(path).manifest["columns"]
    stored: dict[str, Any] = {}
    for i, told in enumerate(columns):
        column = Column(told["name"], told["kind"])
        values = batch[column.name]
        texts = column.kind == "categorical"
        stored[f"c{i}"] = (
            category_keys(values).astype(str) if texts else numeric_values(values, column)
        )
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        rows = Path(folder, "rows.npz")
        np.savez(rows, allow_pickle=False, **stored)
        code = _NATIVE if native else _BUNDLE
        return _told(code, str(Path(path).absolute()), str(rows), str(threads))


def teacher_memory(
    teacher: str,
    frame: pd.DataFrame,
    target: str,
    *,
    task: str,
    params: Mapping[str, Any] | None,
    random_state: int,
    batch: int,
) -> int | None:
    """Largest memory in bytes of a process with a fitted teacher while it predicts a batch.

    Parameters
    ----------
    teacher : str
        Registered name; it is fitted to the frame once more.
    frame : pandas.DataFrame
        Labelled rows.
    target, task : str
    params : mapping or None
    random_state : int
    batch : int
        Rows to predict.

    Returns
    -------
    int or None
        None where it cannot be told: on other systems than Linux, or where such a process cannot
        be run.
    """
    told = {
        "teacher": teacher,
        "target": target,
        "task": task,
        "params": dict(params or {}),
        "random_state": random_state,
        "batch": batch,
    }
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        path = Path(folder, "rows.feather")
        try:
            frame.reset_index(drop=True).to_feather(path)
            text = json.dumps(told)
        except (TypeError, ValueError):
            # Parameters that are code, and columns that Arrow does not know.
            return None
        return _told(_TEACHER, str(path), text)


def treelite_memory(model: Any, rows: np.ndarray, *, threads: int = 1) -> int | None:
    """Largest memory in bytes of a process that loads a treelite model and predicts a batch."""
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        model.serialize(str(Path(folder, "model.tl")))
        np.save(Path(folder, "rows.npy"), rows, allow_pickle=False)
        files = (str(Path(folder, name)) for name in ("model.tl", "rows.npy"))
        return _told(_TREELITE, *files, str(threads))


def _told(code: str, *arguments: str) -> int | None:
    command = [sys.executable, "-c", code + _TELL, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        # Teachers may print.
        return int(done.stdout.split()[-1])
    except (ValueError, IndexError):
        return None
