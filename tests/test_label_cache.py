"""The label cache: the same bits without a fit, and new ones whenever anything differs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from small_models import SoftmaxStudent

import kdcore
from kdcore import TeacherSpec
from kdcore.label_cache import LabelCache, default_folder, fingerprint
from kdcore.table import labeled

FITS: list[int] = []


class CountedTeacher(DecisionTreeClassifier):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        FITS.append(len(y))
        return super().fit(X, y, sample_weight)


def make(task: str) -> CountedTeacher:
    return CountedTeacher(max_depth=3)


@pytest.fixture
def counted():
    FITS.clear()
    # Tests are no package, so the factory's module is named as it is.
    sys.modules.setdefault(__name__, sys.modules[make.__module__])
    spec = TeacherSpec(
        name="counted",
        summary="Counts its fits.",
        factory=f"{__name__}:make",
        tasks=("binary", "multiclass"),
    )
    with kdcore.register(spec):
        yield FITS


def iris() -> pd.DataFrame:
    return load_iris(as_frame=True).frame


def flipped(content: bytes) -> bytes:
    """One bit of the labels themselves."""
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


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
            # Without further labels for comparing recipes.
            **{"recipe": "fast", **options},
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

    def test_row_weights_make_new_ones(self, counted, cache):
        data = iris().assign(weight=np.linspace(1, 2, 150))
        assert not self.distill(cache, data, sample_weight="weight").report.teacher["cached"]
        data["weight"] = 1.0
        assert not self.distill(cache, data, sample_weight="weight").report.teacher["cached"]
        assert self.distill(cache, data, sample_weight="weight").report.teacher["cached"]

    def test_rows_without_labels_make_new_ones(self, counted, cache):
        extra = iris().drop(columns="target")
        self.distill(cache)
        first = self.distill(cache, unlabeled=extra)
        assert not first.report.teacher["cached"]
        second = self.distill(cache, unlabeled=extra)
        assert second.report.teacher["cached"]
        np.testing.assert_array_equal(first.student.weights_, second.student.weights_)

    def test_the_number_of_jobs_does_not(self, counted, cache):
        self.distill(cache, n_jobs=1)
        assert self.distill(cache, n_jobs=2).report.teacher["cached"]

    def test_comparisons_find_what_a_distillation_kept(self, counted, cache):
        self.distill(cache)
        fits = len(counted)
        result = kdcore.compare(
            iris(),
            target="target",
            teachers=["counted"],
            students=[SoftmaxStudent()],
            cache=cache,
        )
        assert result.pairs[0]["teacher"]["cached"]
        assert len(counted) == fits

    def test_another_version_of_a_library_makes_new_ones(self, counted, cache, monkeypatch):
        self.distill(cache)
        monkeypatch.setattr("kdcore.__version__", "9.9")
        assert not self.distill(cache).report.teacher["cached"]

    @pytest.mark.parametrize(
        "damage",
        [lambda b: b"", lambda b: b[:100], lambda b: b[:-9], lambda b: b"x" * 500, flipped],
        ids=["empty", "start", "end", "noise", "bit"],
    )
    def test_a_damaged_entry_is_made_again(self, counted, cache, damage):
        self.distill(cache)
        (entry,) = cache.folder.glob("*.npz")
        entry.write_bytes(damage(entry.read_bytes()))
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


def table(**columns: Any) -> Any:
    return labeled(pd.DataFrame({**columns, "y": ["p", "q"] * 2}), "y")


def test_categories_are_part_of_a_table_even_where_no_row_has_them():
    """Boosters see the codes of categories, so an unused one changes what they learn."""
    values, more = ["u", "v"] * 2, ["a", "u", "v"]
    known = labeled(pd.DataFrame({"c": ["a", *values], "y": ["p", "q", "p", "q", "p"]}), "y")
    fewer = table(c=pd.Categorical(values))
    assert list(known.X["c"].cat.categories) == more
    assert fingerprint(known.take(np.arange(1, 5))) != fingerprint(fewer)
    assert fingerprint(fewer) == fingerprint(table(c=values))


@pytest.mark.parametrize(
    "other",
    [{"c": [1, 2, 3, 5]}, {"d": [1, 2, 3, 4]}, {"c": [1.0, 2, 3, 4]}, {"c": list("1234")}],
    ids=["value", "name", "type", "text"],
)
def test_whatever_differs_in_a_table_shows(other):
    assert fingerprint(table(**other)) != fingerprint(table(c=[1, 2, 3, 4]))


def test_the_folder_is_the_one_that_the_user_names(monkeypatch, tmp_path):
    assert default_folder() == Path(os.environ["KD_CACHE_DIR"])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KD_CACHE_DIR", "~/mine")
    assert default_folder() == tmp_path / "mine"
    monkeypatch.delenv("KD_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "kdcore"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == tmp_path / ".cache" / "kdcore"


def test_a_user_without_a_home_has_a_cache_too(monkeypatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KD_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert default_folder().name == "kdcore"


def test_the_oldest_entries_go_when_there_is_too_much(counted, tmp_path, monkeypatch):
    cache = LabelCache(tmp_path)
    TestTheCache().distill(cache)
    (old,) = tmp_path.glob("*.npz")
    os.utime(old, (1, 1))
    monkeypatch.setattr("kdcore.label_cache._MAX_BYTES", old.stat().st_size + 10)
    TestTheCache().distill(cache, random_state=1)
    assert not old.exists()
    assert len(list(tmp_path.glob("*.npz"))) == 1
