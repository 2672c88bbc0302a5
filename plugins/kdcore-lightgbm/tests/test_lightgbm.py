"""What is special to LightGBM: custom objectives, categories, names, and its trees as ONNX."""

import warnings

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor

from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_lightgbm.student import LightGBMStudentClassifier, LightGBMStudentRegressor
from kdcore_lightgbm.teacher import LightGBMTeacherClassifier, LightGBMTeacherRegressor

TASKS = ("binary", "multiclass")


def distance(model, fresh):
    """Root mean squared error from the true probabilities, relative to that of a constant."""
    error = np.mean((model.predict_proba(fresh.X) - fresh.teacher) ** 2)
    return np.sqrt(error / np.mean((fresh.teacher.mean(axis=0) - fresh.teacher) ** 2))


def student_for(task, **params):
    kind = LightGBMStudentRegressor if task == "regression" else LightGBMStudentClassifier
    return kind(**params)


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
    student = LightGBMStudentClassifier(alpha=1.0, **params).fit(data.X, tiny_targets(data))
    proba = student.predict_proba(fresh.X)
    assert (proba > 0).all()
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-12
    assert distance(student, fresh) < 0.45


def test_dkd_is_boosted_and_losses_without_a_curvature_are_refused():
    data, fresh = tiny_data("multiclass", n_rows=400), tiny_data("multiclass", seed=1)
    student = LightGBMStudentClassifier(alpha=1.0, loss="dkd").fit(data.X, tiny_targets(data))
    assert distance(student, fresh) < 0.45
    for loss in ("dist", "logit_standardization"):
        with pytest.raises(ParameterError, match=r"no bound of its curvature.* use one of .*dkd"):
            LightGBMStudentClassifier(loss=loss).fit(data.X, tiny_targets(data))


@pytest.mark.parametrize("task", TASKS)
def test_the_teacher_makes_a_better_student_than_labels(task):
    """This is what the whole project is for."""
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    taught = LightGBMStudentClassifier(alpha=1.0).fit(data.X, tiny_targets(data))
    plain = LightGBMStudentClassifier().fit(data.X, data.y)
    assert distance(taught, fresh) < 0.9 * distance(plain, fresh)


def test_with_labels_alone_it_learns_like_lightgbms_own_objective():
    data, fresh = (tiny_data("binary", content="numbers", n_rows=400, seed=s) for s in (0, 1))
    student = LightGBMStudentClassifier(n_estimators=40).fit(data.X, data.y)
    own = LGBMClassifier(n_estimators=40, num_leaves=15, learning_rate=0.15, verbosity=-1, n_jobs=1)
    own.fit(data.X, data.y)
    assert distance(student, fresh) < 1.1 * distance(own, fresh)


def test_values_are_boosted_to_the_blend_of_teacher_and_label():
    data, fresh = (
        tiny_data("regression", content="numbers", n_rows=400, seed=seed) for seed in (0, 1)
    )
    student = LightGBMStudentRegressor(alpha=1.0).fit(data.X, tiny_targets(data))
    error = np.sqrt(np.mean((student.predict(fresh.X) - fresh.teacher) ** 2))
    assert error < 0.3 * fresh.teacher.std()
    shifted = LightGBMStudentRegressor(alpha=0.5).fit(
        data.X, data.y, teacher_output=data.teacher + 10.0
    )
    assert abs(shifted.predict(data.X).mean() - data.y.mean() - 5.0) < 0.2


@pytest.mark.parametrize("task", [*TASKS, "regression"])
def test_the_student_starts_at_the_mean_of_what_it_is_to_learn(task):
    """Without a start LightGBM would spend its first trees on the intercept."""
    data = tiny_data(task)
    targets = tiny_targets(data)
    student = student_for(task, n_estimators=1, learning_rate=1e-9, alpha=1.0)
    student.fit(data.X, targets)
    output = student.predict(data.X) if task == "regression" else student.predict_proba(data.X)
    wanted = np.broadcast_to(data.teacher.mean(axis=0), output.shape)
    np.testing.assert_allclose(output, wanted, rtol=1e-4)


@pytest.mark.parametrize("gaps", [True, False], ids=["gaps", "no gaps"])
@pytest.mark.parametrize("task", [*TASKS, "regression"])
def test_the_bundle_takes_the_same_branch_at_the_very_threshold_and_with_gaps(task, gaps):
    """A deployed model must not contradict the one that was evaluated.

    LightGBM reads NaN as 0 in a column that had none in training, and takes a learned side in
    others; its thresholds are float64, between the float32 numbers that a graph computes with;
    and it takes numbers up to 1e-35 for 0, so that one at its threshold of -1e-35 goes right.
    """
    data = tiny_data(task, n_rows=300)
    if not gaps:
        data = data.take(data.X.notna().all(axis=1))
    # Numbers as close as float32 tells apart, so that thresholds fall between neighbours.
    near = np.float32(1.0) + np.arange(len(data)) % 7 * np.float32(2**-23)
    signs = np.where(data.teacher > 0, 1.0, -1.0) if task == "regression" else data.teacher[:, 0]
    data.X["near"] = np.where(np.asarray(signs) > 0.5, near, near - np.float32(2**-22))
    student = student_for(task, n_estimators=30).fit(data.X, tiny_targets(data))
    positions = {c.name: i for i, c in enumerate(student.encoder_.schema_.numeric)}
    nodes = student.model_.trees_to_dataframe()
    probe = data.X.iloc[:0]
    for name in ("amount", "age", "near"):
        inner = nodes.split_feature == f"Column_{positions[name]}"
        edges = nodes.threshold[inner].to_numpy(dtype=float)
        edges = edges[np.abs(edges) < 1e30].astype(np.float32)
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
def test_the_number_of_threads_changes_no_bit(task):
    """LightGBM's histograms by rows, which it picks itself, differ in their last bits."""
    rng = np.random.default_rng(0)
    X = np.hstack([rng.standard_normal((6000, 4)), rng.integers(0, 9, (6000, 4))])
    signal = X[:, 0] + X[:, 5] / 3 + rng.standard_normal(6000)
    y = signal * np.exp(X[:, 1] * 3) if task == "regression" else np.digitize(signal, [0.5, 1.5])
    y = np.minimum(y, 1) if task == "binary" else y
    teacher = LightGBMTeacherRegressor if task == "regression" else LightGBMTeacherClassifier
    for make in (lambda **p: student_for(task, **p), teacher):
        outputs = []
        for n_jobs in (1, 2, 4):
            model = make(n_estimators=10, n_jobs=n_jobs).fit(X, y)
            outputs.append(model.predict(X) if task == "regression" else model.predict_proba(X))
        assert np.array_equal(outputs[0], outputs[1])
        assert np.array_equal(outputs[0], outputs[2])


def test_importances_are_those_of_raw_columns():
    data = tiny_data("binary")
    student = LightGBMStudentClassifier().fit(data.X, tiny_targets(data))
    told = student.get_feature_importance()
    assert set(told) == set(data.X.columns)
    assert sum(told.values()) == pytest.approx(1)
    assert next(iter(told)) == "amount"


def test_a_teacher_reads_texts_and_gaps_and_tells_its_size():
    data, fresh = (tiny_data("multiclass", labels="text", seed=s) for s in (0, 1))
    teacher = LightGBMTeacherClassifier(n_estimators=50).fit(data.X, data.y)
    assert isinstance(teacher.model_, LGBMClassifier)
    assert distance(teacher, fresh) < 0.8
    assert teacher.model_bytes() > 10_000
    fresh.X["note"] = "never seen"
    assert np.isfinite(teacher.predict_proba(fresh.X)).all()


@pytest.mark.parametrize(
    "names",
    [
        ["a b", "c:d", 'e"f', "g,h", "[i]"],
        ["größe", "身長", "{}", "\t", "Column_1"],
        ["Column_4", "Column_3", "Column_2", "Column_1", "a b"],
    ],
    ids=str,
)
def test_columns_may_have_any_name(names):
    """LightGBM refuses some signs in names, and changes others with a warning."""
    data = tiny_data("binary")
    renamed = data.X.set_axis(names, axis=1)
    wanted = LightGBMTeacherClassifier(n_estimators=10).fit(data.X, data.y).predict_proba(data.X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teacher = LightGBMTeacherClassifier(n_estimators=10).fit(renamed, data.y)
        got = teacher.predict_proba(renamed[names[::-1]])
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("name", ["class_weight", "is_unbalance", "scale_pos_weight"])
def test_a_teacher_of_values_refuses_what_is_for_classes(name):
    data = tiny_data("regression")
    with pytest.raises(ParameterError, match=f"{name} is for classification"):
        LightGBMTeacherRegressor(**{name: True}).fit(data.X, data.y)


def test_parameters_keep_lightgbms_names_and_meaning():
    data = tiny_data("regression", content="numbers")
    given = {"num_leaves": 5, "subsample": 0.5, "subsample_freq": 1, "max_bin": 15, "max_depth": 3}
    plain = {"min_child_samples": 20, "min_child_weight": 1e-3, "reg_lambda": 0.0}
    plain["colsample_bytree"] = 1.0
    ours = LightGBMTeacherRegressor(n_estimators=20, **given, **plain).fit(data.X, data.y)
    own = LGBMRegressor(
        n_estimators=20, learning_rate=0.05, random_state=0, verbosity=-1, n_jobs=1, **given
    )
    own.fit(data.X, data.y)
    np.testing.assert_allclose(ours.predict(data.X), own.predict(data.X), rtol=1e-6)


def test_a_parameter_of_none_is_lightgbms_own_default():
    data = tiny_data("binary", content="numbers")
    nothing = dict.fromkeys(LightGBMTeacherClassifier().get_params())
    nothing |= {"n_estimators": 20, "n_jobs": 1}
    ours = LightGBMTeacherClassifier(**nothing).fit(data.X, data.y)
    own = LGBMClassifier(n_estimators=20, verbosity=-1, n_jobs=1).fit(data.X, data.y)
    np.testing.assert_allclose(ours.predict_proba(data.X), own.predict_proba(data.X), rtol=1e-6)


def test_monotone_constraints_hold():
    data = tiny_data("regression", content="numbers")
    falling = LightGBMTeacherRegressor(n_estimators=30, monotone_constraints=[-1, 0, 0, 0])
    falling.fit(data.X, data.y)
    grid = pd.DataFrame({"a": np.linspace(-2, 2, 50), "b": 50.0, "c": 0.0, "d": 0.0})
    assert (np.diff(falling.predict(grid)) <= 0).all()
