"""Corrected labels: what a good teacher keeps, what a weak one gains, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from small_models import RegressionTreeStudent, SoftmaxStudent, TreeStudent

import kdcore
from kdcore import KDError, SoftTargets
from kdcore.label_correction import DaoCorrection, corrected, make_correction, teacher_error
from kdcore.recipe import Recipe
from kdcore.recipe_fit import Lesson
from kdcore.sources import resolve_source
from kdcore.splits import prepare
from kdcore.teacher_run import run_teacher


def problem(n: int = 4000, k: int = 3, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns and the true probabilities of the classes."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    z = np.column_stack([1.5 * X["a"], 1.5 * np.sin(2 * X["b"]), X["a"] * X["b"]])[:, :k]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return X, p / p.sum(axis=1, keepdims=True)


def drawn(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)


def targets_of(teacher: np.ndarray, labels: np.ndarray, **more: object) -> SoftTargets:
    options = {"classes": np.arange(teacher.shape[1]), "provenance": "out-of-fold", **more}
    return SoftTargets(labels=labels, teacher=teacher, **options)


class TestShares:
    @settings(max_examples=10)
    @given(st.floats(0.0, 1.2), st.integers(2, 3), st.integers(0, 20))
    def test_a_perfect_teacher_stays_what_it_is_in_the_mean_over_labels(self, error, k, seed):
        X, p = problem(400, k, seed)
        rng = np.random.default_rng(seed)
        draws = 300
        total = np.zeros_like(p)
        for _ in range(draws):
            new, _ = corrected(DaoCorrection(error=error), X, targets_of(p, drawn(p, rng)))
            assert (new.teacher >= 0).all()
            np.testing.assert_allclose(new.teacher.sum(axis=1), 1)
            total += new.teacher
        # The mean over rows as well, so that chance has little part in it.
        assert np.abs(total / draws - p).mean() < 1.5 * 0.5 / draws**0.5
        np.testing.assert_allclose((total / draws - p).mean(axis=0), 0, atol=0.01)

    def test_without_an_error_nothing_changes_and_a_hopeless_teacher_gives_way_to_labels(self):
        X, p = problem(200)
        y = drawn(p, np.random.default_rng(0))
        same, told = corrected(DaoCorrection(error=0.0), X, targets_of(p, y))
        np.testing.assert_allclose(same.teacher, p, rtol=1e-12)
        assert told == {"error": 0.0, "label_share": 0.0}
        labels, _ = corrected(DaoCorrection(error=1e3), X, targets_of(p, y))
        np.testing.assert_allclose(labels.teacher, labels.one_hot, atol=1e-5)

    def test_a_sure_teacher_is_corrected_more_than_an_unsure_one(self):
        p = np.array([[0.98, 0.02], [0.8, 0.2], [0.5, 0.5]])
        shares = DaoCorrection().shares(targets_of(p, np.array([0, 0, 0])), 0.1)
        assert shares[0] > shares[1] > shares[2] > 0

    def test_rows_without_a_label_keep_the_teacher(self):
        X, p = problem(300)
        y = np.where(np.arange(300) < 100, drawn(p, np.random.default_rng(0)), -1)
        new, _ = corrected(DaoCorrection(error=0.3), X, targets_of(p, y))
        np.testing.assert_allclose(new.teacher[100:], p[100:], rtol=1e-12)
        assert (new.teacher[:100] != p[:100]).any(axis=1).all()


class TestTeacherError:
    def test_noise_of_labels_is_not_taken_for_mistakes_of_the_teacher(self):
        X, p = problem()
        for seed in range(3):
            y = drawn(p, np.random.default_rng(seed))
            assert teacher_error(X, targets_of(p, y), random_state=seed) < 0.06

    def test_the_mistake_of_an_underfit_teacher_is_found(self):
        X, p = problem()
        weak = 0.4 * p + 0.6 * p.mean(axis=0)
        real = np.sqrt(((weak - p) ** 2).sum(axis=1).mean())
        y = drawn(p, np.random.default_rng(0))
        assert 0.6 * real < teacher_error(X, targets_of(weak, y)) < 1.1 * real

    def test_weights_count_and_rows_without_weight_or_label_do_not(self):
        X, p = problem()
        y = drawn(p, np.random.default_rng(0))
        # Upside down in the second half.
        teacher = np.where((np.arange(len(p)) < 2000)[:, None], p, p[:, ::-1])
        first = (np.arange(len(p)) < 2000).astype(float)
        assert teacher_error(X, targets_of(teacher, y)) > 0.3
        assert teacher_error(X, targets_of(teacher, y, sample_weight=first)) < 0.08
        hidden = np.where(first > 0, y, -1)
        assert teacher_error(X, targets_of(teacher, hidden)) < 0.08

    def test_a_regression_is_told_from_its_noise(self):
        X, _ = problem(3000)
        rng = np.random.default_rng(0)
        truth = 3 * X["a"].to_numpy() + np.sin(2 * X["b"].to_numpy())
        y = truth + rng.normal(size=len(X))
        for teacher, low, high in ((truth, 0.0, 0.2), (0.5 * truth, 1.1, 1.7)):
            targets = SoftTargets(labels=y, teacher=teacher, provenance="out-of-fold")
            assert low <= teacher_error(X, targets) < high

    def test_the_same_seed_gives_the_same_bits(self):
        X, p = problem(800)
        targets = targets_of(0.5 * p + 1 / 6, drawn(p, np.random.default_rng(0)))
        one, told = corrected(DaoCorrection(), X, targets, random_state=3)
        two, again = corrected(DaoCorrection(), X, targets, random_state=3)
        np.testing.assert_array_equal(one.teacher, two.teacher)
        assert told == again

    def test_gaps_texts_and_few_rows_are_no_trouble(self):
        X, p = problem(300)
        X["city"] = np.where(X["a"] > 0, "Ulm", None)
        X.loc[::7, "b"] = np.nan
        y = drawn(p, np.random.default_rng(0))
        assert np.isfinite(teacher_error(X, targets_of(p, y)))
        few = targets_of(p, y).take(slice(20))
        assert teacher_error(X.iloc[:20], few) == 0


class TestStudents:
    def test_the_bias_of_an_underfit_teacher_becomes_smaller_in_the_student(self):
        """A stump's student cannot know more than the stump, unless labels correct it."""
        X, p = problem(3000)
        y = drawn(p, np.random.default_rng(0))
        table = X.assign(label=y.astype(str))
        options = {
            "target": "label",
            "teacher": DecisionTreeClassifier(max_depth=1),
            "student": TreeStudent(),
            "recipe": "plain",
            "alpha": 1.0,
        }
        as_it_is = kdcore.distill(table, **options)
        better = kdcore.distill(table, label_correction="dao", **options)
        wrong = [np.abs(r.student.predict_proba(X) - p).mean() for r in (as_it_is, better)]
        assert wrong[1] < 0.8 * wrong[0]
        told = better.report.recipe["label_correction"]
        assert told["name"] == "dao"
        assert told["error"] > 0.2
        assert 0 < told["label_share"] < 1
        assert as_it_is.report.recipe["label_correction"] is None

    def test_both_estimators_take_it(self):
        X, p = problem(300)
        y = drawn(p, np.random.default_rng(0))
        options = {"label_correction": "dao:error=0.5", "recipe": "plain"}
        model = kdcore.DistillationClassifier(
            teacher=GaussianNB(), student=SoftmaxStudent(), **options
        )
        plain = kdcore.DistillationClassifier(
            teacher=GaussianNB(), student=SoftmaxStudent(), recipe="plain"
        )
        assert (model.fit(X, y).predict_proba(X) != plain.fit(X, y).predict_proba(X)).any()
        regressor = kdcore.DistillationRegressor(
            teacher=DecisionTreeRegressor(max_depth=2), student=RegressionTreeStudent(), **options
        )
        assert np.isfinite(regressor.fit(X, p[:, 0]).predict(X)).all()

    def test_two_corrections_do_not_share_kept_rows(self):
        X, p = problem(300)
        rows = prepare(X.assign(label=drawn(p, np.random.default_rng(0))), target="label")
        source = resolve_source(GaussianNB(), rows.table)
        run = run_teacher(source, rows.train, rows.held, folds=4, random_state=0, n_jobs=1)
        lesson = Lesson(rows, run, 0)
        recipes = [
            Recipe(name="x", augment=1, correction=correction)
            for correction in (None, DaoCorrection(error=0.1), DaoCorrection(error=0.5))
        ]
        outputs = [lesson.transfer_set(recipe)[1].teacher for recipe in recipes]
        n = len(lesson.data.train)
        for other in outputs[1:]:
            assert (other[:n] != outputs[0][:n]).any()
            # Synthetic rows have no label to correct them.
            np.testing.assert_array_equal(other[n:], outputs[0][n:])
        assert (outputs[1] != outputs[2]).any()


class TestBadInput:
    @pytest.mark.parametrize(
        ("given_correction", "words"),
        [
            ("doa", "label_correction='doa' is not known; use dao. Did you mean 'dao'"),
            ("dao:eror=1", "'dao' has no parameter 'eror'"),
            ("dao:error=-1", "error=-1.0 must be None or a number of at least 0"),
            ("dao:rows=0", "rows=0.0 must be a number above 0"),
            (3, "label_correction=3 must be a name"),
        ],
    )
    def test_what_cannot_be_used_is_refused_in_one_line(self, given_correction, words):
        with pytest.raises(KDError, match=words) as caught:
            make_correction(given_correction)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("ignored", [{"alpha": 0.0}, {"loss": "label_smoothing"}])
    def test_a_correction_that_no_student_would_hear_is_refused(self, ignored):
        X, p = problem(200)
        table = X.assign(label=drawn(p, np.random.default_rng(0)))
        with pytest.raises(KDError, match="leave one of them out"):
            kdcore.distill(
                table,
                target="label",
                teacher=GaussianNB(),
                student=SoftmaxStudent(),
                label_correction="dao",
                **ignored,
            )

    def test_in_sample_labels_cannot_tell_the_teachers_error(self):
        X, p = problem(200)
        y = drawn(p, np.random.default_rng(0))
        with pytest.raises(KDError, match="labels of rows that the teacher has not seen"):
            corrected(DaoCorrection(), X, targets_of(p, y, provenance="in-sample"))
