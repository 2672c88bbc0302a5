"""Encoders: raw columns of every kind become the numbers that a student reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kdcore import SoftTargets
from kdcore.encoders import (
    OrdinalEncoder,
    PiecewiseLinearEncoder,
    QuantileEncoder,
    SplineEncoder,
    StandardEncoder,
    TeacherBinsEncoder,
    UntouchedEncoder,
    make_encoder,
    raw_importances,
)
from kdcore.errors import DataError, ParameterError
from kdcore.targets import softmax
from kdcore.testing.data import tiny_data

ENCODERS = (
    StandardEncoder,
    OrdinalEncoder,
    QuantileEncoder,
    PiecewiseLinearEncoder,
    SplineEncoder,
    TeacherBinsEncoder,
    UntouchedEncoder,
)


@st.composite
def tables(draw: st.DrawFn, *, gaps: bool = False) -> pd.DataFrame:
    """Two numbers of any scale, a truth value and two texts, in any order of columns."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    n = draw(st.integers(5, 60))
    scale = 10.0 ** draw(st.integers(-3, 4))
    data: dict[str, Any] = {
        "small": rng.normal(draw(st.integers(-3, 3)) * scale, scale, n),
        "whole": rng.integers(-5, 50, n),
        "flag": rng.random(n) < 0.4,
        "city": rng.choice(["Bern", "Lima", "Oslo", "Rome"], n, p=[0.6, 0.25, 0.1, 0.05]),
        "grade": rng.choice(list("abcdefgh"), n),
    }
    frame = pd.DataFrame(data)
    if gaps:
        for name in ("small", "city"):
            frame.loc[rng.random(n) < 0.2, name] = None
    return frame[draw(st.permutations(list(data)))]


def columns_of(encoder: Any, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(encoder.transform(frame), columns=encoder.get_feature_names_out())


@given(tables(), st.integers(1, 12), st.booleans())
def test_the_standard_encoding_is_that_of_scikit_learn(
    frame: pd.DataFrame, min_frequency: int, weighted: bool
) -> None:
    weight = None
    if weighted:
        weight = np.random.default_rng(0).uniform(0.1, 3, len(frame))
    texts = [c for c in frame if c in ("city", "grade")]
    # Where every category is rare, we keep the commonest one; scikit-learn keeps none.
    if any(frame[c].value_counts().max() < min_frequency for c in texts):
        min_frequency = 1
    numbers = [c for c in frame if c not in texts]
    theirs = StandardScaler().fit(frame[numbers].astype(float), sample_weight=weight)
    one_hot = OneHotEncoder(
        min_frequency=min_frequency, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(frame[texts])
    expected = np.hstack(
        [theirs.transform(frame[numbers].astype(float)), one_hot.transform(frame[texts])]
    )
    ours = StandardEncoder(min_frequency=min_frequency).fit(frame, sample_weight=weight)
    encoded = ours.transform(frame)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, expected, rtol=1e-3, atol=1e-3)


def test_the_standard_encoding_fits_into_scikit_learns_column_transformer() -> None:
    frame = tiny_data().X
    both = ColumnTransformer(
        [("ours", StandardEncoder(), ["amount", "city"]), ("theirs", StandardScaler(), ["age"])]
    )
    encoded = both.fit_transform(frame)
    assert list(both.get_feature_names_out())[:2] == ["ours__amount", "ours__amount is missing"]
    assert encoded.shape == (len(frame), len(both.get_feature_names_out()))


@pytest.mark.parametrize("kind", ENCODERS)
@given(tables(gaps=True), st.randoms(use_true_random=False))
def test_columns_are_found_by_name_in_any_order_among_any_others(
    kind: type[Any], frame: pd.DataFrame, random: Any
) -> None:
    encoder = kind().fit(frame)
    expected = encoder.transform(frame)
    names = [*frame.columns, "extra"]
    random.shuffle(names)
    other = frame.assign(extra="?")[names]
    np.testing.assert_array_equal(encoder.transform(other), expected)


@pytest.mark.parametrize("kind", ENCODERS)
@given(tables(gaps=True))
def test_pandas_arrow_and_mappings_are_encoded_alike(kind: type[Any], frame: pd.DataFrame) -> None:
    import pyarrow

    encoder = kind().fit(frame)
    expected = encoder.transform(frame)
    arrow = pyarrow.Table.from_pandas(frame, preserve_index=False)
    for table in (arrow, dict(frame), frame.astype({"city": "category"}), frame.astype(object)):
        np.testing.assert_array_equal(encoder.transform(table), expected)
        np.testing.assert_array_equal(kind().fit(table).transform(frame), expected)


@given(tables(gaps=True), st.integers(0, 100))
def test_a_whole_weight_is_a_row_repeated(frame: pd.DataFrame, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 4, len(frame))
    rows = np.repeat(np.arange(len(frame)), weight)
    labels, p = rng.integers(0, 3, len(frame)), softmax(rng.normal(size=(len(frame), 3)))
    once = SoftTargets(labels, p, classes=np.arange(3))
    for encoder in (StandardEncoder(min_frequency=1), OrdinalEncoder()):
        one = clone(encoder).fit(frame, once, weight).transform(frame)
        other = clone(encoder).fit(frame.iloc[rows], once.take(rows)).transform(frame)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_an_unseen_category_counts_as_other_where_there_are_rare_ones() -> None:
    frame = pd.DataFrame({"city": ["Bern"] * 12 + ["Lima"] * 11 + ["Oslo"] * 2})
    encoder = StandardEncoder().fit(frame)
    assert list(encoder.get_feature_names_out()) == ["city=Bern", "city=Lima", "city=(other)"]
    out = encoder.transform(pd.DataFrame({"city": ["Lima", "Oslo", "Rome", None]}))
    np.testing.assert_array_equal(out, [[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])


def test_an_unseen_category_counts_as_missing_where_there_are_no_rare_ones() -> None:
    frame = pd.DataFrame({"city": ["Bern"] * 12 + ["Lima"] * 11 + [None] * 3})
    encoder = StandardEncoder().fit(frame)
    out = columns_of(encoder, pd.DataFrame({"city": ["Rome", None, "Bern"]}))
    assert list(out) == ["city=Bern", "city=Lima", "city=(missing)"]
    assert out["city=(missing)"].tolist() == [1, 1, 0]
    without = StandardEncoder().fit(frame.dropna())
    assert without.transform(pd.DataFrame({"city": ["Rome"]})).tolist() == [[0, 0]]


def test_only_the_commonest_categories_get_columns() -> None:
    frame = pd.DataFrame({"id": [str(i % 50) for i in range(999)] + ["7"] * 30 + ["9"] * 20})
    encoder = StandardEncoder(max_categories=2).fit(frame)
    assert list(encoder.get_feature_names_out()) == ["id=7", "id=9", "id=(other)"]
    rare = StandardEncoder().fit(pd.DataFrame({"id": ["a", "b", "b", "c"]}))
    assert list(rare.get_feature_names_out()) == ["id=b", "id=(other)"]


def test_a_missing_number_is_the_mean_and_marked() -> None:
    """Others turn a missing value into 0 in silence."""
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [5.0, 6.0, 7.0]})
    out = columns_of(StandardEncoder().fit(frame), frame)
    assert list(out) == ["a", "b", "a is missing"]
    np.testing.assert_allclose(out["a"], [-1, 0, 1])
    assert out["a is missing"].tolist() == [0, 1, 0]
    later = columns_of(StandardEncoder().fit(frame), pd.DataFrame({"a": [1.0], "b": [None]}))
    assert later["b"].tolist() == [0]


def test_constant_and_empty_columns_become_zeros_not_noise() -> None:
    frame = pd.DataFrame(
        {"c": [0.1] * 7, "big": [1e7 + 0.1] * 7, "empty": [np.nan] * 7, "text": ["x"] * 7}
    )
    out = columns_of(StandardEncoder().fit(frame), frame)
    np.testing.assert_allclose(out[["c", "big", "empty"]], 0, atol=1)
    assert np.isfinite(out.to_numpy()).all()
    assert out["text=x"].tolist() == [1] * 7
    ordinal = OrdinalEncoder().fit(frame).transform(frame)
    assert np.isnan(ordinal[:, 2]).all()
    assert np.isfinite(ordinal[:, [0, 1, 3]]).all()


def test_truth_values_are_numbers_however_they_are_written() -> None:
    frame = pd.DataFrame({"flag": [True, False, None, True]}, dtype=object)
    encoder = OrdinalEncoder().fit(frame)
    assert encoder.schema_.columns[0].kind == "boolean"
    np.testing.assert_array_equal(encoder.transform(frame), [[1], [0], [np.nan], [1]])
    texts = pd.DataFrame({"flag": ["yes", "false", "", "1"]})
    np.testing.assert_array_equal(encoder.transform(texts), [[1], [0], [np.nan], [1]])
    nullable = pd.DataFrame({"flag": pd.array([True, None], dtype="boolean")})
    np.testing.assert_array_equal(encoder.transform(nullable), [[1], [np.nan]])


def test_pandas_own_missing_value_is_a_gap_in_columns_of_every_type() -> None:
    """``pandas.NA`` is neither equal nor unequal to itself, and used to end in a traceback."""
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "real": pd.array([1.5, None, 3.5], dtype="Float64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "text": pd.array(["a", None, "b"], dtype="string"),
        }
    )
    for table in (frame, frame.astype(object)):
        out = OrdinalEncoder().fit(table).transform(table)
        expected = [[1, 1.5, 1, 0], [np.nan] * 4, [3, 3.5, 0, 1]]
        np.testing.assert_array_equal(out, expected)
        assert np.isfinite(StandardEncoder().fit(table).transform(table)).all()
        assert OrdinalEncoder().fit(table).schema_.canonical(table).isna().sum().tolist() == [1] * 4


def test_categories_keep_their_identity_across_types() -> None:
    """``3``, ``3.0`` and ``"3"`` are one category, as a CSV file cannot tell them apart."""
    encoder = OrdinalEncoder().fit(pd.DataFrame({"code": pd.Categorical([1, 3, 20])}))
    for values in ([1, 3, 20], [1.0, 3.0, 20.0], ["1", "3", "20"], pd.Categorical([1, 3, 20])):
        np.testing.assert_array_equal(
            encoder.transform(pd.DataFrame({"code": values}))[:, 0].argsort(),
            encoder.transform(pd.DataFrame({"code": ["1", "3", "20"]}))[:, 0].argsort(),
        )


def test_missing_and_unseen_categories_are_gaps_to_a_tree() -> None:
    encoder = OrdinalEncoder().fit(pd.DataFrame({"city": ["Bern", "Lima"]}))
    out = encoder.transform(pd.DataFrame({"city": ["Lima", None, "", "Rome"]}))
    np.testing.assert_array_equal(out[:, 0], [1, np.nan, np.nan, np.nan])


def test_unseen_categories_can_be_counted() -> None:
    encoder = OrdinalEncoder().fit(pd.DataFrame({"city": ["Bern", "Lima"], "n": [1, 2]}))
    frame = pd.DataFrame({"city": ["Rome", "Bern", None, "Oslo"], "n": [1, 2, 3, 4]})
    assert encoder.schema_.unseen(frame) == {"city": 2}


def test_categories_are_ordered_by_the_mean_target() -> None:
    city = ["a"] * 30 + ["b"] * 30 + ["c"] * 30
    yes = [1] * 20 + [0] * 10 + [1] * 3 + [0] * 27 + [1] * 12 + [0] * 18
    frame = pd.DataFrame({"city": city})
    targets = SoftTargets(yes, classes=np.arange(2))
    encoder = OrdinalEncoder().fit(frame, targets)
    assert encoder.transform(pd.DataFrame({"city": ["b", "c", "a"]}))[:, 0].tolist() == [0, 1, 2]
    value = np.repeat([5.0, 9.0, -2.0], 30)
    encoder = OrdinalEncoder().fit(frame, SoftTargets(value))
    assert encoder.transform(pd.DataFrame({"city": ["c", "a", "b"]}))[:, 0].tolist() == [0, 1, 2]


def test_categories_are_ordered_by_the_teacher_where_there_is_one() -> None:
    frame = pd.DataFrame({"city": ["a"] * 20 + ["b"] * 20 + ["c"] * 20})
    p = np.repeat([0.5, 0.9, 0.1], 20)
    targets = SoftTargets(np.zeros(60), np.stack([1 - p, p], axis=1), classes=np.arange(2))
    encoder = OrdinalEncoder().fit(frame, targets)
    assert encoder.transform(pd.DataFrame({"city": ["c", "a", "b"]}))[:, 0].tolist() == [0, 1, 2]


def test_with_many_classes_categories_follow_the_axis_along_which_they_differ() -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(6)
    codes = np.repeat(np.arange(6), 40)
    place = order[codes] / 5
    p = np.stack([0.6 * place, 0.6 * (1 - place), np.full(240, 0.4)], axis=1)
    targets = SoftTargets(np.zeros(240), p, classes=np.arange(3))
    frame = pd.DataFrame({"city": [f"c{i}" for i in codes]})
    ranks = OrdinalEncoder().fit(frame, targets).transform(frame)[::40, 0]
    assert ranks.tolist() in (order.tolist(), (5 - order).tolist())


def test_a_category_seen_once_is_not_put_at_the_extreme() -> None:
    frame = pd.DataFrame({"city": ["a"] * 50 + ["b"] * 50 + ["rare"]})
    value = np.array([0.0] * 50 + [1.0] * 50 + [3.0])
    ends = {}
    for shrinkage in (0.0, 10.0):
        encoder = OrdinalEncoder(shrinkage=shrinkage).fit(frame, SoftTargets(value))
        ends[shrinkage] = encoder.transform(pd.DataFrame({"city": ["rare"]}))[0, 0]
    assert ends == {0.0: 2, 10.0: 1}


@pytest.mark.parametrize("kind", ENCODERS)
def test_importances_of_encoded_columns_add_up_to_their_raw_column(kind: type[Any]) -> None:
    frame = tiny_data().X
    encoder = kind().fit(frame)
    names = encoder.get_feature_names_out()
    assert len(names) == len(encoder.owners_) == encoder.transform(frame).shape[1]
    for name, owner in zip(names, encoder.owners_, strict=True):
        assert name.startswith(frame.columns[owner])
    shares = raw_importances(encoder, -np.ones(len(names)))
    np.testing.assert_allclose(shares.sum(), 1)
    np.testing.assert_allclose(shares, np.bincount(encoder.owners_) / len(names))
    assert (raw_importances(encoder, np.zeros(len(names))) == 0).all()


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_table_that_lacks_a_column_is_refused_by_name(kind: type[Any]) -> None:
    frame = tiny_data().X
    encoder = kind().fit(frame)
    with pytest.raises(DataError, match=r"lacks 1 column.*'amount'.* Did you mean 'amont'"):
        encoder.transform(frame.rename(columns={"amount": "amont"}))
    with pytest.raises(NotFittedError):
        kind().transform(frame)


@pytest.mark.parametrize("kind", ENCODERS)
def test_values_that_cannot_be_encoded_are_refused_with_their_column(kind: type[Any]) -> None:
    encoder = kind().fit(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))
    with pytest.raises(DataError, match="column 'a' holds 'two', expected a number"):
        encoder.transform(pd.DataFrame({"a": ["1", "two"], "b": ["x", "y"]}))
    with pytest.raises(DataError, match="column 'a' holds 1 infinite"):
        encoder.transform(pd.DataFrame({"a": [1.0, np.inf], "b": ["x", "y"]}))
    for values in (
        pd.to_datetime(["2026-01-01", "2026-01-02"]),
        [1 + 2j, 3j],
        [[1, 2], [3]],
    ):
        with pytest.raises(DataError, match="'odd' holds"):
            kind().fit(pd.DataFrame({"odd": values}))
    with pytest.raises(DataError, match="'a' occurs more than once"):
        kind().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="two dimensions"):
        kind().fit([1, 2, 3])


def test_fitting_leaves_the_table_alone() -> None:
    frame = tiny_data().X
    before = frame.copy(deep=True)
    for kind in ENCODERS:
        kind().fit(frame).transform(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_encoders_are_made_by_name_or_from_an_example() -> None:
    assert isinstance(make_encoder("ordinal"), OrdinalEncoder)
    mine = StandardEncoder(min_frequency=3).fit(pd.DataFrame({"a": [1, 2]}))
    made = make_encoder(mine)
    assert made.min_frequency == 3
    assert not hasattr(made, "schema_")
    with pytest.raises(ParameterError, match=r"'standart' is not known.*Did you mean 'standard'"):
        make_encoder("standart")
