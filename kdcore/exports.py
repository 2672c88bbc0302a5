"""`export`: a bundle in a form that needs no kdcore; ``kd export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kdcore.archive import read_archive
from kdcore.errors import ParameterError
from kdcore.files import atomic_path

__all__ = ["FORMATS", "export"]

FORMATS = ("onnx", "c")

#: What an ONNX file tells of its columns and classes, as JSON under the key ``kdcore``.
_TOLD = ("student", "task", "classes", "columns")


def export(bundle: str | Path, output: str | Path, *, format: str, rows: Any = None) -> int:
    """Write a bundle as another file; it appears whole or not at all.

    Parameters
    ----------
    bundle : str or Path
    output : str or Path
    format : {"onnx", "c"}
        ``"onnx"``: one graph from the inputs ``numeric`` float (N, p), NaN where missing, and
        ``categorical`` string (N, c), empty where missing, to ``output``; its metadata names the
        columns and classes. ``"c"``: see `kdcore.c_export.to_c`.
    rows : str, Path or table, optional
        Rows of the self-test of a C file.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    KDError
        When the bundle cannot be read, or not be written so, or the folder not be written to.
    """
    if format not in FORMATS:
        raise ParameterError(f"format={format!r} is not known; use one of {', '.join(FORMATS)}.")
    if format == "c":
        from kdcore.c_export import to_c
        from kdcore.table_files import read_table

        data = to_c(bundle, rows=None if rows is None else read_table(rows)).encode()
    else:
        data = _onnx(Path(bundle))
    with atomic_path(output) as temporary:
        temporary.write_bytes(data)
    return len(data)


def _onnx(path: Path) -> bytes:
    import onnx

    manifest, content = read_archive(path)
    model = onnx.load_model_from_string(content)
    told = {key: manifest.get(key) for key in _TOLD}
    onnx.helper.set_model_props(model, {"kdcore": json.dumps(told, ensure_ascii=False)})
    return bytes(model.SerializeToString())
