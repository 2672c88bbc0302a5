"""The transfer set: made rows get the teacher's labels and a fair weight, and are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from small_models import SoftmaxStudent

from kdcore import SoftTargets
from kdcore.errors import DataError, ParameterError
from kdcore.structure import TeacherStructure
from kdcore.table import stacked
from kdcore.testing.data import tiny_data, tiny_targets
from kdcore.transfer import (
    QualityMeter,
    build_transfer_set,
    join_unlabeled,
    make_augmenter,
    synthetic_weights,
    transfer_quality,
)

IRIS = load_iris(as_frame=True)


def iris(**given: Any) -> tuple[pd.DataFrame, SoftTargets, Any]:
    """Rows, targets and a teacher; positions of classes are their labels."""
    X = IRIS.data
    teacher = LogisticRegression(max_iter=1000).fit(X, IRIS.target)
    fields: dict[str, Any] = {
        "labels": IRIS.target.to_numpy(),
        "teacher": teacher.predict_proba(X),
        "classes": np.arange(3),
        "provenance": "out-of-fold",
        "structure": TeacherStructure(thresholds={X.columns[0]: np.array([5.0])}),
    }
    return X, SoftTargets(**{**fields, **given}), teacher.predict_proba


# --- weights -----------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0.1, 5), min_size=1, max_size=30), st.integers(1, 500), st.floats(0.1, 10)
)
def test_totals_of_made_and_real_rows_are_in_the_ratio(
    real: list[float], n: int, ratio: float
) -> None:
    weight = synthetic_weights(np.array(real), n, ratio)
    assert weight.shape == (n,)
    assert np.ptp(weight) == 0
    assert weight.sum() == pytest.approx(ratio * sum(real))


def test_made_rows_count_less_where_real_ones_are_few() -> None:
    assert synthetic_weights(999, 999).sum() == pytest.approx(999)
    assert synthetic_weights(1000, 10_000).sum() == pytest.approx(3000)
    with pytest.raises(ParameterError, match="ratio=0 of made to real rows must be a number"):
        synthetic_weights(10, 10, 0)


# --- assembly ----------------------------------------------------------------------------------


def test_made_rows_come_below_the_real_ones_with_the_teachers_word_alone() -> None:
    X, targets, teacher = iris(sample_weight=np.linspace(0.5, 1.5, 150))
    rows, joined = build_transfer_set(X, targets, make_augmenter("cart"), 700, teacher, ratio=2.0)
    assert len(rows) == len(joined) == 850
    pd.testing.assert_frame_equal(rows.head(150), X)
    made = joined.take(slice(150, None))
    assert made.unlabeled.all()
    assert np.allclose(made.teacher, teacher(rows.iloc[150:]))
    assert np.allclose(made.blended(0.3), made.teacher)
    assert made.sample_weight.sum() == pytest.approx(2 * targets.sample_weight.sum())
    assert np.array_equal(joined.labels[:150], targets.labels)
    assert joined.structure is targets.structure
    assert joined.provenance == "out-of-fold"


def test_the_set_is_the_same_whatever_the_teacher_is_asked_at_a_time() -> None:
    X, targets, teacher = iris()
    asked: list[int] = []

    def counting(frame: pd.DataFrame) -> np.ndarray:
        asked.append(len(frame))
        return teacher(frame)

    method = make_augmenter("munge")
    whole, one = build_transfer_set(X, targets, method, 500, teacher, random_state=7)
    parts, two = build_transfer_set(
        X, targets, method, 500, counting, random_state=7, chunk_rows=200
    )
    assert asked == [200, 200, 100]
    pd.testing.assert_frame_equal(whole, parts)
    assert np.allclose(one.teacher, two.teacher)
    assert not hasattr(method, "real_"), "the augmenter of a caller is not fitted in silence"


def test_unlabeled_rows_take_the_place_of_made_ones() -> None:
    X, targets, teacher = iris()
    train, below = X.iloc[::3], X.drop(X.index[::3])
    known = targets.take(slice(None, None, 3))
    both, more = join_unlabeled(train, known, below, teacher(below))
    assert len(both) == 150
    assert more.unlabeled.sum() == 100
    assert more.sample_weight.tolist() == [1.0] * 150
    rows, joined = build_transfer_set(both, more, make_augmenter("smote"), 400, teacher, ratio=2.0)
    assert len(rows) == 450
    # Three quarters of the rows, and so of the weight, are made.
    assert joined.sample_weight[150:].sum() == pytest.approx(2 * 50 * 3 / 4)
    enough, same = build_transfer_set(both, more, make_augmenter("smote"), 100, teacher)
    assert len(enough) == 150
    assert same is more


def test_regression_and_rows_without_labels_have_nan() -> None:
    data = tiny_data("regression", n_rows=80)
    targets = tiny_targets(data)
    teacher = Ridge().fit(pd.get_dummies(data.X).fillna(0), data.y)
    columns = teacher.feature_names_in_

    def ask(frame: pd.DataFrame) -> np.ndarray:
        return teacher.predict(pd.get_dummies(frame)[columns].fillna(0))

    rows, joined = build_transfer_set(data.X, targets, make_augmenter("cart"), 100, ask)
    assert np.isnan(joined.labels[80:]).all()
    assert np.allclose(joined.blended(0.5)[80:], joined.teacher[80:])
    assert (rows.dtypes == data.X.dtypes).all()


def test_a_student_learns_from_made_rows_what_few_labels_cannot_teach() -> None:
    X, targets, teacher = iris()
    few = np.arange(0, 150, 10)
    small = SoftTargets(
        labels=targets.labels[few], teacher=targets.teacher[few], classes=np.arange(3)
    )
    rows, joined = build_transfer_set(
        X.iloc[few], small, make_augmenter("smote"), 600, teacher, ratio=20.0
    )
    says = teacher(X)

    def error(student: SoftmaxStudent) -> float:
        return float(np.abs(student.predict_proba(X) - says).mean())

    alone = SoftmaxStudent(alpha=0.3).fit(X.iloc[few], small)
    assert error(SoftmaxStudent(alpha=0.3).fit(rows, joined)) < 0.7 * error(alone)


def test_what_does_not_fit_is_refused() -> None:
    X, targets, teacher = iris()
    cart = make_augmenter("cart")
    with pytest.raises(DataError, match="table has 10 rows but the targets have 150"):
        build_transfer_set(X.head(10), targets, cart, 5, teacher)
    with pytest.raises(DataError, match="need targets with a teacher"):
        build_transfer_set(X, targets.plain(), cart, 5, teacher)
    with pytest.raises(DataError, match="need targets with a teacher"):
        join_unlabeled(X, targets.plain(), X, teacher(X))
    with pytest.raises(ParameterError, match="n=-1"):
        build_transfer_set(X, targets, cart, -1, teacher)
    with pytest.raises(DataError, match=r"for 5 made rows has shape \(1, 3\)"):
        build_transfer_set(X, targets, cart, 5, lambda frame: teacher(frame)[:1])
    with pytest.raises(DataError, match=r"has shape \(5, 2\), expected \(5, 3\)"):
        build_transfer_set(X, targets, cart, 5, lambda frame: teacher(frame)[:, :2])
    with pytest.raises(DataError, match="must be finite"):
        build_transfer_set(X, targets, cart, 5, lambda frame: teacher(frame) * np.nan)
    nobody = SoftTargets(labels=np.full(150, -1), teacher=targets.teacher, classes=targets.classes)
    with pytest.raises(DataError, match="at least one row with a label"):
        build_transfer_set(X, nobody, cart, 500, teacher)


def test_many_tables_are_stacked_with_all_their_levels() -> None:
    parts = [pd.DataFrame({"c": pd.Categorical([v]), "n": [i]}) for i, v in enumerate("cab")]
    out = stacked(*parts)
    assert out["c"].tolist() == ["c", "a", "b"]
    assert out["c"].cat.categories.tolist() == ["a", "b", "c"]
    ordered = pd.DataFrame({"c": pd.Categorical(["S"], ["S", "M"], ordered=True)})
    assert stacked(ordered, ordered)["c"].dtype == ordered["c"].dtype


# --- quality -----------------------------------------------------------------------------------


def test_the_table_itself_is_all_covered_and_all_duplicates() -> None:
    data = tiny_data("binary", n_rows=100)
    same = transfer_quality(data.X, data.X)
    assert same.to_dict() == {
        "rows": 100,
        "coverage": 1.0,
        "novelty": 0.0,
        "duplicates": 1.0,
        "outside": 0.0,
        "pairs": same.pairs,
    }


def test_quality_tells_what_is_wrong_with_rows() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000)
    real = pd.DataFrame(
        {"a": a, "b": a + 0.1 * rng.normal(size=2000), "c": np.where(a > 0, "x", "y")}
    )
    broken = real.apply(lambda column: rng.permutation(column))
    assert transfer_quality(real, broken).novelty > 0.2
    half = transfer_quality(real, real[real["a"] > 0])
    assert 0.4 < half.coverage < 0.6
    assert half.novelty == 0
    shifted = transfer_quality(real, real.assign(a=real["a"] + 100))
    assert shifted.outside == 1
    assert shifted.duplicates == 0
    assert transfer_quality(real, real.assign(c="z").head(10)).outside == 1
    good = make_augmenter("cart").fit(real)
    assert transfer_quality(real, good.sample(4000)).novelty < 0.02


def test_chunks_add_up_and_types_of_numbers_do_not_matter() -> None:
    frame = tiny_data("binary", n_rows=120).X
    rows = pd.concat(make_augmenter("swap").fit(frame).sample(300), ignore_index=True)
    parts = [rows.iloc[i : i + 70] for i in range(0, 300, 70)]
    assert transfer_quality(frame, parts) == transfer_quality(frame, rows)
    wide = frame.astype(dict.fromkeys(frame.select_dtypes("number"), float))
    assert transfer_quality(wide, rows) == transfer_quality(frame, rows)


def test_wide_single_and_empty_tables_have_a_quality_too() -> None:
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 30)))
    assert QualityMeter(wide).result().pairs == 45
    assert QualityMeter(wide, max_pairs=3).result().pairs == 3
    one = pd.DataFrame({"a": [1.0, np.nan, 3.0]})
    assert transfer_quality(one, one.head(1)).coverage == pytest.approx(1 / 3)
    empty = pd.DataFrame({"a": [np.nan] * 3, "b": pd.Categorical([None] * 3)})
    assert transfer_quality(empty, empty).coverage == 1
    assert transfer_quality(one, []).rows == 0
    with pytest.raises(DataError, match="lacks 1 column"):
        transfer_quality(one, pd.DataFrame({"b": [1.0]}))
