"""Targets mean the same whatever type or file they come from, in training and test tables."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kdcore import KDError
from kdcore.splits import prepare, split
from kdcore.table import LabeledTable, labeled


def table(target: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(len(target), dtype=float), "y": target})


def held(train: Any, test: Any) -> np.ndarray:
    """Labels of a test table, read with the classes of a training table."""
    return labeled(table(test), "y", like=labeled(table(train), "y")).y


PRICES = [0.25 * i for i in range(40)]


@pytest.mark.parametrize(
    "target",
    [
        [decimal.Decimal(p) for p in PRICES],
        pd.Series([*PRICES[:-1], PRICES[-1]], dtype=object),
        pd.array(PRICES, dtype="Float64"),
        np.float32(PRICES),
    ],
    ids=["decimal", "object", "nullable", "float32"],
)
def test_prices_are_values_and_not_one_class_each(target):
    read = labeled(table(target), "y")
    assert read.task == "regression"
    assert read.classes is None
    assert read.y.dtype == np.float64
    np.testing.assert_array_equal(read.y, PRICES)


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (pd.Categorical([1.0, 2.0] * 4), [1, 2]),
        (pd.Categorical([1, 2] * 4), [1, 2]),
        (pd.array([1, 2] * 4, dtype="Int64"), [1, 2]),
        (pd.Series([1, 2] * 4, dtype=object), [1, 2]),
        ([1.0, 2.0] * 4, [1, 2]),
        ([decimal.Decimal(1), decimal.Decimal(2)] * 4, [1, 2]),
        (pd.Series([True, False] * 4, dtype=object), [False, True]),
        (pd.array([True, False] * 4, dtype="boolean"), [False, True]),
        (pd.Categorical([True, False] * 4), [False, True]),
        (pd.Categorical(["b", "a"] * 4), ["a", "b"]),
        (pd.Series(["b", "a"] * 4, dtype="string"), ["a", "b"]),
        (pd.Series([1, "a"] * 4, dtype=object), ["1", "a"]),
    ],
)
def test_classes_have_the_type_that_they_have_in_a_csv_file(target, classes):
    read = labeled(table(target), "y")
    assert read.classes is not None
    assert read.classes.tolist() == classes
    assert {type(c) for c in read.classes.tolist()} == {type(c) for c in classes}


@pytest.mark.parametrize(
    ("train", "test", "labels"),
    [
        ([0, 1], [1.0, 0.0], [1, 0]),
        ([0, 1], ["1", "0"], [1, 0]),
        ([0, 1], [True, False], [1, 0]),
        ([False, True], [1, 0], [True, False]),
        ([False, True], ["True", "False"], [True, False]),
        (["1", "2"], [2, 1], ["2", "1"]),
        (["1", "2"], [2.0, 1.0], ["2", "1"]),
        (pd.Categorical([0.5, 1.0]), [1, 0.5], [1.0, 0.5]),
        ([0, 1], [1], [1]),
    ],
)
def test_a_class_is_known_again_in_a_file_of_another_format(train, test, labels):
    got = held([*train] * 4 if not isinstance(train, pd.Categorical) else train, test)
    assert got.tolist() == labels
    assert {type(v) for v in got.tolist()} == {type(v) for v in labels}


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([0, 1], [0.5, 1], "0.5"),
        ([0, 1], ["many", "1"], "many"),
        ([0, 1], [0, 2], "2"),
        ([False, True], [0, 2], "2"),
        ([False, True], ["maybe", "True"], "maybe"),
        (["a", "b"], ["a", "c"], "c"),
        (["a", "b"], [True, False], "False"),
    ],
)
def test_a_label_is_never_rounded_or_forced_into_a_class(train, test, named):
    with pytest.raises(KDError, match=rf"'y' holds the class '{named}', which the training table"):
        held(train * 4, test)


def test_a_regression_can_be_judged_on_a_single_row_or_on_equal_values():
    assert held(PRICES, [0.5]).tolist() == [0.5]
    assert held(PRICES, [2, 2]).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ([datetime.datetime(2026, 1, 1 + i % 2) for i in range(8)], "datetime64"),
        ([pd.Timedelta(i % 2, "D") for i in range(8)], "timedelta64"),
        ([[i % 2] for i in range(8)], "nested"),
        ([complex(i % 2) for i in range(8)], "complex"),
    ],
)
def test_what_is_neither_class_nor_value_is_refused_by_name(target, reason):
    with pytest.raises(KDError, match=rf"target 'y' cannot be used: .*{reason}"):
        labeled(table(target), "y")


def test_values_beyond_float32_are_refused_since_no_bundle_could_hold_them():
    assert labeled(table([*PRICES, 3e38]), "y").task == "regression"
    for value in (4e38, -1e300, np.inf):
        with pytest.raises(KDError, match="'y' holds infinite values, or numbers beyond"):
            labeled(table([*PRICES, value]), "y")


def weighted(weights: Any) -> LabeledTable:
    frame = table([0, 1] * 10).assign(w=weights)
    return labeled(frame, "y", sample_weight="w")


def test_rows_without_any_weight_on_one_side_of_a_split_are_refused():
    sides = set()
    for row in range(20):
        weights = np.zeros(20)
        weights[row] = 1
        with pytest.raises(KDError, match=r"all (5|15) (training|held-out) rows") as caught:
            split(weighted(weights), test_size=0.25, random_state=0)
        sides.add(str(caught.value).split()[2])
    assert sides == {"training", "held-out"}
    train, test = split(weighted(np.ones(20)), test_size=0.25, random_state=0)
    assert (len(train), len(test)) == (15, 5)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_cannot_use_is_named(seed):
    with pytest.raises(KDError, match=f"random_state={seed} must lie between"):
        split(weighted(np.ones(20)), test_size=0.25, random_state=seed)


def test_an_error_says_which_of_several_tables_is_at_fault():
    train = table([0, 1] * 10)
    with pytest.raises(KDError, match=r"test table: the table lacks 1 column.*'x'"):
        prepare(train, target="y", test=train.rename(columns={"x": "z"}))
    with pytest.raises(KDError, match=r"unlabeled table: the table lacks 1 column.*'x'"):
        prepare(train, target="y", extra=train[["y"]])
