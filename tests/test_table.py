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
from sklearn.datasets import load_iris

from kdcore import KDError
from kdcore.columns import Column, category_key, category_keys, numeric_values
from kdcore.errors import DataError
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
    elif ending in (".csv.gz", ".tsv.gz"):
        with gzip.open(path, "wt") as file:
            frame.to_csv(file, index=False, sep="\t" if ".tsv" in ending else ",")
    elif ending in (".parquet", ".pq"):
        frame.to_parquet(path)
    else:
        frame.to_feather(path)
    return path


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq", ".feather", ".arrow"]
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
        lambda f: f.to_numpy(dtype=object),
    ],
    ids=["pandas", "arrow", "dict", "category", "nullable", "string", "object", "numpy"],
)
def test_a_table_reads_the_same_whatever_its_types(make):
    got, expected = blocks(read_table(make(people()))), blocks(people())
    assert got[0] == expected[0]
    np.testing.assert_array_equal(got[1], expected[1])
    np.testing.assert_array_equal(got[2], expected[2])


def test_gaps_in_nullable_columns_stay_gaps():
    plain = pd.DataFrame({"n": [1.0, np.nan, 3.0], "b": [1.0, np.nan, 0.0], "c": ["u", None, "v"]})
    nullable = pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "b": pd.array([True, None, False], dtype="boolean"),
            "c": pd.array(["u", None, "v"], dtype="string"),
        }
    )
    arrow = pa.table({"n": [1, None, 3], "b": [True, None, False], "c": pa.array(["u", None, "v"])})
    _, numbers, codes = blocks(plain)
    for table in (nullable, arrow, nullable.astype(object), arrow.to_pydict()):
        kinds, got, got_codes = blocks(read_table(table))
        assert kinds == ["numeric", "boolean", "categorical"]
        np.testing.assert_array_equal(got, numbers)
        np.testing.assert_array_equal(got_codes, codes)


def test_a_numeric_array_reads_like_a_frame():
    values = np.array([[1.5, 2], [np.nan, -3]])
    frame = read_table(values)
    np.testing.assert_array_equal(TableSchema.fit(frame).numbers(frame), values)


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
    expected = {"breast_cancer": "binary", "diabetes": "regression"}
    assert table.task == expected.get(name, "multiclass")


def test_a_bundled_set_holds_the_values_of_scikit_learn():
    data, target = load_iris(return_X_y=True)
    table = labeled(read_table("sklearn:iris"), "target")
    np.testing.assert_array_equal(table.X.to_numpy(), data)
    np.testing.assert_array_equal(table.y, target)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    people().to_csv(tmp_path / "people.csv", index=False)
    people().to_parquet(tmp_path / "table.csv")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "plain.csv.gz").write_text("a,b\n1,2\n")
    (tmp_path / "table.xlsx").write_text("a")
    (tmp_path / "surplus.csv").write_text("a,b\n1,2,3\n")
    for name, reason in {
        "peple.csv": r"no file .*Did you mean 'people\.csv'",
        ".": "is a folder",
        "empty.csv": "is empty",
        "header.csv": "has no rows",
        "text.parquet": "cannot be read as a table",
        "table.csv": "cannot be read as a table|not a text table",
        "plain.csv.gz": "cannot be read as a table",
        "table.xlsx": r"ending that is not read; use one of \.csv",
        "surplus.csv": "holds 3 values, but its header names 2 columns",
    }.items():
        with pytest.raises(DataError, match=reason) as caught:
            read_table(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="Did you mean 'digits'"):
        read_table("sklearn:digit")


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


@pytest.mark.parametrize(
    "cells",
    [
        [4, 3, 9],
        [4.0, 3.0, 9.0],
        ["4", "3", "9"],
        pd.Categorical([4, 3, 9]),
        pd.Categorical(["4", "3", "9"]),
        pd.array([4, 3, 9], dtype="Int64"),
        np.array([4, 3.0, "9"], dtype=object),
    ],
    ids=["int", "float", "text", "category", "text category", "nullable", "mixed"],
)
def test_a_category_is_found_again_whatever_its_type_at_predict_time(cells):
    schema = TableSchema([Column("grade", "categorical", ("3", "4"))])
    frame = pd.DataFrame({"grade": cells})
    assert schema.codes(frame).ravel().tolist() == [1, 0, -2]
    assert schema.unseen(frame) == {"grade": 1}
    assert category_keys(frame["grade"]).tolist() == ["4", "3", "9"]


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
        ([datetime.date(2026, 1, 1)], "'x' holds date values"),
        ([datetime.time(12)], "'x' holds time values"),
        (pd.period_range("2026-01", periods=1, freq="M"), "'x' holds period"),
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
    (tmp_path / "twice.tsv").write_text("a\tb\ta\n1\t2\t3\n")
    for name in ("twice.parquet", "twice.csv", "twice.tsv"):
        with pytest.raises(KDError, match="'a' occurs more than once"):
            read_table(tmp_path / name)
    for names in (["a", "a"], [1, "1"]):
        with pytest.raises(KDError, match="occurs more than once"):
            read_table(pd.DataFrame([[1, 2]], columns=names))


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
    "weights",
    [[1, -1, 1, 1], [0, 0, 0, 0], [1, np.nan, 1, 1], [1, np.inf, 1, 1], ["1", "heavy", "1", "1"]],
    ids=["negative", "all zero", "missing", "infinite", "text"],
)
def test_weights_that_cannot_be_used_are_refused(weights):
    with pytest.raises(KDError, match="'w' must hold finite numbers, none negative and not all"):
        labeled(people().assign(w=weights), "label", sample_weight="w")


def test_a_weight_column_that_is_not_there_is_suggested():
    with pytest.raises(KDError, match=r"no sample_weight column 'wieght'.*Did you mean 'weight'"):
        labeled(people().assign(weight=1), "label", sample_weight="wieght")


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        ([None] * 4, {}, "every value of the target column 't' is missing"),
        (["a", None, "a", "a"], {}, r"'t' is constant \('a'\)"),
        ([1, 1, 1, 1], {}, r"'t' is constant \(1\)"),
        ([0.5, 0.5, 0.5, np.nan], {}, r"'t' is constant \(0\.5\)"),
        ([0.5, np.inf, 1.5, 2.5], {}, "'t' holds infinite values"),
        ([0.0, np.inf, 1.0, 1.0], {"task": "classification"}, "'t' holds infinite values"),
        ([1, 2, "many", 3], {"task": "regression"}, "'t' holds 'many', which is not a number"),
        ([datetime.date(2026, 1, d) for d in (1, 2, 3, 4)], {}, "'t'.*holds date values"),
        (["a", "b", "c", "a"], {"task": "binary"}, "3 classes; use task 'multiclass'"),
    ],
)
def test_labels_that_teach_nothing_are_refused_before_any_training(values, options, reason):
    with pytest.raises(KDError, match=reason):
        labeled(people().assign(t=values), "t", **options)


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
        (people().drop(columns="age"), "lacks 1 column.*'age'"),
        (people().rename(columns={"city": "citi"}), "'city'.*Did you mean 'citi'"),
        (people().assign(age="old"), "'age' holds 'old'"),
        (people().assign(label="maybe"), "'maybe', which the training table lacks"),
    ):
        with pytest.raises(KDError, match=message):
            labeled(wrong, "label", like=table)
