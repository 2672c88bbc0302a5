"""Tables: every way in gives the same columns, and what cannot be used is refused by name."""

from __future__ import annotations

import datetime
import decimal
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kdcore import KDError
from kdcore.columns import Column, category_key, category_keys, numeric_values
from kdcore.schema import TableSchema, as_frame, column_kind
from kdcore.table import BUNDLED, infer_task, labeled, read_table


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [31.5, np.nan, 40.0, 22.0],
            "children": [0, 2, 1, 3],
            "member": [True, False, True, True],
            "city": ["Ulm", "Bonn", None, "Ulm"],
            "label": ["yes", "no", "no", "yes"],
        }
    )


def blocks(frame: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    schema = TableSchema.fit(frame)
    return [c.kind for c in schema.columns], schema.numbers(frame), schema.codes(frame)


def saved(folder: Path, ending: str) -> Path:
    path, frame = folder / f"people{ending}", people()
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif ending == ".csv.gz":
        with gzip.open(path, "wt") as file:
            frame.to_csv(file, index=False)
    elif ending in (".parquet", ".pq"):
        frame.to_parquet(path)
    else:
        frame.to_feather(path)
    return path


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".csv.gz", ".parquet", ".pq", ".feather", ".arrow"]
)
def test_a_file_reads_the_same_whatever_its_format(tmp_path, ending):
    kinds, numbers, codes = blocks(read_table(saved(tmp_path, ending)))
    expected = blocks(people())
    assert kinds == expected[0] == ["numeric", "numeric", "boolean", "categorical", "categorical"]
    np.testing.assert_array_equal(numbers, expected[1])
    np.testing.assert_array_equal(codes, expected[2])


@pytest.mark.parametrize(
    "make",
    [
        lambda f: f,
        lambda f: pa.Table.from_pandas(f),
        lambda f: f.to_dict("list"),
        lambda f: f.astype({"city": "category", "label": "category"}),
        lambda f: f.convert_dtypes(),
        lambda f: f.astype({"city": "string", "age": "Float64", "children": "Int64"}),
        lambda f: f.astype(object),
    ],
    ids=["pandas", "arrow", "dict", "category", "nullable", "string", "object"],
)
def test_a_table_reads_the_same_whatever_its_types(make):
    got, expected = blocks(read_table(make(people()))), blocks(people())
    assert got[0] == expected[0]
    np.testing.assert_array_equal(got[1], expected[1])
    np.testing.assert_array_equal(got[2], expected[2])


def test_a_named_index_that_was_saved_stays_a_column(tmp_path):
    people().set_index("children").to_parquet(tmp_path / "indexed.parquet")
    assert "children" in read_table(tmp_path / "indexed.parquet").columns


def test_an_array_gets_names_like_those_of_scikit_learn():
    assert list(as_frame(np.zeros((2, 3)))) == ["x0", "x1", "x2"]
    with pytest.raises(KDError, match=r"shape \(3,\)"):
        as_frame(np.zeros(3))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_need_no_download(name):
    table = labeled(read_table(f"sklearn:{name}"), "target")
    assert len(table) > 100
    assert table.task == ("regression" if name == "diabetes" else table.task)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b", "a"], "classification"),
        ([True, False, True], "classification"),
        ([0, 1, 1, 0], "classification"),
        (list(range(10)) * 5, "classification"),
        (list(range(100)), "regression"),
        ([0.5, 1.5, 2.0], "regression"),
        ([0.0, 1.0, np.nan, 1.0], "classification"),
    ],
)
def test_the_task_is_told_from_the_target(values, task):
    assert infer_task(pd.Series(values)) == task


def test_one_category_has_one_key_whatever_its_type():
    assert {category_key(v) for v in (3, 3.0, "3", np.int64(3), np.float32(3))} == {"3"}
    assert {category_key(v) for v in (None, float("nan"), pd.NA, pd.NaT, "")} == {""}
    assert category_key(True) == category_key(np.bool_(True)) == "True"
    assert category_key(2.5) == "2.5"
    mixed = pd.Series([1, 2.0, None, "1"], dtype=object)
    assert category_keys(mixed).tolist() == ["1", "2", "", "1"]


def test_numbers_written_as_text_and_decimals_are_numbers():
    column = Column("price", "numeric")
    values = ["1.5", decimal.Decimal("2.5"), None, " 3 ", ""]
    np.testing.assert_array_equal(numeric_values(values, column), [1.5, 2.5, np.nan, 3, np.nan])
    assert column_kind(pd.Series([decimal.Decimal("1"), None])) == "numeric"


def test_truth_values_may_be_words_and_may_be_missing():
    column = Column("member", "boolean")
    values = ["yes", "False", True, None, 0]
    np.testing.assert_array_equal(numeric_values(values, column), [1, 0, 1, np.nan, 0])
    assert column_kind(pd.Series([True, None, False], dtype=object)) == "boolean"
    with pytest.raises(KDError, match="'member' holds 'perhaps', expected true or false"):
        numeric_values(["perhaps"], column)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([datetime.datetime(2026, 1, 1)], "'x' holds datetime64"),
        ([[1, 2], [3]], r"'x' holds nested values such as \[1, 2\]"),
        ([{"a": 1}], "'x' holds nested values"),
        ([1 + 2j], "'x' holds complex numbers"),
        ([pd.Timedelta(1)], "'x' holds timedelta64"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(values, message):
    with pytest.raises(KDError, match=message):
        TableSchema.fit(pd.DataFrame({"x": values}))


def test_infinite_and_too_large_numbers_are_counted():
    column = Column("x", "numeric")
    for values in ([1.0, np.inf], [1.0, 1e300]):
        with pytest.raises(KDError, match=r"'x' holds 1 infinite"):
            numeric_values(np.array(values), column)


def test_repeated_column_names_are_refused(tmp_path):
    twice = pa.table([[1], [2]], names=["a", "a"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n")
    for name in ("twice.parquet", "twice.csv"):
        with pytest.raises(KDError, match="'a' occurs more than once"):
            read_table(tmp_path / name)


def test_unseen_categories_are_counted_by_column():
    schema = TableSchema.fit(people())
    new = people().assign(city=["Rom", "Rom", None, "Ulm"])
    assert schema.unseen(new) == {"city": 2}
    assert schema.codes(new)[:, 0].tolist() == [
        -2,
        -2,
        -1,
        schema.columns[3].categories.index("Ulm"),
    ]


def test_a_missing_column_is_named_with_its_likely_spelling():
    schema = TableSchema.fit(people())
    with pytest.raises(KDError, match=r"'city'.*Did you mean 'citty'"):
        schema.require(people().rename(columns={"city": "citty"}))


def test_rows_without_a_target_are_dropped_and_weights_follow():
    frame = people().assign(weight=[1.0, 2.0, 3.0, 4.0])
    frame.loc[1, "label"] = None
    table = labeled(frame, "label", sample_weight="weight")
    assert table.sample_weight is not None
    assert table.sample_weight.tolist() == [1, 3, 4]
    assert list(table.X.columns) == ["age", "children", "member", "city"]
    part = table.take(np.array([2, 0]))
    assert part.y.tolist() == ["yes", "yes"]
    assert part.sample_weight is not None
    assert part.sample_weight.tolist() == [4, 1]


@pytest.mark.parametrize(
    ("weights", "reason"),
    [([1, -1, 1, 1], "negative"), ([0, 0, 0, 0], "all zero"), ([1, np.nan, 1, 1], "finite")],
)
def test_weights_that_cannot_be_used_are_refused(weights, reason):
    with pytest.raises(KDError, match=reason):
        labeled(people().assign(w=weights), "label", sample_weight="w")


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("lable", {}, "Did you mean 'label'"),
        ("age", {"sample_weight": "age"}, "target and sample_weight at once"),
        ("label", {"task": "regression"}, "'yes', which is not a number"),
        ("label", {"task": "guess"}, "task='guess' is not known"),
        ("label", {"task": "multiclass"}, "2 classes; use task 'binary'"),
    ],
)
def test_a_target_that_cannot_be_used_says_why(target: str, options: dict[str, Any], message: str):
    with pytest.raises(KDError, match=message):
        labeled(people(), target, **options)


def test_a_test_table_takes_task_classes_and_columns_from_training():
    table = labeled(people(), "label")
    same = people().assign(extra=1)[["extra", "label", "city", "member", "children", "age"]]
    held = labeled(same.iloc[:1], "label", like=table)
    assert held.task == "binary"
    assert list(held.X.columns) == list(table.X.columns)
    for wrong, message in (
        (people().drop(columns="age"), "'age'"),
        (people().assign(age="old"), "'age' holds 'old'"),
        (people().assign(label="maybe"), "'maybe', which the training table lacks"),
    ):
        with pytest.raises(KDError, match=message):
            labeled(wrong, "label", like=table)
