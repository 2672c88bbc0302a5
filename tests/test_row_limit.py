"""Large tables behind wide encodings: how many rows are learned from, and that the user is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB
from small_models import SoftmaxStudent

from kdcore import SoftTargets
from kdcore.encoders import make_encoder
from kdcore.recipe import Recipe, default_recipe, plain_recipe
from kdcore.recipe_fit import Lesson, fit_student
from kdcore.resolve import Resolved
from kdcore.row_limit import affordable_rows
from kdcore.sources import resolve_source
from kdcore.specs import StudentRecipe
from kdcore.splits import prepare
from kdcore.teacher_run import run_teacher


def table(n: int) -> tuple[pd.DataFrame, SoftTargets]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("abcde"))
    X["city"] = pd.Categorical(rng.choice([f"c{i}" for i in range(30)], n))
    y = (X["a"] + rng.normal(size=n) > 0).to_numpy().astype(int)
    return X, SoftTargets(labels=y, classes=np.array([0, 1]))


ENCODERS = ["standard", "ordinal", "quantile", "ple", "spline", "teacher_bins:pairs=5"]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ENCODERS), st.integers(500, 4000), st.integers(20_000, 400_000))
def test_what_is_fitted_never_takes_more_cells_than_are_allowed(encoder, n, most):
    X, targets = table(n)
    student = SoftmaxStudent(encoder=encoder)
    rows, note = affordable_rows(student, X, targets, most_cells=most)
    chosen = np.arange(n) if rows is None else rows
    fitted = make_encoder(encoder).fit(X, targets)
    allowed = max(most, 2 * X.size)
    assert len(chosen) * len(fitted.owners_) <= allowed
    assert (rows is None) == (note == "")
    if rows is not None:
        assert (np.diff(rows) > 0).all()
        assert (len(rows) + 1) * len(fitted.owners_) > allowed
        assert f"{len(rows):,} of {n:,} rows" in note
        assert "\n" not in note


def test_an_encoding_as_wide_as_the_table_is_never_cut():
    X, targets = table(3000)
    rows, note = affordable_rows(SoftmaxStudent(encoder="ordinal"), X, targets, most_cells=1)
    assert rows is None
    assert note == ""


def test_the_same_seed_draws_the_same_rows():
    X, targets = table(2000)
    student = SoftmaxStudent(encoder="ple")
    one, two, other = (
        affordable_rows(student, X, targets, most_cells=50_000, random_state=seed)[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_the_report_is_told_once_and_the_student_still_learns():
    X, targets = table(3000)
    rows = prepare(X.assign(label=targets.labels.astype(str)), target="label")
    source = resolve_source(GaussianNB(), rows.table)
    lesson = Lesson(rows, run_teacher(source, rows.train, rows.held, folds=2, random_state=0,
                                      n_jobs=1), 0)  # fmt: skip
    student = Resolved("softmax", SoftmaxStudent())
    for _ in range(2):
        model = fit_student(student, lesson, plain_recipe("ple"), most_cells=40_000)
    assert len(lesson.told) == 1
    assert "the student learned from" in lesson.told[0]
    assert model.predict_proba(rows.held.X)[:, 1][rows.held.X["a"] > 1].mean() > 0.7


@pytest.mark.parametrize(("n", "made"), [(4_000, 10), (20_000, 3), (59_999, 1), (60_000, 0)])
def test_tables_with_rows_enough_get_no_synthetic_ones_unless_asked_for(n, made):
    student = Resolved("softmax", SoftmaxStudent(), recipe=StudentRecipe(augment=10))
    options = {"mode": "fast", "n_columns": 5, "can_be_asked": True, "unlabeled": False}
    assert default_recipe(student, n_rows=n, **options).augment == made
    assert default_recipe(student, n_rows=n, augment=3, **options).augment == 3


def test_a_wish_for_more_rows_than_are_made_is_answered_in_words():
    X, targets = table(300)
    rows = prepare(X.drop(columns="city").assign(label=targets.labels.astype(str)), target="label")
    source = resolve_source(GaussianNB(), rows.table)
    run = run_teacher(source, rows.train, rows.held, folds=2, random_state=0, n_jobs=1)
    lesson = Lesson(rows, run, 0)
    assert lesson.augmented(Recipe(name="x", augment=1000)) == 225_000
    assert not lesson.told
    for _ in range(2):
        assert lesson.augmented(Recipe(name="x", augment=2000)) == 250_000
    assert len(lesson.told) == 1
    assert "450,000; 250,000 were made" in lesson.told[0]
