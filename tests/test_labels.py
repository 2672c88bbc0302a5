"""Out-of-fold labels: honest, complete, repeatable, and with clear errors."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from small_models import Memory, WeightlessTeacher

from kdcore.errors import DataError, FitError, KDError, ParameterError
from kdcore.folds import fold_plan
from kdcore.labels import EncodedTeacher, out_of_fold, teacher_output
from kdcore.schema import TableSchema
from kdcore.testing.data import tiny_data


def table(data: Any) -> pd.DataFrame:
    return TableSchema.fit(data.X).canonical(data.X)


def label(teacher: Any, data: Any, **options: Any) -> Any:
    return out_of_fold(teacher, table(data), data.y, classes=data.classes, **options)


def message(kind: type[KDError], teacher: Any, data: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        label(teacher, data, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


@given(st.integers(0, 2**20), st.integers(2, 4), st.sampled_from([2, 3, 5, "auto"]))
def test_no_row_is_labelled_by_a_teacher_that_saw_it(seed: int, k: int, folds: Any) -> None:
    """The commonest fault of all: labels predicted on the teacher's own training rows."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5 * k, 60))
    y = rng.permutation(np.arange(n) % k)
    X = pd.DataFrame({"id": np.arange(n)})
    labels = out_of_fold(Memory(), X, y, classes=np.arange(k), folds=folds, random_state=seed)
    # The memorising teacher says 1 / K of unknown rows only.
    np.testing.assert_array_equal(labels.values, 1 / k)
    assert labels.provenance == "out-of-fold"
    assert labels.folds == (5 if folds == "auto" else folds)
    whole = teacher_output(labels.teacher, X, np.arange(k))
    np.testing.assert_array_equal(whole, np.eye(k)[y])


def test_a_nearest_neighbour_has_no_skill_on_random_labels() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(2000, 3)), columns=list("abc"))
    y = rng.integers(0, 2, 2000)
    labels = out_of_fold(KNeighborsClassifier(1), X, y, classes=np.arange(2))
    assert abs((labels.values.argmax(axis=1) == y).mean() - 0.5) < 0.05
    in_sample = teacher_output(labels.teacher, X, np.arange(2))
    assert (in_sample.argmax(axis=1) == y).all()


@given(
    st.lists(st.integers(2, 12), min_size=2, max_size=4),
    st.sampled_from([2, 3, 5, "auto"]),
    st.integers(0, 1000),
)
def test_every_fold_holds_out_its_share_and_trains_on_every_class(
    sizes: list[int], folds: Any, seed: int
) -> None:
    y = np.repeat(list("abcd")[: len(sizes)], sizes)
    y = np.random.default_rng(seed).permutation(y)
    options = {"classes": np.unique(y), "folds": folds, "random_state": seed}
    if folds != "auto" and folds > min(sizes):
        with pytest.raises(ParameterError, match=rf"folds={folds} is more than the {min(sizes)}"):
            fold_plan(y, **options)
        return
    plan = fold_plan(y, **options)
    assert len(plan) == (min(5, min(sizes)) if folds == "auto" else folds)
    held = np.concatenate([part for _, part in plan])
    np.testing.assert_array_equal(np.sort(held), np.arange(len(y)))
    for train, part in plan:
        assert not set(train) & set(part)
        assert set(y[train]) == set(y)
    again = fold_plan(y, **options)
    pairs = zip(itertools.chain(*plan), itertools.chain(*again), strict=True)
    assert all((a == b).all() for a, b in pairs)


def test_a_class_with_one_row_is_warned_about_and_gets_no_probability_there() -> None:
    data = tiny_data("multiclass", labels="text", content="numbers")
    rare = np.flatnonzero(data.y == "low")
    data = data.take(np.setdiff1d(np.arange(len(data)), rare[1:]))
    with pytest.warns(UserWarning, match="the class 'low' has a single row") as caught:
        labels = label(GaussianNB(), data)
    assert len(caught) == 1
    row = np.flatnonzero(data.y == "low")[0]
    assert labels.values[row, 1] == 0
    np.testing.assert_allclose(labels.values.sum(axis=1), 1)
    assert labels.folds == 2


def test_columns_of_the_labels_follow_the_classes_whatever_the_teacher_orders() -> None:
    class Backwards(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Any:
            self.inner_ = GaussianNB().fit(X, y)
            self.classes_ = self.inner_.classes_[::-1]
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            return self.inner_.predict_proba(X)[:, ::-1]

    data = tiny_data("multiclass", labels="text", content="numbers")
    np.testing.assert_allclose(label(Backwards(), data).values, label(GaussianNB(), data).values)


def test_a_teacher_that_lacks_a_class_leaves_its_column_empty() -> None:
    data = tiny_data("multiclass", labels="gaps", content="numbers")
    part = data.take(data.y != 3)
    teacher = GaussianNB().fit(part.X, part.y)
    proba = teacher_output(teacher, data.X, data.classes)
    np.testing.assert_allclose(proba[:, [0, 2]], teacher.predict_proba(data.X))
    assert (proba[:, 1] == 0).all()
    with pytest.raises(FitError, match="the class '3', which the table does not have"):
        teacher_output(GaussianNB().fit(data.X, data.y), data.X, part.classes)


def mixed_pipeline() -> Pipeline:
    numbers = ["amount", "age", "member"]
    encode = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["city", "note"]),
        ]
    )
    return Pipeline([("encode", encode), ("model", LogisticRegression(max_iter=1000))])


TEACHERS = {
    "forest": RandomForestClassifier(30, min_samples_leaf=5, random_state=0),
    "logistic regression": LogisticRegression(max_iter=1000),
    "pipeline": mixed_pipeline(),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "bagging": BaggingClassifier(LogisticRegression(max_iter=1000), 3, random_state=0),
}


@pytest.mark.parametrize("name", TEACHERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scikit_learn_teachers_read_mixed_tables_with_gaps(name: str, weighted: bool) -> None:
    data = tiny_data("multiclass", labels="text", n_rows=400)
    assert data.X.isna().any().sum() == 3
    weight = np.random.default_rng(0).uniform(0.1, 4, len(data)) if weighted else None
    labels = label(TEACHERS[name], data, sample_weight=weight)
    skill = (data.classes[labels.values.argmax(axis=1)] == data.y).mean()
    assert skill > 0.65
    if weighted:
        plain = label(TEACHERS[name], data)
        assert (plain.values != labels.values).any()


def test_a_forest_regressor_reads_mixed_tables_with_gaps() -> None:
    data = tiny_data("regression", n_rows=400)
    labels = label(RandomForestRegressor(20, random_state=0), data)
    assert np.corrcoef(labels.values, data.y)[0, 1] > 0.85


def test_the_teacher_passed_in_is_never_changed() -> None:
    data = tiny_data()
    teacher = RandomForestClassifier(5, n_jobs=2, random_state=0)
    before = dict(vars(teacher))
    labels = label(teacher, data)
    assert vars(teacher) == before
    assert not hasattr(teacher, "classes_")
    assert labels.teacher is not teacher


def test_fits_side_by_side_give_the_same_bits() -> None:
    data = tiny_data("multiclass", n_rows=300)
    teacher = RandomForestClassifier(20, n_jobs=2, random_state=0)
    first, *others = (label(teacher, data, n_jobs=jobs) for jobs in (1, 2, -1, None))
    for other in others:
        np.testing.assert_array_equal(other.values, first.values)
        X = table(data)
        np.testing.assert_array_equal(
            other.teacher.predict_proba(X), first.teacher.predict_proba(X)
        )
    changed = label(teacher, data, random_state=1)
    assert (changed.values != first.values).any()


def test_inner_models_use_one_core_and_never_warn_about_it() -> None:
    """LogisticRegression deprecates ``n_jobs``; setting it behind an encoder used to warn."""
    data = tiny_data()
    teacher = BaggingClassifier(RandomForestClassifier(2, n_jobs=2), 2, n_jobs=2, random_state=0)
    fitted = label(teacher, data).teacher
    params = fitted.get_params()
    assert {v for k, v in params.items() if k.endswith("n_jobs")} == {1}


def test_progress_is_told_fit_by_fit() -> None:
    told: list[tuple[int, int]] = []
    label(GaussianNB(), tiny_data(content="numbers"), folds=3, on_step=lambda *s: told.append(s))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_whole_weight_is_a_row_repeated_to_the_teacher() -> None:
    data = tiny_data(content="numbers")
    weight = np.random.default_rng(0).integers(1, 4, len(data))
    rows = np.repeat(np.arange(len(data)), weight)
    weighted = label(GaussianNB(), data, sample_weight=weight.astype(float)).teacher
    repeated = GaussianNB().fit(data.X.iloc[rows], data.y[rows])
    np.testing.assert_allclose(
        weighted.predict_proba(data.X), repeated.predict_proba(data.X), atol=1e-6
    )


class Broken(ClassifierMixin, BaseEstimator):
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.where == "fit":
            raise RuntimeError("[12:00:01] deep/inside.cc:7: out of tea\nStack trace:\n  0x1")
        if self.where == "silent fit":
            raise ValueError
        if self.where != "classes":
            self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        proba = np.full((len(X), 2), 0.5)
        if self.where == "predict":
            raise RuntimeError("no more tea")
        if self.where == "attribute":
            return self.absent_
        if self.where == "shape":
            return proba[:, :1]
        if self.where == "nan":
            proba[3, 0] = np.nan
        if self.where == "zero":
            proba[3] = 0
        return proba


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("fit", "the teacher Broken failed to fit: out of tea"),
        ("silent fit", "the teacher Broken failed to fit: ValueError"),
        ("predict", "the teacher Broken failed to predict: no more tea"),
        ("attribute", "failed to predict: 'Broken' object has no attribute 'absent_'"),
        ("classes", "the teacher Broken failed to predict: '"),
        ("shape", "the teacher Broken gave probabilities of shape (32, 1) for 32 rows and 2"),
        ("nan", "the teacher Broken gave probabilities that are negative, not finite, or all"),
        ("zero", "the teacher Broken gave probabilities that are negative, not finite, or all"),
    ],
)
def test_a_teacher_that_fails_is_one_line(where: str, reason: str) -> None:
    assert reason in message(FitError, Broken(where), tiny_data(content="numbers"))
    assert reason in message(FitError, Broken(where), tiny_data())


def test_a_teacher_without_probabilities_is_one_line() -> None:
    class Hard(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Any:
            return self

    text = message(FitError, Hard(), tiny_data(content="numbers"))
    assert text == (
        "the teacher Hard has no predict_proba, so it gives no soft labels; use a probabilistic "
        "model, or calibrate it (CalibratedClassifierCV)."
    )


def test_weights_that_a_teacher_cannot_take_are_refused_not_dropped() -> None:
    data = tiny_data(content="numbers")
    weight = np.ones(len(data))
    for teacher, name in (
        (WeightlessTeacher(), "WeightlessTeacher"),
        (KNeighborsClassifier(), "KNeighborsClassifier"),
        (make_pipeline(SimpleImputer(), KNeighborsClassifier()), "Pipeline"),
    ):
        text = message(FitError, teacher, data, sample_weight=weight)
        assert text == (
            f"the teacher {name} does not take sample_weight; leave the weights out, or use "
            "another teacher."
        )
    mixed = message(FitError, WeightlessTeacher(), tiny_data(), sample_weight=weight)
    assert mixed.startswith("the teacher WeightlessTeacher does not take sample_weight")
    assert label(WeightlessTeacher(), data).values.shape == (len(data), 2)


def test_a_regressor_that_predicts_a_matrix_is_refused() -> None:
    class Wide(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Any:
            return self

        def predict(self, X: Any) -> np.ndarray:
            return np.zeros((len(X), 2))

    data = tiny_data("regression", content="numbers")
    assert "the teacher Wide failed to predict" in message(FitError, Wide(), data)


@pytest.mark.parametrize("folds", [1, 0, -3, 2.5, "many", True, None])
def test_folds_that_are_no_number_of_folds_are_refused(folds: Any) -> None:
    text = message(ParameterError, GaussianNB(), tiny_data(content="numbers"), folds=folds)
    assert text.startswith(f"folds={folds!r} must be") or text.startswith(f"folds={folds} must be")


def test_more_folds_than_rows_are_refused_with_what_to_do() -> None:
    data = tiny_data("regression", content="numbers", n_rows=6)
    text = message(ParameterError, LinearRegression(), data, folds=9)
    assert text == "folds=9 is more than the 6 training row(s) of the table; use fewer folds."
    with pytest.raises(ParameterError, match="of the rarest class, 'b', so some fold"):
        fold_plan(np.array(list("aaaab")), classes=np.array(["a", "b"]), folds=2, random_state=0)
    with pytest.raises(DataError, match="at least 2 rows"):
        fold_plan(np.zeros(1), classes=None, folds="auto", random_state=0)


def test_an_encoded_teacher_is_a_clonable_estimator() -> None:
    data = tiny_data()
    fitted = label(LogisticRegression(max_iter=500), data).teacher
    assert isinstance(fitted, EncodedTeacher)
    again = clone(fitted).fit(table(data), data.y)
    np.testing.assert_array_equal(
        again.predict_proba(table(data)), fitted.predict_proba(table(data))
    )
    np.testing.assert_array_equal(fitted.classes_, data.classes)
    assert (fitted.predict(table(data)) == data.y).mean() > 0.7


def test_labelling_is_quiet() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        label(LogisticRegression(max_iter=500), tiny_data(), n_jobs=2)
    assert caught == []
