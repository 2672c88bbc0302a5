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
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
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
    before = everything()
    assert main([*arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert everything() == before
    assert_one_line(err, code)
    return err


def everything() -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in Path().rglob("*")}


def assert_one_line(err: str, code: int) -> None:
    assert "Traceback" not in err
    if code == 1:
        assert err.startswith("Error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
    else:
        assert err.startswith("Usage: kd")
        assert err.splitlines()[-1].startswith("Error: ")


def distill(*more: str) -> list[str]:
    return ["distill", "data.csv", "--target", "label", "--student", "decision_tree", *more]


QUICK = ("--teacher-param", "n_estimators=3")


@pytest.mark.usefixtures("no_fitting")
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_guard_of_these_tests_does_see_a_teacher_that_is_fitted(task):
    write(frame().assign(label=frame()["income"]) if task == "regression" else frame())
    with pytest.raises(pytest.fail.Exception, match="fitted before the input was checked"):
        main(distill(*QUICK))


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

    def test_rows_longer_than_their_header_are_not_moved_by_a_column(self, capsys):
        """pandas would take the first column for names of rows, and learn from the wrong ones."""
        Path("data.csv").write_text("age,label\n" + "1,2,yes\n3,4,no\n" * 20)
        err = refused(capsys, *distill())
        assert "'data.csv' holds 3 values, but its header names 2 columns" in err

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

    def test_no_rows_are_left_once_those_without_a_target_are_dropped(self, capsys):
        Path("data.csv").write_text("age,label\n1,\n2,NA\n3,\n")
        assert "every value of the target column 'label' is missing" in refused(capsys, *distill())

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

    def test_numbers_that_no_student_can_hold_name_their_column(self, capsys):
        table = frame()
        table.loc[3, "income"] = 1e39
        write(table)
        err = refused(capsys, *distill())
        assert "'income'" in err
        assert "float32" in err

    @pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".feather"])
    def test_duplicate_column_names_are_named(self, capsys, ending):
        table, name = frame(), f"data{ending}"
        table.columns = ["age", "age", "city", "label"]
        if ending in (".csv", ".tsv"):
            table.to_csv(name, index=False, sep="," if ending == ".csv" else "\t")
        else:
            columns = [pa.array(table.iloc[:, i]) for i in range(table.shape[1])]
            arrow = pa.table(columns, names=list(table.columns))
            (pq.write_table if ending == ".parquet" else feather.write_feather)(arrow, name)
        err = refused(capsys, "distill", name, "-t", "label")
        assert f"'age' occurs more than once in '{name}'" in err

    def test_a_regression_target_of_words_is_named(self, capsys):
        write(frame())
        err = refused(capsys, *distill("--task", "regression"))
        assert "'label'" in err
        assert "not a number" in err

    @pytest.mark.parametrize("value", [np.inf, 1e39])
    def test_a_regression_target_without_bounds_is_named(self, capsys, value):
        table = frame().assign(label=frame()["income"])
        table.loc[3, "label"] = value
        write(table)
        err = refused(capsys, *distill())
        assert "'label'" in err
        assert "infinite" in err

    def test_a_target_of_dates_is_no_set_of_classes(self, capsys):
        days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(60) // 20, "D")
        frame().assign(label=days).to_parquet("data.parquet")
        err = refused(capsys, "distill", "data.parquet", "-t", "label")
        assert "'label'" in err
        assert "datetime64" in err

    def test_weights_of_zero_in_all_training_rows_are_refused(self, capsys):
        write(frame().assign(weight=np.arange(60) == 0))
        err = refused(capsys, *distill("--sample-weight", "weight", "--seed", "3"))
        assert "rows have sample_weight 0" in err

    def test_a_weight_column_of_words_is_named(self, capsys):
        write(frame())
        assert "'city'" in refused(capsys, *distill("--sample-weight", "city"))

    def test_a_target_cannot_be_its_own_weight(self, capsys):
        write(frame())
        assert "'label'" in refused(capsys, *distill("--sample-weight", "label"))

    def test_a_target_alone_has_no_inputs(self, capsys):
        write(frame()[["label"]])
        assert "no input columns" in refused(capsys, *distill())

    def test_a_category_with_a_nul_byte_names_its_column(self, capsys):
        """XGBoost failed on it with an empty AssertionError."""
        table = frame()
        table.loc[3, "city"] = "Ul\0m"
        table.to_parquet("data.parquet")
        err = refused(capsys, *["distill", "data.parquet", "--target", "label"])
        assert "column 'city' holds 'Ul\\x00m'" in err
        assert "NUL" in err

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
        assert "'max_leaf_node'" in err
        assert "'max_leaf_nodes'" in err

    @pytest.mark.parametrize(
        ("parameter", "what"),
        [
            ('features=["agee"]', "Did you mean 'age'"),
            ("features=[]", "features is empty"),
            ("features=3", "features=3 must be a list"),
            ("encoder=ordinl", "Did you mean 'ordinal'"),
            ("encoder=3", "encoder=3 is neither a name"),
        ],
    )
    def test_columns_and_encoding_of_the_student_are_checked_early(self, capsys, parameter, what):
        assert what in refused(capsys, *distill("--student-param", parameter))

    @pytest.mark.parametrize(
        ("arguments", "what"),
        [
            (["--alpha", "2"], "alpha=2.0"),
            (["--alpha", "nan"], "alpha=nan"),
            (["--alpha", "-0.1"], "alpha=-0.1"),
            (["--temperature", "0"], "temperature=0.0"),
            (["--temperature", "-1"], "temperature=-1.0"),
            (["--temperature", "inf"], "temperature=inf"),
            (["--time-limit", "0"], "time_limit=0.0"),
            (["--augment", "cart:many"], "augment='cart:many'"),
            (["--augment", "-3"], "'-3'"),
            (["--label-correction", "doa"], "Did you mean 'dao'"),
            (["--label-correction", "dao:error=-1"], "error=-1.0"),
            (["--label-correction", "dao", "--alpha", "0"], "alpha=0"),
            (["--temperature", "2"], "temperature=2"),  # a tree is fitted to plain targets
            (["--test-size", "1.5"], "test_size=1.5"),
            (["--test-size", "0.001"], "test_size=0.001"),
            (["--folds", "1"], "folds=1"),
            (["--test-size", "nan"], "test_size=nan"),
            (["--loss", "logit_mse"], "logit_mse"),
            (["--loss", ""], "''"),
            (["--loss", "blend"], "'blend'"),
            (["--task", "ranking"], "'ranking'"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_named(self, capsys, arguments, what):
        assert what in refused(capsys, *distill(*arguments))

    def test_a_loss_of_many_classes_names_those_that_two_can_use(self, capsys):
        write(frame())
        arguments = ["distill", "data.csv", "-t", "label", "--student", "logistic_regression"]
        err = refused(capsys, *arguments, "--loss", "dkd")
        assert "'dkd'" in err
        assert "kl, label_smoothing, logit_mse" in err

    @pytest.mark.parametrize("augment", [(), ("--augment", "5"), ("--augment", "smote")])
    def test_a_table_of_one_row_for_each_class_is_refused_however_it_is_augmented(
        self, capsys, augment
    ):
        write(frame(6).assign(label=list("uvwxyz")))
        assert "one row" in refused(capsys, *distill(*augment))
        write(frame(6).assign(label=list("uvwxyz")), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv", *augment))
        assert "each of the 6 classes has a single row" in err

    def test_more_folds_than_rows_of_the_rarest_class(self, capsys):
        table = frame()
        table["label"] = np.where(np.arange(60) < 4, "rare", "common")
        write(table)
        err = refused(capsys, *distill("--folds", "5"))
        assert "folds=5" in err
        assert "'rare'" in err


class TestTheBackend:
    """Values that only the library itself can judge."""

    @pytest.mark.parametrize("value", ["-5", "deep", "2.5"])
    def test_a_bad_value_of_a_backend_parameter_is_one_line(self, capsys, value):
        write(frame())
        err = refused(capsys, *distill("--teacher-param", f"max_depth={value}"))
        assert "XGBoost" in err
        assert "max_depth" in err


@pytest.mark.usefixtures("no_fitting")
class TestParametersOfModels:
    """A typing error in a student's parameter must not cost the time of a teacher's fits."""

    @pytest.mark.parametrize(
        ("student", "parameters"),
        [
            ("logistic_regression", ["C=-1", "C=nan", "max_iter=0", "tol=-1"]),
            ("svm", ["C=-1", "gamma=0", "kernel=poly", "n_landmarks=0", "random_state=-1"]),
            ("decision_tree", ["max_depth=0", "max_leaf_nodes=1", "min_samples_leaf=0"]),
            ("decision_tree", ["ccp_alpha=-1", "shrinkage=-1", "max_depth=deep"]),
            ("sklearn_mlp", ["hidden_layer_sizes=[]", "hidden_layer_sizes=[8,0]", "batch_size=0"]),
            ("xgboost", ["n_estimators=0", "max_depth=0", "learning_rate=0", "subsample=2"]),
            ("lightgbm", ["n_estimators=0", "max_depth=0", "num_leaves=1", "reg_lambda=-1"]),
            ("catboost", ["iterations=0", "depth=17", "rsm=0", "l2_leaf_reg=-1"]),
        ],
    )
    def test_a_bad_value_is_refused_before_the_teacher_is_fitted(self, capsys, student, parameters):
        write(frame())
        for parameter in parameters:
            more = ("--student", student, "--student-param", parameter)
            err = refused(capsys, *distill(*QUICK, *more))
            assert f"the student {student}: {parameter.split('=')[0]}=" in err
            assert " must be " in err

    def test_the_counterpart_of_a_student_is_checked_in_its_place(self, capsys):
        write(frame().assign(label=frame()["income"]))
        more = ("--student", "logistic_regression", "--student-param", "l2=-1")
        err = refused(capsys, *distill(*QUICK, *more))
        assert "the student ridge: l2=-1 must be a number of at least 0" in err

    @pytest.mark.parametrize(
        ("teacher", "name"),
        [
            ("xgboost", "n_estimators"),
            ("lightgbm", "n_estimators"),
            ("catboost", "iterations"),
            ("random_forest", "n_estimators"),
        ],
    )
    @pytest.mark.parametrize("value", [0, -3])
    def test_a_teacher_without_trees_is_refused(self, capsys, teacher, name, value):
        """XGBoost takes no tree at all for a model, and would teach a constant."""
        write(frame())
        more = ("--teacher", teacher, "--teacher-param", f"{name}={value}")
        err = refused(capsys, *distill(*more))
        assert f"the teacher {teacher}: {name}={value} must be a whole number of at least 1" in err

    @pytest.mark.parametrize("teacher", ["xgboost", "lightgbm", "catboost"])
    def test_early_stopping_needs_rounds_and_a_share(self, capsys, teacher):
        write(frame())
        stop = "early_stopping_rounds"
        for wrong in ([f"{stop}=0"], [f"{stop}=5", "validation_fraction=1"]):
            more = [part for w in wrong for part in ("--teacher-param", w)]
            err = refused(capsys, *distill("--teacher", teacher, *more))
            assert f"{wrong[-1].split('=')[0]}=" in err


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
    def test_a_file_system_that_takes_no_files_is_noticed_even_by_root(self, capsys):
        assert "cannot write to the folder '/" in refused(capsys, *distill("-o", "/proc/results"))

    @pytest.mark.usefixtures("no_fitting")
    @pytest.mark.parametrize("name", ["student.kd", "result.json", "report.html"])
    def test_results_that_exist_are_kept_without_force(self, capsys, name):
        Path("out").mkdir()
        Path("out", name).write_text("mine")
        err = refused(capsys, *distill("-o", "out"))
        assert f"out/{name}' exists" in err
        assert "--force" in err

    @pytest.mark.parametrize("what", [KeyboardInterrupt, OSError(28, "No space left on device")])
    def test_a_run_that_stops_while_it_saves_leaves_no_file(self, capsys, monkeypatch, what):
        def half(path: Path, data: bytes) -> None:
            with open(path, "wb") as file:
                file.write(data[: len(data) // 2])
            raise what

        monkeypatch.setattr(Path, "write_bytes", half)
        code = main(distill(*QUICK, "-o", "out"))
        out, err = capsys.readouterr()
        assert code == (130 if what is KeyboardInterrupt else 1)
        assert out == ""
        assert "Traceback" not in err
        assert [p for p in Path().rglob("*") if p.is_file()] == [Path("data.csv")]

    def test_force_replaces_results_and_nothing_else(self, capsys):
        Path("out").mkdir()
        Path("out/student.kd").write_text("mine")
        Path("out/notes.txt").write_text("keep")
        assert main(distill(*QUICK, "-o", "out", "--force", "-q")) == 0
        assert Path("out/student.kd").read_bytes()[:2] == b"PK"
        assert Path("out/notes.txt").read_text() == "keep"
        there = set(os.listdir("out")) - {"plain.kd"}  # there if the verdict prefers it
        assert there == {"notes.txt", "report.html", "result.json", "student.kd"}


@pytest.mark.usefixtures("no_fitting")
class TestTheTestFile:
    @pytest.fixture(autouse=True)
    def data(self) -> None:
        write(frame())

    def test_a_missing_column_is_named(self, capsys):
        write(frame().drop(columns="income"), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv"))
        assert "test table" in err
        assert "'income'" in err

    def test_a_column_of_another_name_is_suggested(self, capsys):
        write(frame().rename(columns={"income": "incomes"}), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv"))
        assert "'income'" in err
        assert "Did you mean 'incomes'" in err

    def test_a_missing_target_is_named(self, capsys):
        write(frame().drop(columns="label"), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv"))
        assert "test table" in err
        assert "'label'" in err

    def test_a_target_without_values_says_in_which_table(self, capsys):
        write(frame().assign(label=np.nan), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv"))
        assert "test table" in err
        assert "every value of the target column 'label' is missing" in err

    def test_a_missing_weight_is_named(self, capsys):
        write(frame().assign(weight=1.0))
        write(frame(), "test.csv")
        err = refused(capsys, *distill("--test", "test.csv", "--sample-weight", "weight"))
        assert "test table" in err
        assert "'weight'" in err

    def test_infinite_values_are_named(self, capsys):
        table = frame()
        table.loc[3, "income"] = -np.inf
        write(table, "test.csv")
        assert "'income'" in refused(capsys, *distill("--test", "test.csv"))

    def test_a_number_between_two_classes_is_neither(self, capsys):
        write(frame().assign(label=np.arange(60) % 2))
        write(frame().assign(label=0.5), "test.csv")
        assert "the class '0.5'" in refused(capsys, *distill("--test", "test.csv"))

    def test_words_in_place_of_numbered_classes_are_named(self, capsys):
        write(frame().assign(label=np.arange(60) % 2))
        write(frame(), "test.csv")
        assert "'no'" in refused(capsys, *distill("--test", "test.csv"))

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
            ["distill", "data.csv", "-t", "label", "--jobs", "-2"],
            ["distill", "data.csv", "-t", "label", "--seed", "-1"],
            ["distill", "data.csv", "-t", "label", "--seed", "4294967296"],
            ["distill", "data.csv", "-t", "label", "--alpha", "much"],
            ["distill", "data.csv", "-t", "label", "--teacher-param", "depth"],
            ["distill", "data.csv", "-t", "label", "--student-param", "=3"],
            ["distill", "data.csv", "-t", "label", "--no-such-option"],
            ["predict", "student.kd"],
            ["predict", "student.kd", "data.csv", "-o", "result.txt"],
            ["no-such-command"],
        ],
    )
    @pytest.mark.usefixtures("no_fitting")
    def test_a_wrong_call_exits_with_2(self, capsys, arguments):
        write(frame())
        refused(capsys, *arguments, code=2)

    def test_a_wrong_call_names_what_is_wrong(self, capsys):
        write(frame())
        assert "--target" in refused(capsys, "distill", "data.csv", code=2)
        for option, value in (
            ("--folds", "many"),
            ("--teacher-param", "depth"),
            ("--seed", "-1"),
        ):
            err = refused(capsys, *distill(option, value), code=2)
            assert option in err
            assert value in err


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
        data = bytearray(Path(bundle).read_bytes())
        Path("bad.kd").write_bytes(data[: len(data) // 2])
        assert "'bad.kd'" in refused(capsys, "predict", "bad.kd", "data.csv")
        data[len(data) // 2] ^= 1
        Path("bad.kd").write_bytes(data)
        assert "'bad.kd'" in refused(capsys, "predict", "bad.kd", "data.csv")

    def test_a_table_in_place_of_a_bundle_is_refused(self, capsys):
        write(frame())
        assert "'data.csv' is not a readable bundle" in refused(
            capsys, "predict", "data.csv", "data.csv"
        )

    def test_a_missing_column_is_named(self, capsys, bundle):
        write(frame().drop(columns="age"), "new.csv")
        assert "'age'" in refused(capsys, "predict", bundle, "new.csv")

    def test_a_word_among_numbers_is_named_and_no_output_begun(self, capsys, bundle):
        write(frame().assign(age="old"), "new.csv")
        err = refused(capsys, "predict", bundle, "new.csv", "-o", "out.csv")
        assert "'age'" in err
        assert "'old'" in err

    def test_an_output_that_is_a_folder_is_refused_even_with_force(self, capsys, bundle):
        Path("out.csv").mkdir()
        err = refused(capsys, "predict", bundle, "data.csv", "-o", "out.csv", "--force")
        assert "'out.csv' is a folder" in err

    def test_an_existing_output_is_kept(self, capsys, bundle):
        Path("out.csv").write_text("mine")
        err = refused(capsys, "predict", bundle, "data.csv", "-o", "out.csv")
        assert "--force" in err
        assert Path("out.csv").read_text() == "mine"

    def test_an_output_folder_that_is_not_there_is_named(self, capsys, bundle):
        assert "'no'" in refused(capsys, "predict", bundle, "data.csv", "-o", "no/out.csv")


class TestTheRealProcess:
    """What a user's shell sees, with Python's own settings for warnings and signals."""

    @pytest.mark.parametrize(
        ("arguments", "code", "what"),
        [
            (["distill", "none.csv", "-t", "label"], 1, "'none.csv'"),
            (["distill", "data.csv", "-t", "lable"], 1, "Did you mean 'label'"),
            (["distill", "data.csv", "-t", "label", "--teacher-param", "max_depth=-5"], 1, "-5"),
            (["predict", "data.csv", "data.csv"], 1, "'data.csv'"),
            (["distill", "data.csv"], 2, "--target"),
        ],
    )
    def test_an_error_is_one_line_and_an_exit_code(self, arguments, code, what):
        write(frame())
        done = subprocess.run(
            [sys.executable, "-m", "kdcore", *arguments], capture_output=True, text=True
        )
        assert done.returncode == code
        assert done.stdout == ""
        assert_one_line(done.stderr, code)
        assert what in done.stderr
        assert os.listdir() == ["data.csv"]

    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_ctrl_c_ends_soon_with_130_and_leaves_no_bundle(self, tmp_path_factory, jobs):
        """A long fit may run in threads that cannot be interrupted; the user must not wait."""
        script = tmp_path_factory.mktemp("script") / "kd.py"
        began = script.with_name("began")
        script.write_text(
            "import sys\n"
            "from pathlib import Path\n"
            "from kdcore_xgboost.teacher import XGBoostTeacherClassifier as Teacher\n"
            "from kdcore.__main__ import main\n"
            "fit = Teacher.fit_frame\n"
            "def fit_frame(self, *args):\n"
            f"    Path({str(began)!r}).touch()\n"
            "    return fit(self, *args)\n"
            "Teacher.fit_frame = fit_frame\n"
            "sys.exit(main())\n"
        )
        write(frame(3000))
        forever = ("--teacher-param", "n_estimators=1000000")
        process = subprocess.Popen(
            [sys.executable, str(script), *distill(*forever, "--jobs", jobs, "-o", "out")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            last = time.monotonic() + 120
            while process.poll() is None and not began.exists() and time.monotonic() < last:
                time.sleep(0.05)
            assert began.exists()
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
        assert process.returncode == 130
        assert out == ""
        assert err.strip() == "Aborted."
        assert os.listdir() == ["data.csv"]
        assert os.listdir(os.environ["KD_CACHE_DIR"]) == []
