"""Comparisons: one labelling a teacher, failures as rows, nothing lost, nothing mixed up."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from small_models import LeastSquaresStudent, SoftmaxStudent, TreeStudent

import kdcore
from kdcore import KDError, TeacherSpec
from kdcore.comparison import Comparison

FITS = []


class CountedTeacher(DecisionTreeClassifier):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        FITS.append(len(y))
        return super().fit(X, y, sample_weight)


def make(task: str) -> CountedTeacher:
    return CountedTeacher(max_depth=3)


@pytest.fixture
def counted():
    FITS.clear()
    spec = TeacherSpec(
        name="counted",
        summary="Counts its fits.",
        factory=f"{__name__}:make",
        tasks=("binary", "multiclass"),
    )
    import sys

    # Tests are no package, so the factory's module is named as it is.
    sys.modules.setdefault(__name__, sys.modules[make.__module__])
    with kdcore.register(spec):
        yield FITS


def iris() -> pd.DataFrame:
    return load_iris(as_frame=True).frame


def test_ten_students_cost_one_labelling(counted):
    students = [SoftmaxStudent(penalty=10.0**-k) for k in range(10)]
    result = kdcore.compare(iris(), target="target", teachers=["counted"], students=students)
    assert len(result.pairs) == 10
    assert not any("error" in pair for pair in result.pairs)
    assert len(counted) == 6  # five folds, and all rows


def test_a_pair_that_fails_is_a_row_and_the_others_go_on(counted):
    result = kdcore.compare(
        iris(),
        target="target",
        teachers=["nosuch", "counted"],
        students=[SoftmaxStudent(), LeastSquaresStudent(), TreeStudent()],
    )
    errors = [pair.get("error") for pair in result.pairs]
    assert [e is None for e in errors] == [False, False, False, True, False, True]
    assert "nosuch" in errors[0]
    assert "LeastSquaresStudent cannot do the task" in errors[4]
    frame = result.to_frame()
    assert list(frame["error"].isna()) == [True, True, False, False, False, False]
    json.dumps(result.to_dict())


def test_finished_pairs_are_not_computed_again(counted, tmp_path):
    options = {"target": "target", "teachers": ["counted"], "output": tmp_path}
    first = kdcore.compare(iris(), students=[SoftmaxStudent()], **options)
    fits = len(counted)
    again = kdcore.compare(iris(), students=[SoftmaxStudent()], **options)
    assert again.pairs == first.pairs
    assert len(counted) == fits
    kdcore.compare(iris().iloc[1:], students=[SoftmaxStudent()], **options)
    assert len(counted) > fits  # other rows, other pairs


def test_a_failure_is_tried_again(counted, tmp_path):
    options = {"target": "target", "students": [SoftmaxStudent()], "output": tmp_path}
    first = kdcore.compare(iris(), teachers=["late"], **options)
    assert "error" in first.pairs[0]
    spec = TeacherSpec(
        name="late",
        summary="Installed later.",
        factory=f"{__name__}:make",
        tasks=("multiclass",),
    )
    with kdcore.register(spec):
        assert "error" not in kdcore.compare(iris(), teachers=["late"], **options).pairs[0]


def test_empty_lists_are_refused():
    with pytest.raises(KDError, match="at least one teacher and one student"):
        kdcore.compare(iris(), target="target", teachers=[], students=["ridge"])


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=8))
def test_the_front_holds_exactly_what_nothing_beats(points):
    pairs = [
        {
            "teacher": {"name": "t", "metrics": None},
            "student": {"name": "s", "metrics": {"rmse": a}, "fidelity": None},
            "plain": {"metrics": {"rmse": a}},
            "verdict": {"metric": "rmse", "gap_closed": None, "choice": "plain"},
            "latency_us": {"student": {"single": b}},
            "size_bytes": {"student": c + 1},
        }
        for a, b, c in points
    ]
    beaten = {
        i
        for i, p in enumerate(points)
        for q in points
        if q != p and all(x <= y for x, y in zip(q, p, strict=True))
    }
    assert set(Comparison(pairs).pareto()) == set(range(len(points))) - beaten
    assert Comparison(pairs).to_frame()["pareto"].sum() == len(points) - len(beaten)


class Broken(TreeStudent):
    """Fails in a way that no one foresaw."""

    def get_selected_features(self) -> list[str]:
        raise ZeroDivisionError("a fault of\nthe plugin")


def test_a_fault_of_a_plugin_costs_its_own_pair_only(counted):
    result = kdcore.compare(
        iris(), target="target", teachers=["counted"], students=[Broken(), TreeStudent()]
    )
    assert result.pairs[0]["error"] == "unexpected ZeroDivisionError: a fault of the plugin"
    assert "error" not in result.pairs[1]


def test_a_teacher_that_fails_is_asked_once_and_fails_every_pair_of_its_own(counted):
    asked = []

    def broken(frame: pd.DataFrame) -> Any:
        asked.append(len(frame))
        raise OSError("no connection")

    result = kdcore.compare(
        iris(), target="target", teachers=[broken, "counted"], students=[TreeStudent()] * 2
    )
    assert len(asked) == 1
    assert ["error" in pair for pair in result.pairs] == [True, True, False, False]
    assert result.pairs[0]["teacher"] == {"name": "broken"}
    assert "no connection" in result.pairs[0]["error"]


def test_models_of_one_class_are_told_apart_when_pairs_are_kept(counted, tmp_path):
    options = {"target": "target", "output": tmp_path, "fitted": "held-out", "recipe": "plain"}
    data = iris()
    X, y = data.drop(columns="target"), data["target"]
    teachers = [DecisionTreeClassifier(max_depth=d).fit(X, y) for d in (1, 3)]
    students = [SoftmaxStudent(penalty=p) for p in (1e-3, 10.0)]
    result = kdcore.compare(data, teachers=teachers, students=students, **options)
    losses = {pair["student"]["metrics"]["log_loss"] for pair in result.pairs}
    assert len(losses) == 4
    assert kdcore.compare(data, teachers=teachers, students=students, **options) == result


def test_pairs_of_a_function_are_not_kept_since_it_may_change(tmp_path):
    def ask(frame: pd.DataFrame, sure: float = 0.9) -> Any:
        p = (frame["petal width (cm)"] > 0.8).to_numpy()[:, None]
        return p * [1 - sure, sure / 2, sure / 2] + ~p * [sure, (1 - sure) / 2, (1 - sure) / 2]

    kdcore.compare(
        iris(), target="target", teachers=[ask], students=[TreeStudent()], output=tmp_path
    )
    assert not list((tmp_path / "pairs").glob("*.json"))


def test_several_teachers_in_one_are_a_row_called_by_their_names(counted):
    result = kdcore.compare(
        iris(),
        target="target",
        teachers=[["counted", "counted"], ["counted", "nosuch"]],
        students=[TreeStudent()],
    )
    names = [pair["teacher"]["name"] for pair in result.pairs]
    assert names == ["counted + counted", "counted + nosuch"]


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_pair_is_made_again(counted, tmp_path, content):
    options = {"target": "target", "teachers": ["counted"], "output": tmp_path}
    first = kdcore.compare(iris(), students=[SoftmaxStudent()], **options)
    (kept,) = (tmp_path / "pairs").glob("*.json")
    kept.write_text(content)
    again = kdcore.compare(iris(), students=[SoftmaxStudent()], **options)
    assert again.pairs[0]["student"]["metrics"] == first.pairs[0]["student"]["metrics"]


def test_what_a_kill_left_half_written_is_no_pair(counted, tmp_path):
    options = {"target": "target", "teachers": ["counted"], "output": tmp_path}
    kdcore.compare(iris(), students=[SoftmaxStudent()], **options)
    (kept,) = (tmp_path / "pairs").glob("*.json")
    kept.rename(kept.with_name(f".{kept.name}.x7k2.json"))
    fits = len(counted)
    kdcore.compare(iris(), students=[SoftmaxStudent()], **options)
    assert len(counted) > fits
    assert kept.exists()


def test_a_folder_that_cannot_be_made_is_named(counted, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KDError, match="cannot write to the folder"):
        kdcore.compare(
            iris(),
            target="target",
            teachers=["counted"],
            students=[TreeStudent()],
            output=tmp_path / "file" / "below",
        )


def test_the_frame_shows_the_best_student_first_and_holds_the_numbers_of_the_pairs(counted):
    result = kdcore.compare(
        iris(),
        target="target",
        teachers=["counted"],
        students=[SoftmaxStudent(penalty=100.0), SoftmaxStudent(), LeastSquaresStudent()],
    )
    frame = result.to_frame()
    losses = frame["log_loss_student"].dropna()
    assert losses.is_monotonic_increasing
    for row in frame.dropna(subset="log_loss_student").to_dict("records"):
        (pair,) = [
            p
            for p in result.pairs
            if "error" not in p and p["student"]["metrics"]["log_loss"] == row["log_loss_student"]
        ]
        assert row["log_loss_plain"] == pair["plain"]["metrics"]["log_loss"]
        assert row["log_loss_teacher"] == pair["teacher"]["metrics"]["log_loss"]
        assert row["fidelity"] == pair["student"]["fidelity"]["agreement"]
        assert row["latency_us"] == pair["latency_us"]["student"]["single"]
    assert set(result.to_dict()) == {"pairs", "pareto"}


def test_each_pair_is_distilled_within_each_budget_by_one_labelling(counted, tmp_path):
    options = {
        "target": "target",
        "teachers": ["counted"],
        "students": [TreeStudent(), TreeStudent(max_depth=2)],
        "max_features": [1, 0.5, None],
        "selector": "mrmr",
        "relabel": "never",
        "drop": ["sepal width (cm)"],
        "output": tmp_path,
    }
    result = kdcore.compare(iris(), **options)
    assert not any("error" in pair for pair in result.pairs)
    fits = len(counted)
    assert fits == 6  # mRMR needs no teacher
    read = [len(pair["student"]["features"]) for pair in result.pairs]
    assert all(n <= most for n, most in zip(read, [1, 2, 3] * 2, strict=True))
    frame = result.to_frame()
    assert sorted(map(str, frame["max_features"])) == ["0.5", "0.5", "1", "1", "None", "None"]
    assert (frame["columns"] >= 1).all()
    # Budgets are kept apart in the folder.
    assert kdcore.compare(iris(), **options).pairs == result.pairs
    assert len(counted) == fits


def test_students_and_budgets_share_the_teachers_that_columns_are_judged_by(counted):
    """Each of them used to fit the same five teachers anew."""
    kdcore.compare(
        iris(),
        target="target",
        teachers=["counted"],
        students=[TreeStudent(), TreeStudent(max_depth=2)],
        max_features=[1, 2],
        selector="teacher_gain",
        relabel="never",
    )
    assert len(counted) == 6 + 5


def test_a_budget_that_cannot_be_meant_ends_a_comparison_before_any_fit(counted):
    base = {"target": "target", "teachers": ["counted"], "students": [TreeStudent()]}
    for options, words in (
        ({"max_features": [2, 0]}, "leaves no column"),
        ({"max_features": []}, "name at least one budget"),
        ({"max_features": 2, "keep": ["petal"]}, "no column 'petal'"),
        ({"relabel": "always"}, "give max_features too"),
    ):
        with pytest.raises(KDError, match=words):
            kdcore.compare(iris(), **base, **options)
    assert not counted
    # What one pair cannot do is a row, and says which budget it was.
    [one, other] = kdcore.compare(
        iris(), **base | {"students": ["nobody"]}, max_features=[1, 2]
    ).pairs
    assert (one["max_features"], other["max_features"]) == (1, 2)
