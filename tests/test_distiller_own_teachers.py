"""`DistillationClassifier` with teachers that users already have: never refitted in silence."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from small_models import LeastSquaresStudent, SoftmaxStudent

from kdcore import DistillationClassifier, DistillationRegressor, GivenLabels
from kdcore.errors import DataError, KDWarning, ParameterError
from kdcore.testing.data import tiny_data

FITS: list[int] = []


class Counted(GaussianNB):
    """Counts its fits, clones included."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        FITS.append(len(y))
        return super().fit(X, y, sample_weight)


DATA = tiny_data("multiclass", content="numbers", labels="text")
OTHER = tiny_data("multiclass", content="numbers", labels="text", seed=1)


@pytest.fixture
def teacher() -> Counted:
    fitted = Counted().fit(OTHER.X, OTHER.y)
    FITS.clear()
    return fitted


def model(teacher: Any, **params: Any) -> DistillationClassifier:
    return DistillationClassifier(teacher=teacher, student=SoftmaxStudent(), **params)


def test_a_fitted_teacher_labels_and_is_left_alone(teacher: Counted) -> None:
    before = pickle.dumps(teacher)
    distilled = model(teacher, fitted="held-out", recipe="plain").fit(DATA.X, DATA.y)
    assert FITS == []
    assert pickle.dumps(teacher) == before
    assert distilled.teacher_ is teacher
    assert distilled.report_.labels == "held-out"
    assert distilled.report_.folds == 0
    assert distilled.report_.teacher == "Counted"
    again = SoftmaxStudent().fit(DATA.X, DATA.y, teacher_proba=teacher.predict_proba(DATA.X))
    np.testing.assert_allclose(distilled.predict_proba(OTHER.X), again.predict_proba(OTHER.X))


def test_what_it_was_fitted_on_must_be_said(teacher: Counted) -> None:
    with pytest.raises(ParameterError, match=r"never refits .*fitted='in-sample' or 'held-out'"):
        model(teacher).fit(DATA.X, DATA.y)
    with pytest.raises(ParameterError, match="fitted='maybe' is not known"):
        model(teacher, fitted="maybe").fit(DATA.X, DATA.y)
    assert FITS == []


def test_in_sample_labels_are_warned_about_and_reported(teacher: Counted) -> None:
    with pytest.warns(KDWarning, match="near to the true labels"):
        distilled = model(teacher, fitted="in-sample").fit(DATA.X, DATA.y)
    assert distilled.report_.labels == "in-sample"
    assert FITS == []


def test_clones_are_fitted_out_of_fold_where_that_was_allowed(teacher: Counted) -> None:
    distilled = model(teacher, fitted="refit", folds=3).fit(DATA.X, DATA.y)
    assert len(FITS) == 4
    assert distilled.report_.labels == "out-of-fold"
    assert distilled.teacher_ is not teacher


def test_a_clone_has_lost_its_fit_and_is_not_fitted_in_silence(teacher: Counted) -> None:
    """Searches and cross-validation clone; the teacher would silently be another one."""
    cloned = clone(model(teacher, fitted="held-out"))
    with pytest.raises(ParameterError, match="FrozenEstimator"):
        cloned.fit(DATA.X, DATA.y)
    assert FITS == []
    frozen = model(FrozenEstimator(teacher), fitted="held-out")
    assert cross_val_score(frozen, DATA.X, DATA.y, cv=3, error_score="raise").mean() > 0.5
    assert FITS == []
    assert frozen.fit(DATA.X, DATA.y).report_.teacher == "Counted"


def test_a_teacher_that_was_fitted_on_an_array_gets_an_array(teacher: Counted) -> None:
    unnamed = Counted().fit(OTHER.X.to_numpy(), OTHER.y)
    plain = model(unnamed, fitted="held-out").fit(DATA.X.to_numpy(), DATA.y)
    named = model(teacher, fitted="held-out").fit(DATA.X, DATA.y)
    np.testing.assert_array_equal(
        plain.predict_proba(OTHER.X.to_numpy()), named.predict_proba(OTHER.X)
    )
    with pytest.raises(DataError, match="fitted on 4 column"):
        model(teacher, fitted="held-out").fit(DATA.X.to_numpy(), DATA.y)
    assert hasattr(teacher, "feature_names_in_")


def test_several_teachers_are_averaged_with_their_weights(teacher: Counted) -> None:
    other = LogisticRegression(max_iter=500).fit(OTHER.X, OTHER.y)
    distilled = model([teacher, other], teacher_weights=[3, 1], fitted="held-out").fit(
        DATA.X, DATA.y
    )
    mean = (3 * teacher.predict_proba(DATA.X) + other.predict_proba(DATA.X)) / 4
    same = model(GivenLabels(mean)).fit(DATA.X, DATA.y)
    np.testing.assert_allclose(
        distilled.predict_proba(OTHER.X), same.predict_proba(OTHER.X), atol=1e-6
    )
    assert (distilled.report_.labels, same.report_.labels) == ("held-out", "given")
    assert same.teacher_ is None
    assert distilled.report_.teacher == "Counted + LogisticRegression"
    np.testing.assert_allclose(distilled.teacher_.predict_proba(DATA.X), mean)
    mixed = model([GaussianNB(), other], fitted="held-out").fit(DATA.X, DATA.y)
    assert mixed.report_.labels == "held-out"


def test_a_function_teaches(teacher: Counted) -> None:
    def service(frame: pd.DataFrame) -> np.ndarray:
        return teacher.predict_proba(frame)

    distilled = model(service).fit(DATA.X, DATA.y)
    known = model(teacher, fitted="held-out").fit(DATA.X, DATA.y)
    assert distilled.report_.labels == "given"
    np.testing.assert_allclose(distilled.predict_proba(OTHER.X), known.predict_proba(OTHER.X))


def test_given_labels_stay_with_their_rows_where_others_have_no_weight() -> None:
    proba = np.random.default_rng(0).dirichlet(np.ones(3), len(DATA))
    weight = (np.arange(len(DATA)) % 3 > 0).astype(float)
    rest = weight > 0
    some = model(GivenLabels(proba)).fit(DATA.X, DATA.y, weight)
    same = model(GivenLabels(proba[rest])).fit(DATA.X[rest], DATA.y[rest], weight[rest])
    np.testing.assert_array_equal(some.predict_proba(OTHER.X), same.predict_proba(OTHER.X))
    with pytest.raises(DataError, match="have 10 rows, but the table has 160"):
        model(GivenLabels(proba[:10])).fit(DATA.X, DATA.y)


def test_a_fitted_regressor_teaches_too() -> None:
    data, other = (tiny_data("regression", content="numbers", seed=s) for s in (0, 1))
    teacher = Ridge().fit(other.X, other.y)
    distilled = DistillationRegressor(
        teacher=teacher, student=LeastSquaresStudent(), fitted="held-out"
    ).fit(data.X, data.y)
    assert distilled.teacher_ is teacher
    assert distilled.report_.labels == "held-out"
    assert distilled.score(other.X, other.y) > 0.5
    with pytest.raises(ParameterError, match="is a classifier"):
        DistillationRegressor(
            teacher=GaussianNB().fit(DATA.X, DATA.y),
            student=LeastSquaresStudent(),
            fitted="held-out",
        ).fit(data.X, data.y)
