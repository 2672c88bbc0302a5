"""How stable a choice of columns is, told from bootstrap samples, never from rows that judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB
from small_models import Memory, TreeStudent

import kdcore
from kdcore import DistillationClassifier
from kdcore.errors import ParameterError
from kdcore.labeller import Labeller
from kdcore.recipe_fit import Lesson
from kdcore.selection.stability import interchangeable, kuncheva, resampled
from kdcore.sources import resolve_source
from kdcore.splits import prepare


def table(n: int = 120) -> pd.DataFrame:
    """One column that matters, twins of which either will do, a text, and noise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"noise_{j}": rng.normal(size=n) for j in range(4)})
    frame["a"] = rng.normal(size=n)
    frame["twin"] = rng.normal(size=n)
    frame["other_twin"] = -np.exp(frame["twin"]) + rng.normal(0, 1e-3, n)
    frame.loc[:3, "other_twin"] = np.nan
    frame["city"] = rng.choice(["Ulm", "Bonn"], n)
    score = 2 * frame["a"] + frame["twin"]
    return frame.assign(label=np.where(score > 0, "yes", "no"))


def distilled(**options: Any) -> Any:
    given_ = {
        "target": "label",
        "teacher": GaussianNB(),
        "student": TreeStudent(max_depth=3),
        "recipe": "plain",
        "selector": "mrmr",
        "max_features": 2,
        "drop": ["other_twin", "city"],
        "stability": 6,
        **options,
    }
    return kdcore.distill(table(), **given_)


def test_columns_that_matter_are_chosen_again_and_twins_are_named() -> None:
    told = distilled(drop=["city"]).report.to_dict()["selection"]["stability"]
    assert told["samples"] == 6
    assert told["frequency"]["a"] == 1
    assert list(told["frequency"].values()) == sorted(told["frequency"].values(), reverse=True)
    assert 0 < told["jaccard"] <= 1
    assert 0 < told["kuncheva"] <= 1
    groups = {tuple(group["columns"]): group["frequency"] for group in told["groups"]}
    assert all(0 < share <= 1 for share in groups.values())
    assert distilled(stability=0).report.selection["stability"] is None


def test_the_same_seed_tells_the_same_and_rows_that_judge_have_no_say() -> None:
    one = distilled().report.selection["stability"]
    assert one == distilled().report.selection["stability"]
    data = table()
    train, test = data.iloc[:80], data.iloc[80:]
    options = {
        "target": "label",
        "teacher": GaussianNB(),
        "student": TreeStudent(),
        "recipe": "plain",
        "selector": "mrmr",
        "max_features": 2,
        "drop": ["other_twin"],
        "stability": 3,
    }
    told = [
        kdcore.distill(train, test=held, **options).report.selection["stability"]
        for held in (test, test.assign(a=test["noise_1"]))
    ]
    assert told[0] == told[1]


def test_no_row_of_a_sample_judges_it_and_its_teacher_knows_the_sample_alone() -> None:
    data = table().drop(columns="city").fillna(0.0)
    data.insert(0, "id", np.arange(len(data), dtype=float))
    rows = prepare(data, target="label")
    run = Labeller(resolve_source(Memory(), rows.table), rows).run(measure=False)
    part = resampled(Lesson(rows, run, 0), [0])
    drawn, left = (set(t.X["id"]) for t in (part.data.train, part.data.held))
    assert not drawn & left
    assert drawn | left == set(rows.train.X["id"])
    assert len(part.data.train) == len(rows.train)
    np.testing.assert_array_equal(part.ask(part.data.held.X), 0.5)


def test_samples_of_ordered_rows_keep_neighbours_together() -> None:
    data = table(216).drop(columns="city").fillna(0.0)
    data.insert(0, "id", np.arange(len(data), dtype=float))
    rows = prepare(data, target="label", split_by="ordered")
    run = Labeller(resolve_source(GaussianNB(), rows.table), rows).run(measure=False)
    ids = np.unique(resampled(Lesson(rows, run, 0), [0]).data.train.X["id"])
    followed = np.isin(ids + 1, ids).mean()
    assert followed > 0.75  # 0.63 if rows were drawn one by one


@given(st.integers(1, 9), st.integers(0, 99))
def test_the_index_is_one_for_the_same_sets_and_none_where_sets_cannot_differ(size, seed) -> None:
    rng = np.random.default_rng(seed)
    one, other = (set(map(str, rng.choice(10, size, replace=False))) for _ in range(2))
    assert kuncheva(one, one, 10) == pytest.approx(1.0)
    index = kuncheva(one, other, 10)
    assert index is not None
    assert -1.0001 <= index <= 1.0001
    assert index == kuncheva(other, one, 10)
    assert kuncheva(one, one, size) is None


def test_columns_with_the_same_order_are_interchangeable_gaps_and_signs_aside() -> None:
    rows = prepare(table(), target="label")
    source = resolve_source(np.full((120, 2), 0.5), rows.table)
    run = Labeller(source, rows).run(measure=False)
    names = ["noise_0", "a", "twin", "other_twin", "city"]
    assert interchangeable(Lesson(rows, run, 0), names) == [["twin", "other_twin"]]
    assert interchangeable(Lesson(rows, run, 0), ["a"]) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stability": 1}, "use 2 at least"),
        ({"stability": -3}, "use 2 at least"),
        ({"stability": 2.5}, "must be a number of bootstrap samples"),
        ({"stability": 5, "max_features": None, "selector": None}, "give max_features too"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(options: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as told:
        distilled(**options)
    assert "\n" not in str(told.value)


def test_estimators_tell_it_too_and_take_rows_in_order() -> None:
    data = table().drop(columns=["city", "other_twin"])
    X, y = data.drop(columns="label"), data["label"]
    model = DistillationClassifier(
        teacher=GaussianNB(),
        student=TreeStudent(),
        recipe="plain",
        selector="mrmr",
        max_features=2,
        stability=3,
        split="ordered",
    ).fit(X, y)
    assert model.report_.selection["stability"]["samples"] == 3
    assert model.report_.selection["splits"] == 3
    with pytest.raises(ParameterError, match="use one of random, ordered"):
        model.set_params(split="weekly").fit(X, y)
