"""``kd export --format torchscript``: what PyTorch loads predicts what the bundle predicts."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from onnx import helper
from sklearn.datasets import load_digits
from small_models import SoftmaxStudent
from test_compiled import SetTeacher, table

import kdcore
from kdcore import KDError
from kdcore.__main__ import main
from kdcore.bundle import pack
from kdcore.compiled import compile_teacher
from kdcore.exports import export
from kdcore.onnx_models import linear_model
from kdcore.registry import default_registry
from kdcore.testing import tiny_data


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Odd(SoftmaxStudent):
    """Its graph has an operator that no student of kdcore's has; nobody asks Python."""

    def to_onnx(self) -> Any:
        model = linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")
        model.graph.node[0].output[0] = "before"
        model.graph.node.insert(1, helper.make_node("Celu", ["before"], ["scores"]))
        return model

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        import onnxruntime

        session = onnxruntime.InferenceSession(self.to_onnx().SerializeToString())
        return session.run(None, {session.get_inputs()[0].name: Z.astype(np.float32)})[0]


def loaded(path: Path) -> tuple[Any, dict[str, Any]]:
    """The module, and what the archive says of it."""
    told = {"kdcore.json": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(path, _extra_files=told)
    return module, json.loads(told["kdcore.json"])


def tensors(told: dict[str, Any], frame: pd.DataFrame) -> list[torch.Tensor]:
    """The inputs, made by what the archive says alone."""
    made = []
    for given in told["inputs"]:
        if given["name"] == "numeric":
            values = frame[given["columns"]].astype("float32").to_numpy()
            made.append(torch.from_numpy(values.copy()))
            continue
        codes = np.empty((len(frame), len(given["columns"])), dtype=given["dtype"])
        for j, column in enumerate(given["columns"]):
            texts = frame[column["name"]].astype(object)
            for i, text in enumerate(texts):
                known = text in column["categories"]
                code = column["categories"].index(text) if known else given["unseen"]
                codes[i, j] = given["missing"] if pd.isna(text) else code
        made.append(torch.from_numpy(codes))
    return made


def compared(path: Path, frame: pd.DataFrame) -> dict[str, Any]:
    """Export a bundle and compare the file with it, all rows at once and row by row."""
    rows = frame.head(50)
    found = export(path, path.with_suffix(".pt"), format="torchscript", rows=rows)
    assert found.parity["rows"] == len(rows)
    assert found.parity["flipped"] == 0
    bundle = kdcore.load(path)
    module, told = loaded(path.with_suffix(".pt"))
    wanted = bundle.predict_proba(frame)
    inputs = tensors(told, frame)
    np.testing.assert_allclose(module(*inputs).numpy(), wanted, atol=1e-6)
    for i in range(3):
        one = module(*(t[i : i + 1] for t in inputs)).numpy()
        np.testing.assert_allclose(one, wanted[i : i + 1], atol=1e-6)
    assert module(*(t[:0] for t in inputs)).shape == (0, wanted.shape[1])
    return told


@pytest.mark.parametrize(
    "encoder", ["standard", "ordinal", "quantile", "ple", "spline", "teacher_bins:pairs=3"]
)
def test_every_encoder_reads_numbers_gaps_and_codes_as_the_bundle_does(tmp_path, encoder):
    data = tiny_data("multiclass", content="mixed", labels="text")
    X = data.X.dropna() if encoder == "ordinal" else data.X
    pack(Linear(encoder=encoder).fit(X, data.y[X.index]), X).save(tmp_path / "s.kd")
    if encoder != "ordinal":
        X = X.assign(city=X["city"].astype(object).where(X.index % 5 > 0, "never seen"))
    told = compared(tmp_path / "s.kd", X)
    assert told["task"] == "multiclass"
    assert told["classes"] == sorted(set(data.y))


def test_trees_with_categories_missing_values_and_sets_decide_alike(tmp_path):
    frame, y = table()
    stumps = [([0, 2], True, 0.5), ([], False, -1.0), ([0, 1, 2, 3, 4, 5], False, 0.25)]
    teacher = SetTeacher(stumps=stumps).fit(frame, y)
    compile_teacher(teacher, frame).save(tmp_path / "t.kd")
    frame.loc[:10, "number"] = 0.25
    compared(tmp_path / "t.kd", frame)


def own_network(inputs: object, n_outputs: int) -> torch.nn.Module:
    """Layers that the student's own network has none of."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2, padding=1),
        torch.nn.Tanh(),
        torch.nn.AvgPool2d(2, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(36, n_outputs),
    )


@pytest.mark.parametrize(
    "params",
    [
        {"channels": (4, 8), "activation": "gelu"},
        {"channels": (4, 8), "activation": "silu", "hidden_layer_sizes": (8,)},
        {"module": own_network},
    ],
    ids=["gelu", "silu", "own"],
)
def test_a_network_of_pictures(tmp_path, params):
    pixels = load_digits(as_frame=True).frame.head(300)
    y = pixels.pop("target")
    student = default_registry().create("student", "pytorch_cnn", "classification")
    student.set_params(max_iter=20, **params).fit(pixels, y)
    pack(student, pixels, name="pytorch_cnn").save(tmp_path / "s.kd")
    told = compared(tmp_path / "s.kd", pixels)
    assert [i["name"] for i in told["inputs"]] == ["numeric"]


def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, monkeypatch):
    data = tiny_data("multiclass", content="mixed")
    pack(Odd().fit(data.X, data.y), data.X).save(tmp_path / "s.kd")
    with pytest.raises(KDError, match=r"operator Celu cannot be written as torchscript; export"):
        export(tmp_path / "s.kd", tmp_path / "s.pt", format="torchscript")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(KDError, match=r"PyTorch is not installed; `pip install torch`"):
        export(tmp_path / "s.kd", tmp_path / "s.pt", format="torchscript")
    assert [p.name for p in tmp_path.iterdir()] == ["s.kd"]


def test_a_file_that_differs_from_the_bundle_is_not_written(tmp_path, monkeypatch):
    from kdcore import torch_operators

    data = tiny_data("multiclass", content="mixed")
    pack(Linear().fit(data.X, data.y), data.X).save(tmp_path / "s.kd")
    monkeypatch.setitem(torch_operators.PLAIN, "Sub", torch.add)
    with pytest.raises(KDError, match=r"the torchscript file would differ from the bundle by"):
        export(tmp_path / "s.kd", tmp_path / "s.pt", format="torchscript")
    assert [p.name for p in tmp_path.iterdir()] == ["s.kd"]


def test_the_command_writes_one_file_and_says_how_equal_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = tiny_data("binary", content="mixed")
    student = default_registry().create("student", "logistic_regression", "classification")
    pack(student.fit(data.X, data.y), data.X, name="logistic_regression").save("s.kd")
    command = ["export", "s.kd", "--format", "torchscript", "-o", "s.pt"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(command) == 0
    assert "0 changed decision(s) in 24 rows" in capsys.readouterr().out
    assert main(command) == 1
    assert "use --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert sorted(p.name for p in Path().iterdir()) == ["s.kd", "s.pt"]
    _, told = loaded(Path("s.pt"))
    assert told["student"] == "logistic_regression"
