"""What a deployed bundle is given by programs: rows and tables of every shape, right and wrong."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_models import SoftmaxStudent

from kdcore import KDError
from kdcore.bundle import pack
from kdcore.errors import BundleError
from kdcore.graph import linear_model
from kdcore.manifest import check_manifest
from kdcore.runtime import Bundle
from kdcore.testing import tiny_data


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


@pytest.fixture(scope="module")
def data():
    return tiny_data("multiclass", labels="text")


@pytest.fixture(scope="module")
def bundle(data) -> Bundle:
    return pack(Linear().fit(data.X, data.y), data.X).bundle


@pytest.fixture
def row(data) -> dict[str, Any]:
    return data.X.iloc[1].to_dict()


def test_a_number_is_read_the_same_whatever_its_type(bundle, row):
    expected = bundle.predict_proba_one({**row, "age": 3.0})
    for value in (3, np.int8(3), np.float32(3), np.array(3.0)[()], "3", " 3.0 "):
        assert bundle.predict_proba_one({**row, "age": value}) == expected
        table = bundle.predict_proba({k: [value if k == "age" else v] for k, v in row.items()})
        np.testing.assert_allclose(table[0], list(expected.values()), atol=1e-7)


@pytest.mark.parametrize("gap", [None, float("nan"), np.float32("nan"), pd.NA, ""])
def test_a_gap_is_a_gap_whatever_its_type(bundle, row, gap):
    expected = bundle.predict_proba_one({**row, "amount": None, "city": None})
    assert bundle.predict_proba_one({**row, "amount": gap, "city": gap}) == expected


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 1e300, 10**39, 10**400, -(10**400)])
def test_a_number_beyond_float32_names_its_column_and_warns_of_nothing(bundle, row, value):
    one = {**row, "amount": value}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KDError, match="'amount' holds 1 infinite value"):
            bundle.predict_one(one)
        with pytest.raises(KDError, match="'amount' holds 1 infinite value"):
            bundle.predict({k: [v] for k, v in one.items()})


@pytest.mark.parametrize("value", ["many", [1, 2], {"a": 1}, 1j, object()])
def test_a_value_that_is_no_number_names_its_column(bundle, row, value):
    one = {**row, "amount": value}
    with pytest.raises(KDError, match="'amount' holds"):
        bundle.predict_one(one)
    with pytest.raises(KDError, match="'amount' holds"):
        bundle.predict({k: [v, v] for k, v in one.items()})


def test_lists_of_different_lengths_in_a_column_are_named(bundle, row):
    with pytest.raises(KDError, match="'amount' holds"):
        bundle.predict({k: [[1], [1, 2]] if k == "amount" else [v, v] for k, v in row.items()})


def test_a_text_that_no_file_could_hold_names_its_column(bundle, row):
    """JSON may carry half of a surrogate pair; a service must answer, not fall over."""
    one = {**row, "city": "x\ud800"}
    with pytest.raises(KDError, match="'city' holds a text that is not valid Unicode"):
        bundle.predict_one(one)
    with pytest.raises(KDError, match="'city' holds a text that is not valid Unicode"):
        bundle.predict({k: [v] for k, v in one.items()})


def test_a_row_in_place_of_a_table_is_told_of_predict_one(bundle, row):
    with pytest.raises(KDError, match="'amount' is a single value; use predict_one"):
        bundle.predict(row)
    with pytest.raises(KDError, match="'city' is a single value; use predict_one"):
        bundle.predict({k: "Bern" if k == "city" else [v] for k, v in row.items()})


def test_columns_of_different_lengths_are_no_table(bundle, row):
    with pytest.raises(KDError, match="different lengths, 1 to 2"):
        bundle.predict({k: [v] * (2 if k == "city" else 1) for k, v in row.items()})


@pytest.mark.parametrize("table", [None, "data.csv", 3, [1, 2], np.zeros((2, 3, 4))])
def test_what_is_no_table_is_refused_in_words(bundle, table):
    with pytest.raises(KDError, match="give a table with named columns"):
        bundle.predict(table)


def test_what_is_no_row_lacks_its_columns(bundle):
    for one, reason in (([1, 2, 3], "got .1, 2, 3.; give"), ({}, "lacks 5"), ("amount", "got")):
        with pytest.raises(KDError, match=reason):
            bundle.predict_one(one)


def test_batches_of_arrow_keep_their_gaps(bundle, data):
    expected = bundle.predict_proba(data.X)
    batch = pa.Table.from_pandas(data.X).to_batches()[0]
    np.testing.assert_array_equal(bundle.predict_proba(batch), expected)
    columns = {name: batch.column(name) for name in batch.schema.names}
    np.testing.assert_array_equal(bundle.predict_proba(columns), expected)


def test_columns_that_are_numbered_are_found_as_in_training():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)))
    student = Linear().fit(X, np.where(X[0] > 0, "a", "b"))
    bundle = pack(student, X).bundle
    np.testing.assert_array_equal(bundle.predict(X), student.predict(X))
    assert bundle.predict_one(X.iloc[0].to_dict()) == student.predict(X)[0]
    with pytest.raises(KDError, match=r"lacks 1 column.*'1'"):
        bundle.predict(X[[0, 2]])


TAMPERED = {
    "task": [
        lambda m: m.update(task="odd"),
        lambda m: m.pop("task"),
        lambda m: m.update(task=["binary"]),
    ],
    "classes": [
        lambda m: m.pop("classes"),
        lambda m: m.update(classes=None),
        lambda m: m.update(classes=3),
        lambda m: m.update(classes={"a": 1}),
        lambda m: m.update(classes=["a"]),
        lambda m: m.update(classes=["a", "a", "b"]),
        lambda m: m.update(classes=["a", 1, "b"]),
        lambda m: m.update(classes=[["a"], ["b"], ["c"]]),
        lambda m: m.update(task="regression"),
    ],
    "columns": [
        lambda m: m.pop("columns"),
        lambda m: m.update(columns=[]),
        lambda m: m.update(columns=[3]),
        lambda m: m.update(columns=[{}]),
        lambda m: m["columns"].append(m["columns"][0]),
        lambda m: m["columns"][0].update(name=1),
        lambda m: m["columns"][0].update(kind="odd"),
        lambda m: m["columns"][0].update(kind=["numeric"]),
        lambda m: m["columns"][-1].update(categories=3),
        lambda m: m["columns"][-1].update(categories=[1]),
    ],
}


@pytest.mark.parametrize(
    ("key", "edit"), [(key, edit) for key, edits in TAMPERED.items() for edit in edits]
)
def test_a_manifest_that_makes_no_sense_is_refused_before_it_is_used(bundle, key, edit):
    manifest = copy.deepcopy(bundle.manifest)
    check_manifest(manifest)
    edit(manifest)
    with pytest.raises(BundleError, match=f"its manifest has no valid '{key}'"):
        check_manifest(manifest)
