"""Teachers from LightGBM's text files: they predict as in LightGBM, and bad files are told."""

import warnings

import numpy as np
import pandas as pd
import pytest
from lightgbm import Dataset, LGBMClassifier, LGBMRegressor, train

import kdcore
from kdcore.errors import DataError, FitError
from kdcore.model_files import load_model_file
from kdcore.testing import tiny_data
from kdcore_lightgbm.loading import load
from kdcore_lightgbm.teacher import LightGBMTeacherClassifier, LightGBMTeacherRegressor

QUIET = {"verbosity": -1, "n_estimators": 8, "n_jobs": 1, "min_child_samples": 5}


def categorical(X):
    return X.assign(note=X["note"].astype("category"))


def saved(tmp_path, task, *, labels="text", names=None, content="mixed"):
    data = tiny_data(task, content=content, labels=labels if task != "regression" else "positions")
    X = categorical(data.X) if content == "mixed" else data.X
    if names is not None:
        X = X.set_axis(names, axis=1)
    kind = LGBMRegressor if task == "regression" else LGBMClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(**QUIET, min_data_per_group=5).fit(X, data.y)
    path = tmp_path / "model.txt"
    model.booster_.save_model(path)
    return data, X, model, path


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_file_predicts_as_in_lightgbm_from_texts_and_categories_alike(tmp_path, task):
    data, X, model, path = saved(tmp_path, task)
    teacher = load(path)
    assert teacher.feature_names_in_.tolist() == list(X.columns)
    assert teacher.classes_.tolist() == list(range(len(model.classes_)))
    wanted = model.predict_proba(X)
    for table in (X, data.X, data.X[data.X.columns[::-1]].assign(other="x")):
        np.testing.assert_allclose(teacher.predict_proba(table), wanted, rtol=1e-12)
    assert (teacher.predict(X) == wanted.argmax(axis=1)).all()
    assert teacher.model_bytes() == path.stat().st_size


def test_a_regression_file_gives_values(tmp_path):
    data, X, model, path = saved(tmp_path, "regression")
    teacher = load(path)
    assert not hasattr(teacher, "classes_")
    np.testing.assert_allclose(teacher.predict(data.X), model.predict(X), rtol=1e-12)


def test_a_category_that_was_never_seen_is_a_missing_one(tmp_path):
    data, X, model, path = saved(tmp_path, "binary")
    strange = data.X.assign(city=data.X["city"].astype(object))
    strange["city"] = "Paris"
    missing = X.assign(city=X["city"].mask(X["city"].notna()))
    np.testing.assert_allclose(
        load(path).predict_proba(strange), model.predict_proba(missing), rtol=1e-12
    )


def test_blanks_in_names_are_found_again(tmp_path):
    """LightGBM writes them as underscores, so iris would lack all of its columns."""
    names = ["amount (kg)", "age", "is member", "the city", "note"]
    _, X, model, path = saved(tmp_path, "binary", names=names)
    teacher = load_model_file(path, np.array(["high", "low"]))
    np.testing.assert_allclose(teacher.predict_proba(X), model.predict_proba(X), rtol=1e-12)
    with pytest.raises(DataError, match=r"trained on 1 column\(s\) that the table lacks: 'age'"):
        teacher.predict_proba(X.drop(columns="age"))


def test_a_model_of_bare_arrays_is_matched_by_position(tmp_path):
    data = tiny_data("binary", content="numbers")
    array = data.X.to_numpy()
    model = LGBMClassifier(**QUIET).fit(array, data.y)
    path = tmp_path / "model.txt"
    model.booster_.save_model(path)
    teacher = load(path)
    assert not hasattr(teacher, "feature_names_in_")
    wanted = model.booster_.predict(array)
    assert np.array_equal(teacher.predict_proba(data.X)[:, 1], wanted)
    assert np.array_equal(teacher.predict_proba(array)[:, 1], wanted)
    with pytest.raises(DataError, match="was made for 4 columns, but the table has 3"):
        teacher.predict_proba(data.X[["a", "b", "c"]])


def test_our_own_teacher_can_be_saved_and_used_again(tmp_path):
    data = tiny_data("multiclass")
    teacher = LightGBMTeacherClassifier(n_estimators=10).fit(data.X, data.y)
    path = tmp_path / "model.txt"
    teacher.model_.booster_.save_model(path)
    np.testing.assert_allclose(
        load(path).predict_proba(data.X), teacher.predict_proba(data.X), rtol=1e-12
    )


def test_a_file_distills_in_one_call(tmp_path):
    data, _, _, path = saved(tmp_path, "binary")
    table = data.X.assign(target=data.y)
    result = kdcore.distill(
        table, target="target", teacher=path, fitted="held-out", student="lightgbm"
    )
    assert result.report.teacher["labels"] == "held-out"


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path):
    """LightGBM itself ends the process on some of these."""
    _, _, _, path = saved(tmp_path, "binary")
    text = path.read_text(encoding="utf-8")
    for end in range(0, len(text) - 1, max(1, len(text) // 150)):
        path.write_text(text[:end], encoding="utf-8")
        with pytest.raises(FitError) as caught:
            load(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tree\n", "other\n", "is not a LightGBM model; give a text file"),
        ("\nleaf_value=", "\nleaf_value=0.1 ", "is damaged: its tree 0 is incomplete"),
        ("\nleft_child=", "\nleft_child=99 ", "is damaged: its tree 0 is incomplete"),
        ("\nsplit_feature=", "\nsplit_feature=99 ", "is damaged: its tree 0 is incomplete"),
        ("max_feature_idx=4", "max_feature_idx=5", "is damaged: it does not name its 6 columns"),
        ("max_feature_idx=4", "max_feature_idx=x", "is damaged: its header is incomplete"),
        ("Tree=3", "Tree3", "is damaged: it should hold 8 trees"),
        ("objective=binary sigmoid:1", "objective=lambdarank", "objective lambdarank, which gives"),
    ],
)
def test_a_damaged_or_unfit_file_says_what_is_wrong(tmp_path, old, new, says):
    _, _, _, path = saved(tmp_path, "binary")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FitError, match=says) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_says_so(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(FitError, match="is not a LightGBM model in text"):
        load(path)


def test_scores_of_an_objective_of_ones_own_are_no_probabilities(tmp_path):
    data = tiny_data("multiclass", content="numbers")

    def own(scores, rows):
        return scores - np.eye(3)[data.y], np.ones_like(scores)

    params = {"objective": own, "num_class": 3, "verbosity": -1, "num_threads": 1}
    path = tmp_path / "model.txt"
    train(params, Dataset(data.X, data.y, params={"verbosity": -1}), 2).save_model(path)
    with pytest.raises(FitError, match=r"objective \(one of your own\), which gives neither"):
        load(path)


def test_a_teacher_and_its_file_tell_thresholds_and_pairs(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "noise": rng.normal(size=600),
            "rate": rng.integers(0, 20, 600).astype(float),
            "city": pd.Categorical(rng.choice(["Bern", "Lima", "Oslo"], 600)),
        }
    )
    y = np.where((X["rate"] >= 13) & (X["city"] == "Lima"), 5.0, 0.0)
    teacher = LightGBMTeacherRegressor(n_estimators=20, colsample_bytree=1.0)
    teacher.fit(X.rename(columns={"rate": "rate %"}), y)
    told = teacher.structure()
    assert told.pairs[0][:2] == ("rate %", "city")
    assert "city" not in told.thresholds
    assert 12 <= told.thresholds["rate %"][told.gains["rate %"].argmax()] < 13
    named = LightGBMTeacherRegressor(n_estimators=20, colsample_bytree=1.0).fit(X, y)
    named.model_.booster_.save_model(tmp_path / "named.txt")
    again = load(tmp_path / "named.txt").structure()
    np.testing.assert_array_equal(again.thresholds["rate"], told.thresholds["rate %"])
    teacher.model_.booster_.save_model(tmp_path / "bare.txt")
    assert load(tmp_path / "bare.txt").structure() is None
    assert LightGBMTeacherRegressor(n_estimators=2).fit(X, np.ones(600)).structure() is None
