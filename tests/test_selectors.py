"""The budget of a selector: what a user allows is never exceeded, and never silently misread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.errors import KDError, ParameterError
from kdcore.selectors import Selector, budget

columns = st.integers(1, 5000)


@given(st.integers(1, 10_000), columns)
def test_a_number_of_columns_is_that_number_or_all(wanted: int, n_columns: int) -> None:
    assert budget(wanted, n_columns) == min(wanted, n_columns)


@given(st.floats(0, 1, exclude_min=True), columns)
def test_a_ratio_never_allows_more_than_its_share_but_always_one(
    ratio: float, n_columns: int
) -> None:
    most = budget(ratio, n_columns)
    assert 1 <= most <= n_columns
    assert most == 1 or most <= ratio * n_columns + 1e-6
    assert most > ratio * n_columns - 1


@given(st.integers(1, 100), st.sampled_from([10, 50, 100, 1000]))
def test_a_ratio_in_percent_is_exact_in_spite_of_floating_point(
    percent: int, n_columns: int
) -> None:
    """0.29 * 100 is 28.999999999999996; a user who asks for 29 % of 100 columns gets 29."""
    assert budget(percent / 100, n_columns) == max(1, math.floor(percent * n_columns / 100))


def test_one_as_a_number_is_one_column_and_as_a_ratio_all() -> None:
    assert budget(1, 50) == 1
    assert budget(1.0, 50) == 50


@pytest.mark.parametrize("number", [np.int64(7), np.int8(7)])
def test_numbers_of_numpy_are_numbers(number: Any) -> None:
    assert budget(number, 10) == 7
    assert budget(np.float32(0.5), 10) == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (0, "leaves no column"),
        (-3, "leaves no column"),
        (0.0, "not a ratio in"),
        (-0.2, "not a ratio in"),
        (1.5, "use a whole number"),
        (20.0, "use a whole number"),
        (float("nan"), "not a ratio in"),
        (float("inf"), "not a ratio in"),
        (True, "is not a number"),
        ("20", "is not a number"),
        (None, "is not a number"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused_with_what_to_use(wrong: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        budget(wrong, 50)
    assert isinstance(caught.value, KDError)
    assert "max_features=" in str(caught.value)


def test_a_selector_without_select_says_what_to_write() -> None:
    class Empty(Selector):
        pass

    with pytest.raises(TypeError, match="Empty must define select"):
        Empty().select(None, None, max_features=3)  # type: ignore[arg-type]
