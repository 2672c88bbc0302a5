"""What is special to XGBoost: custom objectives, categories, and its trees as ONNX."""

import json

import numpy as np
import pandas as pd
import pytest
from xgboost import XGBClassifier, XGBRegressor

from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_xgboost.loading import load
from kdcore_xgboost.student import XGBoostStudentClassifier, XGBoostStudentRegressor
from kdcore_xgboost.teacher import XGBoostTeacherClassifier, XGBoostTeacherRegressor

TASKS = ("binary", "multiclass")


def distance(student, fresh):
    """Root mean squared error from the true probabilities, relative to that of a constant."""
    error = np.mean((student.predict_proba(fresh.X) - fresh.teacher) ** 2)
    return np.sqrt(error / np.mean((fresh.teacher.mean(axis=0) - fresh.teacher) ** 2))


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "kl"},
        {"loss": "kl", "temperature": 2.0},
        {"loss": "logit_mse"},
        {"loss": "brier"},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", TASKS)
def test_any_loss_is_boosted_and_gives_probabilities(task, params):
    data, fresh = tiny_data(task, n_rows=400), tiny_data(task, seed=1)
    student = XGBoostStudentClassifier(alpha=1.0, **params).fit(data.X, tiny_targets(data))
    proba = student.predict_proba(fresh.X)
    assert (proba > 0).all()
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-6
    assert distance(student, fresh) < 0.45


def test_dkd_is_boosted_and_losses_without_a_curvature_are_refused():
    data, fresh = tiny_data("multiclass", n_rows=400), tiny_data("multiclass", seed=1)
    student = XGBoostStudentClassifier(alpha=1.0, loss="dkd").fit(data.X, tiny_targets(data))
    assert distance(student, fresh) < 0.45
    for loss in ("dist", "logit_standardization"):
        with pytest.raises(ParameterError, match=r"no bound of its curvature.* use one of .*dkd"):
            XGBoostStudentClassifier(loss=loss).fit(data.X, tiny_targets(data))


@pytest.mark.parametrize("task", TASKS)
def test_the_teacher_makes_a_better_student_than_labels(task):
    """This is what the whole project is for."""
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    taught = XGBoostStudentClassifier(alpha=1.0).fit(data.X, tiny_targets(data))
    plain = XGBoostStudentClassifier().fit(data.X, data.y)
    assert distance(taught, fresh) < 0.9 * distance(plain, fresh)


def test_with_labels_alone_it_learns_like_xgboosts_own_objective():
    data, fresh = (tiny_data("binary", content="numbers", n_rows=400, seed=s) for s in (0, 1))
    student = XGBoostStudentClassifier(n_estimators=40).fit(data.X, data.y)
    own = XGBClassifier(n_estimators=40, max_depth=4, learning_rate=0.15, n_jobs=1)
    own.fit(data.X, data.y)
    assert distance(student, fresh) < 1.1 * distance(own, fresh)


def test_values_are_boosted_to_the_blend_of_teacher_and_label():
    data, fresh = (
        tiny_data("regression", content="numbers", n_rows=400, seed=seed) for seed in (0, 1)
    )
    student = XGBoostStudentRegressor(alpha=1.0).fit(data.X, tiny_targets(data))
    error = np.sqrt(np.mean((student.predict(fresh.X) - fresh.teacher) ** 2))
    assert error < 0.3 * fresh.teacher.std()
    shifted = XGBoostStudentRegressor(alpha=0.5).fit(
        data.X, data.y, teacher_output=data.teacher + 10.0
    )
    assert abs(shifted.predict(data.X).mean() - data.y.mean() - 5.0) < 0.2


def test_the_student_starts_at_the_mean_of_what_it_is_to_learn():
    """Without a start XGBoost would spend its first trees on the intercept."""
    data = tiny_data("regression")
    student = XGBoostStudentRegressor(n_estimators=1, learning_rate=1e-9)
    student.fit(data.X, data.y + 1000.0)
    np.testing.assert_allclose(student.predict(data.X), (data.y + 1000.0).mean(), rtol=1e-5)


@pytest.mark.parametrize("task", [*TASKS, "regression"])
def test_the_bundle_takes_the_same_branch_at_the_very_threshold_and_with_gaps(task):
    """A deployed model must not contradict the one that was evaluated."""
    data = tiny_data(task)
    kind = XGBoostStudentRegressor if task == "regression" else XGBoostStudentClassifier
    student = kind(n_estimators=30).fit(data.X, tiny_targets(data))
    columns = {c.name: i for i, c in enumerate(student.encoder_.schema_.numeric)}
    edges = []
    for tree in _trees(student):
        inner = np.array(tree["left_children"]) >= 0
        here = inner & (np.array(tree["split_indices"]) == columns["amount"])
        edges.extend(np.array(tree["split_conditions"], dtype=np.float32)[here])
    edges = np.unique(np.array(edges, dtype=np.float32))
    assert len(edges) > 5
    amounts = np.concatenate(
        [edges, np.nextafter(edges, np.float32(-9)), np.nextafter(edges, np.float32(9)), [np.nan]]
    )
    rows = np.arange(len(amounts)) % len(data)
    probe = data.X.iloc[rows].reset_index(drop=True).assign(amount=amounts.astype(float))
    probe["city"] = probe["city"].astype(object)
    probe.loc[::7, "city"] = "Paris"
    probe.loc[::5, "city"] = None
    found = pack(student, probe).bundle.manifest["parity"]
    assert found["rows"] == len(probe)
    assert found["flipped"] == 0


def _trees(student):
    learner = json.loads(student.model_.save_raw("json"))["learner"]
    return learner["gradient_booster"]["model"]["trees"]


def test_importances_are_those_of_raw_columns():
    data = tiny_data("binary")
    student = XGBoostStudentClassifier().fit(data.X, tiny_targets(data))
    told = student.get_feature_importance()
    assert set(told) == set(data.X.columns)
    assert sum(told.values()) == pytest.approx(1)
    assert next(iter(told)) == "amount"


def test_a_teacher_reads_texts_and_gaps_and_tells_its_size():
    data, fresh = (tiny_data("multiclass", labels="text", seed=s) for s in (0, 1))
    teacher = XGBoostTeacherClassifier(n_estimators=50).fit(data.X, data.y)
    assert isinstance(teacher.model_, XGBClassifier)
    assert distance(teacher, fresh) < 0.8
    assert teacher.model_bytes() > 10_000
    fresh.X["note"] = "never seen"
    assert np.isfinite(teacher.predict_proba(fresh.X)).all()


def test_a_teacher_of_values_refuses_what_is_for_classes():
    data = tiny_data("regression")
    with pytest.raises(ParameterError, match="scale_pos_weight is for classification"):
        XGBoostTeacherRegressor(scale_pos_weight=2.0).fit(data.X, data.y)


def test_parameters_keep_xgboosts_names_and_meaning():
    data = tiny_data("regression", content="numbers")
    given = {"max_leaves": 5, "grow_policy": "lossguide", "reg_lambda": 3.0, "gamma": 0.1}
    ours = XGBoostTeacherRegressor(n_estimators=20, **given).fit(data.X, data.y)
    own = XGBRegressor(
        n_estimators=20, max_depth=6, learning_rate=0.05, tree_method="hist", n_jobs=1, **given
    )
    own.fit(data.X, data.y)
    np.testing.assert_allclose(ours.predict(data.X), own.predict(data.X), rtol=1e-6)


def test_monotone_constraints_hold():
    data = tiny_data("regression", content="numbers")
    falling = XGBoostTeacherRegressor(n_estimators=30, monotone_constraints=(-1, 0, 0, 0))
    falling.fit(data.X, data.y)
    grid = pd.DataFrame({"a": np.linspace(-2, 2, 50), "b": 50.0, "c": 0.0, "d": 0.0})
    assert (np.diff(falling.predict(grid)) <= 0).all()


@pytest.mark.parametrize("kind", [XGBoostTeacherClassifier, XGBoostTeacherRegressor])
def test_columns_may_have_brackets_in_their_names(kind):
    """XGBoost refuses them, but "income [EUR]" and "age<30" are names that tables have."""
    task = "binary" if kind is XGBoostTeacherClassifier else "regression"
    data = tiny_data(task, content="numbers")
    plain = kind(n_estimators=5).fit(data.X, data.y)
    names = ["income [EUR]", "age<30", "column 0", "plain"]
    odd = kind(n_estimators=5).fit(data.X.set_axis(names, axis=1), data.y)
    new = data.X.set_axis(names, axis=1)[names[::-1]]
    np.testing.assert_array_equal(odd.predict(new), plain.predict(data.X))


def odd_table(n=600):
    """A product of a number and a category decides; XGBoost refuses one of the names."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "noise": rng.normal(size=n),
            "rate [%]": rng.integers(0, 20, n).astype(float),
            "city": pd.Categorical(rng.choice(["Bern", "Lima", "Oslo"], n)),
        }
    )
    return X, np.where((X["rate [%]"] >= 13) & (X["city"] == "Lima"), 5.0, 0.0)


def test_the_teachers_structure_has_the_tables_names_and_the_side_of_each_value(tmp_path):
    """XGBoost goes left below a threshold, so a value of 13 itself belongs to the right."""
    X, y = odd_table()
    for params in ({}, {"max_leaves": 5, "grow_policy": "lossguide"}):
        teacher = XGBoostTeacherRegressor(n_estimators=20, **params).fit(X, y)
        told = teacher.structure()
        assert told.pairs[0][:2] == ("rate [%]", "city")
        assert "city" not in told.thresholds
        best = told.thresholds["rate [%]"][told.gains["rate [%]"].argmax()]
        assert 12 <= best < 13


def test_a_model_file_tells_its_structure_where_it_knows_its_columns(tmp_path):
    X, y = odd_table()
    model = XGBRegressor(n_estimators=5, booster="dart").fit(X[["noise"]], X["noise"])
    model.save_model(tmp_path / "named.ubj")
    assert list(load(tmp_path / "named.ubj").structure().thresholds) == ["noise"]
    XGBRegressor(n_estimators=5).fit(X[["noise"]].to_numpy(), y).save_model(tmp_path / "bare.ubj")
    assert load(tmp_path / "bare.ubj").structure() is None
    linear = XGBRegressor(n_estimators=5, booster="gblinear").fit(X[["noise"]], X["noise"])
    linear.save_model(tmp_path / "linear.ubj")
    assert load(tmp_path / "linear.ubj").structure() is None
