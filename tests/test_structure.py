"""What trees tell of the columns: thresholds by gain, and columns that interact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from kdcore.errors import KDWarning
from kdcore.own_teachers import EnsembleTeacher, FittedTeacher
from kdcore.schema import TableSchema
from kdcore.structure import (
    SplitTree,
    TeacherStructure,
    merge_structures,
    structure_from_trees,
    structure_of,
)

STUMP = SplitTree(
    feature=np.array([1, 0, -1, -1, 1, -1, -1]),
    threshold=np.array([5.0, 2.0, np.nan, np.nan, np.nan, np.nan, np.nan]),
    gain=np.array([10.0, 3.0, 0.0, 0.0, -1.0, 0.0, 0.0]),
    left=np.array([1, 2, -1, -1, 5, -1, -1]),
    right=np.array([4, 3, -1, -1, 6, -1, -1]),
)


def test_gains_are_summed_and_pairs_are_parent_and_child() -> None:
    told = structure_from_trees([STUMP, STUMP], ["a", "b"])
    assert told is not None
    assert {k: v.tolist() for k, v in told.thresholds.items()} == {"a": [2.0], "b": [5.0]}
    assert {k: v.tolist() for k, v in told.gains.items()} == {"a": [6.0], "b": [20.0]}
    # The split of b below b has no partner.
    assert told.pairs == (("a", "b", 6.0),)


def test_trees_without_splits_tell_nothing() -> None:
    leaf = SplitTree(*(np.array([v]) for v in (-1, np.nan, 0.0, -1, -1)))
    assert structure_from_trees([leaf, leaf], ["a"]) is None
    assert structure_from_trees([], ["a"]) is None


@given(st.floats(-1e38, 1e38), st.integers(-2, 2), st.booleans())
def test_float32_thresholds_part_numbers_as_the_tree_does(
    threshold: float, steps: int, less_or_equal: bool
) -> None:
    """An off-by-one here moves a whole number to the other side of a step."""
    x = np.float32(threshold)
    for _ in range(abs(steps)):
        x = np.nextafter(x, np.float32(np.sign(steps) * np.inf))
    tree = SplitTree(*(np.array([v]) for v in (0, threshold, 1.0, -1, -1)))
    told = structure_from_trees([tree], ["a"], less_or_equal=less_or_equal)
    assert told is not None
    left = float(x) <= threshold if less_or_equal else float(x) < threshold
    assert (x <= told.thresholds["a"][0]) == left


def table() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "c"])
    return X, ((X["a"] > 0.2) & (X["c"] > -0.3)).to_numpy().astype(int)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(10, random_state=0),
        GradientBoostingClassifier(n_estimators=10),
        GradientBoostingRegressor(n_estimators=10),
        DecisionTreeRegressor(max_depth=3, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_scikit_learns_trees_are_read_where_they_know_their_columns(model: Any) -> None:
    X, y = table()
    told = structure_of(FittedTeacher(model.fit(X, y)))
    assert told is not None
    assert told.source == "teacher"
    assert told.pairs[0][:2] == ("a", "c")
    best = told.thresholds["a"][told.gains["a"].argmax()]
    assert abs(best - 0.2) < 0.1
    assert structure_of(model.fit(X.to_numpy(), y)) is None


def test_models_without_readable_trees_tell_nothing() -> None:
    X, y = table()
    for model in (
        LogisticRegression(),
        BaggingClassifier(n_estimators=2, max_features=2, random_state=0),
    ):
        assert structure_of(model.fit(X, y)) is None


def test_a_structure_that_cannot_be_read_costs_no_distillation() -> None:
    class Odd:
        def structure(self) -> TeacherStructure:
            raise RuntimeError("no dump for this booster")

    with pytest.warns(KDWarning, match="teacher Odd cannot be read .*no dump for this booster"):
        assert structure_of(Odd()) is None


def test_several_teachers_count_by_their_weights_not_by_their_units() -> None:
    one = TeacherStructure({"a": np.array([1.0])}, {"a": np.array([1000.0])}, (("a", "b", 500.0),))
    other = TeacherStructure(
        {"a": np.array([1.0, 2.0]), "b": np.array([3.0])},
        {"a": np.array([0.1, 0.1]), "b": np.array([0.2])},
        (("b", "c", 0.3), ("b", "a", 0.1)),
    )
    told = merge_structures([one, other], [0.75, 0.25])
    assert told is not None
    np.testing.assert_allclose(told.thresholds["a"], [1, 2])
    np.testing.assert_allclose(told.gains["a"], [0.75 + 0.0625, 0.0625])
    assert [pair[:2] for pair in told.pairs] == [("a", "b"), ("b", "c")]
    np.testing.assert_allclose([pair[2] for pair in told.pairs], [0.4375, 0.1875])
    assert merge_structures([], []) is None


def test_an_ensemble_tells_what_those_of_its_members_tell_that_have_trees() -> None:
    X, y = table()
    members = [
        FittedTeacher(LogisticRegression().fit(X, y)),
        RandomForestClassifier(5, random_state=0).fit(X, y),
    ]
    both = EnsembleTeacher(members, np.array([0.5, 0.5]), np.arange(2), TableSchema.fit(X))
    told = structure_of(both)
    assert told is not None
    assert told.pairs[0][:2] == ("a", "c")
    lone = EnsembleTeacher(members[:1], np.ones(1), np.arange(2), TableSchema.fit(X))
    assert structure_of(lone) is None
