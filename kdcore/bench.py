"""What a deployed student costs, beside its teacher: ``kd bench``."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.bench_memory import peak_memory, teacher_memory, treelite_memory
from kdcore.compiled import compile_teacher
from kdcore.deployed import labelled_rows
from kdcore.errors import KDError, KDWarning, ParameterError
from kdcore.given import input_for
from kdcore.latency import spread, throughput
from kdcore.runtime import load
from kdcore.sources import resolve_source
from kdcore.table import labeled, read_table

if TYPE_CHECKING:
    from kdcore.bundle import Packed
    from kdcore.runtime import Bundle

__all__ = ["bench", "peak_memory"]

#: Rows of a batch, and of single calls.
_BATCH, _SINGLE = 10_000, 200


def bench(
    bundle: str | Path,
    data: Any,
    *,
    teacher: str | None = None,
    teacher_params: Mapping[str, Any] | None = None,
    target: str | None = None,
    save_teacher: str | Path | None = None,
    threads: int = 1,
    seconds: float = 1.0,
    random_state: int = 0,
) -> dict[str, Any]:
    """Time, size and memory of a bundle, of a teacher as its users call it, and compiled.

    Parameters
    ----------
    bundle : str or Path
    data : str, Path or table
        Rows to predict; with a teacher, rows to fit it to as well.
    teacher : str, optional
        Registered name of a teacher to fit to these rows.
    teacher_params : mapping, optional
    target : str, optional
        Column of the labels, for the teacher; by default the one that the student was made for.
    save_teacher : str or Path, optional
        Where to write the compiled teacher, as a bundle to deploy; it is fitted to all labelled
        rows of the data. Without it, it is made for the measurement only.
    threads : int, default=1
        Of ONNX Runtime; the teacher has its own parameter ``n_jobs``.
    seconds : float, default=1.0
        Time for each measurement.
    random_state : int, default=0
        Of the teacher.

    Returns
    -------
    dict
        ``student``, ``python_student`` (the one that ``kdcore.load(path, native=True)`` gives
        back), ``teacher``, ``compiled_teacher`` and ``treelite_teacher`` (None where there is
        none), each with ``name``, ``single_us`` (``p50``, ``p99``, ``calls``), ``rows_per_second``,
        ``size_bytes``, ``load_seconds`` and ``peak_bytes`` (of a process that loads the file and
        predicts a batch; None where it cannot be told); ``rows``, ``batch``, ``threads``,
        ``notes``.

    Raises
    ------
    KDError
        When the bundle, the table or the teacher cannot be used.
    """
    model = load(bundle, threads=threads)
    notes: list[str] = []
    if teacher is None:
        frame = read_table(data)
    else:
        frame, y, target = labelled_rows(model, data, target)
        frame = frame.loc[y.index]
    if teacher is None and (teacher_params or save_teacher is not None):
        raise ParameterError(
            "--teacher-param or --save-teacher was given (teacher_params, save_teacher), but no "
            "teacher; name one by teacher (--teacher)."
        )
    found: dict[str, Any] = {
        "rows": len(frame),
        "batch": min(_BATCH, len(frame)),
        "threads": threads,
        "student": _bundle_costs(Path(bundle), model, frame, threads, seconds),
        "python_student": None,
        "teacher": None,
        "compiled_teacher": None,
        "treelite_teacher": None,
        "notes": notes,
    }
    if model.manifest.get("role") != "teacher":
        try:
            found["python_student"] = _python_costs(Path(bundle), model, frame, seconds)
        except KDError as error:
            notes.append(f"no row of the student in Python: {error}")
    if teacher is None or target is None:
        return found
    table = labeled(frame, target, task=model.task)
    source = resolve_source(teacher, table, params=teacher_params, random_state=random_state)
    if source.refit is None:
        raise ParameterError(f"the teacher {teacher!r} cannot be fitted here; give a name.")
    fitted = source.refit(table)
    rows = input_for(fitted, table)
    ask = fitted.predict if table.classes is None else fitted.predict_proba
    size = getattr(fitted, "model_bytes", None)
    found["teacher"] = {
        "name": source.name,
        "single_us": spread(ask, [rows.iloc[[i]] for i in range(min(_SINGLE, len(rows)))], seconds),
        "rows_per_second": throughput(ask, rows.head(_BATCH), seconds),
        "size_bytes": None if size is None else size(),
        "load_seconds": None,
        "peak_bytes": teacher_memory(
            teacher,
            frame,
            target,
            task=model.task,
            params=teacher_params,
            random_state=random_state,
            batch=_BATCH,
        ),
    }
    try:
        packed = compile_teacher(fitted, rows.head(_BATCH), name=source.name)
    except KDError as error:
        if save_teacher is not None:
            raise
        notes.append(f"no compiled teacher: {error}")
        return found
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        path = Path(folder, "teacher.kd") if save_teacher is None else Path(save_teacher)
        packed.save(path)
        compiled = load(path, threads=threads)
        found["compiled_teacher"] = _bundle_costs(path, compiled, frame, threads, seconds)
    if find_spec("treelite") is None:
        # An optional extra: that it is not there is nothing to tell each time.
        return found
    try:
        found["treelite_teacher"] = _treelite_costs(packed, rows, threads, seconds)
    except KDError as error:
        notes.append(f"no treelite row: {error}")
    return found


def _treelite_costs(packed: Packed, rows: Any, threads: int, seconds: float) -> dict[str, Any]:
    """What treelite's own interpreter costs, with rows that are encoded already.

    Raises
    ------
    KDError
        When treelite is not installed, or the trees have no such form.
    """
    import onnx

    from kdcore.archive import MODEL
    from kdcore.export_treelite import encoded_rows, treelite_model

    manifest = packed.bundle.manifest
    made, columns = treelite_model(onnx.load_model_from_string(packed.members[MODEL]), manifest)
    import treelite

    Z = encoded_rows(packed.bundle, columns, rows.head(_BATCH))
    content = made.serialize_bytes()

    def ask(part: np.ndarray) -> Any:
        return treelite.gtil.predict(made, part, nthread=threads)

    return {
        "name": packed.bundle.manifest.get("student"),
        "single_us": spread(ask, [Z[[i]] for i in range(min(_SINGLE, len(Z)))], seconds),
        "rows_per_second": throughput(ask, Z, seconds),
        "size_bytes": len(content),
        "load_seconds": spread(treelite.Model.deserialize_bytes, [content], seconds / 4)["p50"]
        / 1e6,
        "peak_bytes": treelite_memory(made, Z, threads=threads),
    }


def _python_costs(path: Path, model: Bundle, frame: Any, seconds: float) -> dict[str, Any]:
    """What the student costs in Python, called as its users call it: with frames.

    Raises
    ------
    KDError
        When the bundle holds no Python student, or its plugin is not there.
    """
    with warnings.catch_warnings():
        # Parameters that held code change no prediction.
        warnings.simplefilter("ignore", KDWarning)
        student = load(path, native=True)
        opened = spread(lambda p: load(p, native=True), [path], seconds / 4)["p50"]
    ask = student.predict if model.classes is None else student.predict_proba
    batch = frame.head(_BATCH)
    return {
        "name": model.manifest.get("student"),
        "single_us": spread(
            ask, [batch.iloc[[i]] for i in range(min(_SINGLE, len(batch)))], seconds
        ),
        "rows_per_second": throughput(ask, batch, seconds),
        "size_bytes": None,
        "load_seconds": opened / 1e6,
        "peak_bytes": peak_memory(path, batch, native=True),
    }


def _bundle_costs(
    path: Path, model: Bundle, frame: Any, threads: int, seconds: float
) -> dict[str, Any]:
    one = model.predict_one if model.classes is None else model.predict_proba_one
    many = model.predict if model.classes is None else model.predict_proba
    batch = frame.head(_BATCH)
    many(batch.head(1))
    rows = batch.head(_SINGLE)[model.features].to_dict("records")
    return {
        "name": model.manifest.get("student"),
        "single_us": spread(one, rows, seconds),
        "rows_per_second": throughput(many, batch, seconds),
        "size_bytes": path.stat().st_size,
        "load_seconds": spread(lambda p: load(p, threads=threads), [path], seconds / 4)["p50"]
        / 1e6,
        "peak_bytes": peak_memory(path, batch, threads=threads),
    }
