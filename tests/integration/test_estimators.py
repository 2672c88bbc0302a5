"""The estimators with the models of the plugins, in the hands of scikit-learn."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import kdcore
import kdcore_sklearn
import kdcore_xgboost
from kdcore import DistillationClassifier, DistillationRegressor
from kdcore.errors import DataError, ParameterError, UnknownNameError
from kdcore.evaluation import row_losses
from kdcore.registry import default_registry
from kdcore.testing.data import tiny_data
from kdcore.verdict import paired_interval
from kdcore_sklearn.linear import LogisticRegressionStudent, RidgeStudent
from kdcore_sklearn.tree import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor
from kdcore_xgboost.student import XGBoostStudentClassifier
from kdcore_xgboost.teacher import XGBoostTeacherClassifier, XGBoostTeacherRegressor

#: In scikit-learn's own words for its estimators that cross-validate inside.
WEIGHT_CHECK = {
    "check_sample_weight_equivalence_on_dense_data": (
        "Due to the cross-validation and sample ordering, repeating a sample is not strictly "
        "equal to giving it a weight: its copies fall into several folds. (scikit-learn gives "
        "this reason for FixedThresholdClassifier and TunedThresholdClassifierCV.)"
    )
}


def boosted(**params: Any) -> XGBoostTeacherClassifier:
    return XGBoostTeacherClassifier(n_estimators=5, **params)


def boosted_regressor(**params: Any) -> XGBoostTeacherRegressor:
    return XGBoostTeacherRegressor(n_estimators=5, **params)


def classifier(student: Any = "decision_tree", **params: Any) -> DistillationClassifier:
    return DistillationClassifier(**{"teacher": boosted(), "student": student, **params})


@pytest.mark.filterwarnings("ignore:the class .* has a single row:UserWarning")
@parametrize_with_checks(
    [
        *[
            DistillationClassifier(teacher=boosted(), student=student)
            for student in ("logistic_regression", "decision_tree")
        ],
        *[
            DistillationRegressor(teacher=boosted_regressor(), student=student)
            for student in ("ridge", "decision_tree")
        ],
    ],
    expected_failed_checks=lambda estimator: WEIGHT_CHECK,
)
def test_the_estimators_keep_the_rules_of_scikit_learn(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without it the check of array API inputs would be skipped.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


STUDENTS = ("logistic_regression", "decision_tree", "xgboost")
REGRESSION_STUDENTS = ("ridge", "decision_tree", "xgboost")


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_cross_validation_of_a_classifier(student: str, task: str) -> None:
    data = tiny_data(task, labels="text" if task == "multiclass" else "gaps", n_rows=240)
    found = cross_validate(
        classifier(student),
        data.X,
        data.y,
        cv=3,
        scoring=["accuracy", "neg_log_loss"],
        error_score="raise",
    )
    assert found["test_accuracy"].mean() > 0.6
    assert np.isfinite(found["test_neg_log_loss"]).all()


@pytest.mark.parametrize("student", REGRESSION_STUDENTS)
def test_cross_validation_of_a_regressor(student: str) -> None:
    data = tiny_data("regression", n_rows=240)
    model = DistillationRegressor(
        teacher=XGBoostTeacherRegressor(n_estimators=60, learning_rate=0.1), student=student
    )
    assert cross_val_score(model, data.X, data.y, cv=3, error_score="raise").mean() > 0.5


@pytest.mark.parametrize("student", ["decision_tree", DecisionTreeStudentClassifier()])
def test_grid_search_reaches_the_student_by_name_and_by_example(student: Any) -> None:
    data = tiny_data("multiclass", content="numbers")
    search = GridSearchCV(
        classifier(student, folds=2),
        {"student__max_depth": [1, 4]},
        cv=2,
        scoring="neg_log_loss",
        error_score="raise",
    ).fit(data.X, data.y)
    assert search.best_params_ == {"student__max_depth": 4}
    assert search.best_estimator_.student_.model_.get_depth() > 1
    assert search.cv_results_["mean_test_score"][0] != search.cv_results_["mean_test_score"][1]


def test_grid_search_reaches_students_of_a_regression_by_name() -> None:
    data = tiny_data("regression", content="numbers")
    search = GridSearchCV(
        DistillationRegressor(teacher=boosted_regressor(), student="decision_tree", folds=2),
        {"student__max_depth": [1, 4], "teacher__max_depth": [2]},
        cv=2,
        error_score="raise",
    ).fit(data.X, data.y)
    assert isinstance(search.best_estimator_.student_, DecisionTreeStudentRegressor)
    assert search.best_params_ == {"student__max_depth": 4, "teacher__max_depth": 2}


def test_grid_search_may_choose_among_students() -> None:
    data = tiny_data(content="numbers")
    search = GridSearchCV(
        classifier(folds=2),
        {"student": ["logistic_regression", DecisionTreeStudentClassifier(max_depth=1)]},
        cv=2,
        error_score="raise",
    ).fit(data.X, data.y)
    assert search.cv_results_["mean_test_score"].shape == (2,)


def test_parameters_of_a_teacher_by_name() -> None:
    model = DistillationClassifier(teacher="xgboost", student="decision_tree", random_state=7)
    assert model.get_params()["teacher"] == "xgboost"
    model.set_params(teacher__n_estimators=3, teacher__max_depth=2, student__max_depth=1)
    assert isinstance(model.teacher, XGBoostTeacherClassifier)
    assert model.get_params()["teacher__n_estimators"] == 3
    data = tiny_data("multiclass")
    model.fit(data.X, data.y)
    assert model.teacher_.model_.get_booster().num_boosted_rounds() == 3
    assert model.student_.model_.get_depth() == 1
    # The seed still comes from the estimator, as it does for a name.
    assert model.teacher_.random_state == 7
    with pytest.raises(ValueError, match="Invalid parameter 'n_tres'"):
        model.set_params(teacher__n_tres=3)
    with pytest.raises(ValueError, match="Invalid parameter 'studnt'"):
        model.set_params(studnt="decision_tree")


def test_setting_a_parameter_leaves_the_prototype_of_a_search_alone() -> None:
    mine = DecisionTreeStudentClassifier(max_depth=7)
    model = classifier(mine)
    clone(model).set_params(student__max_depth=1)
    assert mine.max_depth == 7
    named = classifier("decision_tree")
    other = clone(named).set_params(student__max_depth=1)
    assert named.student == "decision_tree"
    assert clone(other).get_params()["student__max_depth"] == 1


def test_unknown_names_and_parameters_are_refused() -> None:
    data = tiny_data()
    with pytest.raises(UnknownNameError, match="Did you mean 'xgboost'"):
        DistillationClassifier(teacher="xgbost").fit(data.X, data.y)
    with pytest.raises(UnknownNameError, match="Did you mean 'decision_tree'"):
        classifier("decison_tree").fit(data.X, data.y)
    with pytest.raises(ParameterError, match="temperature=3 cannot be used"):
        classifier("decision_tree", temperature=3).fit(data.X, data.y)


def test_in_a_pipeline_as_the_last_step_and_with_a_student_by_position() -> None:
    data = tiny_data("multiclass", n_rows=240)
    scale = ColumnTransformer(
        [("scale", StandardScaler(), ["age", "amount"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipe = Pipeline([("scale", scale), ("model", classifier())]).fit(data.X, data.y)
    assert pipe.score(data.X, data.y) > 0.7
    # With pandas output, column names pass through, and the order no longer matters.
    assert list(pipe[-1].feature_names_in_) == ["age", "amount", "member", "city", "note"]
    np.testing.assert_array_equal(pipe.predict(data.X[data.X.columns[::-1]]), pipe.predict(data.X))
    numbers = tiny_data(content="numbers")
    plain = make_pipeline(StandardScaler(), classifier("logistic_regression"))
    assert plain.fit(numbers.X, numbers.y).score(numbers.X, numbers.y) > 0.8
    search = GridSearchCV(
        pipe, {"model__student__max_depth": [1, 3], "model__teacher__n_estimators": [2]}, cv=2
    )
    assert search.fit(data.X, data.y).best_params_["model__student__max_depth"] == 3
    weight = np.where(data.y == 2, 20.0, 1.0)
    heavy = clone(pipe).fit(data.X, data.y, model__sample_weight=weight)
    assert (heavy.predict(data.X) == 2).sum() > (pipe.predict(data.X) == 2).sum()


@pytest.mark.parametrize("teacher", ["estimator", "pipeline"])
def test_weights_travel_by_metadata_routing(teacher: str) -> None:
    data = tiny_data(content="numbers", n_rows=240)
    weight = np.where(data.y == 1, 15.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        mine: Any = boosted()
        if teacher == "pipeline":
            scale = StandardScaler().set_fit_request(sample_weight=False)
            mine = make_pipeline(scale, boosted().set_fit_request(sample_weight=True))
        model = classifier("logistic_regression", teacher=mine, folds=2)
        model = model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        plain = clone(model).set_fit_request(sample_weight=False)
        shares = []
        for one in (model, plain):
            found = cross_validate(
                one,
                data.X,
                data.y,
                cv=2,
                params={"sample_weight": weight},
                return_estimator=True,
                error_score="raise",
            )
            shares.append(np.mean([m.predict(data.X).mean() for m in found["estimator"]]))
        assert shares[0] > shares[1] + 0.05
        search = GridSearchCV(model, {"student__C": [0.1, 1.0]}, cv=2, error_score="raise").fit(
            data.X, data.y, sample_weight=weight
        )
        assert search.predict(data.X).mean() > shares[1] + 0.05
        np.testing.assert_allclose(
            search.best_estimator_.report_.teacher_metrics["log_loss"],
            clone(search.best_estimator_)
            .fit(data.X, data.y, sample_weight=weight)
            .report_.teacher_metrics["log_loss"],
        )
        unset = classifier(folds=2)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            cross_validate(unset, data.X, data.y, cv=2, params={"sample_weight": weight})


@pytest.mark.parametrize("student", STUDENTS)
def test_pickle_and_joblib_keep_every_bit(student: str, tmp_path: Path) -> None:
    data = tiny_data("multiclass", labels="text")
    model = classifier(student).fit(data.X, data.y)
    expected = model.predict_proba(data.X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(data.X), expected)
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict_proba(data.X), expected)
    np.testing.assert_array_equal(
        again.teacher_.predict_proba(data.X), model.teacher_.predict_proba(data.X)
    )


def test_a_pickled_model_predicts_in_another_process(tmp_path: Path) -> None:
    """Nothing that only this process registered or imported is needed."""
    data = tiny_data("multiclass", labels="text")
    model = DistillationClassifier(teacher="xgboost").set_params(teacher__n_estimators=3)
    model.fit(data.X, data.y)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    data.X.to_pickle(tmp_path / "table.pickle")
    code = (
        "import pickle, sys, numpy as np\n"
        "model, X = (pickle.load(open(p, 'rb')) for p in sys.argv[1:3])\n"
        "np.save(sys.argv[3], model.predict_proba(X))\n"
        "assert list(model.classes_) == ['high', 'low', 'middle']\n"
    )
    names = ["model.pickle", "table.pickle", "out.npy"]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *[str(tmp_path / n) for n in names]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), model.predict_proba(data.X))


@pytest.mark.parametrize("student", STUDENTS)
def test_polars_and_pandas_tables_give_the_same_model(student: str) -> None:
    data = tiny_data("multiclass", labels="text")
    frame = pl.from_pandas(data.X)
    assert frame.schema["city"] in (pl.Categorical, pl.Enum(["Bern", "Lima", "Oslo", "Rome"]))
    pandas, polars = classifier(student), classifier(student)
    pandas.fit(data.X, data.y)
    polars.fit(frame, pl.Series(data.y))
    np.testing.assert_array_equal(polars.feature_names_in_, list(data.X))
    expected = pandas.predict_proba(data.X)
    np.testing.assert_array_equal(polars.predict_proba(frame), expected)
    np.testing.assert_array_equal(polars.predict_proba(data.X), expected)
    np.testing.assert_array_equal(pandas.predict_proba(frame[:, ::-1]), expected)


def test_polars_columns_of_every_type_are_read() -> None:
    frame = pl.DataFrame(
        {
            "whole": [1, None, 3, 4] * 10,
            "real": [0.5, 1.5, None, 2.5] * 10,
            "flag": [True, None, False, True] * 10,
            "text": ["a", None, "b", "b"] * 10,
        }
    )
    y = ["no", "no", "yes", "yes"] * 10
    model = classifier().fit(frame, y)
    assert model.predict(frame).tolist() == y
    assert model.predict(frame.to_pandas()).tolist() == y


@pytest.mark.parametrize("student", STUDENTS)
def test_columns_are_found_by_name(student: str) -> None:
    data = tiny_data()
    model = classifier(student).fit(data.X, data.y)
    shuffled = data.X.assign(more=1.0, other="x")
    shuffled = shuffled[["note", "more", "age", "other", "member", "amount", "city"]]
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(data.X))
    with pytest.raises(DataError, match=re.escape("lacks 2 column(s)") + ".*'amount', 'note'"):
        model.predict_proba(data.X.drop(columns=["note", "amount"]))


@pytest.mark.parametrize("student", STUDENTS)
def test_a_student_of_few_columns_reads_no_other(student: str) -> None:
    data = tiny_data()
    model = classifier(student).set_params(student__features=["city", "amount"])
    model.fit(data.X, data.y)
    assert model.get_selected_features() == ["amount", "city"]
    assert model.student_.get_support().tolist() == [True, False, False, True, False]
    nonsense = data.X.assign(age="?", member="?", note=np.inf)
    np.testing.assert_array_equal(model.predict_proba(nonsense), model.predict_proba(data.X))
    only = data.X[["city", "amount"]]
    np.testing.assert_array_equal(model.predict_proba(only), model.predict_proba(data.X))
    shares = model.student_.feature_importances_
    assert shares.sum() == pytest.approx(1)
    assert (shares[[1, 2, 4]] == 0).all()


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("labels", ["positions", "gaps", "text"])
def test_labels_of_any_kind_come_back(student: str, labels: str) -> None:
    data = tiny_data("multiclass", labels=labels, n_rows=240)
    model = classifier(student).fit(data.X, data.y)
    np.testing.assert_array_equal(model.classes_, data.classes)
    proba = model.predict_proba(data.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert (proba > 0).all()
    np.testing.assert_array_equal(model.predict(data.X), data.classes[proba.argmax(axis=1)])
    assert model.score(data.X, data.y) > 0.7


def parameters(model: Any) -> bytes:
    student = model.student_
    if isinstance(student, (LogisticRegressionStudent, RidgeStudent)):
        return np.append(student.coef_, student.intercept_).tobytes()
    if hasattr(student.model_, "save_raw"):
        return bytes(student.model_.save_raw("ubj"))
    tree = student.model_.tree_
    return tree.feature.tobytes() + tree.threshold.tobytes() + tree.value.tobytes()


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_same_seed_gives_the_same_bits_whatever_the_jobs(student: str, task: str) -> None:
    data = tiny_data(task, n_rows=300)
    kind: Any = DistillationClassifier
    teacher: Any = boosted(subsample=0.7, random_state=None)
    if task == "regression":
        kind, teacher = DistillationRegressor, boosted_regressor(subsample=0.7, random_state=None)
        student = "ridge" if student == "logistic_regression" else student
    model = kind(teacher=teacher, student=student, recipe="plain")
    found = {
        (jobs, seed): parameters(
            clone(model).set_params(n_jobs=jobs, random_state=seed).fit(data.X, data.y)
        )
        for jobs, seed in ((1, 0), (2, 0), (1, 1), (2, 1))
    }
    assert found[1, 0] == found[2, 0]
    assert found[1, 1] == found[2, 1]
    assert found[1, 0] != found[1, 1]


@pytest.mark.parametrize("recipe", ["fast", "auto"])
@pytest.mark.parametrize(
    ("task", "student"),
    [("binary", "logistic_regression"), ("multiclass", "decision_tree"), ("regression", "ridge")],
)
def test_recipes_give_the_same_bits_whatever_the_jobs(task: str, student: str, recipe: str) -> None:
    """Tuning, synthetic rows, encodings and the choice among recipes are all seeded."""
    data = tiny_data(task, n_rows=160)
    kind: Any = DistillationClassifier
    teacher: Any = boosted(subsample=0.7, random_state=None)
    if task == "regression":
        kind, teacher = DistillationRegressor, boosted_regressor(subsample=0.7, random_state=None)
    model = kind(teacher=teacher, student=student, recipe=recipe, augment=2, folds=3)
    one, two = (clone(model).set_params(n_jobs=n).fit(data.X, data.y) for n in (1, 2))
    assert parameters(one) == parameters(two)
    first, second = one.report_.to_dict(), two.report_.to_dict()
    for report in (first, second):
        assert set(report.pop("seconds")) == {"label", "fit", "total"}
    assert first == second


def test_the_report_says_what_happened() -> None:
    data = tiny_data("multiclass", n_rows=240)
    model = classifier("logistic_regression", teacher="xgboost", temperature=2.0, folds=3)
    model.set_params(teacher__n_estimators=5)
    report = model.fit(data.X, data.y).report_.to_dict()
    assert (report["student"], report["labels"], report["folds"]) == (
        "logistic_regression",
        "out-of-fold",
        3,
    )
    assert (report["alpha"], report["temperature"]) == (0.7, 2.0)
    assert 0.6 < report["teacher_metrics"]["accuracy"] < 1


def test_every_model_that_is_listed_can_be_used() -> None:
    """Others name students in their documentation that raise when they are used."""
    registry = default_registry()
    for task in ("binary", "multiclass", "regression"):
        data = tiny_data(task, n_rows=90)
        kind: Any = DistillationRegressor if task == "regression" else DistillationClassifier
        for role in ("teacher", "student"):
            for name, spec in registry.specs(role).items():
                if task not in spec.tasks or getattr(spec, "input", "table") != "table":
                    continue
                teacher, student = {
                    "teacher": (name, "decision_tree"),
                    "student": ("xgboost", name),
                }[role]
                model = kind(teacher=teacher, student=student, folds=2, recipe="plain")
                model.set_params(teacher__n_estimators=3) if teacher == "xgboost" else None
                assert np.isfinite(model.fit(data.X, data.y).score(data.X, data.y)), (role, name)


def test_no_function_has_a_default_that_calls_would_share() -> None:
    shared = []
    for package in (kdcore, kdcore_sklearn, kdcore_xgboost):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if info.name.endswith("__main__"):
                continue
            module = importlib.import_module(info.name)
            owners = [module, *(v for v in vars(module).values() if inspect.isclass(v))]
            for function in (f for o in owners for f in vars(o).values() if inspect.isfunction(f)):
                if not function.__module__.startswith("kdcore"):
                    continue
                defaults = [
                    *(function.__defaults__ or ()),
                    *(function.__kwdefaults__ or {}).values(),
                ]
                if any(isinstance(d, (list, dict, set, np.ndarray)) for d in defaults):
                    shared.append(f"{info.name}:{function.__qualname__}")
    assert shared == []


def test_predicting_before_fitting_is_refused() -> None:
    with pytest.raises(NotFittedError):
        DistillationClassifier().predict(pd.DataFrame({"a": [1]}))
    with pytest.raises(NotFittedError):
        DistillationRegressor().predict(pd.DataFrame({"a": [1]}))


def test_fitting_is_quiet() -> None:
    data = tiny_data("multiclass")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for student in STUDENTS:
            classifier(student, n_jobs=2).fit(data.X, data.y).predict(data.X)
    assert [str(w.message) for w in caught] == []


@pytest.mark.parametrize(
    "student",
    [
        LogisticRegressionStudent(alpha=1.0),
        DecisionTreeStudentClassifier(max_depth=6, alpha=1.0),
        XGBoostStudentClassifier(n_estimators=30, alpha=1.0),
    ],
    ids=lambda s: type(s).__name__,
)
def test_soft_labels_teach_more_than_noisy_labels_do(student: Any) -> None:
    """A strong teacher's probabilities, given as they are, where three labels of ten are wrong."""
    rng = np.random.default_rng(0)
    X, clean = make_classification(
        4000, 20, n_informative=12, n_classes=3, n_clusters_per_class=1, random_state=0
    )
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(20)])
    wrong = rng.random(len(clean)) < 0.3
    noisy = np.where(wrong, (clean + rng.integers(1, 3, len(clean))) % 3, clean)
    truth = 0.7 * np.eye(3)[clean] + 0.15 * (1 - np.eye(3)[clean])
    train = np.arange(len(clean)) < 500
    taught = clone(student).fit(frame[train], noisy[train], teacher_proba=truth[train])
    plain = clone(student).fit(frame[train], noisy[train])
    losses = [
        row_losses(m.predict_proba(frame[~train]), noisy[~train], np.arange(3))
        for m in (plain, taught)
    ]
    gain, (low, _) = paired_interval(*losses)
    assert gain > 0.01
    assert low > 0
