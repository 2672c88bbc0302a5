"""`kd label`, `kd compare` and own teachers on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kdcore.__main__ import main

QUICK = ("--teacher-param", "n_estimators=20")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
    table["c"] = rng.choice(["x", "y"], 300)
    score = table["a"] * table["b"] + (table["c"] == "x") + rng.normal(0, 0.3, 300)
    table["label"] = np.where(score > score.median(), "yes", "no")
    table.to_csv("data.csv", index=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main([*arguments]) == code
    out, err = capsys.readouterr()
    if code == 1:
        assert out == ""
        assert err.startswith("Error: ")
        assert len(err.strip().splitlines()) == 1
    return out, err


def test_labels_are_written_once_and_tell_where_they_come_from(capsys):
    out, _ = run(capsys, "label", "data.csv", "-t", "label", *QUICK, "-o", "l.parquet", "--json")
    assert json.loads(out)["provenance"] == "out-of-fold"
    labels = pd.read_parquet("l.parquet")
    assert list(labels.columns) == ["proba_no", "proba_yes"]
    assert len(labels) == 300
    common = ["distill", "data.csv", "-t", "label", "--student", "decision_tree", "--json"]
    result = json.loads(run(capsys, *common, "--teacher-proba", "l.parquet")[0])
    assert result["teacher"]["labels"] == "out-of-fold"
    labels.to_csv("l.csv", index=False)
    again = json.loads(run(capsys, *common, "--teacher-proba", "l.csv")[0])
    assert again["teacher"]["labels"] == "given"
    assert again["student"]["metrics"] == result["student"]["metrics"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "l.txt"], 2, ".parquet or .csv"),
        (["-o", "data.csv"], 1, "--force"),
        (["-o", "no/l.csv"], 1, "'no'"),
        (["-o", "l.csv", "--teacher", "xgbost"], 1, "xgboost"),
    ],
)
def test_labels_that_cannot_be_written_or_made_are_refused(capsys, arguments, code, message):
    before = Path("data.csv").read_bytes()
    _, err = run(capsys, "label", "data.csv", "-t", "label", *arguments, code=code)
    assert message in err
    assert os.listdir() == ["data.csv"]
    assert Path("data.csv").read_bytes() == before


def test_the_second_student_finds_the_labels_of_the_first(capsys):
    common = ["distill", "data.csv", "-t", "label", *QUICK, "--json"]
    first = json.loads(run(capsys, *common, "--student", "decision_tree")[0])
    out, err = run(capsys, *common, "--student", "logistic_regression")
    second = json.loads(out)
    assert (first["teacher"]["cached"], second["teacher"]["cached"]) == (False, True)
    assert "came from the cache" in err
    assert first["teacher"]["metrics"] == second["teacher"]["metrics"]
    out, err = run(capsys, *common, "--student", "decision_tree", "--no-cache")
    assert not json.loads(out)["teacher"]["cached"]


def test_a_comparison_shows_every_pair_and_why_one_failed(capsys):
    common = ["compare", "data.csv", "-t", "label", "--teachers", "xgboost,nosuch"]
    common += ["--students", "decision_tree,logistic_regression"]
    common += ["--teacher-param", "xgboost:n_estimators=20"]
    result = json.loads(run(capsys, *common, "--json")[0])
    assert [p["student"]["name"] for p in result["pairs"]] == [
        "decision_tree",
        "logistic_regression",
    ] * 2
    assert ["error" in p for p in result["pairs"]] == [False, False, True, True]
    assert set(result["pareto"]) <= {0, 1}
    out, _ = run(capsys, *common)
    assert "failed: nosuch -> decision_tree: " in out
    assert "…" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--teachers", "xgboost"],
        ["--teachers", ",", "--students", "ridge"],
        ["--teachers", "xgboost", "--students", "ridge", "--teacher-param", "n_estimators=3"],
    ],
)
def test_a_wrong_comparison_exits_with_2(capsys, arguments):
    run(capsys, "compare", "data.csv", "-t", "label", *arguments, code=2)


def test_a_killed_comparison_goes_on_without_losing_a_pair(capsys):
    students = ",".join(["decision_tree", "logistic_regression", "xgboost"])
    arguments = ["compare", "data.csv", "-t", "label", "--teachers", "xgboost"]
    arguments += ["--students", students, "--teacher-param", "xgboost:n_estimators=20"]
    arguments += ["-o", "pairs", "--json", "--no-cache"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kdcore", *arguments], stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(Path("pairs").glob("pairs/[!.]*.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # What was being written when it was killed has a name that begins with a dot.
    kept = {p.name: p.stat().st_mtime_ns for p in Path("pairs").glob("pairs/[!.]*.json")}
    assert kept
    resumed = json.loads(run(capsys, *arguments)[0])
    after = {p.name: p.stat().st_mtime_ns for p in Path("pairs").glob("pairs/[!.]*.json")}
    assert len(after) == 3
    assert kept.items() <= after.items()
    again = json.loads(run(capsys, *arguments)[0])
    assert again == resumed


@pytest.mark.filterwarnings("always::kdcore.errors.KDWarning")
class TestOwnTeachers:
    def common(self, *more: str) -> list[str]:
        return ["distill", "data.csv", "-t", "label", "--student", "decision_tree", *more]

    @pytest.fixture
    def onnx_file(self) -> str:
        """A model of the numeric columns, as other tools would write it."""
        from sklearn.linear_model import LogisticRegression

        from kdcore.graph import linear_model

        table = pd.read_csv("data.csv")
        model = LogisticRegression().fit(table[["a", "b"]].to_numpy(), table["label"])
        graph = linear_model(model.coef_, model.intercept_, link="logistic")
        Path("model.onnx").write_bytes(graph.SerializeToString())
        table.drop(columns="c").to_csv("numbers.csv", index=False)
        return "model.onnx"

    def test_an_onnx_file_teaches(self, capsys, onnx_file):
        arguments = ["distill", "numbers.csv", "-t", "label", "--student", "decision_tree"]
        arguments += ["--teacher-model", onnx_file, "--json"]
        result = json.loads(run(capsys, *arguments, "--fitted", "held-out")[0])
        assert result["teacher"]["labels"] == "held-out"
        assert result["size_bytes"]["teacher"] == Path(onnx_file).stat().st_size
        _, err = run(capsys, *arguments)
        assert err.startswith("Warning: ")
        assert "--fitted" in err

    def test_a_model_of_other_columns_is_refused(self, capsys, onnx_file):
        _, err = run(capsys, *self.common("--teacher-model", onnx_file), code=1)
        assert "made for 2 columns, but the table has 3" in err

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("none.onnx", None, "no model file 'none.onnx'"),
            ("broken.onnx", b"not a model", "not a usable ONNX model"),
            ("model.pkl", b"anything", "no installed plugin reads"),
        ],
    )
    def test_a_file_that_is_no_model_is_refused(self, capsys, name, content, message):
        if content is not None:
            Path(name).write_bytes(content)
        _, err = run(capsys, *self.common("--teacher-model", name), code=1)
        assert message in err

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.full((299, 2), 0.5), "299 rows"),
            (np.full((300, 3), 1 / 3), "3 columns"),
            (np.full((300, 2), np.nan), "row 0 are missing"),
            (np.tile([-0.5, 1.5], (300, 1)), "row 0 are negative"),
            (np.full((300, 2), 0.7), "sum to 1.4"),
        ],
        ids=["rows", "classes", "NaN", "negative", "sum"],
    )
    def test_probabilities_that_cannot_be_right_are_refused(self, capsys, values, message):
        pd.DataFrame(values, columns=[f"k{i}" for i in range(values.shape[1])]).to_csv(
            "p.csv", index=False
        )
        _, err = run(capsys, *self.common("--teacher-proba", "p.csv"), code=1)
        assert message in err

    @pytest.mark.parametrize(
        ("weights", "message"), [("1", "1 weights for 2"), ("0,0", "zero"), ("-1,2", "negative")]
    )
    def test_weights_that_cannot_be_used_are_refused(self, capsys, weights, message):
        arguments = ["--teacher", "xgboost,xgboost", "--teacher-weights", weights]
        _, err = run(capsys, *self.common(*arguments), code=1)
        assert message in err

    def test_two_teachers_are_averaged(self, capsys):
        out, _ = run(
            capsys,
            *self.common("--teacher", "xgboost,xgboost", "--teacher-weights", "1,3"),
            "--json",
        )
        assert json.loads(out)["teacher"]["name"] == "xgboost + xgboost"

    def test_unlabeled_rows_are_counted(self, capsys):
        pd.read_csv("data.csv").drop(columns="label").to_csv("more.csv", index=False)
        out, _ = run(capsys, *self.common(*QUICK, "--unlabeled", "more.csv"), "--json")
        assert json.loads(out)["rows"]["unlabeled"] == 300
