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

from kdcore.label_cache import fingerprint
from kdcore.splits import Data, prepare
from kdcore.table import stacked

assert sklearn.model_selection  # imports are no part of what is measured

ROWS, COLUMNS = 100_000, 20
ONE = ROWS * COLUMNS * 8


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(ROWS, COLUMNS))).rename(columns="c{}".format)
    return made.assign(target=rng.integers(0, 2, ROWS))


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


def test_splitting_makes_one_copy_of_the_users_table(frame, rows):
    with copies(1.5):
        prepare(frame, target="target")


def test_a_teacher_from_elsewhere_costs_one_copy_of_its_rows(rows):
    with copies(0.9):
        assert len(rows.train.raw) == len(rows.train)


def test_adding_unlabeled_rows_makes_one_copy_of_all_rows(rows):
    with copies(1.2):
        assert len(stacked(rows.train.X, rows.held.X)) == ROWS


def test_the_key_of_the_cache_is_made_column_by_column(rows):
    with copies(0.5):
        fingerprint(rows.train)
