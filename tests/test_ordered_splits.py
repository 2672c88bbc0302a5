"""Rows in order of time: nothing is shuffled, and nothing is judged by what came before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from small_models import LeastSquaresStudent, Memory, TreeStudent

import kdcore
from kdcore.errors import KDError
from kdcore.labeller import Labeller
from kdcore.nested import part_count, part_of
from kdcore.recipe_fit import Lesson
from kdcore.sources import resolve_source
from kdcore.splits import prepare
from kdcore.verdict import paired_interval


def table(n: int = 100) -> pd.DataFrame:
    """Rows whose number is a column, in a wrong order, with the days that tell the right one."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(n, dtype=float), "x": rng.normal(size=n)})
    frame["day"] = pd.date_range("2020-01-30", periods=n).astype(str)
    frame["label"] = np.where(frame["x"] + rng.normal(0, 0.3, n) > 0, "up", "down")
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


def test_the_last_rows_by_time_judge_and_the_time_is_no_input() -> None:
    rows = prepare(table(), target="label", time_column="day")
    assert rows.train.names == ["id", "x"]
    assert rows.train.X["id"].tolist() == list(range(75))
    assert rows.held.X["id"].tolist() == list(range(75, 100))
    data = table()
    truth = dict(zip(data["id"], data["label"], strict=True))
    assert rows.held.y.tolist() == [truth[i] for i in range(75, 100)]
    plain = prepare(data.drop(columns="day"), target="label", split_by="ordered", test_size=0.1)
    assert plain.held.X["id"].tolist() == data["id"].tolist()[90:]


@pytest.mark.parametrize("kind", ["numbers", "dates", "texts", "categories"])
def test_numbers_dates_and_texts_tell_the_order(kind: str) -> None:
    data = table()
    times = {
        "numbers": data["id"] * 7.5,
        "dates": pd.to_datetime(data["day"]),
        "texts": data["day"],
        "categories": data["day"].astype("category"),
    }
    rows = prepare(data.assign(day=times[kind]), target="label", time_column="day")
    assert rows.held.X["id"].tolist() == list(range(75, 100))


def test_rows_without_a_target_and_given_labels_keep_their_places() -> None:
    data = table()
    data.loc[data["id"].isin([3.0, 80.0]), "label"] = None
    proba = np.stack([data["id"] / 100, 1 - data["id"] / 100], axis=1)
    rows = prepare(data, target="label", time_column="day")
    expected = [i for i in range(100) if i not in (3, 80)]
    assert [*rows.train.X["id"], *rows.held.X["id"]] == expected
    run = Labeller(resolve_source(proba, rows.table), rows).run(measure=False)
    np.testing.assert_allclose(run.labels.values[:, 0], rows.train.X["id"] / 100)
    np.testing.assert_allclose(run.held[:, 0], rows.held.X["id"] / 100)


def test_folds_are_blocks_so_no_teacher_labels_a_neighbour_of_its_own_rows() -> None:
    seen: list[set[float]] = []

    class Recorded(Memory):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            seen.append(set(np.asarray(X)[:, 0]))
            return super().fit(X, y)

    rows = prepare(table(), target="label", time_column="day")
    run = Labeller(resolve_source(Recorded(), rows.table), rows).run(measure=False)
    np.testing.assert_array_equal(run.labels.values, 0.5)
    blocks = [set(range(75)) - known for known in seen if len(known) < 75]
    assert sorted(map(sorted, blocks)) == [list(range(i, i + 15)) for i in range(0, 75, 15)]
    # The rows that judge come after all of them.
    assert max(map(max, seen)) < 75


def test_columns_recipes_and_parameters_are_judged_by_what_comes_next() -> None:
    rows = prepare(table(), target="label", time_column="day")
    run = Labeller(resolve_source(GaussianNB(), rows.table), rows).run(measure=False)
    lesson = Lesson(rows, run, 0)
    assert part_count(lesson) == 3
    for number, first in enumerate((60, 45, 30)):
        part = part_of(lesson, 0, number)
        assert part.data.train.X["id"].tolist() == list(range(first))
        assert part.data.held.X["id"].tolist() == list(range(first, first + 15))
    nested = Labeller(resolve_source(GaussianNB(), rows.table), rows).nested()
    assert [len(one.data.train) for one in nested] == [60, 45, 30]


def test_a_distillation_says_how_its_rows_were_split() -> None:
    data = table(160)
    options = {"target": "label", "teacher": GaussianNB(), "student": TreeStudent(max_depth=3)}
    result = kdcore.distill(data, time_column="day", max_features=1, recipe="fast", **options)
    told = result.report.to_dict()
    assert told["split"] == "ordered"
    assert told["selection"]["splits"] == 3
    assert told["student"]["features"] == ["x"]
    shuffled = kdcore.distill(data.drop(columns="day"), recipe="fast", **options)
    assert shuffled.report.to_dict()["split"] == "random"


def test_regression_and_comparisons_are_split_by_order_too() -> None:
    data = table(120)
    data["label"] = data["x"] * 2 + data["id"] / 50
    [pair] = kdcore.compare(
        data,
        target="label",
        time_column="day",
        teachers=[LinearRegression()],
        students=[LeastSquaresStudent()],
    ).pairs
    assert pair["split"] == "ordered"
    assert pair["rows"]["test"] == 30


def test_neighbours_that_resemble_each_other_do_not_make_the_verdict_surer() -> None:
    """Rows of one week say little more than one of them: an interval must not pretend else."""
    rng = np.random.default_rng(0)
    difference = np.repeat(rng.normal(0.1, 1, 60), 10)
    zero = np.zeros(600)
    _, alone = paired_interval(difference, zero)
    _, blocks = paired_interval(difference, zero, block=10)
    assert blocks[1] - blocks[0] > 2 * (alone[1] - alone[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "backwards"}, "use one of random, ordered"),
        ({"time_column": "dai"}, "no time column 'dai'. Did you mean 'day'?"),
        ({"time_column": "label"}, "two things at once"),
        ({"time_column": "gap"}, "is missing in 5 rows"),
        ({"time_column": "words"}, "no times such as 2026-01-31"),
        ({"time_column": "day", "test_size": 0.999}, "too few rows"),
        ({"time_column": "first"}, "one class only"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(options: Any, words: str) -> None:
    data = table().assign(words="soon")
    data["gap"] = data["id"].where(data["id"] >= 5)
    if options.get("time_column") == "first":
        data = data.assign(first=data["id"], label=np.where(data["id"] > 80, "up", "down"))
    with pytest.raises(KDError, match=words) as told:
        kdcore.distill(data, target="label", teacher=GaussianNB(), student=TreeStudent(), **options)
    assert "\n" not in str(told.value)
