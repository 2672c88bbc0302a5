"""Base classes of teachers: any table and any labels become what a library reads."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from small_models import WholeTableTeacher

from kdcore import ClassifierTeacher, RegressorTeacher
from kdcore.errors import DataError, ParameterError
from kdcore.teachers import stopping_rows
from kdcore.testing.data import tiny_data


class Recorder(ClassifierTeacher):
    """Keeps what it was fitted to and says that all classes are equally likely."""

    def __init__(self, *, random_state: int | None = 0, n_jobs: int | None = 1) -> None:
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.given_ = frame, y, sample_weight

    def predict_frame(self, frame: Any) -> np.ndarray:
        self.asked = frame
        return np.full((len(frame), len(self.classes_)), 0.25, dtype=np.float32)


class ValueRecorder(RegressorTeacher):
    """The same for regression."""

    def __init__(self, *, random_state: int | None = 0, n_jobs: int | None = 1) -> None:
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.given_ = frame, y, sample_weight

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.zeros(len(frame), dtype=np.float32)


def test_a_teacher_gets_numbers_and_categories_with_their_gaps() -> None:
    """Others drop categorical columns, or turn gaps into 0, in silence."""
    data = tiny_data("multiclass", labels="text")
    teacher = Recorder().fit(data.X, data.y)
    frame, y, weight = teacher.given_
    assert list(frame) == list(data.X)
    assert frame.dtypes.astype(str).tolist() == [
        "float64",
        "int64",
        "bool",
        "category",
        "category",
    ]
    np.testing.assert_array_equal(frame.isna(), data.X.isna())
    np.testing.assert_array_equal(teacher.classes_[y], data.y)
    assert weight is None


def test_categories_keep_their_codes_at_predict_time() -> None:
    data = tiny_data()
    teacher = Recorder().fit(data.X, data.y)
    few = data.X.loc[data.X["city"] == "Oslo", ["note", "city", "member", "age", "amount"]]
    few = few.assign(note="never seen")
    teacher.predict(few)
    assert list(teacher.asked) == list(data.X)
    trained = teacher.given_[0]["city"].cat.categories
    assert teacher.asked["city"].cat.categories.equals(trained)
    assert (teacher.asked["city"].astype(object) == "Oslo").all()
    assert teacher.asked["note"].isna().all()


def test_probabilities_sum_to_one_in_double_precision() -> None:
    data = tiny_data("multiclass")
    proba = Recorder().fit(data.X, data.y).predict_proba(data.X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba, 1 / 3, rtol=1e-15)


def test_weights_reach_the_model_and_rows_of_weight_zero_do_not() -> None:
    for kind, task in ((Recorder, "binary"), (ValueRecorder, "regression")):
        data = tiny_data(task)
        weight = np.arange(len(data)) % 3 / 2
        frame, y, used = kind().fit(data.X, data.y, weight).given_
        keep = weight > 0
        np.testing.assert_array_equal(used, weight[keep])
        assert len(frame) == len(y) == keep.sum()
        for bad in (-weight, 0 * weight):
            with pytest.raises(DataError, match=r"[Ss]ample.weight"):
                kind().fit(data.X, data.y, bad)


def test_a_teacher_refuses_tables_that_lack_a_column() -> None:
    data = tiny_data("regression")
    teacher = ValueRecorder().fit(data.X, data.y)
    assert teacher.predict(data.X.assign(extra=1)).shape == (len(data),)
    with pytest.raises(DataError, match="'city'"):
        teacher.predict(data.X.drop(columns="city"))
    with pytest.raises(NotFittedError):
        ValueRecorder().predict(data.X)


def test_a_teacher_needs_two_classes() -> None:
    with pytest.raises(DataError, match="only one class"):
        Recorder().fit(pd.DataFrame({"a": [1, 2]}), ["x", "x"])


def test_a_teacher_learns_through_the_base_class() -> None:
    data = tiny_data("multiclass", labels="gaps", n_rows=400, content="numbers")
    teacher = WholeTableTeacher().fit(data.X, data.y)
    fresh = tiny_data("multiclass", labels="gaps", seed=1, content="numbers")
    assert teacher.score(fresh.X, fresh.y) > 0.75
    assert set(teacher.predict(fresh.X)) <= {-4, 3, 20}


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    fraction=st.floats(0.02, 0.9),
    seed=st.integers(0, 2**31 - 1),
)
def test_rows_to_stop_on_leave_every_class_to_learn_from(
    counts: list[int], fraction: float, seed: int
) -> None:
    """A library that never saw a class would refuse it, or give it no probability."""
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    ask = partial(stopping_rows, y, fraction=fraction, random_state=seed, classify=True)
    try:
        learn, stop = ask()
    except ParameterError:
        # All that was drawn were first rows of their classes.
        assert fraction * len(y) <= len(counts) + 0.5
        return
    assert np.array_equal(np.sort(np.concatenate([learn, stop])), np.arange(len(y)))
    assert set(y[learn]) == set(range(len(counts)))
    for k, n in enumerate(counts):
        # Each class gives its share, but for its first row and for rounding.
        assert fraction * n - 2 <= (y[stop] == k).sum() <= fraction * n + 1
    assert all(np.array_equal(a, b) for a, b in zip(ask(), (learn, stop), strict=True))


def test_rows_to_stop_on_are_drawn_by_the_seed() -> None:
    y = np.arange(50.0)
    ask = partial(stopping_rows, y, fraction=0.2, classify=False)
    stops = [ask(random_state=seed)[1] for seed in (0, 0, 1)]
    assert np.array_equal(stops[0], stops[1])
    assert not np.array_equal(stops[0], stops[2])
    assert len(stops[0]) == 10
    assert len(ask(random_state=np.random.RandomState(3))[1]) == 10
