"""``kd evaluate``: a bundle judged on labelled rows, as the distillation judged the student."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_models import LeastSquaresStudent, SoftmaxStudent

from kdcore.__main__ import main
from kdcore.bundle import pack
from kdcore.evaluation import metrics
from kdcore.onnx_models import linear_model
from kdcore.testing import tiny_data


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Line(LeastSquaresStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


@pytest.fixture(params=["multiclass", "regression"])
def saved(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = {"labels": "text"} if request.param == "multiclass" else {}
    data = tiny_data(request.param, content="mixed", **text)
    student = (Line() if request.param == "regression" else Linear()).fit(data.X, data.y)
    pack(student, data.X, name="s", info={"target": "y", "metrics": {"rmse": 7.5}}).save("s.kd")
    data.X.assign(y=data.y).to_parquet("rows.parquet")
    return student, data


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([*arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_metrics_are_those_of_the_students_predictions(saved, capsys):
    student, data = saved
    code, out, err = run(capsys, "evaluate", "s.kd", "rows.parquet", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    classes = getattr(student, "classes_", None)
    output = student.predict(data.X) if classes is None else student.predict_proba(data.X)
    wanted = metrics(output, data.y, classes)
    assert found["metrics"] == pytest.approx(wanted, abs=1e-5, nan_ok=True)
    assert found["rows"] == len(data)
    assert found["target"] == "y"
    assert found["recorded"] == {"rmse": 7.5}
    code, out, _ = run(capsys, "evaluate", "s.kd", "rows.parquet")
    assert code == 0
    assert all(name in out for name in wanted)


def test_another_target_row_weights_and_rows_without_a_label(saved, capsys):
    student, data = saved
    rng = np.random.default_rng(0)
    table = data.X.assign(truth=pd.Series(data.y).where(rng.random(len(data)) < 0.7))
    table["weight"] = rng.integers(1, 5, len(data))
    # An index of the user's own must not move labels to other rows.
    table = table.sample(frac=1, random_state=0)
    table.to_parquet("more.parquet")
    options = ("-t", "truth", "--sample-weight", "weight", "--json")
    _, out, err = run(capsys, "evaluate", "s.kd", "more.parquet", *options)
    known = table[table["truth"].notna()]
    classes = getattr(student, "classes_", None)
    output = student.predict(known) if classes is None else student.predict_proba(known)
    wanted = metrics(output, known["truth"].to_numpy(), classes, known["weight"].to_numpy())
    found = json.loads(out)
    assert found["metrics"] == pytest.approx(wanted, abs=1e-5)
    assert found["unlabelled"] == len(table) - len(known)
    assert f"{found['unlabelled']} row(s) without a label" in err


def test_what_cannot_be_judged_is_refused_in_one_line(saved, capsys):
    _, data = saved
    table = data.X.assign(y=data.y)
    cases = [
        (table.drop(columns="y"), (), "no target column 'y'"),
        (table, ("-t", "yy"), "Did you mean 'y'"),
        (table.assign(y=None), (), "every value of the target column 'y' is missing"),
        (table.assign(y="strange"), (), "strange"),
        (table.drop(columns="city"), (), "lacks 1 column"),
        (table, ("--sample-weight", "w"), "no sample_weight column 'w'"),
    ]
    for frame, options, reason in cases:
        frame.to_parquet("bad.parquet")
        code, out, err = run(capsys, "evaluate", "s.kd", "bad.parquet", *options)
        assert code == 1
        assert out == ""
        assert reason in err
        assert len(err.strip().splitlines()) == 1
