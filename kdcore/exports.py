"""`export`: a bundle in a form that needs no kdcore; ``kd export``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcore.archive import read_archive
from kdcore.errors import BundleError, KDError, ParameterError
from kdcore.files import atomic_path
from kdcore.runtime import Bundle, load, open_bundle

__all__ = ["FORMATS", "Exported", "export", "files_of"]

FORMATS = ("onnx", "onnx-int8", "c", "sklearn", "torchscript", "treelite")

#: What an ONNX file tells of its columns and classes, as JSON under the key ``kdcore``.
_TOLD = ("student", "task", "classes", "columns")
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Parameters
    ----------
    size_bytes : int
    parity : dict or None
        How its predictions differ from the bundle's: ``rows``, ``max_difference``,
        ``mean_difference``, ``flipped`` (decisions). None for formats that are the graph itself,
        test themselves, or cannot be run here.
    files : tuple of str
        All files written; the columns of a treelite model stand in one of its own.
    """

    size_bytes: int
    parity: dict[str, Any] | None = None
    files: tuple[str, ...] = ()


def files_of(output: str | Path, format: str) -> tuple[Path, ...]:
    """The files that `export` would write."""
    output = Path(output)
    columns = (output.with_name(output.name + ".json"),) if format == "treelite" else ()
    return (output, *columns)


def export(bundle: str | Path, output: str | Path, *, format: str, rows: Any = None) -> Exported:
    """Write a bundle as another file; it appears whole or not at all.

    Parameters
    ----------
    bundle : str or Path
    output : str or Path
    format : {"onnx", "onnx-int8", "c", "sklearn", "torchscript", "treelite"}
        ``"onnx"``: one graph from the inputs ``numeric`` float (N, p), NaN where missing, and
        ``categorical`` string (N, c), empty where missing, to ``output``; its metadata names the
        columns and classes. ``"onnx-int8"``: see `kdcore.export_int8`. ``"c"``: see
        `kdcore.c_export.to_c`. ``"sklearn"``: a skops file of a Pipeline from raw columns.
        ``"torchscript"``: see `kdcore.export_torchscript.to_torchscript`.
        ``"treelite"``: see `kdcore.export_treelite`; the columns are written to ``OUTPUT.json``.
    rows : str, Path or table, optional
        Rows of the self-test of a C file, and those on which other formats are compared with the
        bundle; made ones unless given.

    Raises
    ------
    KDError
        When the bundle cannot be read, or not be written so, or the folder not be written to.
    """
    if format not in FORMATS:
        raise ParameterError(f"format={format!r} is not known; use one of {', '.join(FORMATS)}.")
    path, output = Path(bundle), Path(output)
    manifest, _ = read_archive(path)
    _require_support(manifest, format)
    table = None
    if rows is not None:
        from kdcore.table_files import read_table

        table = read_table(rows)
    parity = None
    told: tuple[bytes, ...] = ()
    if format == "c":
        from kdcore.c_export import to_c

        data = to_c(path, rows=table).encode()
    elif format in ("onnx", "onnx-int8"):
        data, parity = _onnx(path, table, small=format == "onnx-int8")
    elif format == "torchscript":
        data, parity = _torchscript(path, table)
    elif format == "treelite":
        data, columns, parity = _treelite(path, table)
        told = (columns,)
    else:
        data, parity = _sklearn(path, table)
    written = files_of(output, format)
    with ExitStack() as stack:
        # All of them are whole before the first is renamed.
        for file, content in zip(written, (data, *told), strict=True):
            stack.enter_context(atomic_path(file)).write_bytes(content)
    return Exported(len(data), parity, tuple(map(str, written)))


def _require_support(manifest: dict[str, Any], format: str) -> None:
    """Refuse a format that the student's spec does not name, where the student is known."""
    from kdcore.registry import default_registry

    if manifest.get("role") == "teacher":
        return
    spec = default_registry().specs("student").get(str(manifest.get("student")))
    if spec is not None and format not in spec.exports:
        raise ParameterError(
            f"the student {spec.name!r} cannot be exported as {format}; use one of "
            f"{', '.join(spec.exports)}."
        )


def _onnx(path: Path, table: Any, *, small: bool) -> tuple[bytes, dict[str, Any] | None]:
    import onnx

    manifest, content = read_archive(path)
    model = onnx.load_model_from_string(content)
    told = {key: manifest.get(key) for key in _TOLD}
    parity = None
    if small:
        from kdcore.export_int8 import with_int8_weights

        model, _ = with_int8_weights(model)
        rounded = open_bundle(manifest, model.SerializeToString())
        bundle = load(path)
        frame = _rows(bundle, table)
        parity = _parity(bundle, _output(bundle, frame), _output(rounded, frame))
        told["parity"] = parity
    onnx.helper.set_model_props(model, {"kdcore": json.dumps(told, ensure_ascii=False)})
    return bytes(model.SerializeToString()), parity


def _torchscript(path: Path, table: Any) -> tuple[bytes, dict[str, Any]]:
    import onnx

    from kdcore.export_torchscript import predictions, to_torchscript

    manifest, content = read_archive(path)
    data = to_torchscript(onnx.load_model_from_string(content), manifest)
    bundle = load(path)
    frame = _rows(bundle, table)
    # The bundle first: it says what is wrong with the rows.
    wanted = _output(bundle, frame)
    return data, _checked("torchscript", bundle, wanted, predictions(data, bundle, frame))


def _treelite(path: Path, table: Any) -> tuple[bytes, bytes, dict[str, Any]]:
    import onnx

    from kdcore.export_treelite import encoded_rows, treelite_model

    manifest, content = read_archive(path)
    model, columns = treelite_model(onnx.load_model_from_string(content), manifest)
    import treelite

    bundle = load(path)
    frame = _rows(bundle, table)
    wanted = _output(bundle, frame)
    Z = encoded_rows(bundle, columns, frame)
    got = np.asarray(treelite.gtil.predict(model, Z)).reshape(len(Z), -1)
    if bundle.classes is not None and got.shape[1] == 1:
        got = np.hstack([1 - got, got])
    parity = _checked("treelite", bundle, wanted, got)
    told = {key: manifest.get(key) for key in ("student", "task", "classes")}
    text = json.dumps({**told, **columns}, ensure_ascii=False, indent=1).encode()
    return model.serialize_bytes(), text, parity


def _sklearn(path: Path, table: Any) -> tuple[bytes, dict[str, Any]]:
    student = load(path, native=True)
    if not hasattr(student, "to_sklearn"):
        raise KDError(
            f"{type(student).__name__} cannot be written as sklearn; its plugin must define "
            "to_sklearn()."
        )
    data, pipeline = student.to_sklearn()
    bundle = load(path)
    frame = _rows(bundle, table)
    got = pipeline.predict(frame) if bundle.classes is None else pipeline.predict_proba(frame)
    return data, _checked("sklearn", bundle, _output(bundle, frame), np.asarray(got))


def _rows(bundle: Bundle, table: Any) -> Any:
    import pandas as pd

    from kdcore.c_export import made_rows

    if table is not None:
        return table
    numbers = [c for c in bundle.columns if c.kind != "categorical"]
    texts = [c for c in bundle.columns if c.kind == "categorical"]
    return pd.DataFrame(made_rows(numbers, texts))


def _output(bundle: Bundle, frame: Any) -> np.ndarray:
    return bundle.predict(frame) if bundle.classes is None else bundle.predict_proba(frame)


def _parity(bundle: Bundle, wanted: np.ndarray, got: np.ndarray) -> dict[str, Any]:
    wanted, got = wanted.reshape(len(wanted), -1), got.reshape(len(wanted), -1)
    scale = 1.0 if bundle.classes is not None else max(1.0, float(np.abs(wanted).max()))
    difference = np.abs(wanted - got).max(axis=1) / scale
    return {
        "rows": len(wanted),
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "flipped": int((wanted.argmax(axis=1) != got.argmax(axis=1)).sum()),
    }


def _checked(format: str, bundle: Bundle, wanted: np.ndarray, got: np.ndarray) -> dict[str, Any]:
    found = _parity(bundle, wanted, got)
    if not found["max_difference"] <= _TOLERANCE:
        raise BundleError(
            f"the {format} file would differ from the bundle by up to "
            f"{found['max_difference']:.3g} in {found['rows']} rows, so it was not written."
        )
    return found
