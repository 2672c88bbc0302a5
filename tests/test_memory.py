"""A table is read once: no stage before the models makes copies that it does not need."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import sklearn.model_selection
from sklearn.base import BaseEstimator, ClassifierMixin
from small_models import SoftmaxStudent

from kdcore.encoders import StandardEncoder
from kdcore.label_cache import fingerprint
from kdcore.labels import out_of_fold
from kdcore.splits import Data, prepare
from kdcore.table import stacked
from kdcore.targets import SoftTargets

assert sklearn.model_selection  # imports are no part of what is measured

ROWS, COLUMNS = 100_000, 20
ONE = ROWS * COLUMNS * 8


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(ROWS, COLUMNS))).rename(columns="c{}".format)
    return made.assign(target=rng.integers(0, 2, ROWS))


class Constant(ClassifierMixin, BaseEstimator):
    """A teacher that needs no memory."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


@contextmanager
def copies(at_most: float) -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / ONE < at_most


@pytest.fixture(scope="module")
def rows(frame: pd.DataFrame) -> Data:
    return prepare(frame, target="target")


def test_splitting_copies_no_column_of_the_users_table(frame, rows):
    # Labels and positions of rows, of which 20 make a copy of this table.
    with copies(0.7):
        prepare(frame, target="target")
    assert np.shares_memory(rows.train.whole["c3"].to_numpy(), frame["c3"].to_numpy())


def test_rows_are_copied_once_however_often_they_are_asked_for_while_held(rows):
    with copies(0.8):
        first = rows.train.X
        assert rows.train.X is first
    assert len(rows.train.names) == COLUMNS
    pd.testing.assert_series_equal(
        rows.train.column("c3").reset_index(drop=True), first["c3"], check_names=False
    )


def test_a_fold_copies_its_own_rows_and_no_others(rows):
    """One fit at a time: all rows, or those of a fold, never both."""
    train = rows.train
    with copies(1.1):
        out_of_fold(
            Constant(), train.whole, train.y, rows=train.part, classes=train.classes, folds=3
        )


def test_a_student_is_fitted_while_only_its_encoded_rows_are_held(rows):
    seen = []

    class Watcher(SoftmaxStudent):
        def fit_encoded(self, Z, targets, loss):
            # Three quarters of the rows, as float32.
            seen.append(tracemalloc.get_traced_memory()[0] / ONE)

    with copies(1.8):
        targets = SoftTargets(
            labels=rows.train.y, classes=np.array([0, 1]), sample_weight=np.ones(len(rows.train))
        )
        Watcher().fit(rows.train.X, targets)
    assert seen[0] < 0.75


def test_encoding_needs_little_more_than_its_result(frame):
    inputs = frame.drop(columns="target")
    encoder = StandardEncoder().fit(inputs.head(1000))
    with copies(0.95):
        # As float32, half a copy; the rest is a part of the rows at a time.
        encoder.transform(inputs)


def test_a_teacher_from_elsewhere_costs_one_copy_of_its_rows(rows):
    with copies(0.9):
        assert len(rows.train.raw) == len(rows.train)


def test_adding_unlabeled_rows_makes_one_copy_of_all_rows(rows):
    train, held = rows.train.X, rows.held.X
    with copies(1.2):
        assert len(stacked(train, held)) == ROWS


def test_the_key_of_the_cache_is_made_column_by_column(rows):
    with copies(0.5):
        fingerprint(rows.train)
