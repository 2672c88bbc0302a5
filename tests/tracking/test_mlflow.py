"""`--mlflow` against the real MLflow: what was run can be found there, with its files."""

from __future__ import annotations

import json
import logging
import re
import shlex
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kdcore.__main__ import main

with warnings.catch_warnings():
    # MLflow's own imports warn of what will change in libraries below it.
    warnings.simplefilter("ignore")
    from mlflow import MlflowClient

pytestmark = pytest.mark.filterwarnings("ignore")
COMMON = ["data.csv", "-t", "label", "--folds", "2", "-q", "--json"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    frame["label"] = np.where(frame["a"] + rng.normal(0, 0.3, 200) > 0, "yes", "no")
    frame.to_csv("data.csv", index=False)


def runs_of(uri: str) -> tuple[MlflowClient, list]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("kdcore")
    return client, client.search_runs([experiment.experiment_id], order_by=["start_time"])


def test_a_distillation_is_logged_with_its_parameters_metrics_and_files(capsys) -> None:
    level = logging.getLogger("mlflow").level
    command = ["distill", *COMMON, "--teacher", "random_forest", "--student", "decision_tree"]
    command += ["--teacher-param", "n_estimators=10", "--recipe", "fast", "-o", "out", "--mlflow"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert err == ""
    result = json.loads(out)
    client, [run] = runs_of("sqlite:///mlflow.db")
    assert run.info.run_name == "random_forest -> decision_tree"
    assert run.info.status == "FINISHED"
    params, metrics = run.data.params, run.data.metrics
    assert params["teacher_params.n_estimators"] == "10"
    assert (params["recipe"], params["recipe.name"]) == ("fast", result["recipe"]["name"])
    assert metrics["student.log_loss"] == pytest.approx(result["student"]["metrics"]["log_loss"])
    assert metrics["teacher.accuracy"] == pytest.approx(result["teacher"]["metrics"]["accuracy"])
    assert metrics["gain"] == pytest.approx(result["verdict"]["gain"])
    assert metrics["latency_us.student.single"] > 0
    assert run.data.tags["kdcore.choice"] == result["verdict"]["choice"]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"student.kd", "result.json"} <= names
    # Every file that was handed over is there: bundles, and the report where there is one.
    assert names == {path.name for path in Path("out").iterdir()}
    assert logging.getLogger("mlflow").level == level


def test_a_comparison_is_a_run_with_one_below_it_for_each_pair(capsys) -> None:
    command = ["compare", *COMMON, "--teachers", "random_forest,nosuch", "--mlflow"]
    command += ["sqlite:///mine.db", "--students", "decision_tree"]
    assert main([*command, "--teacher-param", "random_forest:n_estimators=10"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 2
    client, runs = runs_of("sqlite:///mine.db")
    whole, good, bad = runs
    assert (whole.data.metrics["pairs"], whole.data.metrics["failed"]) == (2, 1)
    assert "comparison.json" in {f.path for f in client.list_artifacts(whole.info.run_id)}
    for run in (good, bad):
        assert run.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert good.data.tags["kdcore.pareto"] == "true"
    assert (bad.info.status, good.info.status) == ("FAILED", "FINISHED")
    assert "nosuch" in bad.data.tags["kdcore.error"]


def test_a_search_is_logged_as_the_trial_that_it_picked(capsys) -> None:
    command = ["search", *COMMON, "--teacher", "random_forest", "--student", "decision_tree"]
    command += ["--teacher-param", "n_estimators=10", "--parts", "2", "--trials", "4"]
    assert main([*command, "--storage", "sqlite:///trials.db", "--mlflow", "sqlite:///s.db"]) == 0
    found = json.loads(capsys.readouterr().out)
    client, [run] = runs_of("sqlite:///s.db")
    params, metrics = run.data.params, run.data.metrics
    assert params["trial"] == str(found["chosen"])
    assert (params["student"], params["students"]) == ("decision_tree", "decision_tree")
    assert "storage" not in params
    loss = found["result"]["student"]["metrics"]["log_loss"]
    assert metrics["student.log_loss"] == pytest.approx(loss)
    # Bundle and report are logged although no folder for them was named.
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names >= {"student.kd", "report.html", "result.json", "trials.json"}
    assert found["result"]["bundle"] is None
    trials = client.download_artifacts(run.info.run_id, "trials.json", dst_path=".")
    assert json.loads(Path(trials).read_text())["trials"] == found["trials"]


def test_the_guide_runs_as_it_stands(capsys) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/track-runs.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    kd (.*)$", page, re.M)
    assert len(commands) >= 2
    began = int(1000 * time.time())
    for line in commands:
        assert main([*shlex.split(line), "-q"]) == 0, capsys.readouterr().err
    [code] = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    exec(compile(code, "track-runs.md", "exec"), {})
    _, runs = runs_of("sqlite:///mlflow.db")
    # MLflow goes on with the connection of an earlier test, whose file had the same name.
    runs = [run for run in runs if run.info.start_time >= began]
    assert len(runs) == 5
    shown = set(re.findall(r"`((?:teacher|plain|student)\.\w+|gain\w*|columns_read)`", page))
    assert shown <= set(runs[0].data.metrics)


@pytest.mark.parametrize("uri", ["nosuch://place", "sqlite:///data.csv"])
def test_an_address_that_cannot_be_used_is_told_before_any_work(uri: str, capsys) -> None:
    command = ["distill", *COMMON, "--teacher", "random_forest", "-o", "out", "--mlflow", uri]
    assert main(command) == 1
    err = capsys.readouterr().err
    assert uri in err
    assert len(err.splitlines()) == 1
    assert not Path("out").exists()
