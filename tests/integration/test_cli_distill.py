"""The main job on the command line: every task and student, JSON, files, seeds, predictions."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kdcore
from kdcore.__main__ import main

QUICK = ("--teacher-param", "n_estimators=20", "--recipe", "plain", "-q")

#: The keys of design and documentation; those in MORE came later, none may go.
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
    "seconds": "total label fit",
}

MORE = {
    "": "parity seed notes note_templates selection split deploy origin pictures",
    "teacher": "cached weights",
    "plain": "fidelity fit_seconds",
    "recipe": "name rows rows_quality calibration structure params trials label_correction",
    "verdict": "reason over_encoded compile_teacher",
    "latency_us": "plain plain_encoded",
    "size_bytes": "compiled_teacher plain plain_encoded",
    "seconds": "read select relabel tune validate fit_plain evaluate bundle latency",
}

#: There only when the distilled student has an encoding of its own.
ENCODED = {"plain_encoded": "name metrics fidelity fit_seconds", "seconds": "fit_plain_encoded"}

#: What a textbook distillation has nothing to say of, and what later issues fill.
NULLS = (
    "plain_encoded",
    "selection",
    "recipe.augment",
    "recipe.rows",
    "recipe.rows_quality",
    "recipe.structure",
    "recipe.label_correction",
    "recipe.selector",
    "recipe.max_features",
    "verdict.over_encoded",
)


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


def strict_json(text: str) -> Any:
    """JSON as other languages read it: without NaN and Infinity."""

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("task", "student"), [("multiclass", "logistic_regression"), ("regression", "ridge")]
)
def test_programs_find_every_key_and_null_where_there_is_nothing(capsys, task, student):
    mixed(task).to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--student", student, *QUICK, "--json"]
    documented = Path(__file__).parents[2] / "docs/reference/cli.md"
    words = set(re.findall(r"`(\w+)`", documented.read_text(encoding="utf-8")))
    for recipe in ("plain", "fast"):
        result = strict_json(run(capsys, *arguments, "--recipe", recipe)[0])
        encoded = ENCODED if result["plain_encoded"] else {}
        for part in KEYS.keys() | MORE.keys() | encoded.keys():
            there = result[part] if part else result
            expected = {w for keys in (KEYS, MORE, encoded) for w in keys.get(part, "").split()}
            assert set(there) == expected, part
            assert set(there) <= words, "not documented"
        if recipe == "plain":
            for path in NULLS:
                value = result
                for key in path.split("."):
                    value = value[key]
                assert value is None, path
        assert (result["classes"] is None) == (task == "regression")
        assert result["verdict"]["metric"] == ("rmse" if task == "regression" else "log_loss")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("student", ["linear", "decision_tree", "xgboost"])
def test_every_student_gives_true_numbers_on_mixed_columns(capsys, task, student):
    if student == "linear":
        student = "ridge" if task == "regression" else "logistic_regression"
    mixed(task).to_parquet("data.parquet")
    out, err = run(
        capsys, "distill", "data.parquet", "-t", "target", "--student", student, *QUICK, "--json",
        "--recipe", "fast",
    )  # fmt: skip
    assert err == ""
    result = strict_json(out)
    assert result["task"] == task
    assert result["columns"] == 5
    assert result["rows"]["train"] + result["rows"]["test"] == 240
    assert result["teacher"]["labels"] == "out-of-fold"
    assert result["teacher"]["name"] == "xgboost"
    assert result["plain"]["name"] == result["student"]["name"] == student
    assert result["recipe"]["folds"] == 5
    assert all(value > 0 for value in result["size_bytes"].values() if value is not None)
    chosen = result["verdict"]["choice"]
    assert result["size_bytes"]["student" if chosen == "distilled" else chosen]
    for who in ("teacher", "student"):
        assert set(result["latency_us"][who]) == {"single", "batch_per_row"}
        assert all(value > 0 for value in result["latency_us"][who].values())
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
    # The files that are said to be there are there; the result is the one that was printed.
    folder = Path(result["bundle"]).parent
    named = {Path(result[key]).name for key in ("bundle", "deploy", "report")}
    assert set(os.listdir(folder)) == {"result.json", *named}
    assert strict_json((folder / "result.json").read_text()) == result
    # Sizes are quoted without the report that the bundle holds.
    with zipfile.ZipFile(result["bundle"]) as archive:
        page = archive.getinfo("report.html").compress_size
    surplus = Path(result["bundle"]).stat().st_size - result["size_bytes"]["student"]
    assert page < surplus < page + 400
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
    out, err = run(capsys, *arguments, "--json", *QUICK[:-1])
    result = json.loads(out)
    assert result["student"]["name"] == result["plain"]["name"] == "ridge"
    assert err.startswith("Note: ")
    assert err.count("\n") == 1
    assert "'logistic_regression' does not do regression; its counterpart 'ridge' does" in err


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
    arguments = ["distill", "data.csv", "-t", "target", "--student", student, *QUICK, "--json"]
    for name, more in {
        "one": ("--jobs", "1"),
        "two": ("--jobs", "2"),
        "again": ("--jobs", "2"),
        "other": ("--seed", "1"),
    }.items():
        # Labels from the cache would be equal even if the fits were not.
        out, _ = run(capsys, *arguments, *more, "-o", name, "--no-cache")
        assert json.loads(out)["teacher"]["cached"] is False
    one, two, again, other = (members(f"{n}/student.kd") for n in ("one", "two", "again", "other"))
    assert one == two == again
    assert one != other


def parameters(student: Any) -> list[bytes]:
    """All numbers that a fitted student predicts with."""
    if hasattr(student, "coef_"):
        return [student.coef_.tobytes(), np.asarray(student.intercept_).tobytes()]
    if hasattr(student.model_, "tree_"):
        tree = student.model_.tree_
        names = ("children_left", "children_right", "feature", "threshold", "value")
        return [getattr(tree, name).tobytes() for name in names]
    return [bytes(student.model_.save_raw("ubj")), student.base_.tobytes()]


@pytest.mark.parametrize(
    ("task", "student"),
    [
        ("multiclass", "logistic_regression"),
        ("multiclass", "decision_tree"),
        ("multiclass", "xgboost"),
        ("regression", "ridge"),
        ("regression", "decision_tree"),
        ("regression", "xgboost"),
    ],
)
def test_bit_identical_parameters_in_python_whatever_the_jobs(task, student):
    def fitted(jobs: int, seed: int = 0) -> list[bytes]:
        result = kdcore.distill(
            mixed(task),
            target="target",
            student=student,
            # With rows drawn at random, so that the seed must reach every fit.
            teacher_params={"n_estimators": 20, "subsample": 0.7},
            recipe="plain",
            random_state=seed,
            n_jobs=jobs,
        )
        return [*parameters(result.student), *parameters(result.plain)]

    one = fitted(1)
    assert one == fitted(2)
    assert one != fitted(2, seed=1)


def test_another_seed_draws_other_rows_even_where_the_table_is_the_same(capsys):
    mixed("binary").to_csv("data.csv", index=False)
    results = [
        json.loads(
            run(capsys, "distill", "data.csv", "-t", "target", *QUICK, "--json", "--seed", seed)[0]
        )
        for seed in ("0", "7")
    ]
    assert [r["seed"] for r in results] == [0, 7]
    assert results[0]["teacher"]["metrics"] != results[1]["teacher"]["metrics"]


def test_the_table_shows_teacher_plain_and_distilled_with_a_verdict(capsys):
    mixed("multiclass").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--student", "decision_tree"]
    out, err = run(capsys, *arguments, *QUICK[:-1])
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
    assert err == ""
    assert lines[0].startswith("multiclass, 3 classes; 180 rows to learn from, 60 held out")
    heading = next(line for line in lines if "log loss" in line)
    for name in ("accuracy", "AUC", "agrees", "1 row", "size"):
        assert name in heading
    saved = Path("kd-out/data-decision_tree/student.kd")
    assert f"Saved {saved}" in lines
    assert saved.is_file()
    # The verdict keeps the plain student of so small a table, and it is there to be kept.
    plain = saved.with_name("plain.kd")
    assert lines[-1] == f"Saved {plain}, the one to deploy"
    assert plain.is_file()


def test_what_an_encoding_alone_achieves_has_a_row_of_its_own(capsys):
    mixed("binary").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--encoder", "teacher_bins", *QUICK]
    out, _ = run(capsys, *arguments, "-o", "out")
    first = [line.split()[0] for line in out.splitlines() if line.strip()]
    rows = [w for w in first if w in ("teacher", "plain", "same", "distilled")]
    assert rows == ["teacher", "plain", "same", "distilled"]
    result = strict_json(Path("out/result.json").read_text())
    assert result["recipe"]["encoder"] == "teacher_bins"
    assert result["plain_encoded"]["metrics"] != result["plain"]["metrics"]
    low, high = result["verdict"]["over_encoded"]["ci95"]
    assert low <= result["verdict"]["over_encoded"]["gain"] <= high


def test_the_table_of_a_regression_shows_its_own_metrics(capsys):
    mixed("regression").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--student", "decision_tree"]
    out, _ = run(capsys, *arguments, *QUICK)
    heading = next(line for line in out.splitlines() if "RMSE" in line)
    for name in ("MAE", "R2", "R2 to t."):
        assert name in heading
    assert "accuracy" not in out


def kd_on_a_terminal(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, and what a person sees on a terminal that is stderr only."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kdcore", *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so when the other side is closed.
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.stdout is not None
    out = process.stdout.read().decode()
    process.stdout.close()
    return process.wait(timeout=60), out, seen.decode()


def test_a_person_sees_progress_and_a_program_reads_clean_json(capsys):
    mixed("binary").to_csv("data.csv", index=False)
    arguments = ["distill", "data.csv", "-t", "target", "--json", "--no-cache"]
    arguments += [*QUICK[:-1]]
    code, out, seen = kd_on_a_terminal(*arguments)
    assert code == 0
    assert strict_json(out)["task"] == "binary"
    assert "Fitting the teacher" in seen
    assert "6/6" in seen
    code, out, seen = kd_on_a_terminal(*arguments, "--quiet")
    assert code == 0
    assert strict_json(out)["task"] == "binary"
    assert seen == ""


def test_without_a_terminal_a_real_run_says_nothing_but_its_result_and_notes():
    """In its own process no test setting hides a library's warning."""
    mixed("multiclass").to_csv("data.csv", index=False)
    command = [sys.executable, "-m", "kdcore", "distill", "data.csv", "-t", "target", "--json"]
    done = subprocess.run(
        [*command, "--teacher-param", "n_estimators=5"], capture_output=True, text=True
    )
    assert done.returncode == 0
    result = strict_json(done.stdout)
    assert result["task"] == "multiclass"
    assert done.stderr == "".join(f"Note: {note}\n" for note in result["notes"])
    # Unless told otherwise it compares its recipe with labels alone.
    trials = {trial["name"] for trial in result["recipe"]["trials"]}
    assert {"default", "plain"} <= trials


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


def test_existing_predictions_are_replaced_with_force_only(capsys):
    table = mixed("regression")
    table.to_csv("data.csv", index=False)
    run(capsys, "distill", "data.csv", "-t", "target", "--student", "ridge", "-o", "out", *QUICK)
    Path("result.csv").write_text("mine")
    arguments = ["predict", "out/student.kd", "data.csv", "-o", "result.csv"]
    assert main(arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert Path("result.csv").read_text() == "mine"
    out, err = run(capsys, *arguments, "--force")
    assert out == err == ""
    written = pd.read_csv("result.csv")
    assert list(written.columns) == ["prediction"]
    expected = kdcore.load("out/student.kd").predict(pd.read_csv("data.csv"))
    np.testing.assert_allclose(written["prediction"], expected, rtol=1e-6)
    assert sorted(os.listdir()) == ["data.csv", "out", "result.csv"]


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ([False, True], ["proba_False", "proba_True"]),
        ([3, 20], ["proba_3", "proba_20"]),
        (["ja, nein", "ü"], ["proba_ja, nein", "proba_ü"]),
    ],
    ids=["truth", "numbers", "texts"],
)
def test_predictions_are_the_labels_of_the_table(capsys, labels, columns):
    table = mixed("binary")
    table["target"] = [labels[int(t == "yes")] for t in table["target"]]
    table.to_csv("data.csv", index=False)
    run(capsys, "distill", "data.csv", "-t", "target", "-o", "out", *QUICK)
    out, _ = run(capsys, "predict", "out/student.kd", "data.csv")
    Path("result.csv").write_text(out)
    written = pd.read_csv("result.csv")
    assert list(written.columns) == ["prediction", *columns]
    assert set(written["prediction"]) <= set(labels)
    assert np.mean(written["prediction"] == table["target"]) > 0.7


def test_columns_may_have_any_names_and_categories_any_text(capsys):
    """XGBoost refuses brackets in names; commas, quotes and line ends are at home in CSV."""
    names = {"number": "income [EUR]", "count": "age<30", "flag": "x=y", "word": 'ü,"q"'}
    table = mixed("binary").rename(columns=names)
    table["city"] = table["city"].astype(object).replace({"Ulm": 'a=b, "c"', "Kiel": "ß\n2"})
    table.to_csv("data.csv", index=False)
    # Encodings and synthetic rows see the names and texts too.
    more = ["--encoder", "teacher_bins:pairs=5", "--augment", "2"]
    arguments = ["distill", "data.csv", "-t", "target", "-o", "out", "--json", *QUICK, *more]
    result = json.loads(run(capsys, *arguments)[0])
    assert result["rows"]["augmented"] == 2 * result["rows"]["train"]
    assert result["student"]["features"] == [*list(names.values())[:3], "city", 'ü,"q"']
    assert result["parity"]["flipped"] == 0
    out, err = run(capsys, "predict", "out/student.kd", "data.csv")
    assert err == ""
    assert out.count("\n") == 241


def test_too_short_a_time_limit_says_what_was_left_out(capsys):
    mixed("binary").to_csv("data.csv", index=False)
    arguments = ["data.csv", "-t", "target", "--student", "decision_tree", "--json"]
    quick = ["--teacher-param", "n_estimators=20", "--no-cache", "--time-limit", "0.01"]
    out, err = run(capsys, "distill", *arguments, *quick)
    result = strict_json(out)
    assert result["rows"]["augmented"] == 0
    assert result["recipe"]["trials"] == []
    assert "time limit of 0.01 s was used up by the teacher's labels" in err
    assert "without synthetic rows, tuning or validation" in err


def test_a_teacher_without_trees_lends_its_soft_labels_and_the_report_says_so(capsys):
    table = mixed("binary")
    table.to_csv("data.csv", index=False)
    proba = pd.DataFrame({"p": (table["target"] == table["target"].max()) * 0.8 + 0.1})
    pd.DataFrame({"no": 1 - proba["p"], "yes": proba["p"]}).to_csv("proba.csv", index=False)
    arguments = ["data.csv", "-t", "target", "--student", "logistic_regression"]
    out, _ = run(capsys, "distill", *arguments, "--teacher-proba", "proba.csv",
                 "--encoder", "teacher_bins:pairs=3", "--recipe", "fast")  # fmt: skip
    assert "encoder teacher_bins:pairs=3 (structure: surrogate)" in out


def test_columns_without_any_value_or_any_difference_are_no_obstacle(capsys):
    table = mixed("binary").assign(nothing=np.nan, always=1.0, same="one")
    table.to_csv("data.csv", index=False)
    for student in ("logistic_regression", "decision_tree", "xgboost"):
        arguments = ["distill", "data.csv", "-t", "target", "--student", student, "--json", *QUICK]
        if student == "logistic_regression":
            arguments += ["--encoder", "teacher_bins:pairs=5", "--augment", "2"]
        result = strict_json(run(capsys, *arguments)[0])
        assert math.isfinite(result["student"]["metrics"]["log_loss"])
        assert result["columns"] == 8


def test_a_few_rows_give_numbers_or_null_but_never_nan(capsys):
    table = mixed("regression").head(8)
    table.to_csv("train.csv", index=False)
    table.head(1).to_csv("test.csv", index=False)
    arguments = ["distill", "train.csv", "-t", "target", "--test", "test.csv", "--json", *QUICK]
    result = strict_json(run(capsys, *arguments, "--student", "ridge", "--recipe", "auto")[0])
    assert result["rows"]["test"] == 1
    assert result["student"]["metrics"]["r2"] is None
    assert math.isfinite(result["student"]["metrics"]["rmse"])
