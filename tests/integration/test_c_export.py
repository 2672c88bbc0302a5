"""Every student that says so becomes a C file whose functions predict what its bundle predicts."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np
import pytest
from integration import tables

import kdcore
from kdcore.bundle import pack
from kdcore.columns import category_keys
from kdcore.exports import export
from kdcore.registry import default_registry

TASKS = {"adult": "binary", "soybean": "multiclass", "housing": "regression"}


def students() -> list[tuple[str, str]]:
    found = default_registry().specs("student")
    return [
        (name, table)
        for name, spec in found.items()
        for table, task in TASKS.items()
        if "c" in spec.exports and task in spec.tasks
    ]


def called(path, bundle, frame) -> np.ndarray:
    """What the C functions give for every row, by way of a shared library."""
    library = path.with_suffix(".so")
    flags = ["-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(path), "-lm", "-o", str(library)], check=True)
    predict = ctypes.CDLL(str(library)).kd_predict
    columns = bundle.manifest["columns"]
    numbers = [c["name"] for c in columns if c["kind"] != "categorical"]
    texts = [c["name"] for c in columns if c["kind"] == "categorical"]
    values = [np.ascontiguousarray(r) for r in frame[numbers].to_numpy(np.float32, na_value=np.nan)]
    keys = [category_keys(frame[name]) for name in texts]
    k = 1 if bundle.classes is None else len(bundle.classes)
    out = np.empty((len(frame), k), dtype=np.float32)
    for i in range(len(frame)):
        strings = (ctypes.c_char_p * max(1, len(texts)))(*(c[i].encode() or None for c in keys))
        predict(
            values[i].ctypes.data_as(ctypes.c_void_p),
            strings,
            out[i].ctypes.data_as(ctypes.c_void_p),
        )
    return out


@pytest.mark.parametrize(("name", "table"), students())
def test_c_predicts_what_the_bundle_predicts(tmp_path, name, table):
    frame = tables.load(table)
    y = frame.pop("target").to_numpy()
    spec = default_registry().specs("student")[name]
    student = spec.resolve()("regression" if table == "housing" else "classification")
    student.fit(frame, y)
    pack(student, frame, name=name).save(tmp_path / "s.kd")
    bundle = kdcore.load(tmp_path / "s.kd")
    export(tmp_path / "s.kd", tmp_path / "s.c", format="c")
    ours = called(tmp_path / "s.c", bundle, frame)
    theirs = bundle.predict(frame) if bundle.classes is None else bundle.predict_proba(frame)
    theirs = theirs.reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * max(1.0, np.abs(theirs).max()))
    # Equal decisions, save where two classes are as good as equally likely.
    clear = np.sort(theirs, axis=1)[:, -1] - np.sort(theirs, axis=1)[:, -2:][:, 0] > 1e-5
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1))[clear].all()
