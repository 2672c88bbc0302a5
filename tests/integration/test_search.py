"""`kd search`: what is searched, judged, kept after a kill, and handed over."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier

import kdcore
from kdcore.__main__ import main
from kdcore.errors import KDError
from kdcore.hpo.result import SearchResult
from kdcore.hpo.space import Range, parse_range
from kdcore.hpo.study import _better, make_study, quiet
from kdcore.hpo.trial import Judged

QUICK = ["--teacher-param", "n_estimators=10", "--parts", "2"]
COMMON = ["search", "data.csv", "-t", "label", "--student", "decision_tree", *QUICK]


def table(n: int = 240, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("abcde"))
    score = frame["a"] * 2 + frame["b"] + rng.normal(0, 0.5, n)
    frame["label"] = np.where(score > 0, "yes", "no")
    return frame


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table().to_csv("data.csv", index=False)


def kd(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main([*arguments]) == code
    return capsys.readouterr()


def finished(file: str) -> int:
    """Trials in the database that came to an end."""
    if not Path(file).exists():
        return 0
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as base:
            states = "('COMPLETE', 'PRUNED', 'FAIL')"
            query = f"select count(*) from trials where state in {states}"
            return int(base.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


class Counted(ExtraTreesClassifier):
    """A teacher that counts its fits."""

    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def test_the_teacher_is_fitted_once_however_many_trials_there_are() -> None:
    counts = []
    for trials in (2, 7):
        Counted.fits = 0
        result = kdcore.search(
            "data.csv",
            target="label",
            student="decision_tree",
            teacher=Counted(n_estimators=5),
            trials=trials,
            parts=2,
            n_jobs=1,
        )
        assert len(result.trials) == trials
        counts.append(Counted.fits)
    # Five folds and the whole, for all training rows and for two parts of them.
    assert counts == [18, 18]


def test_the_best_are_shown_and_the_one_picked_is_written_and_judged(capsys) -> None:
    common = [*COMMON, "--trials", "8"]
    out, err = kd(capsys, *common, "-o", "out")
    assert "learns from" in out
    assert "Verdict: " in out
    assert "the best of labels alone" in err or "no trial of labels alone" in err
    told = json.loads(kd(capsys, *common, "--json", "-q")[0])
    assert len(told["trials"]) == 8
    assert told["chosen"] in {t["number"] for t in told["trials"]}
    by_number = {t["number"]: t for t in told["trials"]}
    for number in told["front"]:
        own = by_number[number]
        assert not any(
            t["state"] == "complete"
            and t["score"] < own["score"]
            and t["latency_us"] < own["latency_us"]
            and t["columns"] < own["columns"]
            for t in told["trials"]
        )
    student = kdcore.load("out/student.kd")
    assert len(student.features) == by_number[told["chosen"]]["columns"]
    written = json.loads(Path("out/result.json").read_text())
    assert written["student"]["features"] == told["result"]["student"]["features"]
    _, err = kd(capsys, *common, "-o", "out", code=1)
    assert "--force" in err


def test_a_killed_search_goes_on_and_loses_no_finished_trial(capsys) -> None:
    arguments = [*COMMON, "--trials", "9", "--storage", "s.db", "--json", "-q"]
    process = subprocess.Popen([sys.executable, "-m", "kdcore", *arguments], stdout=-3)
    until = time.monotonic() + 120
    while finished("s.db") < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = finished("s.db")
    assert 2 <= kept < 9
    first = json.loads(kd(capsys, *arguments[:-4], "--storage", "s.db", "--json", "-q")[0])
    again = json.loads(kd(capsys, *arguments)[0])
    assert len(first["trials"]) == 9
    assert again["trials"] == first["trials"]
    # Another seed is another search, in the same file.
    other = json.loads(kd(capsys, *arguments, "--seed", "1", "--trials", "1")[0])
    assert (len(other["trials"]), other["study"] != first["study"]) == (1, True)


def test_two_processes_share_a_search() -> None:
    arguments = [*COMMON, "--trials", "6", "--storage", "s.db", "--json", "-q"]
    command = [sys.executable, "-m", "kdcore", *arguments]
    both = [subprocess.Popen(command, stdout=-1, text=True) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=240)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all(6 <= len(result["trials"]) <= 7 for result in told)
    assert told[0]["study"] == told[1]["study"]
    drawn = [json.dumps([t["columns"], t["setting"]]) for t in told[1]["trials"]]
    assert len(set(drawn)) >= 4


def test_rows_held_out_have_no_say_in_the_search() -> None:
    rng = np.random.default_rng(0)
    scores = []
    for shuffle in (False, True):
        test = table(100, seed=1)
        if shuffle:
            test["label"] = rng.permutation(test["label"].to_numpy())
        result = kdcore.search(
            "data.csv",
            target="label",
            test=test,
            student="decision_tree",
            teacher_params={"n_estimators": 10},
            trials=4,
            parts=1,
        )
        scores.append([t["score"] for t in result.trials])
        assert result.distilled.report.rows["test"] == 100
    assert scores[0] == scores[1]


def test_numbers_are_searched_by_rmse_and_several_students_compete() -> None:
    frame = table().assign(value=lambda f: f["a"] * 2 + f["b"]).drop(columns="label")
    result = kdcore.search(
        frame,
        target="value",
        student=["ridge", "decision_tree"],
        teacher_params={"n_estimators": 20},
        vary={"max_leaf_nodes": Range(4, 16)},
        trials=8,
        parts=1,
        max_features=3,
        alpha=0.5,
        pick="one_se",
    )
    assert result.metric == "rmse"
    assert {t["student"] for t in result.trials} == {"ridge", "decision_tree"}
    assert all(t["columns"] <= 3 for t in result.trials)
    soft = [t for t in result.trials if t["learns_from"] == "soft labels"]
    assert {t["setting"]["alpha"] for t in soft} == {0.5}
    trees = [t for t in result.trials if t["student"] == "decision_tree"]
    assert all(4 <= t["setting"]["max_leaf_nodes"] <= 16 for t in trees)
    frame = result.to_frame()
    assert set(frame.loc[frame["front"], "number"]) == set(result.front())


def test_a_trial_is_stopped_only_where_another_is_better_in_every_respect() -> None:
    optuna = pytest.importorskip("optuna")
    with quiet():
        study = make_study(None, "a")
        trial = optuna.trial.create_trial(
            values=[0.3, 10.0, 4.0], user_attrs={"parts": [[0.3, 1e-4, 50.0], [0.3, 1e-4, 50.0]]}
        )
        study.add_trial(trial)
        worse, near = [Judged(0.5, 1e-4, 50.0)], [Judged(0.31, 1e-4, 50.0)]
        assert _better(study, worse, 12.0, 4) == 0
        assert _better(study, worse, 9.0, 4) is None, "it is quicker"
        assert _better(study, worse, 12.0, 3) is None, "it reads fewer columns"
        assert _better(study, near, 12.0, 4) is None, "the difference may be chance"


def test_who_picks_says_what_counts() -> None:
    def row(number: int, score: float, columns: int, learns: str = "soft labels") -> dict:
        told = {"state": "complete", "student": "x", "se": 0.02, "latency_us": 9.0, "setting": {}}
        return {"number": number, "score": score, "columns": columns, "learns_from": learns, **told}

    rows = [row(0, 0.30, 9), row(1, 0.31, 3), row(2, 0.4, 1), row(3, 0.1, 1, "labels")]
    result = SearchResult("log_loss", rows)
    assert (result.pick("best"), result.pick("one_se"), result.pick(2)) == (0, 1, 2)
    with pytest.raises(KDError, match="pick=3"):
        result.pick(3)
    assert SearchResult("log_loss", rows[3:]).pick("best") is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--vary", "nosuch=1,2"], 1, "'nosuch'"),
        (["--vary", "max_depth=9..2"], 1, "the smaller first"),
        (["--vary", "max_depth"], 2, "NAME=LOW..HIGH"),
        (["--pick", "worst"], 1, "'worst'"),
        (["--pick", "99"], 1, "99"),
        (["--selector", "nosuch"], 1, "nosuch"),
        (["--storage", "no/folder/s.db"], 1, "--storage"),
        (["--storage", "data.csv"], 1, "--storage"),
        (["--max-features", "0"], 1, "max_features=0"),
        (["--trials", "0"], 2, "--trials"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(capsys, arguments, code, message) -> None:
    before = Path("data.csv").read_bytes()
    _, err = kd(capsys, *COMMON, "--trials", "1", *arguments, code=code)
    assert message in err
    if code == 1:
        assert len(err.splitlines()) == 1
    assert Path("data.csv").read_bytes() == before


@pytest.mark.filterwarnings("ignore::kdcore.errors.KDWarning")
def test_labels_that_know_the_rows_are_refused() -> None:
    fitted = ExtraTreesClassifier(5).fit(table()[list("abcde")], table()["label"])
    with pytest.raises(KDError, match="in-sample"):
        kdcore.search("data.csv", target="label", student="decision_tree", teacher=fitted)


def test_without_optuna_the_way_to_get_it_is_told(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    _, err = kd(capsys, *COMMON, code=1)
    assert 'pip install "kdcore[search]"' in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2..8", Range(2, 8)),
        ("0.01..10", Range(0.01, 10)),
        ("1e-3 .. 1e1", Range(1e-3, 1e1)),
        ("-1..1", Range(-1, 1)),
        ("2,4", [2, 4]),
        ("gini, entropy", ["gini", "entropy"]),
    ],
)
def test_ranges_are_read_as_they_are_written(text: str, expected: object) -> None:
    def value(part: str) -> object:
        try:
            return json.loads(part)
        except ValueError:
            return part

    assert parse_range(text, value) == expected
    if isinstance(expected, Range):
        assert expected.log == (expected == Range(0.01, 10) or expected == Range(1e-3, 1e1))
