"""Comparisons and the label cache: one labelling a teacher, failures as rows, nothing lost."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
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
from kdcore.label_cache import LabelCache

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


class TestTheCache:
    @pytest.fixture
    def cache(self, tmp_path) -> LabelCache:
        return LabelCache(tmp_path / "labels")

    def distill(self, cache: LabelCache, data: pd.DataFrame | None = None, **options: Any) -> Any:
        return kdcore.distill(
            iris() if data is None else data,
            target="target",
            teacher="counted",
            student=SoftmaxStudent(),
            cache=cache,
            **options,
        )

    def test_a_second_student_costs_no_fit_and_gets_the_same_bits(self, counted, cache):
        first = self.distill(cache)
        fits = len(counted)
        second = self.distill(cache)
        assert len(counted) == fits
        assert second.report.teacher["cached"]
        assert any("cache" in note for note in second.report.notes)
        np.testing.assert_array_equal(first.student.weights_, second.student.weights_)
        assert first.report.teacher["metrics"] == second.report.teacher["metrics"]
        assert first.report.verdict == second.report.verdict

    @pytest.mark.parametrize(
        "change",
        [
            {"data": iris().iloc[1:]},
            {"data": iris().assign(target=lambda f: 2 - f["target"])},
            {"data": iris().rename(columns={"petal width (cm)": "width"})},
            {"teacher_params": {"max_depth": 2}},
            {"folds": 4},
            {"random_state": 1},
            {"test_size": 0.3},
        ],
        ids=["rows", "labels", "names", "parameters", "folds", "seed", "split"],
    )
    def test_whatever_labels_depend_on_makes_new_ones(self, counted, cache, change):
        self.distill(cache)
        fits = len(counted)
        assert not self.distill(cache, **change).report.teacher["cached"]
        assert len(counted) > fits

    def test_another_version_of_a_library_makes_new_ones(self, counted, cache, monkeypatch):
        self.distill(cache)
        monkeypatch.setattr("kdcore.__version__", "9.9")
        assert not self.distill(cache).report.teacher["cached"]

    def test_a_damaged_entry_is_made_again(self, counted, cache):
        self.distill(cache)
        (entry,) = cache.folder.glob("*.npz")
        entry.write_bytes(entry.read_bytes()[:100])
        assert not self.distill(cache).report.teacher["cached"]
        assert self.distill(cache).report.teacher["cached"]

    def test_a_cache_that_cannot_be_written_is_no_error(self, counted, tmp_path):
        (tmp_path / "file").touch()
        report = self.distill(LabelCache(tmp_path / "file" / "below")).report
        assert not report.teacher["cached"]

    def test_a_teacher_given_as_an_object_is_not_cached(self, cache):
        for _ in range(2):
            report = kdcore.distill(
                iris(),
                target="target",
                teacher=DecisionTreeClassifier(max_depth=3),
                student=SoftmaxStudent(),
                cache=cache,
            ).report
            assert not report.teacher["cached"]
