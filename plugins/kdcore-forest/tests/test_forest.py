"""What is special to forests: encoding inside the teacher, threads, size, scikit-learn's bits."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from kdcore.testing import tiny_data
from kdcore_forest.teacher import RandomForestTeacherClassifier, RandomForestTeacherRegressor

KINDS = {"multiclass": RandomForestTeacherClassifier, "regression": RandomForestTeacherRegressor}


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.mark.parametrize("task", KINDS)
def test_on_plain_numbers_it_is_scikit_learns_forest(task):
    """Users who know their forest's parameters get that very forest."""
    data = tiny_data(task, content="numbers")
    given = {"n_estimators": 20, "min_samples_leaf": 3, "max_features": 0.5, "max_samples": 0.8}
    ours = KINDS[task](**given).fit(data.X, data.y)
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    own = kind(**given, random_state=0).fit(data.X.to_numpy(np.float32), data.y)
    np.testing.assert_allclose(output(ours, data.X), output(own, data.X.to_numpy(np.float32)))
    assert type(ours.model_) is kind


@pytest.mark.parametrize("task", KINDS)
def test_more_threads_give_the_same_bits(task):
    """scikit-learn adds up trees in the order in which threads finish, which changes last bits."""
    data, fresh = tiny_data(task), tiny_data(task, seed=1, n_rows=2000)
    one, four = (KINDS[task](n_jobs=n, n_estimators=60).fit(data.X, data.y) for n in (1, 4))
    assert (output(one, fresh.X) == output(four, fresh.X)).all()
    assert four.get_params()["n_jobs"] == 4


@pytest.mark.parametrize("task", KINDS)
def test_texts_gaps_and_unseen_categories_are_read_as_they_are(task):
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    teacher = KINDS[task](n_estimators=40).fit(data.X, data.y)
    fresh.X["note"] = "never seen"
    assert np.isfinite(output(teacher, fresh.X)).all()
    assert teacher.model_bytes() > 10_000


def test_the_order_of_categories_comes_from_the_rows_it_was_fitted_on():
    """An order learned from other rows would leak their labels into out-of-fold ones."""
    rng = np.random.default_rng(0)
    city = rng.choice(list("abcdef"), 600)
    table = pd.DataFrame({"city": pd.Categorical(city), "noise": rng.standard_normal(600)})
    y = np.isin(city, ["a", "c", "e"]).astype(int)
    teacher = RandomForestTeacherClassifier(n_estimators=20)
    ranks = teacher.fit(table, y).encoder_.ranks_[0][:6]
    assert set(ranks[[0, 2, 4]]) == {3, 4, 5}
    flipped = teacher.fit(table, 1 - y).encoder_.ranks_[0][:6]
    assert set(flipped[[0, 2, 4]]) == {0, 1, 2}


def test_heavier_rows_count_for_more():
    data = tiny_data("binary")
    weight = np.where(data.y == 1, 20.0, 1.0)
    plain = RandomForestTeacherClassifier(n_estimators=40).fit(data.X, data.y)
    heavy = RandomForestTeacherClassifier(n_estimators=40).fit(data.X, data.y, weight)
    assert (
        heavy.predict_proba(data.X)[:, 1].mean() > plain.predict_proba(data.X)[:, 1].mean() + 0.05
    )


def test_size_is_that_of_the_nodes_and_grows_with_the_trees():
    data = tiny_data("multiclass")
    small, large = (
        RandomForestTeacherClassifier(n_estimators=n).fit(data.X, data.y) for n in (10, 40)
    )
    nodes = sum(tree.tree_.node_count for tree in small.model_.estimators_)
    # Each node holds a probability for each of three classes beside its split.
    assert small.model_bytes() > nodes * (3 * 8 + 32)
    assert 3 < large.model_bytes() / small.model_bytes() < 5


def test_the_structure_names_raw_columns_and_leaves_ranks_of_categories_out():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "city": rng.choice(["Bern", "Lima", "Oslo", "Rome"], 600),
            "noise": rng.normal(size=600),
            "rate": rng.integers(0, 20, 600).astype(float),
        }
    )
    y = np.where((X["rate"] >= 13) & (X["city"] == "Lima"), 5.0, 0.0)
    told = RandomForestTeacherRegressor(n_estimators=10, max_depth=3).fit(X, y).structure()
    assert told.pairs[0][:2] == ("city", "rate")
    assert "city" not in told.thresholds
    assert 12 <= told.thresholds["rate"][told.gains["rate"].argmax()] < 13
