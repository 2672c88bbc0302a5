"""Made rows: whatever the method, a teacher can read them and they could have been real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from kdcore.errors import DataError, FitError, ParameterError
from kdcore.table import labeled
from kdcore.transfer import AUGMENTERS, Mixture, default_method, make_augmenter, neighbours
from kdcore.transfer.rows import RealRows, WeightedDraw

METHODS = (*AUGMENTERS, "cart+munge")
every_method = pytest.mark.parametrize("method", METHODS)


def made(method: Any, X: Any, n: int = 300, seed: int = 0, weight: Any = None) -> pd.DataFrame:
    parts = make_augmenter(method).fit(X, weight, random_state=seed).sample(n)
    return pd.concat(parts, ignore_index=True)


def mixed(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Columns of every kind, with gaps in numbers, texts and truth values."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    frame = pd.DataFrame(
        {
            "age": age,
            "income": np.where(rng.random(n) < 0.2, np.nan, age * 10.0 + rng.normal(size=n)),
            "single": rng.normal(size=n).astype(np.float32),
            "pixel": rng.integers(0, 256, n).astype(np.uint8),
            "count": np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 9, n)),
            "zero": np.where(rng.random(n) < 0.8, 0.0, rng.exponential(size=n)),
            "flag": rng.random(n) < 0.3,
            "city": rng.choice(["Bern", "Lima", "Oslo", None], n),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], n), ["S", "M", "L", "XL"], True),
            "constant": np.full(n, 2.5),
            "empty": np.full(n, np.nan),
            "nullable": pd.array(rng.integers(0, 50, n), dtype="Int64"),
            "maybe": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "id": np.arange(n) + 2**60,
            "text": [f"row {i}" for i in range(n)],
        }
    )
    frame.loc[rng.random(n) < 0.2, ["nullable", "maybe"]] = pd.NA
    return frame


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Some of the columns of `mixed`, in any order, with any number of rows from 2."""
    frame = mixed(draw(st.integers(2, 60)), draw(st.integers(0, 2**20)))
    names = draw(st.lists(st.sampled_from(list(frame)), min_size=1, unique=True))
    return frame[names]


def assert_could_be_real(rows: pd.DataFrame, real: pd.DataFrame) -> None:
    assert list(rows) == list(real)
    for name in real:
        was, now = real[name], rows[name]
        assert now.dtype == was.dtype, name
        assert now.notna().all() or was.isna().any(), name
        known, values = was.dropna(), now.dropna()
        if RealRows.of(pd.concat([real[[name]]] * 2)).number_columns.size:
            if len(values):
                assert known.min() <= values.min(), name
                assert values.max() <= known.max(), name
            if (known == known.round()).all():
                assert (values == values.round()).all(), name
        else:
            assert set(values) <= set(known), name


@settings(max_examples=25)
@given(frame=tables(), seed=st.integers(0, 2**20), n=st.integers(1, 50))
@every_method
def test_made_rows_have_types_levels_ranges_and_whole_numbers_of_the_table(
    method: str, frame: pd.DataFrame, seed: int, n: int
) -> None:
    rows = made(method, frame, n, seed)
    assert len(rows) == n
    assert_could_be_real(rows, frame)


@every_method
@pytest.mark.parametrize("raw", [True, False])
def test_a_mixed_table_with_gaps_keeps_its_shares(method: str, raw: bool) -> None:
    """As a user has it, and as `labeled` hands it to teachers."""
    frame = mixed(400)
    if not raw:
        frame = labeled(frame.assign(y=np.arange(400) % 2), "y").X
    rows = made(method, frame, 2000)
    assert_could_be_real(rows, frame)
    gaps = rows.isna().mean() - frame.isna().mean()
    assert gaps.abs().max() < 0.08
    cities = rows["city"].value_counts(normalize=True).sort_index()
    expected = frame["city"].value_counts(normalize=True).sort_index()
    assert np.abs(cities.to_numpy() - expected.to_numpy()).max() < 0.08
    # The bootstrap's noise moves a zero; to copy it is what the other methods promise.
    assert (rows["zero"] == 0).mean() > 0.5 or method == "bootstrap"
    assert abs(rows["age"].mean() - frame["age"].mean()) < 0.2 * frame["age"].std()


@every_method
def test_the_same_seed_gives_the_same_rows_in_chunks_of_any_size(method: str) -> None:
    frame = mixed(80)
    fitted = make_augmenter(method).fit(frame, random_state=3)
    whole = pd.concat(fitted.sample(5000, chunk_rows=5000), ignore_index=True)
    again = make_augmenter(method).fit(frame, random_state=3)
    chunks = list(again.sample(5000, chunk_rows=777))
    assert [len(c) for c in chunks] == [777] * 6 + [338]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)
    assert not made(method, frame, 100, seed=4).equals(whole.head(100))


@every_method
def test_rows_do_not_depend_on_the_number_of_threads(method: str) -> None:
    from threadpoolctl import threadpool_limits

    frame = load_breast_cancer(as_frame=True).data
    with threadpool_limits(1):
        one = made(method, frame)
    with threadpool_limits(2):
        two = made(method, frame)
    pd.testing.assert_frame_equal(one, two)


@every_method
def test_rows_of_weight_zero_leave_no_trace(method: str) -> None:
    frame = mixed(100)
    frame["side"] = np.where(np.arange(100) < 50, "left", "right")
    frame.loc[50:, "single"] += 1000
    weight = (np.arange(100) < 50).astype(float)
    rows = made(method, frame, weight=weight)
    assert set(rows["side"]) == {"left"}
    assert rows["single"].max() < 500


@every_method
def test_heavier_rows_are_seen_more_often(method: str) -> None:
    frame = pd.DataFrame({"a": np.repeat(["x", "y"], 50), "b": np.arange(100.0)})
    weight = np.where(frame["a"] == "x", 9.0, 1.0)
    share = (made(method, frame, 3000, weight=weight)["a"] == "x").mean()
    assert 0.8 < share < 0.97


@every_method
@pytest.mark.parametrize("load", [load_iris, load_wine, load_diabetes, load_breast_cancer])
def test_rows_of_real_tables_could_be_real(method: str, load: Any) -> None:
    frame = load(as_frame=True).data
    rows = made(method, frame)
    assert_could_be_real(rows, frame)
    spread = rows.std() / frame.std()
    assert 0.6 < spread.median() < 1.3


@every_method
def test_all_columns_may_be_categories(method: str) -> None:
    rng = np.random.default_rng(0)
    data = {f"c{i}": rng.choice(["a", "b", None], 60) for i in range(35)}
    frame = pd.DataFrame(data).astype("category")
    rows = made(method, frame)
    assert_could_be_real(rows, frame)


@every_method
@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.0, 2.0, 4.0]}),
        pd.DataFrame({"a": [3.0, 3.0, 3.0]}),
        pd.DataFrame({"a": [np.nan, np.nan]}),
        pd.DataFrame({"a": pd.Series([None, None, None], dtype="category")}),
        pd.DataFrame({"a": ["x", "y"], "b": [True, False]}),
        pd.DataFrame({"a": [1, 1, 2], "b": [None, 5.0, None]}),
        pd.DataFrame({"a": [True, None, False], "b": [1, 2.5, None]}, dtype=object),
    ],
    ids=["one column", "constant", "all missing", "no level", "two rows", "one known", "objects"],
)
def test_tiny_and_empty_tables_are_no_trouble(method: str, frame: pd.DataFrame) -> None:
    rows = made(method, frame, 20)
    assert len(rows) == 20
    assert_could_be_real(rows, frame)


@every_method
def test_arrays_and_unnamed_columns_work(method: str) -> None:
    rows = made(method, np.random.default_rng(0).normal(size=(30, 3)))
    assert list(rows) == ["x0", "x1", "x2"]


@every_method
def test_too_few_rows_are_refused_with_a_way_out(method: str) -> None:
    frame = mixed(5)
    with pytest.raises(DataError, match=r"from 1 row\(s\).*at least 2 rows, or learn without"):
        made(method, frame.head(1))
    with pytest.raises(DataError, match="1 row"):
        made(method, frame, weight=[0, 0, 1.0, 0, 0])
    with pytest.raises(DataError, match=r"shape \(2,\), expected \(5,\)"):
        made(method, frame, weight=[1.0, 1.0])
    with pytest.raises(DataError, match="finite and not negative"):
        made(method, frame, weight=[1.0, 1, 1, 1, -1])
    with pytest.raises(DataError, match="'age' holds 1 infinite"):
        made(method, frame.assign(age=[1, 2, np.inf, 3, 4]))


def test_cart_keeps_the_dependence_of_columns() -> None:
    """Its purpose: a column that follows from others still does in made rows."""
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=2000), rng.choice(list("pqrs"), 2000)
    level = pd.Series(c).map({"p": 0.0, "q": 10.0, "r": -10.0, "s": 5.0}).to_numpy()
    gap = rng.random(2000) < np.where(a > 0, 0.5, 0.0)
    frame = pd.DataFrame(
        {"a": a, "c": c, "sum": a**2 + level, "late": np.where(gap, np.nan, 1.0 + a)}
    )
    frame["again"] = np.where(frame["sum"] > 5, "high", "low")
    rows = made("cart", frame, 4000)
    expected = rows["a"] ** 2 + rows["c"].map({"p": 0.0, "q": 10.0, "r": -10.0, "s": 5.0})
    assert np.median(np.abs(rows["sum"] - expected)) < 0.15
    assert ((rows["again"] == "high") == (rows["sum"] > 5)).mean() > 0.99
    # Gaps too depend on what they depended on.
    assert rows.loc[rows["a"] > 0.1, "late"].isna().mean() == pytest.approx(0.5, abs=0.06)
    assert rows.loc[rows["a"] < -0.1, "late"].isna().mean() < 0.01


def test_cart_draws_values_of_real_rows_unless_it_smooths() -> None:
    frame = load_iris(as_frame=True).data * np.pi
    first = frame.columns[0]
    assert set(made("cart", frame)[first]) <= set(frame[first])
    smooth = pd.concat(make_augmenter("cart", smooth=True).fit(frame).sample(300))
    assert not set(smooth[first]) <= set(frame[first])
    assert_could_be_real(smooth, frame)


def test_neighbours_keep_clusters_apart() -> None:
    """SMOTE and MUNGE stay where rows are; mixup crosses the gap between clusters."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(np.concatenate([rng.normal(-20, 1, (60, 4)), rng.normal(20, 1, (60, 4))]))
    X.columns = list("abcd")
    between = {m: (made(m, X).abs() < 10).any(axis=1).mean() for m in ("munge", "smote", "mixup")}
    assert between["munge"] == between["smote"] == 0
    assert between["mixup"] > 0.2


@pytest.mark.parametrize("sampled", [False, True])
def test_no_row_is_its_own_neighbour(sampled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if sampled:
        monkeypatch.setattr(neighbours, "_PRODUCTS", 0)
        monkeypatch.setattr(neighbours, "_FEWEST", 40)
    frame = pd.DataFrame({"a": np.arange(100) // 2 * 1.0})
    near = neighbours.nearest(RealRows.of(frame), 3, np.random.default_rng(0))
    assert near.shape == (100, 3)
    assert not (near == np.arange(100)[:, None]).any()
    distance = np.abs(near - np.arange(100)[:, None])
    assert distance.max() < (20 if sampled else 6)
    assert len(np.unique(near)) == (40 if sampled else 100)


@pytest.mark.parametrize("method", ["munge", "swap"])
def test_every_row_differs_from_real_ones_where_it_can(method: str) -> None:
    frame = load_wine(as_frame=True).data
    rows = made(method, frame, 1000)
    assert len(rows.merge(frame)) == 0


def test_the_copula_keeps_margins_and_the_order_of_dependence() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=3000)
    frame = pd.DataFrame({"a": np.exp(a), "b": -a + 0.2 * rng.normal(size=3000)})
    rows = made("copula", frame, 4000)
    assert rows["a"].corr(rows["b"], method="spearman") < -0.9
    quantiles = np.linspace(0.05, 0.95, 10)
    assert np.allclose(rows["a"].quantile(quantiles), frame["a"].quantile(quantiles), rtol=0.15)


def test_large_tables_are_sampled_for_trees_and_neighbours() -> None:
    frame = pd.DataFrame({"a": np.arange(3000.0), "b": np.arange(3000.0) % 7})
    for method in ("cart", "munge", "smote", "copula"):
        fitted = make_augmenter(method, max_rows=50).fit(frame)
        assert len(fitted.rows_) == 50  # type: ignore[attr-defined]
        assert next(fitted.sample(200))["a"].nunique() >= 20


def test_weights_of_equal_rows_add_up() -> None:
    rows = RealRows.of(pd.DataFrame({"a": [1, 2, 1], "b": [None, "x", None]}), [1.0, 2, 3])
    single = rows.sampled(10, np.random.default_rng(0), distinct=True)
    assert single.frame["a"].tolist() == [1, 2]
    assert single.weight.tolist() == [4.0, 2.0]


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=20), st.integers(0, 2**20))
def test_weighted_draws_are_those_of_numpy_in_distribution(weight: list[float], seed: int) -> None:
    drawn = WeightedDraw(np.array(weight))(4000, np.random.default_rng(seed))
    share = np.bincount(drawn, minlength=len(weight)) / 4000
    assert np.abs(share - np.array(weight) / sum(weight)).max() < 0.06


# --- a function of one's own -----------------------------------------------------------------


def resampled(frame: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    return frame.sample(n, replace=True, random_state=rng)


def test_a_function_makes_rows_as_any_method_does() -> None:
    frame = mixed(50)
    rows = made(resampled, frame, 5000)
    assert len(rows) == 5000
    assert_could_be_real(rows, frame)
    pd.testing.assert_frame_equal(rows, made(resampled, frame, 5000))
    assert make_augmenter(resampled).to_dict() == {"method": "resampled"}
    assert list(frame) == list(mixed(50))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda f, n, rng: resampled(f, n + 1, rng), "returned 31 rows where 30 were asked for"),
        (lambda f, n, rng: resampled(f, n, rng).drop(columns="age"), "lack the column 'age'"),
        (
            lambda f, n, rng: resampled(f, n, rng).astype({"pixel": float}),
            r"'pixel' as float64, expected uint8; convert it with astype\(frame.dtypes\)",
        ),
        (
            lambda f, n, rng: resampled(f, n, rng).assign(size=pd.Categorical(["S"] * n)),
            "'size' as category with 1 levels, expected category with 4 levels",
        ),
        (lambda f, n, rng: resampled(f, n, rng).assign(zero=np.inf), "'zero' holds 30 infinite"),
        (lambda f, n, rng: 5, "two dimensions"),
    ],
)
def test_what_a_function_returns_is_checked(function: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        made(function, mixed(20), 30)


def test_a_function_that_fails_is_named() -> None:
    def broken(frame: pd.DataFrame, n: int, rng: Any) -> pd.DataFrame:
        raise RuntimeError("no GPU")

    with pytest.raises(FitError, match="the augmenter broken failed: no GPU"):
        made(broken, mixed(20))


# --- names and parameters --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("crat", {}, "'crat' is not known; use one of cart, munge.*Did you mean 'cart'"),
        (7, {}, "7 is no augmenter"),
        ("cart+mung", {}, "'mung' is not known.*Did you mean 'munge'"),
        ("cart+munge", {"p": 0.5}, "takes no parameter 'p'"),
        ("munge", {"neighbors": 3}, "no parameter 'neighbors'.*Did you mean 'neighbours'"),
        (resampled, {"p": 1}, "bind it with functools.partial"),
        ("munge", {"p": 0}, "p=0 of the augmenter 'munge' must be above 0 and at most 1"),
        ("munge", {"s": -1}, "s=-1 .*a number above 0"),
        ("smote", {"neighbours": 2.5}, "neighbours=2.5 .*a whole number"),
        ("cart", {"min_leaf": 0}, "min_leaf=0"),
        ("cart", {"smooth": "yes"}, "smooth='yes'"),
        ("mixup", {"alpha": float("nan")}, "alpha=nan"),
        ("bootstrap", {"noise": True}, "noise=True"),
        ("swap", {"p": 2}, "p=2"),
        ("copula", {"max_rows": 0}, "max_rows=0"),
    ],
)
def test_wrong_names_and_values_are_refused(method: Any, params: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_augmenter(method, **params)


def test_an_augmenter_is_copied_with_its_parameters() -> None:
    first = make_augmenter("munge", p=0.5).fit(mixed(20))
    second = make_augmenter(first, s=2.0)
    assert second.to_dict() == {**first.to_dict(), "s": 2.0}
    assert second.to_dict()["p"] == 0.5
    with pytest.raises(ParameterError, match="'munge' is not fitted"):
        second.sample(3)
    with pytest.raises(ParameterError, match="chunk_rows=0"):
        first.sample(3, chunk_rows=0)
    with pytest.raises(ParameterError, match="random_state=None"):
        second.fit(mixed(20), random_state=None)  # type: ignore[arg-type]
    assert list(first.sample(0)) == []


def test_a_mixture_makes_as_many_rows_by_each_method() -> None:
    frame = pd.DataFrame({"a": np.arange(50.0) + 0.25})
    rows = made("bootstrap+swap", frame, 1000)["a"].to_numpy()
    own = np.isin(rows, frame["a"])
    assert not own[:400].all()
    assert own[500:].all()
    with pytest.raises(ParameterError, match="at least two parts"):
        make_augmenter(Mixture(parts=[make_augmenter("cart")]))


def test_the_default_is_cart_for_few_columns_and_classes() -> None:
    assert default_method(60, 10) == default_method(1, 0) == "cart"
    assert default_method(60, 10, few="cart+munge") == "cart+munge"
    assert (
        default_method(61, 2, few="cart+munge")
        == default_method(61, 2)
        == default_method(5, 26)
        == "munge"
    )
