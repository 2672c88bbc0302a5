"""Tree students: one tree on the simplex, that is the classic one where there are only labels."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_sklearn.tree import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=20, deadline=None)
def test_probabilities_of_a_row_sum_to_one_whatever_the_teacher_says(seed, alpha):
    data = tiny_data("multiclass", seed=seed, n_rows=80)
    student = DecisionTreeStudentClassifier(alpha=alpha).fit(data.X, tiny_targets(data))
    proba = student.predict_proba(tiny_data("multiclass", seed=seed + 1).X)
    assert (
        np.abs(student.predict_encoded(student.encoder_.transform(data.X)).sum(1) - 1).max() < 1e-9
    )
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-12
    # Shrinkage keeps a log loss from being infinite.
    assert proba.min() > 0


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("leaves", [4, 16, None])
def test_with_labels_alone_it_grows_the_gini_tree(task, leaves):
    """A user who compares with scikit-learn's tree must not see a difference between criteria."""
    data = tiny_data(task, content="numbers", n_rows=400)
    student = DecisionTreeStudentClassifier(max_leaf_nodes=leaves, shrinkage=0.0)
    student.fit(data.X, data.y)
    gini = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=5, random_state=0)
    X = data.X.to_numpy(np.float32)
    gini.fit(X, data.y)
    ours, theirs = student.model_.tree_, gini.tree_
    assert ours.node_count == theirs.node_count
    assert (ours.feature == theirs.feature).all()
    np.testing.assert_allclose(ours.threshold, theirs.threshold)
    np.testing.assert_allclose(student.predict_proba(data.X), gini.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_shrinkage_pulls_small_leaves_to_their_ancestors(task):
    """Each step from a node to its child counts N / (N + shrinkage), N the rows of the node."""
    data = tiny_data(task, content="numbers")
    kind = DecisionTreeStudentRegressor if task == "regression" else DecisionTreeStudentClassifier
    rough, shrunk = (
        kind(shrinkage=s, min_samples_leaf=1, max_leaf_nodes=None).fit(data.X, data.y)
        for s in (0.0, 30.0)
    )
    Z = rough.encoder_.transform(data.X)
    tree, paths = rough.model_.tree_, rough.model_.decision_path(Z)
    for row in range(0, len(data), 16):
        path = paths[row].indices
        wanted = tree.value[0, :, 0].copy()
        for parent, child in itertools.pairwise(path):
            step = tree.value[child, :, 0] - tree.value[parent, :, 0]
            n = tree.weighted_n_node_samples[parent]
            wanted += step * n / (n + 30.0)
        np.testing.assert_allclose(np.ravel(shrunk.predict_encoded(Z[[row]])), wanted, atol=1e-12)


def test_a_negative_shrinkage_is_refused():
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match="shrinkage=-1 must be a number of at least 0"):
        DecisionTreeStudentClassifier(shrinkage=-1).fit(data.X, data.y)


@pytest.mark.parametrize("kind", [DecisionTreeStudentClassifier, DecisionTreeStudentRegressor])
def test_missing_values_are_split_on_and_carry_information(kind):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.standard_normal(300), "b": rng.standard_normal(300)})
    gap = rng.random(300) < 0.4
    table.loc[gap, "a"] = np.nan
    student = kind(max_depth=3).fit(table, gap.astype(int))
    assert student.score(table, gap.astype(int)) > 0.99
    assert pack(student, table).bundle.manifest["parity"]["flipped"] == 0


def test_a_parameter_that_a_tree_cannot_use_is_refused_with_what_works():
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match=r"temperature=2 cannot be used by .*leave .* at 1"):
        DecisionTreeStudentClassifier(temperature=2.0).fit(data.X, tiny_targets(data))
    with pytest.raises(ParameterError, match=r"loss='logit_mse' .*use one of brier, kl"):
        DecisionTreeStudentClassifier(loss="logit_mse").fit(data.X, tiny_targets(data))
    with pytest.raises(ParameterError, match="temperature=2"):
        DecisionTreeStudentRegressor(temperature=2.0).fit(data.X, data.y.astype(float))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_bundle_takes_the_same_branch_at_the_very_threshold(task):
    """Thresholds are float64 midpoints and ONNX compares float32: a value on the edge must not
    change sides, or a deployed model contradicts the one that was evaluated."""
    rng = np.random.default_rng(3)
    # Neighbouring float32 numbers, whose midpoints float32 cannot hold.
    low = rng.standard_normal(60).astype(np.float32)
    values = np.concatenate([low, np.nextafter(low, np.float32(9))])
    table = pd.DataFrame({"a": values.astype(float), "b": rng.integers(0, 9, 120)})
    kind = DecisionTreeStudentRegressor if task == "regression" else DecisionTreeStudentClassifier
    y = np.repeat([0, 1], 60) + (table["a"] > 0) * (1 if task == "multiclass" else 0)
    student = kind(min_samples_leaf=1, max_leaf_nodes=None).fit(table, y)
    tree = student.model_.tree_
    edges = tree.threshold[tree.feature == 0]
    assert (edges != edges.astype(np.float32)).sum() > 20
    near = edges.astype(np.float32)
    near = [near, np.nextafter(near, np.float32(-9)), np.nextafter(near, np.float32(9)), values]
    probe = pd.DataFrame({"a": np.concatenate([*near, edges, [np.nan]])})
    probe["b"] = 4
    found = pack(student, probe).bundle.manifest["parity"]
    assert found["max_difference"] < 1e-6
    assert found["flipped"] == 0
