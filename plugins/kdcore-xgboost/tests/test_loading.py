"""Teachers from XGBoost's model files: they predict as in XGBoost, and bad files are told."""

import json

import numpy as np
import pytest
from xgboost import XGBClassifier, XGBRegressor

import kdcore
from kdcore.errors import DataError, FitError
from kdcore.model_files import load_model_file
from kdcore.testing import tiny_data
from kdcore_xgboost.loading import load
from kdcore_xgboost.teacher import XGBoostTeacherClassifier

endings = pytest.mark.parametrize("ending", ["ubj", "json"])


def saved(tmp_path, task, ending, **params):
    data = tiny_data(task)
    X = data.X.assign(note=data.X["note"].astype("category"))
    kind = XGBRegressor if task == "regression" else XGBClassifier
    model = kind(n_estimators=8, n_jobs=1, enable_categorical=True, **params).fit(X, data.y)
    path = tmp_path / f"model.{ending}"
    model.save_model(path)
    return data, X, model, path


@endings
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_file_predicts_as_in_xgboost_from_texts_and_categories_alike(tmp_path, task, ending):
    data, X, model, path = saved(tmp_path, task, ending)
    teacher = load(path)
    assert teacher.feature_names_in_.tolist() == list(X.columns)
    assert teacher.classes_.tolist() == list(range(len(model.classes_)))
    wanted = model.predict_proba(X)
    for table in (X, data.X, data.X[data.X.columns[::-1]].assign(other="x")):
        np.testing.assert_allclose(teacher.predict_proba(table), wanted, atol=1e-6)
    assert (teacher.predict(X) == wanted.argmax(axis=1)).all()
    assert teacher.model_bytes() == path.stat().st_size


def test_whole_numbers_where_training_had_fractions_are_no_error(tmp_path):
    """XGBoost notes such types, and compares them when it predicts."""
    _, X, _, path = saved(tmp_path, "binary", "ubj")
    whole = X.assign(amount=1, age=X["age"].astype(float), member=X["member"].astype(int))
    assert np.isfinite(load(path).predict_proba(whole)).all()


@endings
def test_a_regression_file_gives_values(tmp_path, ending):
    data, X, model, path = saved(tmp_path, "regression", ending)
    teacher = load(path)
    assert not hasattr(teacher, "classes_")
    np.testing.assert_allclose(teacher.predict(data.X), model.predict(X), rtol=1e-6)


def test_a_category_that_was_never_seen_is_a_missing_one(tmp_path):
    data, X, model, path = saved(tmp_path, "binary", "ubj")
    strange = data.X.assign(city="Paris")
    missing = X.assign(city=X["city"].mask(X["city"].notna()))
    np.testing.assert_allclose(
        load(path).predict_proba(strange), model.predict_proba(missing), atol=1e-6
    )


def test_a_model_that_stopped_early_predicts_with_its_best_trees(tmp_path):
    data, fresh = (tiny_data("binary", content="numbers", seed=s) for s in (0, 1))
    model = XGBClassifier(n_estimators=200, early_stopping_rounds=5, n_jobs=1)
    model.fit(data.X, data.y, eval_set=[(fresh.X, fresh.y)], verbose=False)
    assert model.best_iteration < 190
    model.save_model(tmp_path / "model.ubj")
    got = load(tmp_path / "model.ubj").predict_proba(fresh.X)
    np.testing.assert_allclose(got, model.predict_proba(fresh.X), atol=1e-6)


def test_a_model_of_bare_arrays_is_matched_by_position(tmp_path):
    data = tiny_data("binary", content="numbers")
    array = data.X.to_numpy()
    model = XGBClassifier(n_estimators=5, n_jobs=1).fit(array, data.y)
    path = tmp_path / "model.json"
    model.save_model(path)
    teacher = load(path)
    assert not hasattr(teacher, "feature_names_in_")
    for table in (array, data.X):
        np.testing.assert_allclose(
            teacher.predict_proba(table), model.predict_proba(array), atol=1e-6
        )
    with pytest.raises(DataError, match="was made for 4 columns, but the table has 3"):
        teacher.predict_proba(data.X[["a", "b", "c"]])


def test_a_missing_column_is_named(tmp_path):
    _, X, _, path = saved(tmp_path, "binary", "ubj")
    teacher = load_model_file(path, np.array(["high", "low"]))
    with pytest.raises(DataError, match=r"trained on 1 column\(s\) that the table lacks: 'age'"):
        teacher.predict_proba(X.drop(columns="age"))


def test_our_own_teacher_can_be_saved_and_used_again(tmp_path):
    data = tiny_data("multiclass")
    X = data.X.rename(columns={"age": "age [years]"})
    teacher = XGBoostTeacherClassifier(n_estimators=10).fit(X, data.y)
    teacher.model_.save_model(tmp_path / "model.ubj")
    got = load(tmp_path / "model.ubj").predict_proba(X)
    np.testing.assert_allclose(got, teacher.predict_proba(X), atol=1e-6)


def test_a_file_distills_in_one_call(tmp_path):
    data, _, _, path = saved(tmp_path, "binary", "ubj")
    result = kdcore.distill(
        data.X.assign(target=data.y),
        target="target",
        teacher=path,
        fitted="held-out",
        student="xgboost",
    )
    assert result.report.teacher["labels"] == "held-out"


@endings
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path, ending):
    """XGBoost itself ends the process on some of these."""
    _, _, _, path = saved(tmp_path, "binary", ending)
    whole = path.read_bytes()
    for end in [*range(0, len(whole), max(1, len(whole) // 300)), len(whole) - 1]:
        path.write_bytes(whole[: min(end, len(whole) - 1)])
        with pytest.raises(FitError, match="is not a usable XGBoost model") as caught:
            load(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["hello", "[]", '{"a": 1}', '{"learner": {}, "version": []}', "5"])
@endings
def test_another_kind_of_file_is_refused(tmp_path, text, ending):
    path = tmp_path / f"model.{ending}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FitError, match="is not a usable XGBoost model"):
        load(path)


@pytest.mark.parametrize("objective", ["binary:hinge", "rank:pairwise"])
def test_a_model_without_probabilities_says_so(tmp_path, objective):
    _, _, _, path = saved(tmp_path, "binary", "json")
    text = json.loads(path.read_text(encoding="utf-8"))
    text["learner"]["objective"] = {"name": objective}
    if objective.startswith("rank"):
        text["learner"]["objective"]["lambdarank_param"] = {}
    path.write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(FitError, match="gives neither class probabilities"):
        load(path)
