"""What is special to CatBoost: soft losses of its own, categories, and oblivious trees as ONNX."""

import os

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor

from kdcore.bundle import pack
from kdcore.errors import DataError, ParameterError
from kdcore.resolve import resolve_student
from kdcore.testing import tiny_data, tiny_targets
from kdcore_catboost.loading import load
from kdcore_catboost.student import CatBoostStudentClassifier, CatBoostStudentRegressor
from kdcore_catboost.teacher import CatBoostTeacherClassifier, CatBoostTeacherRegressor
from kdcore_catboost.trees import read_trees

TASKS = ("binary", "multiclass")


def distance(model, fresh):
    """Root mean squared error from the true probabilities, relative to that of a constant."""
    error = np.mean((model.predict_proba(fresh.X) - fresh.teacher) ** 2)
    return np.sqrt(error / np.mean((fresh.teacher.mean(axis=0) - fresh.teacher) ** 2))


def student_for(task, **params):
    kind = CatBoostStudentRegressor if task == "regression" else CatBoostStudentClassifier
    return kind(**params)


@pytest.mark.parametrize("loss", ["kl", "brier"])
@pytest.mark.parametrize("task", TASKS)
def test_soft_targets_are_learned_and_give_probabilities(task, loss):
    data, fresh = tiny_data(task, n_rows=400), tiny_data(task, seed=1)
    student = CatBoostStudentClassifier(alpha=1.0, loss=loss).fit(data.X, tiny_targets(data))
    proba = student.predict_proba(fresh.X)
    assert (proba > 0).all()
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-12
    assert distance(student, fresh) < 0.45


@pytest.mark.parametrize("task", TASKS)
def test_the_teacher_makes_a_better_student_than_labels(task):
    """This is what the whole project is for."""
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    taught = CatBoostStudentClassifier(alpha=1.0).fit(data.X, tiny_targets(data))
    plain = CatBoostStudentClassifier().fit(data.X, data.y)
    assert distance(taught, fresh) < 0.9 * distance(plain, fresh)


@pytest.mark.parametrize("recipe", [{"temperature": 2.0}, {"loss": "logit_mse"}], ids=str)
def test_what_needs_gradients_is_refused_before_any_work(recipe):
    with pytest.raises(ParameterError, match="plain targets"):
        resolve_student("catboost", task="multiclass", n_classes=3, recipe=recipe)


def test_values_are_boosted_to_the_blend_of_teacher_and_label():
    data, fresh = (
        tiny_data("regression", content="numbers", n_rows=400, seed=seed) for seed in (0, 1)
    )
    student = CatBoostStudentRegressor(alpha=1.0).fit(data.X, tiny_targets(data))
    error = np.sqrt(np.mean((student.predict(fresh.X) - fresh.teacher) ** 2))
    assert error < 0.3 * fresh.teacher.std()
    shifted = CatBoostStudentRegressor(alpha=0.5).fit(
        data.X, data.y, teacher_output=data.teacher + 10.0
    )
    assert abs(shifted.predict(data.X).mean() - data.y.mean() - 5.0) < 0.2


@pytest.mark.parametrize("gaps", [True, False], ids=["gaps", "no gaps"])
@pytest.mark.parametrize("task", [*TASKS, "regression"])
def test_the_bundle_takes_the_same_branch_at_the_very_border_and_with_gaps(task, gaps):
    """A deployed model must not contradict the one that was evaluated."""
    data = tiny_data(task, n_rows=300)
    if not gaps:
        data = data.take(data.X.notna().all(axis=1))
    # Numbers as close as float32 tells apart, so that borders fall between neighbours.
    near = np.float32(1.0) + np.arange(len(data)) % 7 * np.float32(2**-23)
    signs = data.teacher if task == "regression" else data.teacher[:, 0] - 0.5
    data.X["near"] = np.where(signs > 0, near, near - np.float32(2**-22))
    student = student_for(task).fit(data.X, tiny_targets(data))
    borders = student.model_.get_borders()
    positions = {c.name: i for i, c in enumerate(student.encoder_.schema_.numeric)}
    probe = data.X.iloc[:0]
    for name in ("amount", "age", "near"):
        edges = np.array(borders[positions[name]], dtype=np.float32)
        edges = edges[np.abs(edges) < 1e30]
        assert len(edges) > 2
        values = np.concatenate(
            [edges, np.nextafter(edges, np.float32(-9)), np.nextafter(edges, np.float32(99))]
        )
        values = np.append(values, np.full(20, np.nan))
        part = data.X.iloc[np.arange(len(values)) % len(data)].copy()
        part[name] = values.astype(float)
        probe = pd.concat([probe, part], ignore_index=True)
    probe["city"] = probe["city"].astype(object)
    probe.loc[::7, "city"] = "Paris"
    probe.loc[::5, "city"] = None
    found = pack(student, probe).bundle.manifest["parity"]
    assert found["rows"] == len(probe)
    assert found["flipped"] == 0


@pytest.mark.parametrize("task", [*TASKS, "regression"])
def test_a_table_of_constants_gives_the_mean_where_catboost_would_stop(task):
    data = tiny_data(task)
    X = pd.DataFrame({"one": np.ones(len(data)), "gap": np.full(len(data), np.nan)})
    student = student_for(task, alpha=1.0).fit(X, tiny_targets(data))
    output = student.predict(X) if task == "regression" else student.predict_proba(X)
    wanted = np.broadcast_to(data.teacher.mean(axis=0), output.shape)
    np.testing.assert_allclose(output, wanted, rtol=1e-6)
    assert student.model_ is None
    assert pack(student, X).bundle.manifest["parity"]["flipped"] == 0


def test_expanded_trees_give_catboosts_raw_scores():
    """The first question of an oblivious tree is the lowest bit of a leaf's number."""
    data = tiny_data("multiclass", content="numbers")
    student = CatBoostStudentClassifier(iterations=7, depth=4).fit(data.X, tiny_targets(data))
    model = student._onnx("identity")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    Z = student.encoder_.transform(data.X)
    [got] = session.run(None, {session.get_inputs()[0].name: Z})
    wanted = student.model_.predict(Z, prediction_type="RawFormulaVal")
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert len(read_trees(student.model_, 3)[0]) == 7


@pytest.mark.parametrize("task", [*TASKS, "regression"])
def test_the_number_of_threads_changes_no_bit(task):
    rng = np.random.default_rng(0)
    X = np.hstack([rng.standard_normal((6000, 4)), rng.integers(0, 9, (6000, 4))])
    signal = X[:, 0] + X[:, 5] / 3 + rng.standard_normal(6000)
    y = signal * np.exp(X[:, 1] * 3) if task == "regression" else np.digitize(signal, [0.5, 1.5])
    y = np.minimum(y, 1) if task == "binary" else y
    teacher = CatBoostTeacherRegressor if task == "regression" else CatBoostTeacherClassifier
    for make in (lambda **p: student_for(task, **p), teacher):
        outputs = []
        for n_jobs in (1, 2, 4):
            model = make(iterations=10, n_jobs=n_jobs).fit(X, y)
            outputs.append(model.predict(X) if task == "regression" else model.predict_proba(X))
        assert np.array_equal(outputs[0], outputs[1])
        assert np.array_equal(outputs[0], outputs[2])


def test_weights_count_as_rows_do():
    """CatBoost's penalty grows with the mean weight, so that weights would be no copies."""
    data = tiny_data("binary", content="numbers", n_rows=60)
    times = np.arange(60) % 3 + 1
    weighted = CatBoostStudentClassifier(iterations=20).fit(data.X, data.y, sample_weight=times)
    rows = np.repeat(np.arange(60), times)
    copies = CatBoostStudentClassifier(iterations=20).fit(data.X.iloc[rows], data.y[rows])
    np.testing.assert_allclose(
        weighted.predict_proba(data.X), copies.predict_proba(data.X), atol=1e-6
    )


def test_importances_are_those_of_raw_columns():
    data = tiny_data("binary")
    student = CatBoostStudentClassifier().fit(data.X, tiny_targets(data))
    told = student.get_feature_importance()
    assert set(told) == set(data.X.columns)
    assert sum(told.values()) == pytest.approx(1)
    assert next(iter(told)) == "amount"


def test_a_teacher_reads_texts_and_gaps_and_tells_its_size():
    data, fresh = (tiny_data("multiclass", labels="text", seed=s) for s in (0, 1))
    teacher = CatBoostTeacherClassifier(iterations=50).fit(data.X, data.y)
    assert isinstance(teacher.model_, CatBoostClassifier)
    assert distance(teacher, fresh) < 0.8
    assert teacher.model_bytes() > 10_000
    fresh.X["note"] = "never seen"
    assert np.isfinite(teacher.predict_proba(fresh.X)).all()


def test_a_missing_category_is_a_category_of_its_own():
    rng = np.random.default_rng(0)
    city = np.array(["Bern", "Rome", None], dtype=object)[rng.integers(0, 3, 300)]
    X = pd.DataFrame({"city": city, "noise": rng.standard_normal(300)})
    y = np.array([0.0 if c is not None else 5.0 for c in city])
    teacher = CatBoostTeacherRegressor(iterations=200).fit(X, y)
    assert np.abs(teacher.predict(X) - y).max() < 0.5


def test_no_folder_is_left_behind(tmp_path, monkeypatch):
    """CatBoost writes catboost_info into the working directory unless told not to."""
    monkeypatch.chdir(tmp_path)
    data = tiny_data("binary")
    CatBoostTeacherClassifier(iterations=3).fit(data.X, data.y).predict(data.X)
    student = CatBoostStudentClassifier(iterations=3).fit(data.X, data.y)
    student.to_onnx()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("names", [["a b", 'c"d', "größe", "\t", "0"], list("43210")], ids=str)
def test_columns_may_have_any_name(names):
    data = tiny_data("binary")
    renamed = data.X.set_axis(names, axis=1)
    wanted = CatBoostTeacherClassifier(iterations=10).fit(data.X, data.y).predict_proba(data.X)
    teacher = CatBoostTeacherClassifier(iterations=10).fit(renamed, data.y)
    assert np.array_equal(teacher.predict_proba(renamed[names[::-1]]), wanted)


def test_a_table_without_any_variation_is_refused_in_our_words():
    X = pd.DataFrame({"one": np.ones(20)})
    with pytest.raises(DataError, match="all columns are constant"):
        CatBoostTeacherRegressor().fit(X, np.arange(20.0))


@pytest.mark.parametrize("name", ["auto_class_weights", "class_weights", "scale_pos_weight"])
def test_a_teacher_of_values_refuses_what_is_for_classes(name):
    data = tiny_data("regression")
    with pytest.raises(ParameterError, match=f"{name} is for classification"):
        CatBoostTeacherRegressor(**{name: 1.0}).fit(data.X, data.y)


def test_parameters_keep_catboosts_names_and_meaning():
    data = tiny_data("regression", content="numbers")
    given = {"depth": 3, "l2_leaf_reg": 7.0, "learning_rate": 0.2, "iterations": 20}
    ours = CatBoostTeacherRegressor(**given, random_state=5).fit(data.X, data.y)
    own = CatBoostRegressor(
        **given, random_seed=5, thread_count=1, verbose=False, allow_writing_files=False
    )
    own.fit(data.X, data.y)
    np.testing.assert_allclose(ours.predict(data.X), own.predict(data.X), rtol=1e-9)


def test_trees_are_written_to_no_place_that_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    data = tiny_data("regression")
    student = CatBoostStudentRegressor(iterations=2).fit(data.X, data.y)
    trees, bias = read_trees(student.model_, 1)
    assert (len(trees), bias.shape) == (2, (1,))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "params",
    [{}, {"one_hot_max_size": 2}, {"grow_policy": "Lossguide"}, {"grow_policy": "Depthwise"}],
    ids=str,
)
def test_a_teacher_and_its_file_tell_thresholds_and_pairs(tmp_path, params):
    """One-hot splits, splits on statistics of categories, and asymmetric trees."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "city": pd.Categorical(rng.choice(["Bern", "Lima", "Oslo", "Rome"], 600)),
            "noise": rng.normal(size=600),
            "rate": rng.integers(0, 20, 600).astype(float),
        }
    )
    y = np.where((X["rate"] >= 13) & (X["city"] == "Lima"), 5.0, 0.0)
    teacher = CatBoostTeacherRegressor(iterations=20, depth=3, **params).fit(X, y)
    told = teacher.structure()
    assert told.pairs[0][:2] == ("city", "rate")
    assert set(told.thresholds) <= {"noise", "rate"}
    assert 12 <= told.thresholds["rate"][told.gains["rate"].argmax()] < 13
    teacher.model_.save_model(str(tmp_path / "model.cbm"))
    again = load(tmp_path / "model.cbm").structure()
    np.testing.assert_array_equal(again.gains["rate"], told.gains["rate"])


def test_the_gain_of_a_split_is_how_much_its_sides_differ():
    """A table that needs one split: 3:1 rows, 8 apart, give 3 * 1 / 4 * 8^2 for each such group."""
    X = pd.DataFrame({"a": [0.0, 0.0, 0.0, 1.0] * 25, "b": np.arange(100.0)})
    teacher = CatBoostTeacherRegressor(
        iterations=1, depth=1, learning_rate=1.0, l2_leaf_reg=0.0, bootstrap_type="No"
    ).fit(X, 8 * X["a"].to_numpy())
    told = teacher.structure()
    assert list(told.gains) == ["a"]
    np.testing.assert_allclose(told.gains["a"], [75 * 25 / 100 * 64], rtol=1e-4)


def test_several_classes_are_told_together():
    data = tiny_data("multiclass", content="mixed")
    told = CatBoostTeacherClassifier(iterations=10).fit(data.X, data.y).structure()
    assert told.pairs
    assert all(np.isfinite(gains).all() for gains in told.gains.values())
