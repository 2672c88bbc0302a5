"""Tables of polars: read, encoded and predicted like those of pandas."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from small_models import SoftmaxStudent

import kdcore
from kdcore import KDError
from kdcore.bundle import pack
from kdcore.columns import Column, category_keys, numeric_values
from kdcore.encoders import OrdinalEncoder, StandardEncoder
from kdcore.given import GivenLabels
from kdcore.graph import linear_model
from kdcore.schema import TableSchema
from kdcore.table import labeled, read_table
from kdcore.testing import tiny_data
from kdcore.testing.isolation import run_python

CITIES = pl.Enum(["Bonn", "Ulm"])


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


def people() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "age": [31.5, None, 40.0, 22.0],
            "children": [0, 2, None, 3],
            "member": [True, None, True, False],
            "city": ["Ulm", "Bonn", None, "Ulm"],
            "label": ["yes", "no", "no", "yes"],
        }
    )


def blocks(frame: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    schema = TableSchema.fit(frame)
    return [c.kind for c in schema.columns], schema.numbers(frame), schema.codes(frame)


VARIANTS = {
    "frame": lambda f: f,
    "lazy": lambda f: f.lazy(),
    "categorical": lambda f: f.with_columns(pl.col("city").cast(pl.Categorical)),
    "enum": lambda f: f.with_columns(pl.col("city").cast(CITIES)),
    "small types": lambda f: f.cast({"age": pl.Float32, "children": pl.UInt8}),
    "chunks": lambda f: pl.concat([f[:1], f[1:]], rechunk=False),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_polars_table_reads_like_one_of_pandas(variant):
    expected = pd.DataFrame(people().to_dict(as_series=False))
    got, wanted = blocks(read_table(VARIANTS[variant](people()))), blocks(expected)
    assert got[0] == ["numeric", "numeric", "boolean", "categorical", "categorical"]
    assert got[0] == wanted[0]
    np.testing.assert_array_equal(got[1], wanted[1])
    np.testing.assert_array_equal(got[2], wanted[2])


def test_a_target_of_polars_is_split_off_like_any_other():
    table = labeled(read_table(people()), "label")
    assert table.task == "binary"
    assert table.y.tolist() == ["yes", "no", "no", "yes"]
    assert list(table.X.columns) == ["age", "children", "member", "city"]


def test_a_file_that_polars_wrote_reads_like_its_table(tmp_path: Path):
    people().write_parquet(tmp_path / "people.parquet")
    people().write_csv(tmp_path / "people.csv")
    people().write_ipc(tmp_path / "people.arrow", compat_level=pl.CompatLevel.oldest())
    people().write_ipc(tmp_path / "people.feather")
    expected = blocks(read_table(people()))
    for path in tmp_path.iterdir():
        kinds, numbers, codes = blocks(read_table(path))
        assert kinds == expected[0], path.name
        np.testing.assert_array_equal(numbers, expected[1])
        np.testing.assert_array_equal(codes, expected[2])


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["3", "4"])])
def test_gaps_among_categories_stay_gaps(dtype):
    column = pl.Series("grade", ["3", None, "4"], dtype=dtype)
    assert category_keys(column).tolist() == ["3", "", "4"]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([1, None], dtype=pl.UInt8),
        pl.Series([1.0, None], dtype=pl.Float32),
        pl.Series([True, None]),
        pl.Series([decimal.Decimal("1"), None]),
        pl.Series(["1", None]),
    ],
    ids=lambda c: str(c.dtype),
)
def test_gaps_among_numbers_stay_gaps(column):
    np.testing.assert_array_equal(numeric_values(column, Column("x", "numeric")), [1, np.nan])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([datetime.date(2026, 1, 1)], "'x' holds datetime64"),
        ([datetime.datetime(2026, 1, 1)], "'x' holds datetime64"),
        ([datetime.time(12)], "'x' holds time values"),
        ([[1, 2]], "'x' holds nested values"),
        ([{"a": 1}], "'x' holds nested values"),
    ],
    ids=["date", "datetime", "time", "list", "struct"],
)
def test_a_column_that_cannot_be_used_is_named(values, reason):
    with pytest.raises(KDError, match=reason):
        TableSchema.fit(read_table(pl.DataFrame({"x": values})))


@pytest.mark.parametrize("kind", [StandardEncoder, OrdinalEncoder])
def test_a_polars_table_is_encoded_like_one_of_pandas(kind):
    frame = tiny_data().X
    table = pl.from_pandas(frame)
    encoder = kind().fit(frame)
    np.testing.assert_array_equal(encoder.transform(table), encoder.transform(frame))
    np.testing.assert_array_equal(kind().fit(table).transform(frame), encoder.transform(frame))


def test_a_bundle_predicts_polars_tables_and_rows_like_those_of_pandas(tmp_path: Path):
    data = tiny_data("multiclass", labels="text")
    pack(Linear().fit(data.X, data.y), data.X).save(tmp_path / "student.kd")
    bundle = kdcore.load(tmp_path / "student.kd")
    table = pl.from_pandas(data.X)
    expected = bundle.predict_proba(data.X)
    for same in (table, table.lazy(), table.reverse().reverse(), table.with_columns(extra=1)):
        np.testing.assert_array_equal(bundle.predict_proba(same), expected)
    for row, proba in zip(table.head(10).iter_rows(named=True), expected, strict=False):
        assert bundle.predict_one(row) == bundle.classes[proba.argmax()]
    name = data.X.columns[-1]
    assert bundle.unseen(table) == {}
    assert bundle.unseen(table.with_columns(pl.lit("never seen").alias(name))) == {name: len(table)}
    with pytest.raises(KDError, match=f"lacks 1 column.*'{name}'"):
        bundle.predict(table.drop(name))


def test_a_bundle_predicts_a_polars_table_without_pandas(tmp_path: Path):
    data = tiny_data("multiclass")
    pack(Linear().fit(data.X, data.y), data.X).save(tmp_path / "student.kd")
    pl.from_pandas(data.X).write_parquet(tmp_path / "rows.parquet")
    done = run_python(
        "import sys, polars, kdcore\n"
        f"table = polars.read_parquet({str(tmp_path / 'rows.parquet')!r})\n"
        f"print(kdcore.load({str(tmp_path / 'student.kd')!r}).predict(table).tolist())\n"
        "heavy = {'sklearn', 'pandas', 'scipy', 'onnx', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    assert done.returncode == 0, done.stderr
    bundle = kdcore.load(tmp_path / "student.kd")
    assert done.stdout.strip() == str(bundle.predict(data.X).tolist())


def test_given_labels_are_found_by_class_in_any_order():
    table = pl.DataFrame({"proba_c": [0.1, 0.2], "proba_a": [0.6, 0.3], "proba_b": [0.3, 0.5]})
    got = GivenLabels(table).read(2, np.array(["a", "b", "c"]))
    np.testing.assert_allclose(got, [[0.6, 0.3, 0.1], [0.3, 0.5, 0.2]])
