"""The main job on the command line: every task and student, JSON, files, seeds, predictions."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kdcore
from kdcore.__main__ import main

QUICK = ("--teacher-param", "n_estimators=20", "-q")

#: The keys of design and documentation; more may come, none may go.
KEYS = {
    "": "task classes rows columns teacher plain plain_encoded student recipe verdict latency_us "
    "size_bytes seconds bundle report",
    "rows": "train test augmented unlabeled",
    "teacher": "name metrics fit_seconds labels",
    "plain": "name metrics",
    "student": "name metrics fidelity features fit_seconds",
    "recipe": "folds temperature alpha loss augment encoder selector max_features",
    "verdict": "choice metric gain ci95 gap_closed",
    "latency_us": "teacher student compiled_teacher",
    "size_bytes": "teacher student",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mixed(task: str, n: int = 240) -> pd.DataFrame:
    """Numbers with gaps, truth values, categories, texts; and something to learn in each."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "count": rng.integers(0, 9, n),
            "flag": rng.random(n) < 0.5,
            "city": pd.Categorical(rng.choice(["Ulm", "Bonn", "Kiel"], n)),
            "word": rng.choice(["a", "b", "c", "d"], n),
        }
    )
    score = table["number"] + table["flag"] + (table["city"] == "Ulm") - 0.2 * table["count"]
    score += rng.normal(0, 0.3, n)
    table.loc[::7, "number"] = np.nan
    table.loc[::11, "word"] = None
    if task == "regression":
        table["target"] = score
    elif task == "binary":
        table["target"] = np.where(score > score.median(), "yes", "no")
    else:
        table["target"] = pd.qcut(score, 3, labels=["low", "mid", "high"])
    return table


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    code = main([*arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out, err


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("student", ["linear", "decision_tree", "xgboost"])
def test_every_student_gives_true_numbers_on_mixed_columns(capsys, task, student):
    if student == "linear":
        student = "ridge" if task == "regression" else "logistic_regression"
    mixed(task).to_parquet("data.parquet")
    out, _ = run(
        capsys, "distill", "data.parquet", "-t", "target", "--student", student, *QUICK, "--json"
    )
    result = json.loads(out)
    for part, keys in KEYS.items():
        there = result if not part else result[part]
        assert set(keys.split()) <= set(there), part
    assert result["task"] == task
    assert result["rows"]["train"] + result["rows"]["test"] == 240
    assert result["plain_encoded"] is None
    assert result["report"] is None
    assert result["teacher"]["labels"] == "out-of-fold"
    assert result["student"]["features"] == ["number", "count", "flag", "city", "word"]
    expected = (
        {"rmse", "mae", "r2"}
        if task == "regression"
        else {"accuracy", "log_loss", "roc_auc", "brier", "ece"}
    )
    for who in ("teacher", "plain", "student"):
        scores = result[who]["metrics"]
        assert set(scores) == expected
        assert all(np.isfinite(v) for v in scores.values())
    fidelity = {"r2_to_teacher", "rmse_to_teacher"} if task == "regression" else {"agreement", "kl"}
    assert set(result["student"]["fidelity"]) == fidelity
    low, high = result["verdict"]["ci95"]
    assert low <= result["verdict"]["gain"] <= high
    assert (result["verdict"]["choice"] == "distilled") == (low > 0)
    assert result["parity"]["flipped"] == 0
    # The file that is said to be there is there, and gives the metrics that were printed.
    bundle = kdcore.load(result["bundle"])
    table = pd.read_parquet("data.parquet")
    if task != "regression":
        assert list(bundle.classes) == result["classes"]
        assert np.mean(bundle.predict(table) == table["target"].astype(str)) > 0.5


def test_the_metrics_are_those_of_the_saved_student_on_the_test_file(capsys):
    table = mixed("binary", 400)
    table.iloc[:200].to_csv("train.csv", index=False)
    table.iloc[200:].to_csv("test.csv", index=False)
    out, _ = run(
        capsys, "distill", "train.csv", "-t", "target", "--test", "test.csv", "--json",
        "--student", "decision_tree", *QUICK,
    )  # fmt: skip
    result = json.loads(out)
    test = pd.read_csv("test.csv")
    bundle = kdcore.load(result["bundle"])
    right = np.mean(bundle.predict(test) == test["target"])
    assert right == pytest.approx(result["student"]["metrics"]["accuracy"], abs=1e-9)
    assert result["rows"] == {"train": 200, "test": 200, "augmented": 0, "unlabeled": 0}


def test_a_student_that_lacks_the_task_is_replaced_and_the_user_is_told(capsys):
    mixed("regression").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--student", "logistic_regression"]
    out, err = run(capsys, *arguments, "--json", "--teacher-param", "n_estimators=5")
    assert json.loads(out)["student"]["name"] == "ridge"
    assert "'ridge'" in err


def test_row_weights_reach_fits_and_scores_and_are_no_input(capsys):
    table = mixed("binary").assign(weight=np.linspace(0, 2, 240))
    table.to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--json", *QUICK]
    weighted = json.loads(run(capsys, *arguments, "--sample-weight", "weight")[0])
    table.drop(columns="weight").to_csv("data.csv", index=False)
    bare = json.loads(run(capsys, *arguments)[0])
    assert "weight" not in weighted["student"]["features"]
    for who in ("teacher", "plain", "student"):
        assert weighted[who]["metrics"] != bare[who]["metrics"]


def members(bundle: str) -> bytes:
    with zipfile.ZipFile(bundle) as archive:
        return archive.read("model.onnx")


@pytest.mark.parametrize("student", ["logistic_regression", "decision_tree", "xgboost"])
def test_the_same_seed_gives_the_same_bits_whatever_the_jobs(capsys, student):
    mixed("binary").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--student", student, *QUICK]
    for name, more in {
        "one": ("--jobs", "1"),
        "two": ("--jobs", "2"),
        "other": ("--seed", "1"),
    }.items():
        run(capsys, *arguments, *more, "-o", name)
    one, two, other = (members(f"{n}/student.kd") for n in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_bit_identical_parameters_in_python_whatever_the_jobs():
    results = [
        kdcore.distill(
            mixed("binary"),
            target="target",
            teacher_params={"n_estimators": 20},
            n_jobs=jobs,
        )
        for jobs in (1, 2)
    ]
    first, second = (r.student for r in results)
    assert first.coef_.tobytes() == second.coef_.tobytes()
    assert first.intercept_.tobytes() == second.intercept_.tobytes()


def test_the_table_shows_teacher_plain_and_distilled_with_a_verdict(capsys):
    mixed("multiclass").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--student", "decision_tree"]
    out, err = run(capsys, *arguments, "--teacher-param", "n_estimators=5")
    lines = out.splitlines()
    first = [line.split()[0] for line in lines if line.strip()]
    assert [w for w in first if w in ("teacher", "plain", "distilled")] == [
        "teacher",
        "plain",
        "distilled",
    ]
    assert any(line.startswith("Verdict: ") for line in lines)
    assert "…" not in out
    assert "\x1b" not in out + err  # no colours or progress where nobody looks


def test_without_an_output_folder_nothing_is_lost_and_nothing_replaced(capsys):
    mixed("binary").to_csv("data.csv", index=False)
    paths = [
        json.loads(run(capsys, "distill", "data.csv", "-t", "target", "--json", *QUICK)[0])[
            "bundle"
        ]
        for _ in range(2)
    ]
    assert len(set(paths)) == 2
    assert all(Path(p).is_file() for p in paths)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".feather", None])
def test_predictions_go_where_the_user_wants_them(capsys, ending):
    table = mixed("binary")
    table.to_csv("data.csv", index=False)
    run(capsys, "distill", "data.csv", "-t", "target", "-o", "out", *QUICK)
    table.drop(columns="target").assign(word="never seen").to_csv("new.csv", index=False)
    arguments = ["predict", "out/student.kd", "new.csv"]
    if ending is None:
        out, err = run(capsys, *arguments)
        Path("stdout.csv").write_text(out)
        written = pd.read_csv("stdout.csv")
    else:
        out, err = run(capsys, *arguments, "-o", f"result{ending}")
        reader = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".feather": pd.read_feather}
        written = reader[ending](f"result{ending}")
        assert out == ""
    assert "'word' holds 240 value(s)" in err
    assert list(written.columns) == ["prediction", "proba_no", "proba_yes"]
    bundle = kdcore.load("out/student.kd")
    expected = bundle.predict(pd.read_csv("new.csv"))
    assert list(written["prediction"]) == list(expected)
    np.testing.assert_allclose(written["proba_no"] + written["proba_yes"], 1, atol=1e-5)
