"""From names and estimators to unfitted teachers and students, refused early where they cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import check_random_state
from small_models import LeastSquaresStudent, SoftmaxStudent, TreeStudent

from kdcore import StudentSpec, TeacherSpec, register
from kdcore.errors import KDError, ParameterError, UnknownNameError
from kdcore.resolve import apply_params, named_estimator, resolve_student, resolve_teacher
from kdcore.testing.data import tiny_data


def forest(task: str) -> Any:
    """Factory of the teacher ``small_forest``."""
    return RandomForestRegressor(5) if task == "regression" else RandomForestClassifier(5, n_jobs=1)


def softmax_student(task: str) -> Any:
    """Factory of the student ``small_softmax``."""
    return SoftmaxStudent()


def least_squares_student(task: str) -> Any:
    """Factory of the student ``small_least_squares``."""
    return LeastSquaresStudent()


@pytest.fixture(autouse=True)
def small_names() -> Iterator[None]:
    """One teacher for classification, and two students that are each other's counterpart."""
    common = {"summary": "For tests.", "tasks": ("binary", "multiclass")}
    specs = (
        TeacherSpec(name="small_forest", factory=f"{__name__}:forest", **common),
        StudentSpec(
            name="small_softmax",
            factory=f"{__name__}:softmax_student",
            counterpart="small_least_squares",
            **common,
        ),
        StudentSpec(
            name="small_least_squares",
            summary="For tests.",
            tasks=("regression",),
            factory=f"{__name__}:least_squares_student",
        ),
        StudentSpec(name="small_alone", factory=f"{__name__}:softmax_student", **common),
    )
    with contextlib.ExitStack() as stack:
        for spec in specs:
            stack.enter_context(register(spec))
        yield


def refusal(kind: type[KDError], call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


def teacher(given: Any, task: str = "binary", **options: Any) -> Any:
    return resolve_teacher(given, task=task, random_state=7, **options)


def student(given: Any, task: str = "binary", **options: Any) -> Any:
    n_classes = {"binary": 2, "multiclass": 3, "regression": 0}[task]
    return resolve_student(given, task=task, n_classes=n_classes, **options)


def test_a_teacher_by_name_gets_parameters_and_the_seed() -> None:
    found = teacher("small_forest", params={"max_depth": 3})
    assert (found.name, found.note) == ("small_forest", None)
    params = found.estimator.get_params()
    assert (params["max_depth"], params["random_state"]) == (3, 7)
    own_seed = teacher("small_forest", params={"random_state": 1})
    assert own_seed.estimator.random_state == 1


def test_a_teacher_that_is_given_is_cloned_and_seeded_where_it_has_no_seed() -> None:
    mine = RandomForestClassifier(5)
    found = teacher(mine, params={"max_depth": 2})
    assert found.name == "RandomForestClassifier"
    assert found.estimator is not mine
    assert (mine.max_depth, mine.random_state) == (None, None)
    assert (found.estimator.max_depth, found.estimator.random_state) == (2, 7)
    assert teacher(RandomForestClassifier(random_state=0)).estimator.random_state == 0


def test_the_parts_of_a_pipeline_are_seeded_as_well() -> None:
    """A forest inside a pipeline used to draw from numpy's global generator."""
    inner = BaggingClassifier(RandomForestClassifier(2), 2)
    found = teacher(make_pipeline(StandardScaler(), inner)).estimator
    seeds = {k: v for k, v in found.get_params().items() if k.endswith("random_state")}
    assert len(seeds) == 2
    assert set(seeds.values()) == {7}
    data = tiny_data(content="numbers")
    np.random.seed(0)
    first = found.fit(data.X, data.y).predict_proba(data.X)
    state = check_random_state(None).get_state()[1].copy()
    np.testing.assert_array_equal(found.fit(data.X, data.y).predict_proba(data.X), first)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], state)


FITTED = {
    "forest": RandomForestClassifier(2),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "bagging": BaggingClassifier(LogisticRegression(), 2),
}


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_teacher_is_refused_not_refitted_in_silence(name: str) -> None:
    data = tiny_data(content="numbers")
    mine = FITTED[name].fit(data.X, data.y)
    before = mine.predict_proba(data.X)
    text = refusal(ParameterError, teacher, mine)
    assert "is fitted already, and kdcore never refits a model in silence" in text
    assert "sklearn.base.clone(teacher)" in text
    np.testing.assert_array_equal(mine.predict_proba(data.X), before)


def test_a_teacher_without_probabilities_is_refused_before_the_long_work() -> None:
    for mine in (SVC(), Ridge(), make_pipeline(StandardScaler(), SVC())):
        text = refusal(ParameterError, teacher, mine)
        assert f"the teacher {type(mine).__name__} has no predict_proba" in text
        assert "CalibratedClassifierCV" in text
    assert teacher(Ridge(), "regression").name == "Ridge"


def test_an_ensemble_that_cannot_tell_yet_is_given_the_benefit_of_the_doubt() -> None:
    """An unfitted StackingClassifier shows no predict_proba, and used to be refused."""
    stack = StackingClassifier([("a", LogisticRegression())])
    assert not hasattr(stack, "predict_proba")
    assert teacher(stack).name == "StackingClassifier"


def test_what_is_no_teacher_is_refused_in_one_line() -> None:
    class Duck:
        def fit(self, X: Any, y: Any) -> Any:
            return self

    for given in (None, 3, RandomForestClassifier, object()):
        assert "neither a name nor an estimator" in refusal(ParameterError, teacher, given)
    assert "derive it from sklearn.base.BaseEstimator" in refusal(ParameterError, teacher, Duck())
    text = refusal(ParameterError, teacher, RandomForestClassifier(), "regression")
    assert "is a classifier, but the task is regression" in text


def test_a_name_that_is_unknown_or_for_another_task_is_refused_with_what_works() -> None:
    assert "Did you mean 'small_forest'" in refusal(UnknownNameError, teacher, "smal_forest")
    text = refusal(ParameterError, teacher, "small_forest", "regression")
    assert text.startswith("the teacher 'small_forest' does binary, multiclass, not regression")
    assert "Did you mean 'small_softmax'" in refusal(UnknownNameError, student, "small_softmx")


def test_parameters_that_do_not_exist_are_refused_with_the_nearest() -> None:
    text = refusal(ParameterError, teacher, "small_forest", params={"max_deph": 3})
    assert text == (
        "the teacher small_forest has no parameter 'max_deph'. Did you mean 'max_depth'?"
    )
    text = refusal(ParameterError, student, TreeStudent(), params={"zzz": 1})
    assert text.startswith("the student TreeStudent has no parameter 'zzz'. It has: alpha, encoder")
    same = TreeStudent()
    assert apply_params(same, None, "student", "x") is same


def test_a_student_by_name_or_example_gets_parameters_and_the_recipe() -> None:
    recipe = {"alpha": 0.2, "temperature": None, "loss": "brier"}
    found = student("small_softmax", params={"penalty": 2.0}, recipe=recipe)
    assert found.estimator.get_params()["penalty"] == 2.0
    assert (found.estimator.alpha, found.estimator.temperature) == (0.2, 1.0)
    assert found.estimator.loss == "brier"
    mine = TreeStudent(alpha=0.4)
    found = student(mine, recipe={"alpha": None})
    assert found.estimator is not mine
    assert found.estimator.alpha == 0.4
    assert found.name == "TreeStudent"


def test_the_counterpart_stands_in_for_another_task_and_says_so() -> None:
    found = student("small_softmax", "regression")
    assert found.name == "small_least_squares"
    assert isinstance(found.estimator, LeastSquaresStudent)
    assert found.note == (
        "the student 'small_softmax' does not do regression; its counterpart "
        "'small_least_squares' does."
    )
    assert student("small_softmax").note is None
    text = refusal(ParameterError, student, "small_alone", "regression")
    assert "'small_alone' does binary, multiclass, not regression; use one of" in text
    assert "small_least_squares" in text


def test_a_recipe_that_the_student_cannot_use_is_refused_before_the_long_work() -> None:
    for given, recipe, reason in (
        (TreeStudent(), {"temperature": 2.0}, "temperature=2 cannot be used by TreeStudent"),
        (TreeStudent(), {"loss": "logit_mse"}, "cannot be given as plain targets, which TreeStud"),
        (SoftmaxStudent(), {"loss": "blend"}, "'blend' is not for binary"),
        (SoftmaxStudent(), {"alpha": 1.5}, r"alpha=1.5 must lie in [0, 1]"),
        (SoftmaxStudent(loss="brier"), {"temperature": 3.0}, "cannot be used by the loss Brier"),
    ):
        assert reason in refusal(ParameterError, student, given, recipe=recipe)


def test_what_is_no_student_is_refused_in_one_line() -> None:
    for given in (None, LogisticRegression(), SoftmaxStudent):
        assert "neither a name nor a student" in refusal(ParameterError, student, given)
    text = refusal(ParameterError, student, SoftmaxStudent(), "regression")
    assert text == "the student SoftmaxStudent cannot do the task regression."
    assert "cannot do the task" in refusal(ParameterError, student, LeastSquaresStudent())


def test_names_become_new_estimators_each_time() -> None:
    one, other = (named_estimator("teacher", "small_forest", "binary") for _ in range(2))
    assert one is not other
    assert type(one) is type(other) is RandomForestClassifier
