"""Whatever is predicted gives a `KDError` of one line, or an answer for each row."""

from __future__ import annotations

import copy
import datetime
import decimal
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fuzz.sound import bundles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcore import KDError
from kdcore.runtime import Bundle

_MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def sound() -> list[tuple[Bundle, dict[str, list[Any]]]]:
    return [(packed.bundle, table) for packed, table in bundles()]


numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.booleans(),
    st.booleans().map(np.bool_),
    st.integers(-128, 127).map(np.int8),
    st.decimals(),
    st.fractions(),
)
#: Texts with lone surrogates too, which files with wrong encodings give.
texts = st.one_of(
    st.text(st.characters(codec=None), max_size=20),
    st.sampled_from(
        ["", "nan", "None", "1e999", "inf", "true", "x" * 10_000, "\0", "<NA>", "0x10"]
    ),
    st.binary(max_size=10),
)
odd = st.one_of(
    st.none(),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.complex_numbers(),
    st.dates(),
    st.datetimes().map(np.datetime64),
    st.timedeltas(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.builds(object),
    st.just(np.zeros((2, 2))),
    st.just(np.array(3.0)),
    st.just(np.array([])),
    st.just(type),
    st.sets(st.integers(), max_size=2),
)
anything = st.one_of(numbers, texts, odd)
names = st.one_of(st.text(st.characters(codec=None), max_size=5), st.integers(), st.none())


def one_line(error: KDError) -> None:
    assert "\n" not in str(error).strip()
    assert len(str(error)) < 2000


def judged(bundle: Bundle, call: Any, rows: int | None) -> None:
    """Run a prediction: right in shape, or refused in one line, and silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            got = call()
        except KDError as error:
            one_line(error)
            return
    if rows is None:
        assert got in bundle.classes.tolist() if bundle.classes is not None else np.isfinite(got)
        return
    width = () if bundle.classes is None else (len(bundle.classes),)
    assert got.shape == (rows, *width)
    assert np.isfinite(got).all()


def asked(bundle: Bundle) -> Any:
    return bundle.predict if bundle.classes is None else bundle.predict_proba


@_MANY
@given(data=st.data())
def test_one_row_of_anything(sound, data):
    bundle, table = data.draw(st.sampled_from(sound))
    row: dict[Any, Any] = {name: values[0] for name, values in table.items()}
    for name in data.draw(st.lists(st.sampled_from([*row]), max_size=3)):
        row[name] = data.draw(anything)
    row.update(data.draw(st.dictionaries(names, anything, max_size=2)))
    for name in data.draw(st.lists(st.sampled_from([*row]), max_size=1)):
        del row[name]
    judged(bundle, lambda: bundle.predict_one(row), None)


@_MANY
@given(data=st.data())
def test_a_table_with_columns_of_anything(sound, data):
    bundle, table = data.draw(st.sampled_from(sound))
    n = data.draw(st.integers(0, 4))
    columns: dict[Any, Any] = {name: values[:n] for name, values in table.items()}
    kinds = st.one_of(
        st.lists(numbers, min_size=n, max_size=n),
        st.lists(texts, min_size=n, max_size=n),
        st.lists(anything, min_size=n, max_size=n),
        st.lists(anything, max_size=5),
    )
    for name in data.draw(st.lists(st.sampled_from([*columns]), max_size=3)):
        columns[name] = data.draw(kinds)
    columns.update(data.draw(st.dictionaries(names, kinds, max_size=2)))
    if data.draw(st.integers(0, 9)) == 0:
        del columns[data.draw(st.sampled_from([*columns]))]
    make = data.draw(st.sampled_from([dict, pd.DataFrame, _arrow, _arrays, _nullable]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given_table = make(columns)
    except Exception:
        # No such table can exist.
        return
    lengths = {len(v) for k, v in columns.items() if k in bundle.features}
    judged(bundle, lambda: asked(bundle)(given_table), lengths.pop() if lengths else n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            counts = bundle.unseen(given_table)
        except KDError:
            return
    assert all(count > 0 for count in counts.values())


def _arrow(columns: dict[Any, Any]) -> pa.Table:
    return pa.table({str(k): v for k, v in columns.items()})


def _arrays(columns: dict[Any, Any]) -> dict[Any, np.ndarray]:
    return {k: np.asarray(v) for k, v in columns.items()}


def _nullable(columns: dict[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame(columns).convert_dtypes()


@_MANY
@given(
    table=st.one_of(
        anything,
        st.lists(anything, max_size=3),
        st.lists(st.lists(anything, max_size=6), max_size=3),
        st.dictionaries(names, anything, max_size=8),
        st.sampled_from(
            [np.zeros((0, 0)), np.zeros((3, 5, 2)), np.zeros(7), pd.DataFrame(), pa.table({}), {}]
        ),
    ),
    which=st.integers(0, 5),
)
def test_something_that_is_no_table(sound, table, which):
    bundle, _ = sound[which]
    for call in (asked(bundle), bundle.unseen):
        try:
            call(copy.copy(table))
        except KDError as error:
            one_line(error)
    try:
        bundle.predict_one(table)
    except KDError as error:
        one_line(error)


def test_no_row_one_row_and_very_many_columns(sound):
    bundle, table = sound[1]
    frame = pd.DataFrame(table)
    expected = asked(bundle)(frame)
    assert len(asked(bundle)(frame.head(0))) == 0
    np.testing.assert_allclose(asked(bundle)(frame.head(1)), expected[:1], atol=1e-6)
    further = pd.DataFrame(np.zeros((len(frame), 20_000), dtype=np.float32))
    wide = pd.concat([further, frame], axis=1)
    np.testing.assert_array_equal(asked(bundle)(wide), expected)
    # A million columns, as a mapping: what is not read costs nothing.
    columns = {**{f"further {i}": [0.0] for i in range(1_000_000)}, **table}
    np.testing.assert_array_equal(asked(bundle)(columns), expected)
    with pytest.raises(KDError, match="lacks 1 column"):
        asked(bundle)({k: v for k, v in columns.items() if k != bundle.features[0]})
    row = {name: values[0] for name, values in columns.items()}
    assert bundle.predict_one(row) == bundle.predict_one({k: v[0] for k, v in table.items()})


@pytest.mark.parametrize(
    "value",
    [
        datetime.date(2020, 1, 1), decimal.Decimal("1.5"), decimal.Decimal("sNaN"), b"\xff", 1j,
        np.float64("inf"), -np.inf, 1e39, 10**5000, "9" * 5000, np.datetime64("NaT"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_odd_values_in_every_column(sound, value):
    for bundle, table in sound:
        for name in bundle.features:
            row = {k: v[0] for k, v in table.items()} | {name: value}
            judged(bundle, lambda row=row, bundle=bundle: bundle.predict_one(row), None)
            columns = {k: [v] for k, v in row.items()}
            judged(bundle, lambda t=columns, bundle=bundle: asked(bundle)(t), 1)
