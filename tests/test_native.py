"""Native re-loading: a bundle gives back the Python student, from data, never from pickles."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from small_models import LeastSquaresStudent, SoftmaxStudent

import kdcore
from kdcore import KDError, StudentSpec
from kdcore.archive import archive_bytes, read_members
from kdcore.bundle import pack
from kdcore.encoders import StandardEncoder
from kdcore.errors import BundleError, KDWarning, ParameterError
from kdcore.graph import linear_model
from kdcore.native import STUDENT
from kdcore.plain import NotPlain, from_json, to_json
from kdcore.shared_bytes import joined, parted
from kdcore.testing import tiny_data


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Line(LeastSquaresStudent):
    """Its model is an object of scikit-learn, which it writes as JSON."""

    def state(self) -> tuple[str, bytes]:
        told = {"coef": self.model_.coef_.tolist(), "intercept": self.model_.intercept_}
        return "state.json", json.dumps(told).encode()

    def to_onnx(self) -> Any:
        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


def make_linear(task: str) -> Linear:
    return Linear()


def make_line(task: str) -> Line:
    return Line()


def restore_line(manifest: dict[str, Any], data: bytes) -> Line:
    from sklearn.linear_model import Ridge

    told = json.loads(data)
    student = Line()
    student.model_ = Ridge(alpha=1.0)
    student.model_.coef_, student.model_.intercept_ = np.array(told["coef"]), told["intercept"]
    student.model_.n_features_in_ = len(told["coef"])
    return student


LINEAR = StudentSpec(
    name="test_linear",
    summary="Plain attributes only.",
    factory=f"{__name__}:make_linear",
    tasks=("binary", "multiclass"),
)
LINE = StudentSpec(
    name="test_line",
    summary="A model of its own.",
    factory=f"{__name__}:make_line",
    tasks=("regression",),
    restore=f"{__name__}:restore_line",
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    with kdcore.register(LINEAR), kdcore.register(LINE):
        yield


@pytest.fixture(scope="module")
def data():
    return tiny_data("multiclass", labels="text")


@pytest.fixture
def path(tmp_path, data):
    pack(Linear(penalty=0.5).fit(data.X, data.y), data.X, name="test_linear").save(
        tmp_path / "student.kd"
    )
    return tmp_path / "student.kd"


@pytest.mark.parametrize("encoder", ["standard", "teacher_bins:pairs=2", "spline", "quantile"])
def test_a_student_of_plain_data_comes_back_as_it_was(tmp_path, data, encoder):
    student = Linear(encoder=encoder, penalty=0.5).fit(data.X, data.y)
    pack(student, data.X, name="test_linear").save(tmp_path / "student.kd")
    again = kdcore.load(tmp_path / "student.kd", native=True)
    assert type(again) is Linear
    assert again.get_params() == student.get_params()
    np.testing.assert_array_equal(again.predict_proba(data.X), student.predict_proba(data.X))
    np.testing.assert_array_equal(again.feature_importances_, student.feature_importances_)
    assert again.classes_.dtype == student.classes_.dtype
    np.testing.assert_array_equal(
        again.encoder_.get_feature_names_out(), student.encoder_.get_feature_names_out()
    )
    again.fit(data.X, data.y)
    np.testing.assert_array_equal(again.predict_proba(data.X), student.predict_proba(data.X))


def test_a_model_of_another_library_comes_back_through_its_plugin(tmp_path):
    data = tiny_data("regression")
    student = Line(encoder=StandardEncoder(min_frequency=3)).fit(data.X, data.y)
    pack(student, data.X, name="test_line").save(tmp_path / "line.kd")
    again = kdcore.load(tmp_path / "line.kd", native=True)
    np.testing.assert_allclose(again.predict(data.X), student.predict(data.X))
    assert again.encoder.min_frequency == 3
    assert again.encoder is not again.encoder_


def test_a_prediction_needs_neither_state_nor_plugin(path, data):
    _, members = read_members(path)
    assert set(members) == {"model.onnx", STUDENT}
    small = pack(Linear().fit(data.X, data.y), data.X, name="test_linear", state=False)
    assert small.bundle.manifest["native"] is None
    assert set(small.members) == {"model.onnx"}
    assert len(small.data) < path.stat().st_size
    small.save(path)
    assert kdcore.load(path).predict(data.X).shape == data.y.shape
    with pytest.raises(
        BundleError, match=r"student\.kd' holds no Python student; it was saved with"
    ):
        kdcore.load(path, native=True)


def test_a_student_that_cannot_be_written_is_saved_all_the_same_and_says_why(tmp_path, data):
    student = Linear().fit(data.X, data.y)
    student.model_ = object()  # type: ignore[attr-defined]
    packed = pack(student, data.X, name="test_linear")
    packed.save(tmp_path / "student.kd")
    with pytest.raises(
        BundleError, match=r"no Python student: its attribute model_ .* no state\(\)"
    ):
        kdcore.load(tmp_path / "student.kd", native=True)
    student = Linear(encoder=Own()).fit(data.X, data.y)
    from kdcore.native import native_members

    assert "Own is no encoder of kdcore" in native_members(student)[0]["reason"]


class Own(StandardEncoder):
    pass


def test_code_among_the_parameters_is_left_out_and_told(tmp_path, data):
    def own(*, alpha: float, temperature: float) -> Any:
        from kdcore.losses import KL

        return KL(alpha=alpha, temperature=temperature)

    student = Linear(loss=own).fit(data.X, data.y)
    pack(student, data.X, name="test_linear").save(tmp_path / "student.kd")
    with pytest.warns(KDWarning, match="'loss' of the student held code"):
        again = kdcore.load(tmp_path / "student.kd", native=True)
    assert again.loss is None
    np.testing.assert_array_equal(again.predict_proba(data.X), student.predict_proba(data.X))


def test_without_its_plugin_the_student_is_named(path):
    manifest, members = read_members(path)
    del members["model.onnx"]
    from kdcore.native import restored

    with pytest.raises(KDError, match="test_gone"):
        restored({**manifest, "student": "test_gone"}, members)
    with pytest.raises(ParameterError, match="threads"):
        kdcore.load(path, native=True, threads=2)


def test_weights_that_graph_and_state_share_are_held_once(tmp_path):
    rng = np.random.default_rng(0)
    weights, others = (rng.normal(size=(70, 3)).astype(np.float32) for _ in range(2))
    model = linear_model(weights.T, np.zeros(3), link="identity").SerializeToString()
    for data in (
        b"head" + weights.tobytes() + b"tail",
        weights.tobytes(),
        others.tobytes() + weights.tobytes() + weights.tobytes(),
        others.tobytes(),
        b"",
    ):
        rest, places = parted(data, model)
        assert joined(rest, places, model) == data
        assert len(rest) == len(data) - weights.nbytes * (weights.tobytes() in data)
    for places in (
        [[0, -1, 4]],
        [[0, 0, 10**9]],
        [[5, 0, 4]],
        [[0, 0, 4], [2, 0, 4]],
        [[0, 9, -5]],
    ):
        with pytest.raises(ValueError, match="lead out"):
            joined(b"rest", places, model)


def changed(path: Any, told: Any) -> None:
    manifest, members = read_members(path)
    path.write_bytes(archive_bytes(manifest, {**members, STUDENT: json.dumps(told).encode()}))


ATTACKS: list[tuple[tuple[str, ...], Any]] = [
    (("attributes", "predict"), "x"),
    (("attributes", "fit"), "x"),
    (("attributes", "__class__"), "x"),
    (("attributes", "__dict__"), {"dict": {}}),
    (("attributes", "weights_"), {"array": {"type": "O8", "shape": [1], "data": "AAAA"}}),
    (("attributes", "weights_"), {"array": {"type": "f4", "shape": [2**40], "data": "AAAA"}}),
    (("attributes", "weights_"), {"pickle": "gASVAAAA"}),
    (("encoder", "kind"), "os"),
    (("encoder", "parameters"), {"dict": {"nothing": 1}}),
    (("encoder", "attributes", "dict", "transform"), 1),
    (("encoder",), None),
    (("parameters",), 7),
]


@pytest.mark.parametrize(("keys", "value"), ATTACKS)
def test_a_forged_state_replaces_no_code(path, data, keys, value):
    """Its hashes are right, as of a file that somebody made."""
    told = json.loads(read_members(path)[1][STUDENT])
    place = told
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    changed(path, told)
    with pytest.raises(BundleError, match="cannot be restored") as caught:
        kdcore.load(path, native=True)
    assert "\n" not in str(caught.value)
    # Its graph is as it was.
    assert kdcore.load(path).predict(data.X).shape == data.y.shape


def test_a_member_that_is_damaged_is_refused(path):
    content = bytearray(path.read_bytes())
    at = content.index(STUDENT.encode()) + len(STUDENT) + 20
    content[at] ^= 255
    path.write_bytes(content)
    for native in (True, False):
        with pytest.raises(BundleError):
            kdcore.load(path, native=native)  # type: ignore[call-overload]


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.sampled_from([np.float32(1.5), np.int64(-3), np.bool_(True), np.float64("nan")]),
        arrays.arrays(
            st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_, ">f4", "<U3"]),
            arrays.array_shapes(min_dims=0, max_dims=3, min_side=0),
            elements=None,
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text("abc{}", max_size=3), inner, max_size=3),
    ),
    max_leaves=5,
)


@given(plain)
def test_plain_data_comes_back_bit_for_bit(value):
    told = json.dumps(to_json(value), allow_nan=False)
    again = from_json(json.loads(told))
    assert type(again) is type(value)
    assert json.dumps(to_json(again)) == told
    if isinstance(value, np.ndarray):
        assert again.shape == value.shape
        assert again.dtype.kind == value.dtype.kind
        assert again.tobytes() == value.astype(again.dtype).tobytes()


@pytest.mark.parametrize("value", [object(), {1: 2}, len, {1}, b"x", np.zeros(2, complex), 1j])
def test_what_is_more_than_data_is_not_written(value):
    for held in (value, [value], {"a": (value,)}):
        with pytest.raises(NotPlain):
            to_json(held)
