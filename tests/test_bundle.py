"""Bundles: one safe file that predicts what the student predicts, with numpy and ONNX Runtime."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.base import clone
from small_models import LeastSquaresStudent, SoftmaxStudent

import kdcore
from kdcore import KDError
from kdcore.archive import archive_bytes
from kdcore.bundle import pack, parity
from kdcore.columns import category_keys
from kdcore.encoders import (
    OrdinalEncoder,
    PiecewiseLinearEncoder,
    QuantileEncoder,
    SplineEncoder,
    StandardEncoder,
    TeacherBinsEncoder,
)
from kdcore.errors import BundleError
from kdcore.files import atomic_path, prepare_folder
from kdcore.graph import CATEGORICAL, NUMERIC, OPSETS, build_graph, linear_model, tree_ensemble
from kdcore.targets import softmax
from kdcore.testing import tiny_data
from kdcore.testing.isolation import run_python


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
    pack(student, data.X, name="linear").without_state().save(tmp_path / "student.kd")
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
        "print(json.dumps(bundle.predict_proba({k: [v] for k, v in row.items()})[0].tolist()))\n"
        "heavy = {'sklearn', 'pandas', 'scipy', 'onnx', 'pyarrow', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    expected = kdcore.load(path).predict_proba(data.X.iloc[[1]])[0]
    np.testing.assert_array_equal(np.float32(json.loads(done.stdout)), expected)


@pytest.mark.parametrize("labels", ["positions", "gaps", "text", "truth"])
def test_labels_come_back_as_they_were_given(tmp_path, labels):
    data = tiny_data(labels="positions" if labels == "truth" else labels)
    y = data.y.astype(bool) if labels == "truth" else data.y
    student = Linear().fit(data.X, y)
    pack(student, data.X).save(tmp_path / "student.kd")
    bundle = kdcore.load(tmp_path / "student.kd")
    got = bundle.predict(data.X)
    assert got.dtype.kind == y.dtype.kind
    np.testing.assert_array_equal(got, student.predict(data.X))
    one = bundle.predict_one(data.X.iloc[0].to_dict())
    assert type(one) is type(y[0].item())
    assert list(bundle.predict_proba_one(data.X.iloc[0].to_dict())) == np.unique(y).tolist()


def test_categories_that_training_lacked_are_counted_and_predicted(data, path, student):
    bundle = kdcore.load(path)
    name = next(c["name"] for c in bundle.manifest["columns"] if c["kind"] == "categorical")
    new = data.X.assign(**{name: data.X[name].astype(object)})
    new.loc[new.index[:3], name] = "never seen"
    new.loc[new.index[3:5], name] = None
    assert bundle.unseen(data.X) == {}
    assert bundle.unseen(new) == {name: 3}
    np.testing.assert_allclose(bundle.predict_proba(new), student.predict_proba(new), atol=1e-5)


def test_a_student_of_few_columns_asks_for_no_other(tmp_path, data):
    names = list(data.X.columns[:2])
    student = Linear(features=names).fit(data.X, data.y)
    pack(student, data.X).save(tmp_path / "small.kd")
    bundle = kdcore.load(tmp_path / "small.kd")
    assert bundle.features == bundle.manifest["selected"] == names
    np.testing.assert_allclose(
        bundle.predict_proba(data.X[names]), student.predict_proba(data.X), atol=1e-5
    )


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json")), archive.read("model.onnx")


def rewritten(path: Path, members: dict[str, bytes]) -> Path:
    """A file beside the bundle that holds these members, and a hash of its manifest, only."""
    out = path.with_name("changed.kd")
    if "manifest.json" in members and "manifest.sha256" not in members:
        seal = hashlib.sha256(members["manifest.json"]).hexdigest().encode()
        members = {**members, "manifest.sha256": seal}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out


def refused(path: Path, reason: str) -> None:
    with pytest.raises(BundleError, match=reason) as caught:
        kdcore.load(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("member", ["manifest.json", "model.onnx"])
def test_a_bundle_without_one_of_its_members_is_refused(path, member):
    manifest, model = parts(path)
    members = {"manifest.json": json.dumps(manifest).encode(), "model.onnx": model}
    del members[member]
    refused(rewritten(path, members), f"0 members called {member}")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"format_version": 99}, "format version 99, .*upgrade kdcore"),
        ({"format_version": None}, "names no format version"),
        ({"task": 7}, "no valid 'task'"),
        ({"columns": 3}, "no valid 'columns'"),
        ({"columns": []}, "columns"),
        ({"sha256": "none"}, "no valid 'sha256'"),
        ({"sha256": {}}, r"holds 'model\.onnx', which its manifest does not name"),
    ],
)
def test_a_manifest_that_does_not_describe_its_bundle_is_refused(path, keys, reason):
    manifest, model = parts(path)
    changed = json.dumps({**manifest, **keys}).encode()
    refused(rewritten(path, {"manifest.json": changed, "model.onnx": model}), reason)


@pytest.mark.parametrize(
    "manifest", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"], ids=lambda m: repr(m[:5])
)
def test_a_manifest_that_is_no_manifest_is_refused(path, manifest):
    members = {"manifest.json": manifest, "model.onnx": parts(path)[1]}
    refused(rewritten(path, members), "is not a (readable )?bundle")


def test_a_model_that_was_changed_is_refused_even_with_a_new_hash(path):
    manifest, model = parts(path)
    changed = bytes(model[:-9]) + b"012345678"
    as_it_was = json.dumps(manifest).encode()
    refused(
        rewritten(path, {"manifest.json": as_it_was, "model.onnx": changed}),
        r"model\.onnx does not match its hash",
    )
    other = linear_model(np.eye(2), np.zeros(2), link="identity").SerializeToString()
    for content, reason in ((b"no model", "cannot be run"), (other, "does not fit its manifest")):
        manifest["sha256"]["model.onnx"] = hashlib.sha256(content).hexdigest()
        members = {"manifest.json": json.dumps(manifest).encode(), "model.onnx": content}
        refused(rewritten(path, members), reason)


def test_a_manifest_that_was_rewritten_is_refused_however_small_the_change(path):
    """Swapped class names would be the worst: every prediction wrong, and nothing to see."""
    manifest, model = parts(path)
    with zipfile.ZipFile(path) as archive:
        seal = archive.read("manifest.sha256")
    classes = manifest["classes"]
    for change in ({"classes": classes[::-1]}, {"target": "other"}, {"parity": {"flipped": 0}}):
        members = {"manifest.json": json.dumps({**manifest, **change}).encode()}
        members |= {"manifest.sha256": seal, "model.onnx": model}
        refused(rewritten(path, members), r"manifest\.json does not match its hash")
    whole = {"manifest.json": json.dumps(manifest, indent=1).encode(), "model.onnx": model}
    assert kdcore.load(rewritten(path, {**whole, "manifest.sha256": seal})).features
    refused(rewritten(path, {**whole, "manifest.sha256": b""}), r"manifest\.json does not match")


def test_every_member_is_compared_with_its_hash_and_strange_ones_are_refused(path):
    manifest, model = parts(path)
    report = {"report.html": b"<p>fine</p>"}
    whole = archive_bytes(manifest, {"model.onnx": model, **report})
    other = path.with_name("whole.kd")
    other.write_bytes(whole)
    assert kdcore.load(other).manifest["sha256"].keys() == {"model.onnx", "report.html"}
    with zipfile.ZipFile(other) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused(
        rewritten(path, {**members, "report.html": b"<p>changed</p>"}), r"report\.html does not"
    )
    refused(rewritten(path, {**members, "run.py": b"1"}), r"holds 'run\.py', which its manifest")
    del members["report.html"]
    refused(rewritten(path, members), r"0 members called report\.html")


def test_a_file_that_is_no_bundle_is_refused(path):
    refused(path.with_name("none.kd"), "there is no bundle")
    other = path.with_name("other.kd")
    for content in (b"", b"not a zip at all", b"PK\x03\x04" + bytes(100)):
        other.write_bytes(content)
        refused(other, "not a readable bundle")
    with zipfile.ZipFile(other, "w"):
        pass
    refused(other, r"0 members called manifest\.json")


def test_a_file_cut_short_anywhere_is_refused(path):
    data, short = path.read_bytes(), path.with_name("short.kd")
    for end in {*range(0, len(data), max(1, len(data) // 60)), len(data) - 1}:
        short.write_bytes(data[:end])
        refused(short, "not a readable bundle")


def test_one_wrong_byte_is_noticed_or_changes_no_prediction(path, data):
    """Bytes that mean nothing for predictions, such as the time of a member, may differ."""
    whole, broken = path.read_bytes(), path.with_name("broken.kd")
    rows = data.X.head(20)
    expected = kdcore.load(path).predict_proba(rows)
    reasons = []
    rng = np.random.default_rng(0)
    ends = [*range(60), *range(len(whole) - 160, len(whole))]
    for position in {*ends, *rng.integers(0, len(whole), 150).tolist()}:
        content = bytearray(whole)
        content[position] ^= 1 << int(rng.integers(8))
        broken.write_bytes(content)
        try:
            got = kdcore.load(broken).predict_proba(rows)
        except BundleError as error:
            reasons.append(str(error))
        else:
            np.testing.assert_array_equal(got, expected)
    assert len(reasons) > 200
    assert not any("\n" in reason for reason in reasons)


def test_a_member_that_claims_a_huge_size_is_not_read(path):
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    assert data[entry + 46 :].startswith(b"model.onnx")
    # The uncompressed size stands 24 bytes into an entry of the central directory.
    data[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, r"model\.onnx claims 4294967294 bytes")


def test_a_manifest_that_unpacks_to_very_much_is_not_read(path):
    members = {"manifest.json": b" " * (64 * 2**20 + 1), "model.onnx": b""}
    bomb = rewritten(path, members)
    assert bomb.stat().st_size < 2**18
    refused(bomb, r"manifest\.json claims 67108865 bytes")


def test_a_student_whose_graph_differs_is_not_saved(data):
    with pytest.raises(BundleError, match=r"differs from Python by up to .* of 1?\d\d held-out"):
        pack(Wrong().fit(data.X, data.y), data.X)


def test_a_regression_whose_graph_is_off_in_one_row_or_undefined_is_not_saved():
    data = tiny_data("regression")
    bundle = pack(Line().fit(data.X, data.y), data.X).bundle
    for wrong in (1.0, np.nan):
        other = Line().fit(data.X, data.y)
        values = other.predict(data.X)
        values[7] += wrong
        other.predict = lambda X, values=values: values  # type: ignore[method-assign]
        with pytest.raises(BundleError, match=r"in 1 of 160 held-out rows \(first: row 7\)"):
            parity(bundle, other, data.X)


def test_a_student_that_cannot_be_written_says_what_its_plugin_must_define(data):
    with pytest.raises(KDError, match=r"SoftmaxStudent cannot .* must define to_onnx\(\)"):
        pack(SoftmaxStudent().fit(data.X, data.y), data.X)


def test_equal_contents_are_equal_bytes(data, student):
    assert pack(student, data.X).data == pack(student, data.X).data


class Encoded:
    """A student that hands on what its encoder gives, so that a graph shows the encoding."""

    def __init__(self, encoder: Any) -> None:
        self.encoder_ = encoder

    def to_onnx(self) -> onnx.ModelProto:
        width = len(self.encoder_.owners_)
        source = helper.make_tensor_value_info("Z", TensorProto.FLOAT, ["N", width])
        target = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", width])
        node = helper.make_node("Identity", ["Z"], ["out"])
        graph = helper.make_graph([node], "student", [source], [target])
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def encoded_by_graph(encoder: Any, frame: pd.DataFrame) -> np.ndarray:
    session = onnxruntime.InferenceSession(build_graph(Encoded(encoder)).SerializeToString())
    schema = encoder.schema_
    feed: dict[str, Any] = {}
    if schema.numeric:
        feed[NUMERIC] = np.ascontiguousarray(schema.numbers(frame))
    if schema.categorical:
        keys = [category_keys(frame[c.name]) for c in schema.categorical]
        feed[CATEGORICAL] = np.stack(keys, axis=1)
    return session.run(None, feed)[0]


ENCODERS = [
    StandardEncoder(min_frequency=4),
    StandardEncoder(min_frequency=30, max_categories=2),
    OrdinalEncoder(),
    QuantileEncoder(),
    PiecewiseLinearEncoder(),
    SplineEncoder(),
    TeacherBinsEncoder(n_bins=3),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("gaps_in_training", [False, True])
def test_an_encoder_in_onnx_encodes_as_in_python(data, encoder, gaps_in_training):
    """Unseen categories, gaps in columns that had none, and rare categories included."""
    train = data.X if gaps_in_training else data.X.dropna()
    fitted = clone(encoder).fit(train)
    new = data.X.astype(object)
    for shift, name in enumerate(new.columns):
        new.loc[new.index[shift::5], name] = None
    for shift, column in enumerate(fitted.schema_.categorical):
        new.loc[new.index[shift + 3 :: 7], column.name] = "never seen"
    assert len(fitted.schema_.unseen(new)) == 2
    for frame in (train, new):
        got, expected = encoded_by_graph(fitted, frame), fitted.transform(frame)
        np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.isnan(expected).any() == isinstance(encoder, OrdinalEncoder)


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize(
    "train",
    [
        pd.DataFrame({"a": [1.0, 2.0, np.nan]}),
        pd.DataFrame({"c": ["x", "y", "x"]}),
        pd.DataFrame({"a": [5.0, 5.0, 5.0], "c": ["x", "x", "x"]}),
        pd.DataFrame({"a": [np.nan] * 3, "c": pd.Categorical([None] * 3, ["x"])}),
        pd.DataFrame({"c": ["1=x", "x", "é 名"], "d": ["x", "1=x", "0="]}),
    ],
    ids=["numbers", "texts", "constant", "always missing", "odd texts"],
)
def test_a_table_of_an_odd_kind_is_encoded_in_onnx_as_in_python(encoder, train):
    fitted = clone(encoder).fit(train)
    texts = [c for c in train if c != "a"]
    new = pd.concat([train.astype(dict.fromkeys(texts, object))] * 2, ignore_index=True)
    if "a" in new:
        new["a"] = [np.nan, 1e6, -3.0, 5.0, 0.0, 2.0]
    for name in texts:
        new.loc[3:4, name] = ["never seen", None]
    for frame in (train, new):
        got, expected = encoded_by_graph(fitted, frame), fitted.transform(frame)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


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


@st.composite
def forests(draw: st.DrawFn) -> tuple[list[dict[str, np.ndarray]], int, int, list[float]]:
    """Trees of any shape, each for all outputs or for one, over up to three columns."""
    n_features, n_outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    scale = 10.0 ** draw(st.integers(-6, 6))
    trees = []
    for _ in range(draw(st.integers(1, 4))):
        inner = draw(st.integers(0, 6))
        n = 2 * inner + 1
        left, right = np.full(n, -1), np.full(n, -1)
        leaves, following = [0], 1
        for _ in range(inner):
            node = leaves.pop(int(rng.integers(len(leaves))))
            left[node], right[node] = following, following + 1
            leaves += [following, following + 1]
            following += 2
        shape = (n, n_outputs) if draw(st.booleans()) else (n,)
        # Whole numbers have exact float32 sums, in whatever order they are added.
        tree = {
            "left": left,
            "right": right,
            "feature": rng.integers(0, n_features, n),
            "threshold": rng.normal(0, scale, n),
            "missing_left": rng.random(n) < 0.5,
            "value": rng.integers(-9, 10, shape).astype(float),
        }
        if len(shape) == 1:
            tree["output"] = np.array(rng.integers(n_outputs))
        trees.append(tree)
    base = [float(b) for b in rng.integers(-5, 6, n_outputs)] if draw(st.booleans()) else []
    return trees, n_features, n_outputs, base


def test_an_output_that_no_tree_feeds_has_its_base_value():
    leaf = np.array([-1])
    tree = dict.fromkeys(("left", "right"), leaf) | {
        "feature": np.array([0]),
        "threshold": np.array([0.0]),
        "missing_left": np.array([False]),
        "value": np.array([2.0]),
        "output": np.array(1),
    }
    for trees, expected in (([tree], [1.0, 4.0, 3.0]), ([], [1.0, 2.0, 3.0])):
        model = tree_ensemble(
            trees, n_features=1, n_outputs=3, base=[1.0, 2.0, 3.0], less_or_equal=True
        )
        session = onnxruntime.InferenceSession(model.SerializeToString())
        got = session.run(None, {"Z": np.zeros((2, 1), dtype=np.float32)})[0]
        np.testing.assert_array_equal(got, [expected] * 2)


def walked(
    trees: list[dict[str, np.ndarray]],
    rows: np.ndarray,
    base: list[float],
    n_outputs: int,
    leq: bool,
) -> np.ndarray:
    """What the trees say of float32 rows when thresholds stay float64."""
    out = np.zeros((len(rows), n_outputs)) + (base or 0.0)
    for i, row in enumerate(rows.astype(float)):
        for tree in trees:
            node = 0
            while tree["left"][node] >= 0:
                x, t = row[tree["feature"][node]], tree["threshold"][node]
                goes = tree["missing_left"][node] if np.isnan(x) else x <= t if leq else x < t
                node = tree["left" if goes else "right"][node]
            if "output" in tree:
                out[i, int(tree["output"])] += tree["value"][node]
            else:
                out[i] += tree["value"][node]
    return out


@settings(max_examples=60)
@given(forests(), st.booleans(), st.sampled_from(["identity", "logistic", "softmax"]))
def test_trees_in_onnx_decide_like_python_at_and_beside_every_threshold(forest, leq, link):
    trees, n_features, n_outputs, base = forest
    if link == "logistic":
        n_outputs, base = 1, base[:1]
        trees = [
            {**t, "value": t["value"] if t["value"].ndim == 1 else t["value"][:, :1]}
            | ({"output": np.array(0)} if "output" in t else {})
            for t in trees
        ]
    near = np.concatenate([t["threshold"][t["left"] >= 0] for t in trees]).astype(np.float32)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    values = np.hstack([near, np.nextafter(near, up), np.nextafter(near, down), [np.nan, 0.0]])
    rng = np.random.default_rng(0)
    columns = [rng.permutation(np.tile(values, 2)) for _ in range(n_features)]
    rows = np.stack(columns, axis=1).astype(np.float32)
    model = tree_ensemble(
        trees,
        n_features=n_features,
        n_outputs=n_outputs,
        base=base,
        less_or_equal=leq,
        link=link,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    got = session.run(None, {"Z": rows})[0]
    sums = walked(trees, rows, base, n_outputs, leq)
    if link == "identity":
        np.testing.assert_array_equal(got, sums)
    elif link == "softmax":
        np.testing.assert_allclose(got, softmax(sums), atol=1e-6)
    else:
        np.testing.assert_allclose(got, softmax(np.hstack([0 * sums, sums])), atol=1e-6)


@pytest.mark.parametrize("link", ["identity", "logistic", "softmax"])
def test_a_linear_model_in_onnx_computes_what_it_stands_for(link):
    rng = np.random.default_rng(0)
    coef, intercept = rng.normal(size=(1 if link == "logistic" else 3, 4)), rng.normal(size=1)
    Z = rng.normal(size=(20, 4)).astype(np.float32) * 10
    model = linear_model(coef, np.repeat(intercept, len(coef)), link=link)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    scores = Z @ coef.T + intercept
    expected = {
        "identity": scores,
        "logistic": softmax(np.hstack([0 * scores, scores])) if link == "logistic" else None,
        "softmax": softmax(scores),
    }[link]
    np.testing.assert_allclose(session.run(None, {"Z": Z})[0], expected, rtol=1e-4, atol=1e-5)


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_path(path) as temporary:
        temporary.write_text("half \ud800", encoding="utf-8")
    assert path.read_text() == "old"

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_finished_file_may_be_read_by_those_whom_open_would_let(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_bundle_for_a_folder_that_is_not_there_says_so(tmp_path, data, student):
    with pytest.raises(KDError, match=r"cannot write to the folder .*: No such file"):
        pack(student, data.X).save(tmp_path / "none" / "student.kd")


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
