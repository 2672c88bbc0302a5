"""Teachers that users already have: not refitted in silence, classes aligned, origin told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from small_models import LeastSquaresStudent, SoftmaxStudent, TreeStudent

import kdcore
from kdcore import GivenLabels, KDError
from kdcore.errors import KDWarning
from kdcore.given import checked_weights
from kdcore.recipe import Recipe
from kdcore.recipe_fit import Lesson
from kdcore.sources import resolve_source
from kdcore.splits import prepare
from kdcore.teacher_run import run_teacher


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "width": rng.normal(size=n),
            "height": rng.normal(size=n),
            "city": rng.choice(["Ulm", "Bonn", "Kiel"], n),
        }
    )
    score = frame["width"] + (frame["city"] == "Ulm") + rng.normal(0, 0.5, n)
    frame["label"] = pd.cut(score, [-9, 0, 1, 9], labels=["small", "fair", "large"]).astype(str)
    return frame


def pipeline(model: Any = None) -> Any:
    """What stands in many notebooks: raw columns in, probabilities out."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
    )
    return make_pipeline(columns, model or LogisticRegression(max_iter=500))


def fitted_elsewhere() -> Any:
    other = table(400, seed=1)
    return pipeline().fit(other.drop(columns="label"), other["label"])


def distill(teacher: Any = None, data: pd.DataFrame | None = None, **options: Any) -> Any:
    options.setdefault("student", SoftmaxStudent())
    data = table() if data is None else data
    return kdcore.distill(data, target="label", teacher=teacher, **options)


def soft(data: pd.DataFrame | None = None) -> pd.DataFrame:
    """The pipeline's probabilities for all rows of the table, columns called by class."""
    data = table() if data is None else data
    teacher = fitted_elsewhere()
    proba = teacher.predict_proba(data.drop(columns="label"))
    return pd.DataFrame(proba, columns=[f"proba_{c}" for c in teacher.classes_])


class TestAFittedTeacher:
    def test_its_labels_are_called_in_sample_and_the_user_is_warned(self):
        with pytest.warns(KDWarning, match="in-sample"):
            result = distill(fitted_elsewhere())
        assert result.report.teacher["labels"] == "in-sample"

    def test_other_rows_are_believed_if_the_user_says_so(self):
        teacher = fitted_elsewhere()
        before = teacher[-1].coef_.copy()
        result = distill(teacher, fitted="held-out")
        assert result.report.teacher["labels"] == "held-out"
        assert result.report.recipe["folds"] is None
        np.testing.assert_array_equal(teacher[-1].coef_, before)
        # It answers exactly what it would answer its owner.
        assert result.report.teacher["metrics"]["log_loss"] < 0.9

    def test_clones_are_fitted_only_if_the_user_allows_it(self):
        teacher = fitted_elsewhere()
        before = teacher[-1].coef_.copy()
        result = distill(teacher, fitted="refit")
        assert result.report.teacher["labels"] == "out-of-fold"
        np.testing.assert_array_equal(teacher[-1].coef_, before)
        assert not np.array_equal(result.teacher[-1].coef_, before)

    def test_a_frozen_estimator_is_a_fitted_teacher(self):
        result = distill(FrozenEstimator(fitted_elsewhere()), fitted="held-out")
        assert result.report.teacher["name"] == "Pipeline"

    def test_columns_that_the_table_lacks_are_named(self):
        with pytest.raises(KDError, match=r"fitted on 1 column.*'height'"):
            distill(fitted_elsewhere(), table().drop(columns="height"), fitted="held-out")

    def test_classes_that_the_table_lacks_are_named(self):
        other = table(400, seed=1).replace({"label": {"fair": "medium"}})
        teacher = pipeline().fit(other.drop(columns="label"), other["label"])
        with pytest.raises(KDError, match="'medium', which the table does not have"):
            distill(teacher, fitted="held-out")

    def test_a_wrong_kind_of_model_is_refused(self):
        X, y = table()[["width", "height"]], np.arange(200.0)
        with pytest.raises(KDError, match="LinearRegression has no predict_proba"):
            distill(LinearRegression().fit(X, y))

    def test_parameters_for_it_are_refused_since_nothing_is_fitted(self):
        with pytest.raises(KDError, match=r"teacher parameters \(C\) cannot be used"):
            distill(fitted_elsewhere(), teacher_params={"C": 2})

    @pytest.mark.parametrize(
        ("teacher", "name"),
        [
            (LogisticRegression(), "LogisticRegression"),
            (lambda X: np.full((len(X), 3), 1 / 3), "<lambda>"),
            (GivenLabels(np.full((200, 3), 1 / 3)), "given labels"),
        ],
        ids=["unfitted", "callable", "given"],
    )
    def test_what_it_was_fitted_on_is_not_said_of_others(self, teacher, name):
        with pytest.raises(KDError, match=f"fitted, which {name} does not"):
            distill(teacher, fitted="held-out")

    def test_what_has_no_fit_cannot_be_fitted_anew(self):
        class Answers:
            def __init__(self) -> None:
                inner = fitted_elsewhere()
                self.classes_, self.predict_proba = inner.classes_, inner.predict_proba

            def predict(self, X: Any) -> Any:
                return self.classes_[self.predict_proba(X).argmax(axis=1)]

        with pytest.raises(KDError, match="Answers has no fit"):
            distill(Answers(), fitted="refit")

    def test_a_word_that_is_not_known_is_refused(self):
        with pytest.raises(KDError, match="fitted='maybe'"):
            distill(fitted_elsewhere(), fitted="maybe")


class TestGivenLabels:
    def test_columns_are_matched_to_classes_by_name(self):
        shuffled = soft()[["proba_small", "proba_large", "proba_fair"]]
        first, second = distill(teacher_proba=soft()), distill(teacher_proba=shuffled)
        assert first.report.teacher["labels"] == "given"
        np.testing.assert_array_equal(first.student.weights_, second.student.weights_)

    def test_an_array_is_in_the_order_of_the_sorted_classes(self):
        first, second = distill(teacher_proba=soft()), distill(teacher_proba=soft().to_numpy())
        np.testing.assert_array_equal(first.student.weights_, second.student.weights_)

    def test_logits_are_turned_into_probabilities(self):
        logits = np.log(soft().to_numpy()) + 3.0
        named = pd.DataFrame(logits, columns=["logit_fair", "logit_large", "logit_small"])
        first = distill(teacher_proba=soft())
        for other in (distill(teacher_logits=logits), distill(teacher_proba=named)):
            np.testing.assert_allclose(other.student.weights_, first.student.weights_, atol=1e-6)

    def test_one_column_is_enough_for_two_classes(self):
        data = table().replace({"label": {"fair": "large"}})
        p = np.linspace(0.1, 0.9, 200)
        first = distill(data=data, teacher_proba=p, student=TreeStudent())
        second = distill(
            data=data, teacher_proba=np.stack([1 - p, p], axis=1), student=TreeStudent()
        )
        assert first.report.student["metrics"] == second.report.student["metrics"]

    def test_rows_without_a_target_keep_the_rows_aligned(self):
        data, labels = table(), soft()
        data.loc[::9, "label"] = None
        kept = data["label"].notna()
        dropped = distill(data=data[kept], teacher_proba=labels[kept])
        given = distill(data=data, teacher_proba=labels)
        np.testing.assert_array_equal(given.student.weights_, dropped.student.weights_)

    def test_a_table_of_its_own_for_testing_leaves_the_teacher_without_a_score(self):
        report = distill(teacher_proba=soft(), test=table(100, seed=5)).report
        assert report.teacher["metrics"] is None
        assert report.student["fidelity"] is None
        assert report.verdict["gap_closed"] is None

    def test_values_are_given_in_a_regression(self):
        data = table().assign(label=np.arange(200.0))
        result = distill(
            data=data, teacher_proba=np.arange(200.0) + 1, student=LeastSquaresStudent()
        )
        assert result.report.teacher["metrics"]["rmse"] == pytest.approx(1)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda p: p[:-1], "199 rows, but the table has 200"),
            (lambda p: p[:, :2], "2 columns, but the table has 3 classes"),
            (lambda p: np.where(np.arange(200)[:, None] == 7, np.nan, p), "row 7 are missing"),
            (lambda p: np.where(np.arange(200)[:, None] == 7, [-1, 1, 1], p), "row 7 are negative"),
            (lambda p: np.where(np.arange(200)[:, None] == 7, p * 2, p), "row 7 sum to 2, not 1"),
            (lambda p: p.astype(str) + "x", "not numbers"),
        ],
        ids=["rows", "classes", "NaN", "negative", "sum", "text"],
    )
    def test_labels_that_cannot_be_right_are_refused_by_row(self, change, message):
        with pytest.raises(KDError, match=message):
            distill(teacher_proba=change(soft().to_numpy()))

    def test_they_cannot_label_other_rows(self):
        with pytest.raises(KDError, match="unlabeled rows need a teacher that can be asked"):
            distill(teacher_proba=soft(), unlabeled=table(50, seed=3))

    def test_a_teacher_is_named_in_one_way_only(self):
        with pytest.raises(KDError, match="teacher and teacher_proba were given"):
            distill(LogisticRegression(), teacher_proba=soft())


class TestACallable:
    def test_it_gets_the_table_as_the_user_has_it(self):
        teacher, seen = fitted_elsewhere(), []

        def ask(frame: pd.DataFrame) -> np.ndarray:
            seen.append(list(frame.columns))
            return teacher.predict_proba(frame)

        result = distill(ask)
        assert result.report.teacher["name"] == "ask"
        assert result.report.teacher["labels"] == "given"
        assert seen[0] == ["width", "height", "city"]

    def test_what_it_raises_is_one_line_that_names_it(self):
        def broken(frame: pd.DataFrame) -> np.ndarray:
            raise RuntimeError("no connection\nto the model")

        with pytest.raises(KDError, match=r"broken \(a callable\) failed: no connection$"):
            distill(broken)

    def test_what_it_returns_is_checked(self):
        with pytest.raises(KDError, match="sum to"):
            distill(lambda frame: np.ones((len(frame), 3)))


class TestSeveralTeachers:
    def test_they_are_averaged_by_weight(self):
        one, two = soft().to_numpy(), np.full((200, 3), 1 / 3)
        both = distill([GivenLabels(one), GivenLabels(two)], teacher_weights=[3, 1])
        mean = distill(teacher_proba=0.75 * one + 0.25 * two)
        np.testing.assert_allclose(both.student.weights_, mean.student.weights_, atol=1e-6)

    def test_fitted_and_unfitted_ones_mix(self):
        report = distill([RandomForestClassifier(20), fitted_elsewhere()], fitted="held-out").report
        assert report.teacher["name"] == "RandomForestClassifier + Pipeline"
        assert report.teacher["labels"] == "held-out"  # the weaker of the two claims
        assert report.teacher["metrics"]["accuracy"] > 0.5

    @pytest.mark.parametrize(
        ("weights", "message"),
        [([1], "1 weights for 2"), ([1, -1], "not negative"), ([0, 0], "all zero")],
    )
    def test_weights_that_cannot_be_used_are_refused(self, weights, message):
        with pytest.raises(KDError, match=message):
            checked_weights(weights, 2)

    def test_an_empty_list_is_refused(self):
        with pytest.raises(KDError, match="list of teachers is empty"):
            distill([])

    def test_weights_without_a_list_are_refused(self):
        with pytest.raises(KDError, match="give a list"):
            distill(LogisticRegression(), teacher_weights=[1])


class TestUnlabeledRows:
    def test_the_student_learns_from_them_and_the_report_counts_them(self):
        extra = table(300, seed=2).drop(columns="label")
        plain = distill(fitted_elsewhere(), fitted="held-out")
        more = distill(fitted_elsewhere(), fitted="held-out", unlabeled=extra)
        assert more.report.rows["unlabeled"] == 300
        assert not np.array_equal(plain.student.weights_, more.student.weights_)
        # The plain student has no use for them.
        assert plain.report.plain["metrics"] == more.report.plain["metrics"]

    def test_a_category_that_training_lacks_is_no_obstacle(self):
        extra = table(50, seed=2).assign(city="Rom")
        result = distill(fitted_elsewhere(), fitted="held-out", unlabeled=extra)
        assert result.report.rows["unlabeled"] == 50

    def test_row_weights_leave_them_an_average_weight(self):
        data = table().assign(weight=np.linspace(1, 3, 200))
        rows = prepare(
            data, target="label", sample_weight="weight", extra=table(50, seed=2), test=data
        )
        source = resolve_source(fitted_elsewhere(), rows.table, fitted="held-out")
        run = run_teacher(
            source, rows.train, rows.held, rows.extra, folds="auto", random_state=0, n_jobs=1
        )
        _, targets = Lesson(rows, run, 0).transfer_set(Recipe(name="soft labels"))
        np.testing.assert_allclose(targets.sample_weight[:200], data["weight"])
        np.testing.assert_allclose(targets.sample_weight[200:], 2.0)

    def test_a_missing_column_is_named(self):
        with pytest.raises(KDError, match="'city'"):
            distill(
                LogisticRegression(), unlabeled=table(50, seed=2).drop(columns=["city", "label"])
            )

    def test_real_rows_with_a_strong_teacher_beat_the_plain_student(self):
        """The case that distilling is for: few labels, a teacher from elsewhere, many rows."""
        few, test = table(60, seed=3), table(3000, seed=4)
        gains = []
        for seed in range(3):
            report = distill(
                fitted_elsewhere(),
                few,
                test=test,
                unlabeled=table(1500, seed=10 + seed),
                fitted="held-out",
                student=TreeStudent(),
            ).report
            gains.append(report.verdict["gain"])
        assert min(gains) > 0


def test_no_warning_where_there_is_nothing_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error", KDWarning)
        distill(LogisticRegression())
