"""Teachers from model files: ONNX in all its shapes, plugins' files, and what cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import LeastSquaresStudent, SoftmaxStudent, WeightlessTeacher

import kdcore
from kdcore import KDError, TeacherSpec
from kdcore.model_files import OnnxTeacher, load_model_file

CLASSES = np.array(["blue", "green", "red"])
COEF = np.array([[1.0, 0.2, -1.0], [0.0, 0.5, -0.5]], dtype=np.float32)


def table(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    frame["label"] = CLASSES[proba(frame).argmax(axis=1)]
    return frame


def proba(frame: pd.DataFrame, coef: np.ndarray = COEF) -> np.ndarray:
    exp = np.exp(frame[["a", "b"]].to_numpy() @ coef)
    return exp / exp.sum(axis=1, keepdims=True)


def model(
    *,
    columns: tuple[str, ...] | None = None,
    kind: int = TensorProto.FLOAT,
    width: int | None = 2,
    coef: np.ndarray = COEF,
    link: str | None = "Softmax",
    zipmap: list[Any] | None = None,
    label: bool = False,
) -> bytes:
    """A linear model as other tools may write it."""
    nodes, inputs = [], []
    if columns is None:
        inputs = [helper.make_tensor_value_info("X", kind, [None, width])]
        nodes.append(helper.make_node("Cast", ["X"], ["rows"], to=TensorProto.FLOAT))
    else:
        inputs = [helper.make_tensor_value_info(c, kind, [None, 1]) for c in columns]
        nodes.append(helper.make_node("Concat", list(columns), ["joined"], axis=1))
        nodes.append(helper.make_node("Cast", ["joined"], ["rows"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("MatMul", ["rows", "coef"], ["scores"]))
    last = "scores"
    if link is not None:
        axis = {"axis": 1} if link == "Softmax" else {}
        nodes.append(helper.make_node(link, [last], ["linked"], **axis))
        last = "linked"
    outputs = []
    if label:
        nodes.append(helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0))
        outputs.append(helper.make_tensor_value_info("label", TensorProto.INT64, [None]))
    if zipmap is None:
        outputs.append(
            helper.make_tensor_value_info(last, TensorProto.FLOAT, [None, coef.shape[1]])
        )
    else:
        text = isinstance(zipmap[0], str)
        names = {"classlabels_strings" if text else "classlabels_int64s": zipmap}
        nodes.append(helper.make_node("ZipMap", [last], ["mapped"], domain="ai.onnx.ml", **names))
        key = TensorProto.STRING if text else TensorProto.INT64
        value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        mapping = helper.make_sequence_type_proto(helper.make_map_type_proto(key, value))
        outputs.append(helper.make_value_info("mapped", mapping))
    constants = [numpy_helper.from_array(coef, "coef")]
    graph = helper.make_graph(nodes, "model", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made.SerializeToString()


def write(path: Path, **shape: Any) -> Path:
    path.write_bytes(model(**shape))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


SHAPES = {
    "one matrix": {},
    "one matrix of any width": {"width": None},
    "one matrix of doubles": {"kind": TensorProto.DOUBLE},
    "one input for each column": {"columns": ("b", "a"), "coef": COEF[::-1].copy()},
    "label and matrix": {"label": True},
    "mappings": {"zipmap": CLASSES.tolist(), "label": True},
    "mappings in another order": {
        "zipmap": ["red", "blue", "green"],
        "coef": COEF[:, [2, 0, 1]].copy(),
    },
    "mappings of positions": {"zipmap": [0, 1, 2]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_usual_shape_of_a_model_gives_the_right_class_its_probability(path, shape):
    teacher = OnnxTeacher(write(path, **shape), CLASSES)
    frame = table().drop(columns="label")
    np.testing.assert_allclose(teacher.predict_proba(frame), proba(frame), atol=1e-6)
    assert (teacher.predict(frame) == table()["label"]).all()


def test_one_probability_is_enough_for_two_classes(path):
    write(path, coef=COEF[:, :1].copy(), link="Sigmoid")
    frame = table().drop(columns="label")
    out = OnnxTeacher(path, np.array(["no", "yes"])).predict_proba(frame)
    np.testing.assert_allclose(out[:, 1], 1 / (1 + np.exp(-frame.to_numpy() @ COEF[:, 0])), 1e-5)
    np.testing.assert_allclose(out.sum(axis=1), 1)


def test_a_model_of_numbers_teaches_a_regression(path):
    write(path, coef=COEF[:, :1].copy(), link=None)
    data = table().drop(columns="label")
    data["y"] = data[["a", "b"]].to_numpy() @ COEF[:, 0]
    result = kdcore.distill(
        data, target="y", teacher=path, fitted="held-out", student=LeastSquaresStudent()
    )
    assert result.report.teacher["metrics"]["rmse"] < 1e-5
    assert result.report.teacher["name"] == "model.onnx"


def test_digits_of_doubles_are_not_lost(path):
    write(path, kind=TensorProto.DOUBLE, columns=("a", "b"))
    feed = OnnxTeacher(path, CLASSES)._feed(pd.DataFrame({"a": [0.1], "b": [1e-9]}))
    assert feed["a"][0, 0] == 0.1


@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        ({}, lambda f: f.assign(c=1.0), r"made for 2 columns, but the table has 3: a, b, c"),
        ({"columns": ("a", "z")}, lambda f: f, r"reads the column\(s\) 'z', which the table lacks"),
        ({}, lambda f: f.assign(b="x"), r"column 'b' holds 'x', expected a number"),
        (
            {"kind": TensorProto.INT64},
            lambda f: f.assign(b=np.nan),
            r"whole numbers, but values of the column 'b' are missing",
        ),
        ({"zipmap": ["blue", "green", "grey"]}, lambda f: f, r"predicts the class 'grey'"),
        ({"coef": np.ones((2, 4), np.float32)}, lambda f: f, r"of 4 class\(es\), but .* has 3"),
        ({"link": None}, lambda f: f, r"gives no probabilities: its output for row 0 is"),
        ({"coef": COEF[:, :1].copy()}, lambda f: f, r"holds a regression model"),
    ],
    ids=["width", "column", "text", "gaps", "class", "classes", "scores", "regression"],
)
def test_what_does_not_fit_the_table_is_named(path, shape, change, message):
    with pytest.raises(KDError, match=message):
        kdcore.distill(
            change(table()),
            target="label",
            teacher=write(path, **shape),
            fitted="held-out",
            student=SoftmaxStudent(),
        )


def test_a_classifier_cannot_teach_a_regression(path):
    data = table().assign(label=np.arange(120.0))
    with pytest.raises(KDError, match="holds a classifier, but the task is regression"):
        kdcore.distill(data, target="label", teacher=write(path, label=True))


@pytest.mark.parametrize("keep", [0, 10, 200], ids=["empty", "start", "half"])
def test_a_truncated_file_is_refused(path, keep):
    path.write_bytes(model()[:keep])
    with pytest.raises(KDError, match="is not a usable ONNX model"):
        load_model_file(path, CLASSES)


def test_a_file_cannot_be_fitted_anew(path):
    with pytest.raises(KDError, match="cannot be fitted anew"):
        kdcore.distill(table(), target="label", teacher=write(path), fitted="refit")


def test_parameters_for_a_file_are_refused(path):
    with pytest.raises(KDError, match=r"\(depth\) cannot be used with the model file"):
        kdcore.distill(table(), target="label", teacher=write(path), teacher_params={"depth": 2})


# --- files of plugins: the core knows their loaders only ------------------------------------------


def make(task: str) -> WeightlessTeacher:
    return WeightlessTeacher()


def load_toy(path: Path) -> WeightlessTeacher:
    words = path.read_text().split()
    if words[:1] != ["toy"]:
        raise ValueError("no toy\nat all")
    return WeightlessTeacher().fit(None, np.array([int(w) for w in words[1:]]))


@pytest.fixture
def toy():
    # Tests are no package, so the loader's module is named as it is.
    sys.modules.setdefault(__name__, sys.modules[make.__module__])
    spec = TeacherSpec(
        name="toy",
        summary="Knows shares.",
        factory=f"{__name__}:make",
        loader=f"{__name__}:load_toy",
        suffixes=(".toy",),
        tasks=("binary", "multiclass"),
    )
    with kdcore.register(spec):
        yield


@pytest.mark.usefixtures("toy")
class TestAFileOfAPlugin:
    def test_its_numbered_classes_get_the_names_of_the_table(self, tmp_path):
        (tmp_path / "m.toy").write_text("toy 0 0 1 2")
        result = kdcore.distill(
            table(),
            target="label",
            teacher=tmp_path / "m.toy",
            fitted="held-out",
            student=SoftmaxStudent(),
        )
        assert list(result.teacher.classes_) == CLASSES.tolist()
        np.testing.assert_allclose(result.teacher.predict_proba(table())[0], [0.5, 0.25, 0.25])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("toy 0 1", "knows 2 classes, but the table has 3"),
            ("toy 5 6 7", "predicts the class '5'"),
            ("noise", "cannot be read as one of toy: ValueError: no toy at all"),
        ],
        ids=["classes", "names", "damaged"],
    )
    def test_one_that_does_not_fit_is_refused_in_one_line(self, tmp_path, text, message):
        (tmp_path / "m.toy").write_text(text)
        with pytest.raises(KDError, match=message) as caught:
            kdcore.distill(
                table(), target="label", teacher=tmp_path / "m.toy", student=SoftmaxStudent()
            )
        assert len(str(caught.value).splitlines()) == 1

    def test_an_ending_that_nobody_reads_lists_those_that_are_read(self, tmp_path):
        (tmp_path / "m.bin").touch()
        with pytest.raises(KDError, match=r"endings that are read: .*\.toy.*\.onnx"):
            load_model_file(tmp_path / "m.bin", CLASSES)
