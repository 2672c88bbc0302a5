"""Bad input on the command line: one line, exit 1 or 2, no traceback, nothing half-written."""

from __future__ import annotations

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


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Input that is at fault by itself must be refused before any teacher is fitted."""
    from kdcore_xgboost.teacher import XGBoostTeacherClassifier, XGBoostTeacherRegressor

    def fit(*args: object, **kwargs: object) -> None:
        pytest.fail("the teacher was fitted before the input was checked")

    monkeypatch.setattr(XGBoostTeacherClassifier, "fit", fit)
    monkeypatch.setattr(XGBoostTeacherRegressor, "fit", fit)


def frame(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "income": rng.gamma(2.0, 10.0, n),
            "city": rng.choice(["Ulm", "Bonn", "Kiel"], n),
        }
    )
    table["label"] = np.where(table["age"] + rng.normal(0, 5, n) > 40, "yes", "no")
    return table


def write(table: pd.DataFrame, name: str = "data.csv") -> str:
    table.to_csv(name, index=False)
    return name


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """Run ``kd`` and return its one line on stderr; nothing may be left behind."""
    before = sorted(p for p in Path().rglob("*"))
    assert main([*arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert sorted(p for p in Path().rglob("*")) == before
    if code == 1:
        assert err.startswith("Error: ")
        assert len(err.strip().splitlines()) == 1
    return err


def distill(*more: str) -> list[str]:
    return ["distill", "data.csv", "--target", "label", "--student", "decision_tree", *more]


QUICK = ("--teacher-param", "n_estimators=3")


@pytest.mark.usefixtures("no_fitting")
class TestTheTable:
    def test_a_missing_file_is_named_with_its_nearest_neighbour(self, capsys):
        write(frame(), "data.csv")
        err = refused(capsys, "distill", "dat.csv", "-t", "label")
        assert "dat.csv" in err
        assert "Did you mean 'data.csv'" in err

    def test_an_empty_file_is_named(self, capsys):
        Path("data.csv").touch()
        assert "'data.csv' is empty" in refused(capsys, *distill())

    @pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.feather", "data.xyz"])
    def test_a_file_that_is_no_table_is_named(self, capsys, name):
        Path(name).write_bytes(bytes(range(256)) * 50)
        assert f"'{name}'" in refused(capsys, "distill", name, "-t", "label")

    def test_a_folder_is_no_table(self, capsys):
        Path("folder.csv").mkdir()
        assert "is a folder" in refused(capsys, "distill", "folder.csv", "-t", "label")

    def test_an_unknown_bundled_set_is_suggested(self, capsys):
        err = refused(capsys, "distill", "sklearn:digit", "-t", "target")
        assert "Did you mean 'digits'" in err

    def test_a_table_without_rows_is_named(self, capsys):
        write(frame().head(0))
        assert "no rows" in refused(capsys, *distill())

    def test_an_absent_target_column_is_suggested(self, capsys):
        write(frame())
        err = refused(capsys, "distill", "data.csv", "-t", "lable")
        assert "'lable'" in err
        assert "Did you mean 'label'" in err

    def test_an_absent_weight_column_is_suggested(self, capsys):
        write(frame())
        err = refused(capsys, *distill("--sample-weight", "incom"))
        assert "Did you mean 'income'" in err

    def test_a_target_that_is_all_missing_leaves_no_rows(self, capsys):
        write(frame().assign(label=np.nan))
        err = refused(capsys, *distill())
        assert "'label'" in err
        assert "missing" in err

    def test_a_constant_target_has_nothing_to_teach(self, capsys):
        write(frame().assign(label="yes"))
        err = refused(capsys, *distill())
        assert "'label'" in err
        assert "constant" in err

    def test_a_class_with_one_row_is_named(self, capsys):
        table = frame()
        table.loc[0, "label"] = "perhaps"
        write(table)
        err = refused(capsys, *distill())
        assert "'perhaps'" in err
        assert "one row" in err

    def test_infinite_values_name_their_column(self, capsys):
        table = frame()
        table.loc[3, "income"] = np.inf
        write(table)
        err = refused(capsys, *distill())
        assert "'income'" in err
        assert "infinite" in err

    def test_duplicate_column_names_are_named(self, capsys):
        table = frame()
        table.columns = ["age", "age", "city", "label"]
        write(table)
        assert "'age' occurs more than once" in refused(capsys, *distill())

    def test_a_regression_target_of_words_is_named(self, capsys):
        write(frame())
        err = refused(capsys, *distill("--task", "regression"))
        assert "'label'" in err
        assert "not a number" in err

    def test_dates_are_refused_with_advice(self, capsys):
        table = frame().assign(day=pd.Timestamp("2026-01-01"))
        table.to_parquet("data.parquet")
        err = refused(capsys, "distill", "data.parquet", "-t", "label")
        assert "'day'" in err
        assert "year" in err

    def test_more_classes_than_the_task_allows_are_counted(self, capsys):
        write(frame().assign(label=frame()["city"]))
        assert "3 classes" in refused(capsys, *distill("--task", "binary"))


@pytest.mark.usefixtures("no_fitting")
class TestTheParameters:
    @pytest.fixture(autouse=True)
    def data(self) -> None:
        write(frame())

    @pytest.mark.parametrize(
        ("option", "wrong", "right"),
        [
            ("--teacher", "xgbost", "xgboost"),
            ("--student", "decision_tre", "decision_tree"),
            ("--loss", "brie", "brier"),
        ],
    )
    def test_an_unknown_name_is_suggested(self, capsys, option, wrong, right):
        err = refused(capsys, *distill(option, wrong))
        assert f"'{wrong}'" in err
        assert f"'{right}'" in err

    def test_an_unknown_teacher_parameter_is_suggested(self, capsys):
        err = refused(capsys, *distill("--teacher-param", "max_dept=3"))
        assert "'max_dept'" in err
        assert "'max_depth'" in err

    def test_an_unknown_student_parameter_is_suggested(self, capsys):
        err = refused(capsys, *distill("--student-param", "max_leaf_node=3"))
        assert "'max_leaf_nodes'" in err

    @pytest.mark.parametrize(
        ("arguments", "what"),
        [
            (["--alpha", "2"], "alpha=2.0"),
            (["--alpha", "nan"], "alpha=nan"),
            (["--temperature", "0"], "temperature=0.0"),
            (["--temperature", "2"], "temperature=2"),  # a tree is fitted to plain targets
            (["--test-size", "1.5"], "test_size=1.5"),
            (["--test-size", "0.001"], "test_size=0.001"),
            (["--folds", "1"], "folds=1"),
            (["--loss", "logit_mse"], "logit_mse"),
            (["--loss", "blend"], "'blend'"),
            (["--task", "ranking"], "'ranking'"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_named(self, capsys, arguments, what):
        assert what in refused(capsys, *distill(*arguments))

    def test_more_folds_than_rows_of_the_rarest_class(self, capsys):
        table = frame()
        table["label"] = np.where(np.arange(60) < 4, "rare", "common")
        write(table)
        err = refused(capsys, *distill("--folds", "5"))
        assert "folds=5" in err
        assert "'rare'" in err


class TestTheBackend:
    def test_a_bad_value_of_a_backend_parameter_is_one_line(self, capsys):
        write(frame())
        err = refused(capsys, *distill("--teacher-param", "max_depth=-5"))
        assert "XGBoost" in err
        assert "max_depth" in err

    def test_a_bad_value_of_a_student_parameter_is_one_line(self, capsys):
        write(frame())
        err = refused(capsys, *distill(*QUICK, "--student-param", "max_leaf_nodes=0"))
        assert "max_leaf_nodes" in err


class TestTheOutput:
    @pytest.fixture(autouse=True)
    def data(self) -> None:
        write(frame())

    @pytest.mark.usefixtures("no_fitting")
    def test_an_output_folder_below_a_file_cannot_be_written(self, capsys):
        Path("file").touch()
        assert "'file'" in refused(capsys, *distill("-o", "file/out"))

    @pytest.mark.usefixtures("no_fitting")
    def test_an_output_folder_that_is_a_file_is_refused(self, capsys):
        Path("file").touch()
        assert "'file' is a file" in refused(capsys, *distill("-o", "file"))

    @pytest.mark.usefixtures("no_fitting")
    def test_results_that_exist_are_kept_without_force(self, capsys):
        Path("out").mkdir()
        Path("out/student.kd").write_text("mine")
        err = refused(capsys, *distill("-o", "out"))
        assert "--force" in err
        assert Path("out/student.kd").read_text() == "mine"

    def test_force_replaces_results_and_nothing_else(self, capsys):
        Path("out").mkdir()
        Path("out/student.kd").write_text("mine")
        Path("out/notes.txt").write_text("keep")
        assert main(distill(*QUICK, "-o", "out", "--force", "-q")) == 0
        assert Path("out/student.kd").read_bytes()[:2] == b"PK"
        assert sorted(os.listdir("out")) == ["notes.txt", "result.json", "student.kd"]


@pytest.mark.usefixtures("no_fitting")
class TestTheTestFile:
    @pytest.fixture(autouse=True)
    def data(self) -> None:
        write(frame())

    def test_a_missing_column_is_named(self, capsys):
        write(frame().drop(columns="income"), "test.csv")
        assert "'income'" in refused(capsys, *distill("--test", "test.csv"))

    def test_a_missing_target_is_named(self, capsys):
        write(frame().drop(columns="label"), "test.csv")
        assert "'label'" in refused(capsys, *distill("--test", "test.csv"))

    def test_a_class_that_training_lacks_is_named(self, capsys):
        table = frame()
        table.loc[0, "label"] = "perhaps"
        write(table, "test.csv")
        assert "'perhaps'" in refused(capsys, *distill("--test", "test.csv"))

    def test_a_column_of_another_type_is_named(self, capsys):
        write(frame().assign(age="old"), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv"))
        assert "'age'" in err
        assert "'old'" in err

    def test_a_missing_test_file_is_named(self, capsys):
        assert "'tset.csv'" in refused(capsys, *distill("--test", "tset.csv"))


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["distill"],
            ["distill", "data.csv"],
            ["distill", "data.csv", "-t", "label", "--folds", "many"],
            ["distill", "data.csv", "-t", "label", "--jobs", "0"],
            ["distill", "data.csv", "-t", "label", "--teacher-param", "depth"],
            ["distill", "data.csv", "-t", "label", "--no-such-option"],
            ["predict", "student.kd"],
            ["predict", "student.kd", "data.csv", "-o", "result.txt"],
            ["no-such-command"],
        ],
    )
    def test_a_wrong_call_exits_with_2(self, capsys, arguments):
        write(frame())
        assert "Error" in refused(capsys, *arguments, code=2)


class TestPredicting:
    @pytest.fixture
    def bundle(self, capsys) -> str:
        write(frame())
        assert main(distill(*QUICK, "-o", "out", "-q")) == 0
        capsys.readouterr()
        return "out/student.kd"

    def test_a_bundle_that_is_not_there_is_named(self, capsys):
        write(frame())
        assert "'none.kd'" in refused(capsys, "predict", "none.kd", "data.csv")

    def test_a_damaged_bundle_is_refused(self, capsys, bundle):
        data = Path(bundle).read_bytes()
        Path("bad.kd").write_bytes(data[: len(data) // 2])
        assert "'bad.kd'" in refused(capsys, "predict", "bad.kd", "data.csv")

    def test_a_missing_column_is_named(self, capsys, bundle):
        write(frame().drop(columns="age"), "new.csv")
        assert "'age'" in refused(capsys, "predict", bundle, "new.csv")

    def test_an_existing_output_is_kept(self, capsys, bundle):
        Path("out.csv").write_text("mine")
        err = refused(capsys, "predict", bundle, "data.csv", "-o", "out.csv")
        assert "--force" in err
        assert Path("out.csv").read_text() == "mine"

    def test_an_output_folder_that_is_not_there_is_named(self, capsys, bundle):
        assert "'no'" in refused(capsys, "predict", bundle, "data.csv", "-o", "no/out.csv")


def test_ctrl_c_ends_soon_with_130_and_leaves_no_bundle():
    """A long teacher fit runs in threads that cannot be interrupted; the user must not wait."""
    write(frame(3000))
    command = [sys.executable, "-m", "kdcore", *distill("--teacher-param", "n_estimators=200000")]
    process = subprocess.Popen(
        [*command, "-o", "out"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(6)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert [p for p in os.listdir() if p != "data.csv"] == []
