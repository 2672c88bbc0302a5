"""Bundles: one safe file that predicts what the student predicts, with numpy and ONNX Runtime."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import LeastSquaresStudent, SoftmaxStudent

import kdcore
from kdcore import KDError
from kdcore.bundle import pack
from kdcore.encoders import OrdinalEncoder, StandardEncoder
from kdcore.errors import BundleError
from kdcore.files import atomic_path, prepare_folder
from kdcore.graph import CATEGORICAL, NUMERIC, build_graph, linear_model, tree_ensemble
from kdcore.testing import tiny_data


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Line(LeastSquaresStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


class Wrong(SoftmaxStudent):
    """Its graph forgets the intercept."""

    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, 0 * self.weights_[-1] + [3, 0, 0], link="softmax")


@pytest.fixture(scope="module")
def data():
    return tiny_data("multiclass", labels="text")


@pytest.fixture(scope="module")
def student(data):
    return Linear().fit(data.X, data.y)


@pytest.fixture
def path(tmp_path, data, student):
    pack(student, data.X, name="linear").save(tmp_path / "student.kd")
    return tmp_path / "student.kd"


def test_a_saved_student_predicts_what_it_predicted(data, student, path):
    bundle = kdcore.load(path)
    assert bundle.task == "multiclass"
    assert bundle.features == list(data.X.columns)
    np.testing.assert_array_equal(bundle.classes, student.classes_)
    np.testing.assert_allclose(
        bundle.predict_proba(data.X), student.predict_proba(data.X), atol=1e-5
    )
    np.testing.assert_array_equal(bundle.predict(data.X), student.predict(data.X))
    assert bundle.manifest["parity"]["flipped"] == 0


def test_a_saved_regression_predicts_values(tmp_path):
    data = tiny_data("regression")
    student = Line().fit(data.X, data.y)
    pack(student, data.X).save(tmp_path / "line.kd")
    bundle = kdcore.load(tmp_path / "line.kd")
    np.testing.assert_allclose(bundle.predict(data.X), student.predict(data.X), rtol=1e-4)
    with pytest.raises(KDError, match="is a regression; use predict"):
        bundle.predict_proba(data.X)


def test_every_kind_of_table_gives_the_same_predictions(data, path):
    bundle = kdcore.load(path)
    expected = bundle.predict_proba(data.X)
    shuffled = data.X[list(reversed(data.X.columns))].assign(further=1)
    tables = [
        shuffled,
        pa.Table.from_pandas(shuffled),
        {name: data.X[name].tolist() for name in data.X},
        data.X.to_numpy(dtype=object),
        data.X.astype(object),
    ]
    for table in tables:
        np.testing.assert_array_equal(bundle.predict_proba(table), expected)
    rows = data.X.to_dict("records")
    for row, proba in zip(rows[:20], expected, strict=False):
        one = bundle.predict_proba_one(row)
        np.testing.assert_allclose([one[c] for c in bundle.classes.tolist()], proba, atol=1e-6)
        assert bundle.predict_one(row) == bundle.classes[proba.argmax()]


def test_no_row_and_many_rows_are_fine(data, path):
    bundle = kdcore.load(path)
    assert bundle.predict_proba(data.X.head(0)).shape == (0, 3)
    many = pd.concat([data.X] * (20_000 // len(data.X) + 1), ignore_index=True)
    assert len(bundle.predict(many)) == len(many)


def test_columns_are_asked_for_by_name(data, path):
    bundle = kdcore.load(path)
    name = bundle.features[0]
    with pytest.raises(KDError, match=f"'{name}'"):
        bundle.predict(data.X.drop(columns=name))
    row = data.X.iloc[0].to_dict()
    del row[name]
    with pytest.raises(KDError, match=f"'{name}'"):
        bundle.predict_one(row)
    with pytest.raises(KDError, match="array of shape"):
        bundle.predict(np.zeros((2, 99)))


def test_a_value_of_the_wrong_type_names_its_column(data, path):
    bundle = kdcore.load(path)
    number = next(c["name"] for c in bundle.manifest["columns"] if c["kind"] == "numeric")
    with pytest.raises(KDError, match=f"'{number}' holds 'many'"):
        bundle.predict(data.X.assign(**{number: "many"}))
    with pytest.raises(KDError, match=f"'{number}'.*infinite"):
        bundle.predict_one({**data.X.iloc[0].to_dict(), number: float("inf")})


def test_loading_needs_neither_scikit_learn_nor_pandas_nor_onnx(path, data):
    row = {k: (v.item() if hasattr(v, "item") else v) for k, v in data.X.iloc[1].to_dict().items()}
    code = (
        "import sys, json, kdcore\n"
        f"bundle = kdcore.load({str(path)!r})\n"
        f"row = json.loads({json.dumps(json.dumps(row))})\n"
        "assert bundle.predict_one(row) in bundle.classes\n"
        "bundle.predict({k: [v] for k, v in row.items()})\n"
        "heavy = {'sklearn', 'pandas', 'scipy', 'onnx', 'pyarrow', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rewritten(path: Path, **members: bytes | None) -> Path:
    """The bundle with members replaced (dots for underscores), or left out if None."""
    changed = {k.replace("_", "."): v for k, v in members.items()}
    out = path.with_name("changed.kd")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = changed.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return out


def test_a_bundle_that_is_not_as_it_was_written_is_refused(path):
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        model = archive.read("model.onnx")

    def changed(**keys: Any) -> bytes:
        return json.dumps({**manifest, **keys}).encode()

    def file(content: bytes) -> Path:
        out = path.with_name("bad.kd")
        out.write_bytes(content)
        return out

    cases = {
        "there is no bundle": path.with_name("none.kd"),
        "not a readable bundle": file(b"not a zip at all"),
        "model.onnx does not match": rewritten(path, model_onnx=model[:-9] + b"012345678"),
        "0 members called model.onnx": rewritten(path, model_onnx=None),
        "upgrade kdcore": rewritten(path, manifest_json=changed(format_version=99)),
        "no format version": rewritten(path, manifest_json=changed(format_version=None)),
        "no valid 'columns'": rewritten(path, manifest_json=changed(columns=3)),
    }
    for reason, bad in cases.items():
        # Each case wrote its own file just now, or there is none.
        if bad.name == "changed.kd":
            continue
        with pytest.raises(BundleError, match=reason):
            kdcore.load(bad)
    for reason, members in {
        "model.onnx does not match": {"model_onnx": model[:-9] + b"012345678"},
        "0 members called model.onnx": {"model_onnx": None},
        "upgrade kdcore": {"manifest_json": changed(format_version=99)},
        "no format version": {"manifest_json": changed(format_version=None)},
        "no valid 'columns'": {"manifest_json": changed(columns=3)},
        "not a readable bundle": {"manifest_json": b"{"},
    }.items():
        with pytest.raises(BundleError, match=reason) as caught:
            kdcore.load(rewritten(path, **members))
        assert "\n" not in str(caught.value)
    for end in range(0, len(data), max(1, len(data) // 40)):
        with pytest.raises(BundleError):
            kdcore.load(file(data[:end]))


def test_a_member_that_claims_a_huge_size_is_not_read(path, monkeypatch):
    monkeypatch.setattr("kdcore.runtime._MAX_MODEL", 100)
    with pytest.raises(BundleError, match="claims"):
        kdcore.load(path)


def test_a_student_whose_graph_differs_is_not_saved(data):
    with pytest.raises(BundleError, match=r"differs from Python by up to .* of 1?\d\d held-out"):
        pack(Wrong().fit(data.X, data.y), data.X)


def test_equal_contents_are_equal_bytes(data, student):
    assert pack(student, data.X).data == pack(student, data.X).data


@pytest.mark.parametrize("encoder", [StandardEncoder(min_frequency=4), OrdinalEncoder()])
def test_an_encoder_in_onnx_encodes_as_in_python(data, encoder):
    """Unseen categories, gaps in columns that had none, and rare categories included."""
    fitted = encoder.fit(data.X)
    new = data.X.copy()
    for name in new.columns:
        new[name] = new[name].astype(object)
        new.loc[new.index[::3], name] = None
    for column in fitted.schema_.categorical:
        new.loc[new.index[1::3], column.name] = "never seen"

    class Through(Linear):
        pass

    student = Through()
    student.encoder_ = fitted
    width = len(fitted.owners_)
    student.weights_ = np.zeros((width + 1, width))
    student.to_onnx = lambda: linear_model(  # type: ignore[method-assign]
        np.eye(width), np.zeros(width), link="identity"
    )
    session = onnxruntime.InferenceSession(build_graph(student).SerializeToString())
    schema = fitted.schema_
    from kdcore.columns import category_keys

    feed = {
        NUMERIC: np.ascontiguousarray(schema.numbers(new)),
        CATEGORICAL: np.stack([category_keys(new[c.name]) for c in schema.categorical], axis=1),
    }
    got, expected = session.run(None, feed)[0], fitted.transform(new)
    if isinstance(fitted, OrdinalEncoder):
        # A matrix product spreads NaN over the row, so compare rows without any.
        whole = ~np.isnan(expected).any(axis=1)
        got, expected = got[whole], expected[whole]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@given(
    threshold=st.floats(-1e6, 1e6),
    steps=st.integers(-2, 2),
    less_or_equal=st.booleans(),
    missing_left=st.booleans(),
)
def test_no_float32_input_changes_sides_of_a_float64_threshold(
    threshold, steps, less_or_equal, missing_left
):
    x = np.float32(threshold)
    for _ in range(abs(steps)):
        x = np.nextafter(x, np.float32(np.sign(steps) * np.inf))
    tree = {
        "left": np.array([1, -1, -1]),
        "right": np.array([2, -1, -1]),
        "feature": np.array([0, 0, 0]),
        "threshold": np.array([threshold, 0.0, 0.0]),
        "missing_left": np.array([missing_left, False, False]),
        "value": np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    }
    model = tree_ensemble([tree], n_features=1, n_outputs=2, less_or_equal=less_or_equal)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    got = session.run(None, {"Z": np.array([[x], [np.nan]], dtype=np.float32)})[0]
    left = float(x) <= threshold if less_or_equal else float(x) < threshold
    assert got[0].tolist() == ([1, 0] if left else [0, 1])
    assert got[1].tolist() == ([1, 0] if missing_left else [0, 1])


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_path(path) as temporary:
        temporary.write_text("half \ud800", encoding="utf-8")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_an_output_folder_is_checked_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    for folder, reason in (("file", "is a file"), ("file/below", "cannot write")):
        with pytest.raises(KDError, match=reason):
            prepare_folder(tmp_path / folder, force=False, names=("a",))
    (tmp_path / "a").touch()
    with pytest.raises(KDError, match="--force"):
        prepare_folder(tmp_path, force=False, names=("a",))
    assert prepare_folder(tmp_path, force=True, names=("a",)) == tmp_path
    assert prepare_folder(tmp_path / "new" / "one", force=False, names=("a",)).name == "one"
    assert not (tmp_path / "new").exists()


def test_a_zip_with_two_models_is_refused(path):
    buffer = io.BytesIO(path.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("model.onnx", b"another")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(BundleError, match=r"2 members called model\.onnx"):
        kdcore.load(path)
