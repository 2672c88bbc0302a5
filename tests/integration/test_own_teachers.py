"""Models that users have, on the command line and in Python, with the real libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

import kdcore
from kdcore import StudentSpec, TeacherSpec
from kdcore.__main__ import main


def frame(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    table["c"] = rng.choice(["x", "y", "z"], n)
    score = table["a"] + (table["c"] == "x") + rng.normal(0, 0.3, n)
    table["label"] = np.array(["low", "mid", "top"])[np.digitize(score, [0, 1])]
    return table


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame().to_csv("data.csv", index=False)


def coded(table: pd.DataFrame) -> pd.DataFrame:
    """Classes as numbers, as XGBoost itself wants them."""
    return table.assign(label=np.unique(table["label"], return_inverse=True)[1])


def pipeline(model: Any, other: pd.DataFrame | None = None) -> Any:
    other = frame(400, seed=1) if other is None else other
    columns = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
    return make_pipeline(columns, model).fit(other.drop(columns="label"), other["label"])


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    common = ["distill", "data.csv", "-t", "label", "--student", "decision_tree", "--json"]
    code = main([*common, *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(["distill", "data.csv", "-t", "label", "--student", "decision_tree", *arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in Path().iterdir() if p.is_dir()) == []
    return err


def test_a_fitted_xgboost_pipeline_teaches_and_is_left_alone():
    teacher = pipeline(XGBClassifier(n_estimators=20, max_depth=3), coded(frame(400, seed=1)))
    trees = teacher[-1].get_booster().save_raw()
    result = kdcore.distill(
        coded(frame()), target="label", teacher=teacher, fitted="held-out", student="decision_tree"
    )
    report = result.report
    assert report.teacher["labels"] == "held-out"
    assert report.teacher["metrics"]["accuracy"] > 0.7
    assert report.student["fidelity"]["agreement"] > 0.7
    assert result.bundle is not None
    assert teacher[-1].get_booster().save_raw() == trees


def test_an_xgboost_model_of_an_array_gets_the_columns_in_order():
    data = frame().drop(columns="c").assign(label=lambda f: (f["label"] == "top").astype(int))
    model = XGBClassifier(n_estimators=5).fit(data[["a", "b"]].to_numpy(), data["label"])
    result = kdcore.distill(
        data, target="label", teacher=model, fitted="held-out", student="decision_tree"
    )
    assert result.report.teacher["metrics"]["accuracy"] > 0.7


@pytest.mark.parametrize("zipmap", [True, False], ids=["mappings", "matrix"])
def test_a_pipeline_that_was_exported_says_what_it_said_in_python(capsys, zipmap):
    teacher = pipeline(LogisticRegression())
    kinds = [("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1]))]
    kinds.append(("c", StringTensorType([None, 1])))
    model = to_onnx(
        teacher, initial_types=kinds, options={id(teacher): {"zipmap": zipmap}}, target_opset=17
    )
    Path("model.onnx").write_bytes(model.SerializeToString())
    result = run(capsys, "--teacher-model", "model.onnx", "--fitted", "held-out")
    same = kdcore.distill(
        "data.csv", target="label", teacher=teacher, fitted="held-out", student="decision_tree"
    )
    for name, value in same.report.teacher["metrics"].items():
        assert result["teacher"]["metrics"][name] == pytest.approx(value, abs=1e-5)
    assert result["teacher"]["name"] == "model.onnx"


def test_a_model_of_other_columns_names_them(capsys):
    rows = frame()[["a", "b"]].to_numpy(np.float32)
    forest = RandomForestClassifier(5, random_state=0).fit(rows, frame()["label"])
    model = to_onnx(forest, rows[:1], target_opset=17)
    Path("model.onnx").write_bytes(model.SerializeToString())
    assert "made for 2 columns, but the table has 3: a, b, c" in refused(
        capsys, "--teacher-model", "model.onnx"
    )
    kinds = [(name, FloatTensorType([None, 1])) for name in ("a", "width")]
    kinds.append(("c", StringTensorType([None, 1])))
    by_name = pipeline(LogisticRegression(), frame(seed=1).rename(columns={"b": "width"}))
    model = to_onnx(by_name, initial_types=kinds, target_opset=17)
    Path("model.onnx").write_bytes(model.SerializeToString())
    assert "'width', which the table lacks" in refused(capsys, "--teacher-model", "model.onnx")


def test_a_model_of_other_classes_names_them(capsys):
    other = frame(seed=1).replace({"label": {"mid": "middle"}})
    model = LogisticRegression().fit(other[["a"]].to_numpy(np.float32), other["label"])
    made = to_onnx(model, np.zeros((1, 1), np.float32), target_opset=17)
    Path("model.onnx").write_bytes(made.SerializeToString())
    frame().drop(columns=["b", "c"]).to_csv("data.csv", index=False)
    err = refused(capsys, "--teacher-model", "model.onnx")
    assert "predicts the class 'middle', which the table does not have" in err


@pytest.mark.parametrize("missing", ["proba_middle", "proba_low"])
def test_probabilities_of_other_classes_name_them(capsys, missing):
    names = ["proba_low", "proba_mid", "proba_top"]
    names[0 if missing == "proba_middle" else 2] = missing if missing not in names else "id"
    pd.DataFrame(np.full((300, 3), 1 / 3), columns=names).to_csv("p.csv", index=False)
    err = refused(capsys, "--teacher-proba", "p.csv")
    assert ("'proba_middle'" if missing == "proba_middle" else "class 'top'") in err


def test_one_column_of_logits_that_is_called_probabilities_is_found_out(capsys):
    pd.DataFrame(np.linspace(-3, 3, 900).reshape(300, 3)).to_csv("p.csv", index=False)
    assert "--teacher-logits" in refused(capsys, "--teacher-proba", "p.csv")
    assert run(capsys, "--teacher-logits", "p.csv")["teacher"]["labels"] == "given"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teacher", "xgbost"], "'xgboost'"),
        (["--teacher", "models/xgbost"], "no model file 'models/xgbost'"),
        (["--teacher-model", "m.onnx", "--fitted", "refit"], "cannot be fitted anew"),
        (["--fitted", "maybe"], "fitted='maybe'"),
        (["--teacher", "xgboost", "--teacher-proba", "data.csv"], "in one way only"),
        (["--teacher-weights", "1,2"], "give a list"),
        (["--teacher-proba", "data.csv"], "are not numbers"),
        (["--teacher-proba", "none.csv"], "no file 'none.csv'"),
    ],
)
def test_what_cannot_be_meant_is_refused(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


# --- what only a plugin can do on the command line --------------------------------------------


class Raises(GaussianNB):
    def predict_proba(self, X: Any) -> Any:
        raise ConnectionError("the service is gone\nfor good")


def make_raising(task: str) -> Raises:
    return Raises()


def make_student(task: str) -> Any:
    raise AssertionError("it is never built")


def test_a_teacher_that_raises_is_one_line_that_names_it(capsys):
    frame().drop(columns="c").to_csv("data.csv", index=False)
    sys.modules.setdefault(__name__, sys.modules[make_raising.__module__])
    spec = TeacherSpec(
        name="service", summary="x", factory=f"{__name__}:make_raising", tasks=("multiclass",)
    )
    with kdcore.register(spec):
        err = refused(capsys, "--teacher", "service")
    assert "the teacher Raises failed to predict: the service is gone" in err


def test_a_student_without_a_counterpart_for_the_task_is_refused_before_any_fit(capsys):
    spec = StudentSpec(
        name="ranker", summary="x", factory=f"{__name__}:make_student", tasks=("regression",)
    )
    with kdcore.register(spec):
        err = refused(capsys, "--student", "ranker")
    assert "the student 'ranker' does regression, not multiclass" in err
    assert "decision_tree" in err


def test_a_callable_that_raises_is_one_line_that_names_it():
    def service(table: pd.DataFrame) -> Any:
        raise ConnectionError("the service is gone\nfor good")

    with pytest.raises(
        kdcore.KDError, match=r"service \(a callable\) failed: the service is gone$"
    ):
        kdcore.distill(frame(), target="label", teacher=service, student="decision_tree")
