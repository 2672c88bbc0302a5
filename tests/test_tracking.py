"""What is told to MLflow, and what a user without it is told; the real one has its own tests."""

from __future__ import annotations

import sys

import pytest

import kdcore.__main__ as program
from kdcore.tracking import numbers


def test_without_mlflow_the_way_to_get_it_is_told_before_any_work(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert program.main(["distill", "none.csv", "-t", "y", "--mlflow"]) == 1
    err = capsys.readouterr().err
    assert 'pip install "kdcore[mlflow]"' in err
    assert len(err.splitlines()) == 1


def test_metrics_are_numbers_that_are_there() -> None:
    result = {
        "teacher": {"metrics": None, "fit_seconds": 2.0},
        "plain": {"metrics": {"log_loss": 0.5, "roc_auc": float("nan")}, "fidelity": None},
        "plain_encoded": None,
        "student": {"metrics": {"log_loss": 0.4}, "fidelity": {"kl": 0.1}, "features": ["a", "b"]},
        "verdict": {"gain": 0.1, "ci95": [0.05, 0.15], "gap_closed": None},
        "latency_us": {"teacher": None, "student": {"single": 9.0}},
        "size_bytes": {"teacher": None, "student": 100},
        "seconds": {"total": 3.0},
        "rows": {"train": 10},
    }
    assert numbers(result) == {
        "teacher.fit_seconds": 2.0,
        "plain.log_loss": 0.5,
        "student.log_loss": 0.4,
        "student.kl": 0.1,
        "gain": 0.1,
        "gain_low": 0.05,
        "gain_high": 0.15,
        "columns_read": 2.0,
        "latency_us.student.single": 9.0,
        "size_bytes.student": 100.0,
        "seconds.total": 3.0,
        "rows.train": 10.0,
    }


@pytest.mark.parametrize("typed", [["--mlflow"], ["--mlflow", "http://x"]])
def test_the_address_may_be_left_out(typed: list[str], monkeypatch, capsys) -> None:
    seen = []

    class Stop(Exception):
        pass

    def tracker(uri: str) -> None:
        seen.append(uri)
        raise Stop

    monkeypatch.setattr("kdcore.tracking.Tracker", tracker)
    program.main(["distill", "none.csv", *typed, "-t", "y"])
    assert seen == [typed[1] if len(typed) == 2 else "sqlite:///mlflow.db"]
