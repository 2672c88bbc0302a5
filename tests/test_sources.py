"""Where soft labels come from: what is fitted, what never is, and in which order classes come."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import LeastSquaresStudent, SoftmaxStudent

import kdcore
from kdcore import GivenLabels, KDError, TeacherSpec
from kdcore.errors import UnknownNameError

FITS: list[int] = []


class Counted(GaussianNB):
    """Counts its fits, clones included."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        FITS.append(len(y))
        return super().fit(X, y, sample_weight)


@pytest.fixture(autouse=True)
def no_fits() -> None:
    FITS.clear()


def table(n: int = 150, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    score = frame["a"] + rng.normal(0, 0.5, n)
    frame["y"] = np.array(["low", "mid", "top"])[np.digitize(score, [-0.5, 0.5])]
    return frame


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="y")


def elsewhere(model: Any) -> Any:
    other = table(300, seed=1)
    return model.fit(inputs(other), other["y"])


def distill(teacher: Any, **options: Any) -> Any:
    options = {"student": SoftmaxStudent(), "data": table(), **options}
    return kdcore.distill(options.pop("data"), target="y", teacher=teacher, **options)


def test_an_unfitted_estimator_is_fitted_out_of_fold_and_stays_unfitted():
    teacher = Counted()
    report = distill(teacher, folds=4).report
    assert report.teacher["labels"] == "out-of-fold"
    assert report.recipe["folds"] == 4
    assert len(FITS) == 5
    assert not hasattr(teacher, "classes_")


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: make_pipeline(StandardScaler(), m)])
def test_a_fitted_teacher_is_neither_fitted_again_nor_changed(wrap):
    teacher = elsewhere(wrap(Counted()))
    FITS.clear()
    before = pickle.dumps(teacher)
    distill(teacher, fitted="held-out", unlabeled=inputs(table(40, seed=2)))
    assert FITS == []
    assert pickle.dumps(teacher) == before


def test_a_fitted_teacher_of_these_rows_is_noted_in_the_report():
    with pytest.warns(kdcore.errors.KDWarning, match="--fitted held-out"):
        report = distill(elsewhere(GaussianNB())).report
    assert any("in-sample" in note and "flattered" in note for note in report.notes)


def test_given_labels_of_held_out_rows_are_noted_in_the_report():
    proba = elsewhere(GaussianNB()).predict_proba(inputs(table()))
    assert any("--test FILE" in n for n in distill(None, teacher_proba=proba).report.notes)
    report = distill(None, teacher_proba=proba, test=table(90, seed=5)).report
    assert not any("--test" in note for note in report.notes)


class Backwards:
    """A model of another library: no ``fit``, classes in an order of its own."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.classes_ = model.classes_[::-1]

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.model.predict_proba(X)[:, ::-1]

    def predict(self, X: Any) -> np.ndarray:
        return self.model.predict(X)


def test_probabilities_are_put_into_the_order_of_the_classes():
    model = elsewhere(GaussianNB())
    first = distill(model, fitted="held-out")
    second = distill(Backwards(model), fitted="held-out")
    np.testing.assert_array_equal(first.student.weights_, second.student.weights_)
    assert first.report.teacher["metrics"] == second.report.teacher["metrics"]
    assert second.report.teacher["name"] == "Backwards"


def test_a_deployed_student_can_teach_in_its_turn():
    class Lean:
        """As `kdcore.load` gives it: it has ``classes`` without an underscore."""

        def __init__(self, model: Any) -> None:
            self.predict, self.predict_proba = model.predict, model.predict_proba

    report = distill(Lean(elsewhere(GaussianNB())), fitted="held-out").report
    assert report.teacher["metrics"]["accuracy"] > 0.6


class TestATeacherOfAnArray:
    def fitted(self, width: int = 2) -> Any:
        other = table(300, seed=1)
        rows = inputs(other).to_numpy()[:, :width]
        return LogisticRegression().fit(rows, other["y"])

    def test_it_gets_the_columns_in_the_order_of_the_table_without_a_warning(self):
        report = distill(self.fitted(), fitted="held-out").report
        assert report.teacher["metrics"]["accuracy"] > 0.6

    def test_another_number_of_columns_is_counted_and_named(self):
        with pytest.raises(KDError, match=r"fitted on 1 columns without names, .* has 2: a, b"):
            distill(self.fitted(width=1), fitted="held-out")


class TestAMixedList:
    """A model, a function and a table of probabilities in one list."""

    def members(self) -> tuple[list[Any], np.ndarray]:
        model, other = elsewhere(GaussianNB()), elsewhere(LogisticRegression())
        rows = inputs(table())
        third = np.full((150, 3), 1 / 3)
        mean = 0.5 * model.predict_proba(rows) + 0.25 * other.predict_proba(rows) + 0.25 * third
        return [model, other.predict_proba, GivenLabels(third)], mean

    def test_its_mean_is_what_the_student_learns_and_the_teacher_is_scored_by(self):
        members, mean = self.members()
        both = distill(members, teacher_weights=[2, 1, 1], fitted="held-out")
        same = distill(None, teacher_proba=mean)
        np.testing.assert_allclose(both.student.weights_, same.student.weights_, atol=1e-6)
        scores = both.report.teacher["metrics"]
        assert scores["log_loss"] == pytest.approx(same.report.teacher["metrics"]["log_loss"])
        assert both.report.teacher["labels"] == "given"

    def test_rows_of_its_own_for_testing_leave_it_without_a_score(self):
        members, _ = self.members()
        report = distill(members, fitted="held-out", test=table(90, seed=5)).report
        assert report.teacher["metrics"] is None

    def test_it_cannot_label_other_rows(self):
        members, _ = self.members()
        with pytest.raises(KDError, match="given labels cannot label them"):
            distill(members, fitted="held-out", unlabeled=inputs(table(40, seed=2)))


def test_arrays_given_as_a_teacher_cannot_label_other_rows_either():
    with pytest.raises(KDError, match="given labels cannot label them"):
        distill(np.full((150, 3), 1 / 3), unlabeled=inputs(table(40, seed=2)))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_model_of_the_wrong_kind_is_refused(task):
    data = table()
    if task == "regression":
        with pytest.raises(KDError, match="GaussianNB is a classifier, but the task is regression"):
            distill(
                elsewhere(GaussianNB()),
                data=data.assign(y=data["a"] * 2),
                student=LeastSquaresStudent(),
            )
        return
    with pytest.raises(KDError, match="no predict_proba"):
        distill(LinearRegression().fit(inputs(data), data["a"]))


class TestNames:
    def test_a_mistyped_name_is_no_file(self):
        with pytest.raises(UnknownNameError, match="Unknown teacher 'xgbosst'"):
            distill("xgbosst")

    @pytest.mark.parametrize("name", ["models/best", "best.onnx"])
    def test_a_missing_model_file_is_no_mistyped_name(self, name):
        with pytest.raises(KDError, match=f"there is no model file '{name}'"):
            distill(name)

    def test_a_registered_name_is_not_taken_for_a_file_that_is_called_so(
        self, tmp_path, monkeypatch
    ):
        sys.modules.setdefault(__name__, sys.modules[make.__module__])
        monkeypatch.chdir(tmp_path)
        (tmp_path / "counted").touch()
        spec = TeacherSpec(
            name="counted", summary="x", factory=f"{__name__}:make", tasks=("multiclass",)
        )
        with kdcore.register(spec):
            assert distill("counted").report.teacher["labels"] == "out-of-fold"


def make(task: str) -> Counted:
    return Counted()


def test_rows_without_labels_are_weighed_like_an_average_row():
    from kdcore.sources import resolve_source
    from kdcore.splits import prepare
    from kdcore.student_run import soft_targets
    from kdcore.teacher_run import run_teacher

    data = table().assign(weight=np.linspace(0, 2, 150))
    extra = inputs(table(40, seed=2))
    rows = prepare(data, target="y", sample_weight="weight", extra=extra)
    source = resolve_source(elsewhere(GaussianNB()), rows.table, fitted="held-out")
    run = run_teacher(source, rows.train, rows.held, rows.extra, folds=2, random_state=0, n_jobs=1)
    (X,), targets = soft_targets(rows, run)
    n = len(rows.train)
    assert len(X) == len(targets.teacher) == n + 40
    assert (targets.labels[n:] == -1).all()
    np.testing.assert_allclose(targets.sample_weight[n:], rows.train.sample_weight.mean())
