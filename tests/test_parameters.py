"""Bad values of parameters are named before any long work; good ones of any number type pass."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from small_models import SoftmaxStudent

from kdcore.errors import ParameterError
from kdcore.parameters import number, one_of, require, seed, whole
from kdcore.resolve import resolve_student
from kdcore.testing import tiny_data


@pytest.mark.parametrize(
    ("rule", "good", "bad", "must"),
    [
        (
            whole(1, also=("auto",)),
            [1, np.int64(7), "auto"],
            [0, 1.0, True, np.True_, None, "big", float("nan"), [1], np.ones(2)],
            "be 'auto' or a whole number of at least 1",
        ),
        (
            whole(1, 16),
            [1, 16],
            [0, 17],
            "be a whole number of at least 1 and at most 16",
        ),
        (
            number(above=0, below=1),
            [0.5, np.float32(0.1)],
            [0, 1, False, "0.5", float("inf"), float("nan"), None],
            "be a number above 0 and below 1",
        ),
        (number(least=0), [0, 0.0, 3], [-1e-9, float("inf")], "be a number of at least 0"),
        (one_of("a", "b"), ["a"], ["A", None, np.array(["a", "b"])], "be one of a, b"),
        (
            seed,
            [None, 0, np.random.RandomState(0)],
            [-1, 2**32, 0.5, "x"],
            "be None or a whole number of at least 0 and at most 4294967295",
        ),
    ],
    ids=["whole", "range", "share", "positive", "choice", "seed"],
)
def test_a_rule_takes_what_is_meant_and_says_what_it_takes(
    rule: Any, good: list[Any], bad: list[Any], must: str
) -> None:
    assert [rule(value) for value in good] == [None] * len(good)
    assert {rule(value) for value in bad} == {must}


def test_the_message_names_parameter_value_and_rule() -> None:
    model = SimpleNamespace(depth=3, C=-1)
    require(model, depth=whole(1))
    with pytest.raises(ParameterError, match=r"^C=-1 must be a number above 0\.$"):
        require(model, depth=whole(1), C=number(above=0))


class Careful(SoftmaxStudent):
    def check_params(self) -> None:
        require(self, alpha=number(least=0.25, most=1))

    def fit_encoded(self, Z: Any, targets: Any, loss: Any) -> None:
        raise AssertionError("it was fitted with parameters that cannot be used")


def test_a_students_own_check_runs_before_a_teacher_is_fitted_and_in_fit() -> None:
    student = Careful(alpha=0.1)
    with pytest.raises(ParameterError, match=r"the student Careful: alpha=0\.1 must be a number"):
        resolve_student(student, task="binary", n_classes=2)
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match=r"^alpha=0\.1 must be"):
        student.fit(data.X, data.y)


def test_models_without_a_check_are_as_good_as_before() -> None:
    found = resolve_student(SoftmaxStudent(), task="binary", n_classes=2)
    assert found.name == "SoftmaxStudent"
    assert not hasattr(RandomForestClassifier(), "check_params")
