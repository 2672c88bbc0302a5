"""Base classes of students: three ways to call ``fit``, and what is refused."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_models import (
    LeastSquaresStudent,
    RegressionTreeStudent,
    SoftmaxStudent,
    TreeStudent,
    WholeTableTeacher,
)

from kdcore import SoftTargets
from kdcore.errors import DataError, KDError, ParameterError
from kdcore.losses import KL
from kdcore.targets import encode_labels
from kdcore.testing.data import tiny_data, tiny_targets

CLASSIFIERS = (SoftmaxStudent, TreeStudent)
REGRESSORS = (LeastSquaresStudent, RegressionTreeStudent)


@parametrize_with_checks(
    [
        SoftmaxStudent(),
        TreeStudent(),
        LeastSquaresStudent(),
        RegressionTreeStudent(),
        WholeTableTeacher(),
    ],
)
def test_what_is_built_on_the_base_classes_is_a_scikit_learn_estimator(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without it the check of array API inputs would be skipped.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


def output(student: Any, X: Any) -> np.ndarray:
    return student.predict_proba(X) if hasattr(student, "predict_proba") else student.predict(X)


def fit_error(student: Any, *args: Any, kind: type[KDError] = DataError, **kwargs: Any) -> str:
    with pytest.raises(kind) as caught:
        student.fit(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_the_ways_to_call_fit_agree_for_classifiers(kind: type[Any], task: str) -> None:
    data = tiny_data(task, labels="text" if task == "multiclass" else "positions")
    weight = np.random.default_rng(0).uniform(0.5, 2, len(data))
    plain = kind().fit(data.X, data.y, weight)
    same = kind().fit(data.X, tiny_targets(data, teacher=False, weight=weight))
    np.testing.assert_array_equal(output(plain, data.X), output(same, data.X))
    taught = kind().fit(data.X, data.y, weight, teacher_proba=data.teacher)
    same = kind().fit(data.X, tiny_targets(data, weight=weight))
    np.testing.assert_array_equal(output(taught, data.X), output(same, data.X))
    assert (output(taught, data.X) != output(plain, data.X)).any()
    np.testing.assert_array_equal(taught.classes_, np.unique(data.y))
    np.testing.assert_allclose(output(taught, data.X).sum(axis=1), 1, rtol=1e-12)
    best = taught.classes_[output(taught, data.X).argmax(axis=1)]
    np.testing.assert_array_equal(taught.predict(data.X), best)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_the_ways_to_call_fit_agree_for_regressors(kind: type[Any]) -> None:
    data = tiny_data("regression")
    plain = kind().fit(data.X, data.y)
    same = kind().fit(data.X, tiny_targets(data, teacher=False))
    np.testing.assert_array_equal(plain.predict(data.X), same.predict(data.X))
    taught = kind().fit(data.X, data.y, teacher_output=data.teacher)
    same = kind().fit(data.X, tiny_targets(data))
    np.testing.assert_array_equal(taught.predict(data.X), same.predict(data.X))
    assert (taught.predict(data.X) != plain.predict(data.X)).any()


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
def test_alpha_sets_how_much_the_teacher_counts(kind: type[Any]) -> None:
    """Others take alpha and never read it."""
    data = tiny_data("binary" if kind in CLASSIFIERS else "regression")
    plain = output(kind().fit(data.X, tiny_targets(data, teacher=False)), data.X)
    outputs = [
        output(kind(alpha=a).fit(data.X, tiny_targets(data)), data.X) for a in (0.0, 0.5, 1.0)
    ]
    np.testing.assert_allclose(outputs[0], plain, atol=1e-5)
    distance = [np.abs(out - data.teacher).mean() for out in outputs]
    assert distance[0] > distance[1] > distance[2]


def test_temperature_is_used_by_gradient_students_and_refused_by_others() -> None:
    data = tiny_data()
    hot, cold = (
        output(SoftmaxStudent(temperature=t).fit(data.X, tiny_targets(data)), data.X)
        for t in (4.0, 1.0)
    )
    assert np.abs(hot - cold).max() > 1e-3
    for student in (TreeStudent, LeastSquaresStudent):
        own = data if student is TreeStudent else tiny_data("regression")
        text = fit_error(student(temperature=4.0), own.X, tiny_targets(own), kind=ParameterError)
        assert "temperature=4" in text


def test_the_loss_is_used() -> None:
    data = tiny_data("multiclass")
    outputs = [
        output(SoftmaxStudent(loss=loss).fit(data.X, tiny_targets(data)), data.X)
        for loss in (None, "kl", KL, "brier", "logit_mse")
    ]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])
    for other in outputs[3:]:
        assert np.abs(other - outputs[0]).max() > 1e-3
    text = fit_error(TreeStudent(loss="logit_mse"), data.X, data.y, kind=ParameterError)
    assert "cannot be given as plain targets" in text


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
def test_a_whole_weight_is_a_row_repeated(kind: type[Any]) -> None:
    """Others have ``sample_weight`` in the signature and drop it."""
    data = tiny_data("multiclass" if kind in CLASSIFIERS else "regression", content="numbers")
    weight = np.random.default_rng(1).integers(0, 4, len(data))
    rows = np.repeat(np.arange(len(data)), weight)
    # Deeper trees choose among splits that are equally good but for rounding.
    params = {} if "max_depth" not in kind().get_params() else {"max_depth": 3}
    weighted = kind(**params).fit(data.X, tiny_targets(data, weight=weight))
    repeated = kind(**params).fit(data.X.iloc[rows], tiny_targets(data).take(rows))
    np.testing.assert_allclose(output(weighted, data.X), output(repeated, data.X), atol=1e-3)
    unweighted = kind(**params).fit(data.X, tiny_targets(data))
    assert np.abs(output(weighted, data.X) - output(unweighted, data.X)).max() > 1e-3


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
def test_rows_without_a_label_teach_through_the_teacher(kind: type[Any]) -> None:
    data = tiny_data("binary" if kind in CLASSIFIERS else "regression")
    unlabeled = np.arange(len(data)) % 2 == 0
    some = kind().fit(data.X, tiny_targets(data, unlabeled=unlabeled))
    rest = kind().fit(data.X.loc[~unlabeled], tiny_targets(data).take(~unlabeled))
    assert np.abs(output(some, data.X) - output(rest, data.X)).max() > 1e-3


def test_a_class_whose_rows_all_weigh_nothing_is_absent() -> None:
    data = tiny_data("multiclass", labels="text")
    weight = (data.y != "low").astype(float)
    student = SoftmaxStudent().fit(data.X, data.y, weight)
    assert student.classes_.tolist() == ["high", "middle"]
    rest = weight > 0
    alone = SoftmaxStudent().fit(data.X[rest], data.y[rest])
    np.testing.assert_allclose(output(student, data.X), output(alone, data.X), atol=1e-6)


@given(st.permutations(["amount", "age", "member", "city", "note"]), st.data())
def test_a_student_reads_the_columns_it_was_given_and_no_other(names: list[str], data: Any) -> None:
    table = tiny_data(n_rows=60)
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    student = TreeStudent(features=chosen).fit(table.X[names], table.y)
    assert student.selected_features_ == [n for n in names if n in chosen]
    assert student.get_selected_features() == student.selected_features_
    assert student.get_support().tolist() == [n in chosen for n in names]
    assert student.get_support(indices=True).tolist() == [
        i for i, n in enumerate(names) if n in chosen
    ]
    only = table.X[chosen]
    scrambled = table.X[names].assign(**{n: None for n in names if n not in chosen})
    np.testing.assert_array_equal(output(student, only), output(student, scrambled))


def test_importances_cover_every_raw_column() -> None:
    data = tiny_data()
    student = SoftmaxStudent(features=["city", "amount"]).fit(data.X, data.y)
    shares = student.feature_importances_
    assert shares.shape == (5,)
    np.testing.assert_allclose(shares.sum(), 1)
    assert (shares[[1, 2, 4]] == 0).all()
    ranked = student.get_feature_importance()
    assert sorted(ranked.values(), reverse=True) == list(ranked.values())
    assert ranked["city"] == shares[3]
    assert not hasattr(TreeStudent().fit(data.X, data.y), "feature_importances_")


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
def test_predicting_finds_columns_by_name(kind: type[Any]) -> None:
    data = tiny_data("binary" if kind in CLASSIFIERS else "regression")
    student = kind().fit(data.X, data.y)
    shuffled = data.X.assign(extra=1)[["note", "extra", "age", "city", "amount", "member"]]
    np.testing.assert_array_equal(output(student, shuffled), output(student, data.X))
    as_dict = {name: shuffled[name].tolist() for name in shuffled}
    np.testing.assert_allclose(output(student, as_dict), output(student, data.X))
    with pytest.raises(DataError, match=re.escape("lacks 2 column(s)") + ".*'age', 'note'"):
        student.predict(data.X.drop(columns=["age", "note"]))


def test_repeated_row_labels_of_a_frame_do_no_harm() -> None:
    data = tiny_data()
    weight = (np.arange(len(data)) % 3).astype(float)
    repeated = data.X.set_axis(np.zeros(len(data), dtype=int))
    one = SoftmaxStudent().fit(repeated, data.y, weight)
    other = SoftmaxStudent().fit(data.X, data.y, weight)
    np.testing.assert_array_equal(output(one, data.X), output(other, data.X))


@pytest.mark.parametrize("kind", [*CLASSIFIERS, *REGRESSORS])
def test_a_student_survives_cloning_and_pickling(kind: type[Any]) -> None:
    data = tiny_data("binary" if kind in CLASSIFIERS else "regression")
    student = kind(alpha=0.4, features=("age", "city")).fit(data.X, data.y)
    again = pickle.loads(pickle.dumps(student))
    np.testing.assert_array_equal(output(again, data.X), output(student, data.X))
    fresh = clone(student)
    assert fresh.get_params() == student.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(data.X)


LABELS = {
    "list": list,
    "objects": lambda y: y.astype(object),
    "series of other order": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "category": lambda y: pd.Series(pd.Categorical(y, categories=["middle", "low", "high"])),
    "text": lambda y: pd.Series(y, dtype="string"),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_come_in_any_container(form: str) -> None:
    data = tiny_data("multiclass", labels="text")
    student = TreeStudent().fit(data.X, LABELS[form](data.y))
    assert student.classes_.tolist() == ["high", "low", "middle"]
    expected = TreeStudent().fit(data.X, data.y)
    np.testing.assert_array_equal(output(student, data.X), output(expected, data.X))


@pytest.mark.parametrize("values", [(False, True), (-4, 20), (1.0, 2.0), ("no", "yes")])
def test_labels_of_any_type_come_back_as_they_were(values: tuple[Any, Any]) -> None:
    data = tiny_data()
    y = np.array(values)[data.y]
    student = TreeStudent().fit(data.X, y)
    assert set(student.predict(data.X).tolist()) == set(values)


def test_labels_that_cannot_be_used_are_refused_in_one_line() -> None:
    """A missing label among texts used to end in a TypeError of numpy's sorting."""
    data = tiny_data("multiclass", labels="text")
    for hole in (None, np.nan, pd.NA, ""):
        y = data.y.astype(object)
        y[3] = hole
        assert "missing labels" in fit_error(TreeStudent(), data.X, y)
    y[3] = 7
    assert "y mixes int and text" in fit_error(TreeStudent(), data.X, y)
    assert "only one class" in fit_error(TreeStudent(), data.X, ["a"] * len(data))
    assert "[160, 3]" in fit_error(TreeStudent(), data.X, ["a", "b", "c"])
    assert "requires y" in fit_error(TreeStudent(), data.X)
    assert "NaN" in fit_error(LeastSquaresStudent(), data.X, np.full(len(data), np.nan))
    assert "Unknown label type" in fit_error(TreeStudent(), data.X, data.teacher[:, 0])
    assert "1d array" in fit_error(TreeStudent(), data.X, data.teacher)
    assert "0 rows" in fit_error(TreeStudent(), data.X.iloc[:0], [])


def test_weights_that_cannot_be_used_are_refused() -> None:
    data = tiny_data()
    bad = [-np.ones(160), np.zeros(160), np.ones(3), np.ones((160, 2)), np.full(160, np.nan)]
    for weight in bad:
        text = fit_error(SoftmaxStudent(), data.X, data.y, weight)
        assert re.search("sample.weight", text, re.IGNORECASE)
    mixed = np.where(data.y == 1, -1.0, 1.0)
    assert "sample_weight must not be negative" in fit_error(TreeStudent(), data.X, data.y, mixed)


def test_a_teacher_of_the_wrong_shape_is_refused() -> None:
    data = tiny_data("multiclass")
    text = fit_error(TreeStudent(), data.X, data.y, teacher_proba=data.teacher[:, :2])
    assert "shape (160, 2), expected (160, 3)" in text
    text = fit_error(TreeStudent(), data.X, data.y, teacher_proba=data.teacher[:5])
    assert "shape (5, 3), expected (160, 3)" in text
    regression = tiny_data("regression")
    text = fit_error(
        LeastSquaresStudent(), regression.X, regression.y, teacher_output=np.zeros((160, 2))
    )
    assert "shape (160, 2), expected (160,)" in text


def test_soft_targets_leave_no_room_for_other_weights_or_teachers() -> None:
    data = tiny_data()
    targets = tiny_targets(data)
    for extra in ({"sample_weight": np.ones(160)}, {"teacher_proba": data.teacher}):
        text = fit_error(TreeStudent(), data.X, targets, kind=ParameterError, **extra)
        assert "hold row weights and teacher outputs themselves" in text
    text = fit_error(LeastSquaresStudent(), data.X, targets, kind=ParameterError)
    assert "for binary, not for regression" in text
    numbers = tiny_targets(tiny_data("regression"))
    text = fit_error(TreeStudent(), data.X, numbers, kind=ParameterError)
    assert "for regression, not for classification" in text
    assert "160 rows but the targets have 9" in fit_error(
        TreeStudent(), data.X, targets.take(np.arange(9))
    )


def test_a_column_that_is_not_there_cannot_be_chosen() -> None:
    data = tiny_data()
    text = fit_error(TreeStudent(features=["agee"]), data.X, data.y, kind=ParameterError)
    assert "no column 'agee'. Did you mean 'age'?" in text
    assert "features is empty" in fit_error(
        TreeStudent(features=[]), data.X, data.y, kind=ParameterError
    )


def test_soft_targets_may_know_a_class_that_no_label_shows() -> None:
    data = tiny_data("multiclass")
    rows = data.y != 2
    part = data.take(rows)
    targets = SoftTargets(encode_labels(part.y, np.arange(3)), part.teacher, classes=np.arange(3))
    student = SoftmaxStudent(alpha=1).fit(part.X, targets)
    assert student.classes_.tolist() == [0, 1, 2]
    assert output(student, part.X)[:, 2].max() > 0.01
