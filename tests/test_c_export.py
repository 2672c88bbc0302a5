"""``kd export --format c``: a C compiler's program predicts what the bundle predicts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from small_models import LeastSquaresStudent, SoftmaxStudent
from test_compiled import SetTeacher, table

from kdcore import KDError
from kdcore.__main__ import main
from kdcore.bundle import pack
from kdcore.c_values import array, comment, literal, text
from kdcore.compiled import compile_teacher
from kdcore.exports import export
from kdcore.onnx_models import kernel_model, linear_model, perceptron, student_graph
from kdcore.testing import tiny_data

STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
#: A read beyond an array or an undefined shift ends the program.
CHECKED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DKDCORE_SELF_TEST"]


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Line(LeastSquaresStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


class Given(SoftmaxStudent):
    """Its graph is given; Python asks the graph, so that the C text is what is tested."""

    make: Any = None

    def to_onnx(self) -> Any:
        return type(self).make(len(self.encoder_.owners_), len(self.classes_))

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        import onnxruntime

        session = onnxruntime.InferenceSession(self.to_onnx().SerializeToString())
        return session.run(None, {session.get_inputs()[0].name: Z.astype(np.float32)})[0]


def self_test(path: Path) -> str:
    program = path.with_suffix("")
    subprocess.run(["cc", *STRICT, *CHECKED, str(path), "-lm", "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == ("0 of" not in done.stdout)
    return done.stdout


@pytest.fixture
def data():
    return tiny_data("multiclass", content="mixed", labels="text")


@pytest.mark.parametrize(
    "encoder", ["standard", "none", "ordinal", "quantile", "ple", "spline", "teacher_bins:pairs=3"]
)
def test_every_encoder_reads_numbers_gaps_and_texts_in_c_as_in_onnx(tmp_path, data, encoder):
    odd = {"Lima": 'Sã"o\\Paulo??/'}
    X = data.X.assign(city=data.X["city"].astype(object).map(lambda c: odd.get(c, c)))
    if encoder == "ordinal":
        # A linear model of ranks has no place for gaps.
        X = X.dropna()
    y = data.y[X.index]
    student = Linear(encoder=encoder).fit(X, y)
    pack(student, X).save(tmp_path / "s.kd")
    fresh = X if encoder == "ordinal" else X.assign(city=X["city"].where(X.index % 5 > 0, "new"))
    export(tmp_path / "s.kd", tmp_path / "s.c", format="c", rows=fresh)
    assert self_test(tmp_path / "s.c") == "0 of 100 rows differ\n"


def test_trees_with_categories_missing_values_and_sets_decide_alike(tmp_path):
    frame, y = table()
    stumps = [
        ([0, 2], True, 0.5),
        ([], False, -1.0),
        ([1], True, 0.0),
        ([0, 1, 2, 3, 4, 5], False, 0.25),
    ]
    teacher = SetTeacher(stumps=stumps).fit(frame, y)
    compile_teacher(teacher, frame).save(tmp_path / "t.kd")
    frame.loc[:10, "number"] = 0.25
    export(tmp_path / "t.kd", tmp_path / "t.c", format="c", rows=frame)
    assert self_test(tmp_path / "t.c") == "0 of 100 rows differ\n"


def network(activation):
    def make(d: int, k: int) -> onnx.ModelProto:
        rng = np.random.default_rng(0)
        weights = [rng.normal(size=s) for s in ((d, 7), (7, 5), (5, k))]
        biases = [rng.normal(size=w.shape[1]) for w in weights]
        return perceptron(weights, biases, activation=activation, link="softmax")

    return make


def kernel(d: int, k: int) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    centers, coef = rng.normal(size=(20, d)), rng.normal(size=(k, 20))
    return kernel_model(centers, coef, rng.normal(size=k), gamma=0.1, link="softmax")


def gelus(d: int, k: int) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    held = [helper.make_tensor("w", TensorProto.FLOAT, (k, d), rng.normal(size=k * d))]
    nodes = [
        helper.make_node("Gemm", ["Z", "w"], ["a"], transB=1),
        helper.make_node("Gelu", ["a"], ["b"]),
        helper.make_node("Softmax", ["b"], ["output"], axis=1),
    ]
    return student_graph(nodes, held, ("Z", d), ("output", k))


@pytest.mark.parametrize(
    "make",
    [*map(network, ("relu", "tanh", "logistic", "identity")), kernel, gelus],
    ids=["relu", "tanh", "logistic", "identity", "kernel", "gelu"],
)
def test_networks_and_kernels_compute_alike(tmp_path, data, monkeypatch, make):
    monkeypatch.setattr(Given, "make", staticmethod(make))
    pack(Given().fit(data.X, data.y), data.X).save(tmp_path / "s.kd")
    export(tmp_path / "s.kd", tmp_path / "s.c", format="c", rows=data.X)
    assert self_test(tmp_path / "s.c") == "0 of 100 rows differ\n"


def test_the_self_test_notices_a_wrong_prediction(tmp_path, data):
    pack(Linear().fit(data.X, data.y), data.X).save(tmp_path / "s.kd")
    export(tmp_path / "s.kd", tmp_path / "s.c", format="c")
    whole = (tmp_path / "s.c").read_text()
    broken = whole.replace("output[i] = v", "output[i] = 0.9f * v")
    assert broken != whole
    (tmp_path / "b.c").write_text(broken)
    assert self_test(tmp_path / "b.c") == "24 of 24 rows differ\n"
    assert self_test(tmp_path / "s.c") == "0 of 24 rows differ\n"


def test_the_command_writes_a_file_or_says_why_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = tiny_data("regression", content="mixed")
    pack(Line().fit(data.X, data.y), data.X, name="line").save("s.kd")
    data.X.to_parquet("rows.parquet")
    command = ["export", "s.kd", "--format", "c", "-o", "s.c", "--rows", "rows.parquet", "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["size_bytes"] == Path("s.c").stat().st_size
    assert self_test(Path("s.c").absolute()) == "0 of 100 rows differ\n"
    assert "line (regression)" in Path("s.c").read_text()
    assert main(command) == 1
    assert "use --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert main([*command, "--format", "onnx", "--force"]) == 2
    assert main(["export", "none.kd", "--format", "onnx", "-o", "s.onnx"]) == 1
    assert not Path("s.onnx").exists()
    assert main(["export", "s.kd", "--format", "onnx", "-o", "s.onnx"]) == 0
    model = onnx.load("s.onnx")
    onnx.checker.check_model(model)
    props = json.loads({p.key: p.value for p in model.metadata_props}["kdcore"])
    assert [c["name"] for c in props["columns"]] == list(data.X.columns)


def test_an_operator_that_is_not_written_is_named(tmp_path, data, monkeypatch):
    def make(d: int, k: int) -> onnx.ModelProto:
        model = linear_model(np.ones((k, d)), np.zeros(k), link="softmax")
        model.graph.node[0].output[0] = "before"
        model.graph.node.insert(1, helper.make_node("Softplus", ["before"], ["scores"]))
        return model

    monkeypatch.setattr(Given, "make", staticmethod(make))
    pack(Given().fit(data.X, data.y), data.X).save(tmp_path / "s.kd")
    with pytest.raises(
        KDError, match="operator Softplus cannot be written as C; export it as onnx"
    ):
        export(tmp_path / "s.kd", tmp_path / "s.c", format="c")
    assert not (tmp_path / "s.c").exists()


def test_values_are_written_exactly_and_names_cannot_end_a_comment():
    rng = np.random.default_rng(0)
    for kind, dtype in (("f", np.float32), ("d", np.float64)):
        numbers = np.concatenate([rng.normal(size=200), 10.0 ** rng.uniform(-30, 30, 200)])
        numbers = [*numbers.astype(dtype), 0.0, 1.0, -2.0, float(np.finfo(np.float32).min)]
        for number in numbers:
            shown = literal(number, kind).rstrip("f" if kind == "f" else "")
            read = float.fromhex(shown) if "0x" in shown else float(shown)
            assert read == float(number)
    assert literal(np.nan, "f") == "NAN"
    assert literal(-np.inf, "d") == "-INFINITY"
    assert text('a"\\?\n\x01ü') == r'"a\042\134\077\012\001\303\274"'
    assert comment("a */ b\n/* ü") == "a * / b / * \\xfc"
    assert array("x", [1, 300], "l").startswith("static const short x[2]")
    assert "unsigned char" in array("x", [], "l")


def test_a_table_of_texts_only_needs_no_numbers(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y", "z", None] * 10, "b": ["u", "v"] * 20})
    student = Linear().fit(frame, np.array([0, 1, 2, 1] * 10))
    pack(student, frame).save(tmp_path / "s.kd")
    export(tmp_path / "s.kd", tmp_path / "s.c", format="c")
    assert self_test(tmp_path / "s.c") == "0 of 24 rows differ\n"


def test_a_model_too_small_for_bytes_is_not_made_larger_by_them(tmp_path, data):
    frame = data.X[["amount"]]
    pack(Linear().fit(frame, np.asarray(data.y) == data.y[0]), frame).save(tmp_path / "s.kd")
    with pytest.raises(KDError, match="no matrix of weights that bytes would"):
        export(tmp_path / "s.kd", tmp_path / "s.onnx", format="onnx-int8")


def test_treelite_that_is_not_installed_is_asked_for(tmp_path, data, monkeypatch):
    pack(Linear().fit(data.X, data.y), data.X).save(tmp_path / "s.kd")
    monkeypatch.setitem(sys.modules, "treelite", None)
    with pytest.raises(KDError, match=r"pip install treelite"):
        export(tmp_path / "s.kd", tmp_path / "s.tl", format="treelite")
    with pytest.raises(
        KDError, match="'onxx' is not known; use one of onnx, onnx-int8, c, sklearn"
    ):
        export(tmp_path / "s.kd", tmp_path / "s.onnx", format="onxx")
    assert [p.name for p in tmp_path.iterdir()] == ["s.kd"]
