"""Teachers from CatBoost's binary files: they predict as in CatBoost, and bad files are told."""

import numpy as np
import pytest
from catboost import CatBoost

import kdcore
from kdcore.errors import DataError, FitError
from kdcore.model_files import load_model_file
from kdcore.testing import tiny_data
from kdcore_catboost.loading import load
from kdcore_catboost.teacher import CatBoostTeacherClassifier


def saved(tmp_path, task, loss, *, y=None, labels="text"):
    data = tiny_data(task, labels=labels if task != "regression" else "positions")
    X = data.X.assign(
        city=data.X["city"].astype(object).where(data.X["city"].notna(), "nan"),
        note=data.X["note"].astype(object).where(data.X["note"].notna(), "nan"),
    ).rename(columns={"age": "age (Jahre, größer 0)"})
    data = type(data)(task, data.X.rename(columns=dict(zip(data.X, X, strict=True))), data.y, X)
    params = {"loss_function": loss, "iterations": 8, "thread_count": 1, "verbose": False}
    model = CatBoost({**params, "allow_writing_files": False})
    model.fit(X, data.y if y is None else y(data), cat_features=["city", "note"])
    path = tmp_path / "model.cbm"
    model.save_model(str(path))
    return data, X, model, path


@pytest.mark.parametrize(
    ("task", "loss", "classes"),
    [
        ("binary", "Logloss", ["high", "low"]),
        ("multiclass", "MultiClass", ["high", "low", "middle"]),
        ("multiclass", "MultiClassOneVsAll", ["high", "low", "middle"]),
    ],
)
def test_a_file_predicts_as_in_catboost_and_knows_its_labels(tmp_path, task, loss, classes):
    data, X, model, path = saved(tmp_path, task, loss)
    teacher = load(path)
    assert teacher.feature_names_in_.tolist() == list(X.columns)
    assert teacher.classes_.tolist() == classes
    wanted = model.predict(X, prediction_type="Probability")
    wanted = wanted / wanted.sum(axis=1, keepdims=True)
    for table in (X, data.X, data.X[data.X.columns[::-1]].assign(other="x")):
        np.testing.assert_allclose(teacher.predict_proba(table), wanted, atol=1e-9)
    assert (teacher.predict(X) == np.array(classes)[wanted.argmax(axis=1)]).all()
    assert teacher.model_bytes() == path.stat().st_size


def test_a_model_of_soft_labels_has_two_classes(tmp_path):
    soft = np.linspace(0.1, 0.9, 160)
    _, X, model, path = saved(tmp_path, "binary", "CrossEntropy", y=lambda data: soft)
    teacher = load(path)
    assert teacher.classes_.tolist() == [0, 1]
    wanted = model.predict(X, prediction_type="Probability")
    np.testing.assert_allclose(teacher.predict_proba(X), wanted, atol=1e-9)


@pytest.mark.parametrize("loss", ["RMSE", "Quantile:alpha=0.3", "Poisson"])
def test_a_regression_file_gives_values(tmp_path, loss):
    data, X, model, path = saved(tmp_path, "regression", loss, y=lambda data: np.abs(data.y))
    teacher = load(path)
    assert not hasattr(teacher, "classes_")
    kind = "Exponent" if loss == "Poisson" else "RawFormulaVal"
    wanted = model.predict(X, prediction_type=kind)
    np.testing.assert_allclose(teacher.predict(data.X), wanted, rtol=1e-6)


def test_a_model_of_bare_arrays_is_matched_by_position(tmp_path):
    data = tiny_data("regression", content="numbers")
    array = data.X.to_numpy()
    model = CatBoost({"iterations": 5, "verbose": False, "allow_writing_files": False})
    model.fit(array, data.y).save_model(str(tmp_path / "model.cbm"))
    teacher = load(tmp_path / "model.cbm")
    assert not hasattr(teacher, "feature_names_in_")
    for table in (array, data.X):
        np.testing.assert_allclose(teacher.predict(table), model.predict(array), rtol=1e-6)
    with pytest.raises(DataError, match="was made for 4 columns, but the table has 3"):
        teacher.predict(data.X[["a", "b", "c"]])


def test_a_missing_column_is_named(tmp_path):
    _, X, _, path = saved(tmp_path, "binary", "Logloss")
    teacher = load_model_file(path, np.array(["high", "low"]))
    with pytest.raises(DataError, match=r"trained on 1 column\(s\) that the table lacks: 'note'"):
        teacher.predict_proba(X.drop(columns="note"))


def test_our_own_teacher_can_be_saved_and_used_again(tmp_path):
    data = tiny_data("multiclass")
    teacher = CatBoostTeacherClassifier(iterations=10).fit(data.X, data.y)
    teacher.model_.save_model(str(tmp_path / "model.cbm"))
    got = load(tmp_path / "model.cbm").predict_proba(data.X)
    np.testing.assert_allclose(got, teacher.predict_proba(data.X), atol=1e-6)


def test_a_file_distills_in_one_call(tmp_path):
    data, _, _, path = saved(tmp_path, "binary", "Logloss")
    result = kdcore.distill(
        data.X.assign(target=data.y),
        target="target",
        teacher=path,
        fitted="held-out",
        student="catboost",
    )
    assert result.report.teacher["labels"] == "held-out"


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path):
    _, _, _, path = saved(tmp_path, "binary", "Logloss")
    whole = path.read_bytes()
    for end in [*range(0, len(whole), max(1, len(whole) // 150)), len(whole) - 1]:
        path.write_bytes(whole[: min(end, len(whole) - 1)])
        with pytest.raises(FitError, match="is not a usable CatBoost model") as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_another_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "model.cbm"
    path.write_text("tree\nversion=v4\n", encoding="utf-8")
    with pytest.raises(FitError, match="is not a usable CatBoost model"):
        load(path)


def test_a_model_of_several_values_is_no_teacher(tmp_path):
    def two(data):
        return np.stack([data.y, -data.y], axis=1)

    _, _, _, path = saved(tmp_path, "regression", "MultiRMSE", y=two)
    with pytest.raises(FitError, match="with the loss MultiRMSE, which gives neither"):
        load(path)
