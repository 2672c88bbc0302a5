"""The estimators, with teachers and students that need no plugin."""

from __future__ import annotations

import json
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_friedman1
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_models import (
    LeastSquaresStudent,
    Memory,
    RegressionTreeStudent,
    SoftmaxStudent,
    TreeStudent,
    WeightlessTeacher,
)

from kdcore import DistillationClassifier, DistillationRegressor
from kdcore.encoders import StandardEncoder
from kdcore.errors import DataError, FitError, KDError, ParameterError
from kdcore.losses import Brier
from kdcore.targets import SoftTargets, encode_labels
from kdcore.testing.data import tiny_data

#: In scikit-learn's own words for its estimators that cross-validate inside.
WEIGHT_CHECK = {
    "check_sample_weight_equivalence_on_dense_data": (
        "Due to the cross-validation and sample ordering, repeating a sample is not strictly "
        "equal to giving it a weight: its copies fall into several folds. (scikit-learn gives "
        "this reason for FixedThresholdClassifier and TunedThresholdClassifierCV.)"
    )
}


@pytest.mark.filterwarnings("ignore:the class .* has a single row:UserWarning")
@parametrize_with_checks(
    [
        DistillationClassifier(teacher=LogisticRegression(), student=SoftmaxStudent()),
        DistillationClassifier(teacher=GaussianNB(), student=TreeStudent()),
        DistillationRegressor(teacher=Ridge(), student=LeastSquaresStudent()),
        DistillationRegressor(teacher=Ridge(), student=RegressionTreeStudent()),
    ],
    expected_failed_checks=lambda estimator: WEIGHT_CHECK,
)
def test_the_estimators_keep_the_rules_of_scikit_learn(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without it the check of array API inputs would be skipped.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


def forest(**params: Any) -> RandomForestClassifier:
    return RandomForestClassifier(10, min_samples_leaf=3, **params)


def classifier(**params: Any) -> DistillationClassifier:
    return DistillationClassifier(
        **{"teacher": forest(), "student": TreeStudent(max_depth=3), **params}
    )


def refusal(kind: type[KDError], model: Any, *args: Any) -> str:
    with pytest.raises(kind) as caught:
        model.fit(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_row_of_weight_zero_is_as_good_as_absent() -> None:
    """The part of the failing check of scikit-learn that does hold."""
    data = tiny_data("multiclass")
    weight = np.random.default_rng(0).integers(0, 3, len(data)).astype(float)
    rest = weight > 0
    weighted = classifier(n_jobs=2).fit(data.X, data.y, weight)
    removed = classifier().fit(data.X[rest], data.y[rest], weight[rest])
    np.testing.assert_array_equal(weighted.predict_proba(data.X), removed.predict_proba(data.X))
    without = (data.y != 2).astype(float)
    assert classifier().fit(data.X, data.y, without).classes_.tolist() == [0, 1]


def test_parameters_are_stored_untouched_and_named() -> None:
    teacher, student = forest(), TreeStudent()
    model = DistillationClassifier(teacher=teacher, student=student, folds=3, alpha=0.4)
    assert model.teacher is teacher
    assert model.student is student
    params = model.get_params()
    assert params["teacher__n_estimators"] == 10
    assert params["student__max_depth"] == 6
    data = tiny_data()
    model.fit(data.X, data.y)
    assert model.teacher is teacher
    assert model.student is student
    assert not hasattr(teacher, "classes_")
    assert not hasattr(student, "classes_")
    with pytest.raises(TypeError, match="positional"):
        DistillationClassifier(teacher, student)


def test_the_student_is_fitted_to_out_of_fold_labels() -> None:
    """A teacher that remembers its rows would hand over the true labels if asked in-sample."""

    class Table(SoftmaxStudent):
        def _fit(self, frame: Any, targets: SoftTargets) -> None:
            self.targets_ = targets
            super()._fit(frame, targets)

    X = pd.DataFrame({"id": np.arange(60.0)})
    y = np.arange(60) % 3
    model = DistillationClassifier(teacher=Memory(), student=Table()).fit(X, y)
    np.testing.assert_allclose(model.student_.targets_.teacher, 1 / 3)
    assert model.student_.targets_.provenance == "out-of-fold"
    np.testing.assert_array_equal(model.teacher_.predict(X), y)
    assert model.report_.labels == "out-of-fold"
    assert model.report_.teacher_metrics["log_loss"] == pytest.approx(np.log(3))


def test_the_steps_can_be_done_by_hand() -> None:
    from kdcore.labels import out_of_fold
    from kdcore.schema import TableSchema

    data = tiny_data("multiclass", labels="text")
    model = classifier(random_state=5, folds=4, alpha=0.6).fit(data.X, data.y)
    table = TableSchema.fit(data.X).canonical(data.X)
    labels = out_of_fold(
        forest(random_state=5), table, data.y, classes=data.classes, folds=4, random_state=5
    )
    targets = SoftTargets(
        encode_labels(data.y, data.classes), labels.values, None, data.classes, labels.provenance
    )
    student = TreeStudent(max_depth=3, alpha=0.6).fit(table, targets)
    np.testing.assert_array_equal(model.predict_proba(data.X), student.predict_proba(data.X))


def test_the_report_says_what_happened() -> None:
    data = tiny_data()
    report = classifier(folds=3, alpha=0.2, loss="brier").fit(data.X, data.y).report_
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["teacher"] == "RandomForestClassifier"
    assert plain["student"] == "TreeStudent"
    assert (plain["labels"], plain["folds"]) == ("out-of-fold", 3)
    assert (plain["alpha"], plain["temperature"], plain["loss"]) == (0.2, 1.0, "brier")
    assert set(plain["teacher_metrics"]) == {"accuracy", "log_loss", "roc_auc", "brier", "ece"}
    assert plain["seconds"]["total"] >= plain["seconds"]["label"] > 0
    regression = tiny_data("regression")
    model = DistillationRegressor(teacher=RandomForestRegressor(5), student=LeastSquaresStudent())
    report = model.fit(regression.X, regression.y).report_
    assert set(report.teacher_metrics) == {"rmse", "mae", "r2"}


@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.1}, {"loss": "brier"}, {"loss": Brier}, {"temperature": 4.0}, {"folds": 2}],
    ids=str,
)
def test_every_parameter_of_the_recipe_reaches_the_student(change: dict[str, Any]) -> None:
    data = tiny_data("multiclass")
    # Not the fast recipe, which may find labels alone better than this teacher.
    usual = classifier(student=SoftmaxStudent(), recipe="plain").fit(data.X, data.y)
    other = classifier(student=SoftmaxStudent(), recipe="plain", **change).fit(data.X, data.y)
    assert np.abs(usual.predict_proba(data.X) - other.predict_proba(data.X)).max() > 1e-3


def test_what_the_student_says_of_the_recipe_stays_unless_overridden() -> None:
    data = tiny_data()
    model = classifier(student=SoftmaxStudent(alpha=0.3, temperature=2.0)).fit(data.X, data.y)
    assert (model.student_.alpha, model.student_.temperature) == (0.3, 2.0)
    model.set_params(alpha=0.9).fit(data.X, data.y)
    assert (model.student_.alpha, model.student_.temperature) == (0.9, 2.0)


def test_a_parameter_that_the_student_cannot_use_is_refused_before_any_teacher_is_fitted() -> None:
    class Slow(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Any:
            raise AssertionError("the teacher was fitted")

        def predict_proba(self, X: Any) -> Any:
            raise AssertionError("the teacher was asked")

    data = tiny_data(content="numbers")
    for change, reason in (
        ({"temperature": 3.0}, "temperature=3 cannot be used by TreeStudent"),
        ({"loss": "logit_mse"}, "cannot be given as plain targets"),
        ({"alpha": 2}, "alpha=2 must lie in"),
        ({"folds": 1}, "folds=1 must be at least 2"),
        ({"random_state": "lucky"}, "random_state='lucky' must be"),
    ):
        assert reason in refusal(
            ParameterError, classifier(teacher=Slow(), **change), data.X, data.y
        )


@pytest.mark.parametrize("jobs", [2, -1])
def test_fits_side_by_side_give_bit_identical_students(jobs: int) -> None:
    data = tiny_data("multiclass", n_rows=240)
    one = classifier(student=SoftmaxStudent()).fit(data.X, data.y)
    other = classifier(student=SoftmaxStudent(), n_jobs=jobs).fit(data.X, data.y)
    assert one.student_.weights_.tobytes() == other.student_.weights_.tobytes()
    assert one.predict_proba(data.X).tobytes() == other.predict_proba(data.X).tobytes()


def test_another_seed_gives_another_student_and_none_a_fresh_one() -> None:
    data = tiny_data()
    fits = [
        classifier(student=SoftmaxStudent(), recipe="plain", random_state=seed).fit(data.X, data.y)
        for seed in (0, 0, 1, None, None, np.random.RandomState(3), np.random.RandomState(3))
    ]
    weights = [m.student_.weights_.tobytes() for m in fits]
    assert weights[0] == weights[1]
    assert weights[5] == weights[6]
    assert len(set(weights)) == 5


def test_numpys_global_generator_is_neither_read_nor_moved() -> None:
    data = tiny_data()
    outputs = []
    for seed in (1, 2):
        np.random.seed(seed)
        outputs.append(classifier().fit(data.X, data.y).predict_proba(data.X).tobytes())
        after = np.random.rand()
        np.random.seed(seed)
        assert after == np.random.rand()
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("labels", ["positions", "gaps", "text"])
def test_labels_of_any_kind_come_back(labels: str) -> None:
    data = tiny_data("multiclass", labels=labels, n_rows=300)
    model = classifier().fit(data.X, data.y)
    np.testing.assert_array_equal(model.classes_, data.classes)
    proba = model.predict_proba(data.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(data.X), data.classes[proba.argmax(axis=1)])
    assert model.score(data.X, data.y) > 0.7


def test_two_classes_and_regression_work_on_mixed_tables() -> None:
    data = tiny_data(n_rows=300)
    model = classifier(student=SoftmaxStudent()).fit(data.X, data.y == 1)
    assert model.classes_.tolist() == [False, True]
    assert model.predict(data.X).dtype == bool
    regression = tiny_data("regression", n_rows=300)
    model = DistillationRegressor(
        teacher=RandomForestRegressor(10), student=LeastSquaresStudent()
    ).fit(regression.X, regression.y)
    assert model.score(regression.X, regression.y) > 0.6
    assert model.predict(regression.X).shape == (300,)


def test_weights_reach_teacher_and_student() -> None:
    """Others have ``sample_weight`` in the signature and drop it."""
    data = tiny_data(content="numbers", n_rows=300)
    weight = np.where(data.y == 1, 9.0, 1.0)
    model = DistillationClassifier(teacher=GaussianNB(), student=SoftmaxStudent())
    plain = clone(model).fit(data.X, data.y)
    weighted = clone(model).fit(data.X, data.y, weight)
    prior = weighted.teacher_.class_prior_[1]
    assert prior == pytest.approx(np.average(data.y, weights=weight))
    for side in ("teacher_", "student_"):
        rise = [getattr(m, side).predict_proba(data.X)[:, 1].mean() for m in (plain, weighted)]
        assert rise[1] > rise[0] + 0.1
    # With alpha = 0 the student sees labels alone, so its own use of the weights is proven.
    alone = [clone(model).set_params(alpha=0).fit(data.X, data.y, w) for w in (None, weight)]
    rise = [m.predict_proba(data.X)[:, 1].mean() for m in alone]
    assert rise[1] > rise[0] + 0.1


def test_columns_are_found_by_name() -> None:
    data = tiny_data()
    model = classifier().fit(data.X, data.y)
    np.testing.assert_array_equal(model.feature_names_in_, list(data.X))
    assert model.n_features_in_ == 5
    shuffled = data.X.assign(extra="x")[["note", "extra", "amount", "city", "age", "member"]]
    expected = model.predict_proba(data.X)
    np.testing.assert_array_equal(model.predict_proba(shuffled), expected)
    with pytest.raises(DataError, match=r"'age'.* Did you mean 'agee'"):
        model.predict(data.X.rename(columns={"age": "agee"}))


def test_a_mapping_is_matched_by_name_too() -> None:
    """It was read by position, so that columns in another order gave wrong answers in silence."""
    data = tiny_data()
    columns = {name: data.X[name].tolist() for name in data.X}
    model = classifier().fit(columns, data.y)
    expected = model.predict_proba(data.X)
    np.testing.assert_array_equal(model.predict_proba(dict(reversed(columns.items()))), expected)
    np.testing.assert_array_equal(classifier().fit(data.X, data.y).predict_proba(data.X), expected)


def test_bare_arrays_in_bare_arrays_out_without_a_warning() -> None:
    data = tiny_data("multiclass", content="numbers")
    X = data.X.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier().fit(X, data.y)
        named = classifier().fit(data.X, data.y)
        np.testing.assert_array_equal(model.predict_proba(X), named.predict_proba(data.X))
    assert not hasattr(model, "feature_names_in_")
    objects = tiny_data().X.to_numpy()
    mixed = classifier().fit(objects, tiny_data().y)
    assert mixed.score(objects, tiny_data().y) > 0.7
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.predict(X[:, :2])


def test_the_student_may_read_a_few_columns_only() -> None:
    data = tiny_data()
    model = classifier(student=TreeStudent(features=["note", "amount"])).fit(data.X, data.y)
    assert model.get_selected_features() == ["amount", "note"]
    few = data.X[["note", "amount"]]
    np.testing.assert_array_equal(model.predict(few), model.predict(data.X))
    with pytest.raises(NotFittedError):
        classifier().get_selected_features()


def test_an_encoder_of_ones_own_is_used() -> None:
    data = tiny_data()
    mine = StandardEncoder(min_frequency=30)
    model = classifier(student=SoftmaxStudent(encoder=mine)).fit(data.X, data.y)
    assert model.student_.encoder_.min_frequency == 30
    assert not hasattr(mine, "schema_")


def test_the_estimator_is_a_good_guest_in_grid_search() -> None:
    data = tiny_data("multiclass", content="numbers")
    search = GridSearchCV(
        classifier(teacher=GaussianNB(), folds=2),
        {"student__max_depth": [1, 3], "alpha": [0.2, 0.8]},
        cv=2,
    ).fit(data.X, data.y)
    assert search.best_params_["student__max_depth"] == 3
    assert search.best_estimator_.student_.max_depth == 3


def test_a_fitted_estimator_survives_pickling_and_cloning() -> None:
    data = tiny_data()
    model = classifier().fit(data.X, data.y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(data.X), model.predict_proba(data.X))
    with pytest.raises(NotFittedError):
        clone(model).predict(data.X)


def test_a_refit_forgets_the_first_fit() -> None:
    data = tiny_data()
    model = classifier().fit(data.X, data.y)
    other = tiny_data("multiclass", content="numbers")
    model.fit(other.X.to_numpy(), other.y)
    assert len(model.classes_) == 3
    assert not hasattr(model, "feature_names_in_")
    fresh = classifier().fit(other.X.to_numpy(), other.y)
    X = other.X.to_numpy()
    np.testing.assert_array_equal(model.predict_proba(X), fresh.predict_proba(X))


def test_what_cannot_be_fitted_is_refused_in_one_line() -> None:
    data = tiny_data()
    model = classifier()
    assert "only one class" in refusal(DataError, model, data.X, np.zeros(160))
    assert "Unknown label type" in refusal(DataError, model, data.X, data.teacher[:, 0])
    holes = np.where(data.y == 1, "yes", None)
    assert "missing labels" in refusal(DataError, model, data.X, holes)
    weight = -np.ones(160)
    assert "must not be negative" in refusal(DataError, model, data.X, data.y, weight)
    infinite = data.X.assign(amount=np.inf)
    assert "'amount' holds 160 infinite" in refusal(DataError, model, infinite, data.y)
    dates = data.X.assign(day=pd.Timestamp("2026-01-01"))
    assert "column 'day' holds datetime" in refusal(DataError, model, dates, data.y)
    fitted = classifier(teacher=forest().fit(tiny_data(content="numbers").X, data.y))
    assert "never refits" in refusal(ParameterError, fitted, data.X, data.y)
    text = refusal(FitError, classifier(teacher=WeightlessTeacher()), data.X, data.y, -weight)
    assert "the teacher WeightlessTeacher does not take sample_weight" in text


def test_a_distilled_student_beats_a_plain_one_where_a_strong_teacher_sees_more() -> None:
    rng = np.random.default_rng(0)
    X, signal = make_friedman1(2400, random_state=0)
    p = 1 / (1 + np.exp(-(signal - signal.mean()) / 1.5))
    y = (rng.random(len(p)) < p).astype(int)
    train = np.arange(len(p)) < 800
    student = TreeStudent(max_depth=5)
    distilled = DistillationClassifier(
        teacher=RandomForestClassifier(200, min_samples_leaf=5), student=student, alpha=1.0
    ).fit(X[train], y[train])
    plain = clone(student).fit(X[train], y[train])
    errors = [
        np.mean((m.predict_proba(X[~train])[:, 1] - p[~train]) ** 2) for m in (distilled, plain)
    ]
    assert errors[0] < 0.8 * errors[1]
