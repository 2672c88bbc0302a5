"""Every format that a student names can be written, and predicts what the bundle predicts."""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import pytest
import skops.io
import treelite
from integration import tables
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import kdcore
from kdcore import KDError
from kdcore.__main__ import main
from kdcore.bundle import pack
from kdcore.exports import FORMATS, export
from kdcore.own_teachers import FittedTeacher
from kdcore.registry import default_registry
from kdcore.versions import library_versions

TASKS = {"adult": "binary", "soybean": "multiclass", "housing": "regression"}
#: Enough to have a model, not a good one.
QUICK = {"sklearn_mlp": {"max_iter": 200}, "pytorch_mlp": {"max_iter": 200}}


def pairs() -> list[tuple[str, str]]:
    return [
        (name, table)
        for name, spec in default_registry().specs("student").items()
        for table, task in TASKS.items()
        if task in spec.tasks and spec.input == "table"
    ]


def saved(tmp_path, name, table):
    frame = tables.load(table)
    y = frame.pop("target").to_numpy()
    spec = default_registry().specs("student")[name]
    student = spec.resolve()("regression" if table == "housing" else "classification")
    student.set_params(**QUICK.get(name, {})).fit(frame, y)
    pack(student, frame, name=name).save(tmp_path / "s.kd")
    return frame, student, spec


@pytest.mark.parametrize(("name", "table"), pairs())
def test_every_format_that_a_student_names_is_written_and_the_others_are_refused(
    tmp_path, name, table
):
    frame, _, spec = saved(tmp_path, name, table)
    for kind in FORMATS:
        file = tmp_path / f"s.{kind}"
        if kind not in spec.exports:
            with pytest.raises(KDError, match=rf"as {kind}; use one of onnx"):
                export(tmp_path / "s.kd", file, format=kind)
            assert not file.exists()
            continue
        if (name, table, kind) == ("catboost", "soybean", "treelite"):
            # One against all, with a sum to divide by.
            with pytest.raises(KDError, match="only sums of trees"):
                export(tmp_path / "s.kd", file, format=kind)
            continue
        rows = frame.head(100) if kind != "onnx" else None
        found = export(tmp_path / "s.kd", file, format=kind, rows=rows)
        assert found.size_bytes == file.stat().st_size > 0
        if kind in ("sklearn", "torchscript", "treelite"):
            assert found.parity["max_difference"] < 1e-5
            assert found.parity["flipped"] == 0
        if kind == "onnx-int8":
            assert found.parity["max_difference"] < 0.05
            assert found.parity["flipped"] <= 3


def test_a_pipeline_of_scikit_learn_reads_raw_columns(tmp_path, capsys):
    frame, student, _ = saved(tmp_path, "decision_tree", "soybean")
    assert main(["export", f"{tmp_path}/s.kd", "--format", "sklearn", "-o", f"{tmp_path}/p"]) == 0
    assert "0 changed decision(s) in 24 rows" in capsys.readouterr().out
    types = skops.io.get_untrusted_types(file=tmp_path / "p")
    assert all(t.startswith("kdcore.") or t == "sklearn.tree._tree.Tree" for t in types)
    pipeline = skops.io.load(tmp_path / "p", trusted=types)
    np.testing.assert_allclose(
        pipeline.predict_proba(frame), student.predict_proba(frame), atol=1e-7
    )
    np.testing.assert_array_equal(pipeline.predict(frame), student.predict(frame))


def test_a_treelite_model_comes_with_what_its_columns_mean(tmp_path):
    frame, _, _ = saved(tmp_path, "xgboost", "adult")
    export(tmp_path / "s.kd", tmp_path / "m.tl", format="treelite")
    told = json.loads((tmp_path / "m.tl.json").read_text())
    Z = np.full((50, len(told["columns"])), np.nan, dtype=np.float32)
    for j, name in enumerate(told["columns"]):
        ranks = told["categories"].get(name)
        values = frame[name].head(50)
        Z[:, j] = values if ranks is None else [ranks.get(v, np.nan) for v in values]
    model = treelite.Model.deserialize(tmp_path / "m.tl")
    got = treelite.gtil.predict(model, Z).ravel()
    expected = kdcore.load(tmp_path / "s.kd").predict_proba(frame.head(50))[:, 1]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["c", "sklearn", "torchscript", "treelite"])
def test_rows_that_lack_a_column_are_refused_by_its_name(tmp_path, kind):
    frame, _, _ = saved(tmp_path, "decision_tree", "adult")
    rows = frame.head(20).drop(columns="age")
    with pytest.raises(KDError, match=r"lacks 1 column\(s\) that .*: 'age'"):
        export(tmp_path / "s.kd", tmp_path / "s.out", format=kind, rows=rows)


def test_neither_file_of_a_treelite_export_is_replaced_unless_asked(tmp_path, monkeypatch, capsys):
    saved(tmp_path, "decision_tree", "adult")
    monkeypatch.chdir(tmp_path)
    command = ["export", "s.kd", "--format", "treelite", "-o", "m.tl"]
    (tmp_path / "m.tl.json").write_text("mine")
    assert main(command) == 1
    assert "'m.tl.json' exists; use --force" in capsys.readouterr().err
    assert (tmp_path / "m.tl.json").read_text() == "mine"
    assert not (tmp_path / "m.tl").exists()
    assert main([*command, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["m.tl", "m.tl.json"]
    assert json.loads((tmp_path / "m.tl.json").read_text())["student"] == "decision_tree"


def test_a_network_of_bytes_is_a_third_of_its_size_and_says_what_it_lost(tmp_path, capsys):
    frame, _, _ = saved(tmp_path, "sklearn_mlp", "adult")
    frame.head(200).to_csv(tmp_path / "rows.csv", index=False)
    sizes = {}
    for kind, more in {"onnx": [], "onnx-int8": ["--rows", f"{tmp_path}/rows.csv"]}.items():
        command = ["export", f"{tmp_path}/s.kd", "--format", kind, "-o", f"{tmp_path}/{kind}"]
        assert main([*command, *more, "--json"]) == 0
        sizes[kind] = json.loads(capsys.readouterr().out)
    assert sizes["onnx"]["parity"] is None
    assert sizes["onnx-int8"]["parity"]["rows"] == 200
    assert sizes["onnx-int8"]["size_bytes"] < 0.5 * sizes["onnx"]["size_bytes"]


def test_a_bundle_names_the_versions_of_its_plugins_and_their_libraries(tmp_path):
    saved(tmp_path, "xgboost", "adult")
    found = kdcore.load(tmp_path / "s.kd").manifest["versions"]
    for name in ("kdcore", "numpy", "scikit-learn", "onnxruntime", "kdcore-xgboost", "xgboost"):
        assert found[name] == metadata.version(name)
    assert "kdcore-lightgbm" not in found
    used = [("teacher", "lightgbm"), ("teacher", "MyOwn"), ("loss", "kl"), ("selector", None)]
    piped = Pipeline([("scale", StandardScaler()), ("model", LGBMClassifier())])
    for models, names in (([None], used), ([FittedTeacher(piped)], [])):
        assert "lightgbm" in library_versions(models, names)
    assert "kdcore-lightgbm" in library_versions(names=used)


def test_kd_plugins_tells_what_students_can_be_written_as(capsys):
    assert main(["plugins", "--json"]) == 0
    told = {p["name"]: p["exports"] for p in json.loads(capsys.readouterr().out)}
    assert told["sklearn"]["svm"] == ["onnx", "onnx-int8", "c", "torchscript"]
    assert "treelite" in told["xgboost"]["xgboost"]


def test_kd_bench_has_a_row_for_treelite_and_memory_for_the_teacher(tmp_path, capsys):
    frame = tables.load("housing").select_dtypes("number")
    student = default_registry().create("student", "ridge", "regression")
    student.fit(frame.drop(columns="target"), frame["target"])
    pack(student, frame, name="ridge").save(tmp_path / "s.kd")
    frame.to_parquet(tmp_path / "rows.parquet")
    command = ["bench", f"{tmp_path}/s.kd", f"{tmp_path}/rows.parquet", "--teacher", "xgboost"]
    command += ["--teacher-param", "n_estimators=20", "--target", "target", "--seconds", "0.01"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = ("student", "python_student", "teacher", "compiled_teacher", "treelite_teacher")
    for row in rows:
        assert found[row]["peak_bytes"] > 2**24
        assert found[row]["single_us"]["p50"] > 0
    assert len(frame) == found["rows"]
