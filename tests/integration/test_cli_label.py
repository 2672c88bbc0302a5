"""`kd label`: one row of labels for each row of the table, once, and found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kdcore.__main__ import main

COMMON = ("label", "data.csv", "-t", "label", "--teacher-param", "n_estimators=10")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    score = table["a"] + rng.normal(0, 0.3, 200)
    table["label"] = np.array(["low", "mid", "top"])[np.digitize(score, [-0.4, 0.4])]
    table.to_csv("data.csv", index=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main([*arguments]) == code
    return capsys.readouterr()


def labels(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    return json.loads(run(capsys, *COMMON, "--json", *more)[0])


def test_the_same_labels_are_found_again_and_it_is_said(capsys):
    first = labels(capsys, "-o", "one.parquet")
    second = labels(capsys, "-o", "two.parquet")
    assert (first["cached"], second["cached"]) == (False, True)
    pd.testing.assert_frame_equal(pd.read_parquet("one.parquet"), pd.read_parquet("two.parquet"))
    out, _ = run(capsys, *COMMON, "-o", "three.csv")
    assert "from the cache" in out
    csv = pd.read_csv("three.csv")
    pd.testing.assert_frame_equal(csv, pd.read_parquet("one.parquet"))
    assert not labels(capsys, "-o", "four.csv", "--no-cache")["cached"]
    assert not labels(capsys, "-o", "five.csv", "--seed", "1")["cached"]


def test_rows_without_a_target_keep_their_place_and_the_file_can_be_used(capsys):
    data = pd.read_csv("data.csv")
    data.loc[::9, "label"] = None
    data.to_csv("data.csv", index=False)
    said = labels(capsys, "-o", "l.parquet")
    assert (said["rows"], said["labelled"]) == (200, int(data["label"].notna().sum()))
    written = pd.read_parquet("l.parquet")
    assert (written.isna().any(axis=1) == data["label"].isna()).all()
    for name in ("l.parquet", "l.csv"):
        written.to_csv("l.csv", index=False)
        common = ["distill", "data.csv", "-t", "label", "--student", "decision_tree", "--json"]
        out, err = run(capsys, *common, "--teacher-proba", name)
        origin = "out-of-fold" if name == "l.parquet" else "given"
        assert json.loads(out)["teacher"]["labels"] == origin
        assert "--test FILE" in err  # the teacher has seen the targets of held-out rows


def test_a_regression_has_one_column(capsys):
    data = pd.read_csv("data.csv").assign(label=lambda f: f["a"] * 2)
    data.to_csv("data.csv", index=False)
    assert labels(capsys, "-o", "l.csv")["classes"] is None
    predicted = pd.read_csv("l.csv")
    assert list(predicted.columns) == ["prediction"]
    assert np.corrcoef(predicted["prediction"], data["label"])[0, 1] > 0.9


def test_folds_are_given_as_in_the_other_commands(capsys):
    assert labels(capsys, "-o", "a.csv", "--folds", "auto")["folds"] == 5
    assert labels(capsys, "-o", "b.csv", "--folds", "3")["folds"] == 3


@pytest.mark.parametrize("wrong", [["--jobs", "0"], ["--folds", "many"], ["--seed", "x"]])
def test_a_wrong_option_exits_with_2(capsys, wrong):
    _, err = run(capsys, *COMMON, "-o", "l.csv", *wrong, code=2)
    assert wrong[0] in err
    assert not Path("l.csv").exists()


def test_an_existing_file_is_replaced_only_if_forced(capsys):
    Path("l.csv").write_text("mine")
    _, err = run(capsys, *COMMON, "-o", "l.csv", code=1)
    assert "'l.csv' exists; use --force" in err
    assert Path("l.csv").read_text() == "mine"
    run(capsys, *COMMON, "-o", "l.csv", "--force")
    assert len(pd.read_csv("l.csv")) == 200
