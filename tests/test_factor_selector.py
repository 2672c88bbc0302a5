"""`FactorSelector`: columns are chosen in any pipeline, within the budget, without a plugin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_models import SoftmaxStudent

from kdcore import FactorSelector
from kdcore.errors import DataError, ParameterError


def quick(**options: Any) -> FactorSelector:
    """One ranking and few fits."""
    return FactorSelector(**{"selector": "mrmr", **options})


@pytest.mark.filterwarnings("ignore:the class .* has a single row:UserWarning")
@parametrize_with_checks([quick()])
def test_it_keeps_the_rules_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def mixed(n: int = 150) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"noise_{j}": rng.normal(size=n) for j in range(5)})
    frame["city"] = rng.choice(["Ulm", "Bonn", None], n)
    frame["a"] = rng.normal(size=n)
    frame.loc[:5, "a"] = np.nan
    return frame, np.where(frame["a"].fillna(0) + (frame["city"] == "Ulm") > 0.4, "yes", "no")


def test_texts_and_gaps_pass_and_what_matters_is_found_by_stand_ins() -> None:
    X, y = mixed()
    chosen = FactorSelector(max_features=2).fit(X, y)
    assert chosen.get_selected_features() == chosen.selected_features_ == ["city", "a"]
    assert list(chosen.get_feature_names_out()) == ["city", "a"]
    assert chosen.get_support(indices=True).tolist() == [5, 6]
    pd.testing.assert_frame_equal(chosen.transform(X), X[["city", "a"]])
    # Nothing else is needed.
    pd.testing.assert_frame_equal(chosen.transform(X[["a", "city"]]), X[["city", "a"]])
    assert sum(trial["chosen"] for trial in chosen.selection_path_) == 1
    with pytest.raises(DataError, match="lacks 1 column\\(s\\) that were chosen: 'city'") as told:
        chosen.transform(X.drop(columns="city"))
    assert "\n" not in str(told.value)


def test_a_pipeline_is_searched_over_budgets() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(quick(), StandardScaler(), LogisticRegression())
    search = GridSearchCV(model, {"factorselector__max_features": [1, 4]}, cv=2).fit(
        X[:100], y[:100]
    )
    assert search.best_params_ == {"factorselector__max_features": 4}
    assert search.best_estimator_[0].transform(X).shape[1] <= 4


def test_teacher_student_wishes_and_regression_are_honoured() -> None:
    X, y = mixed()
    options = {"max_factor_ratio": 0.5, "keep": ["noise_1"], "drop": ["city"]}
    chosen = quick(teacher=RandomForestClassifier(5), student=SoftmaxStudent(), **options).fit(X, y)
    names = chosen.get_selected_features()
    assert len(names) <= 3
    assert "noise_1" in names
    assert "city" not in names
    assert clone(chosen).fit(X, y).get_selected_features() == names
    values = X["a"].fillna(0) * 2 + X["noise_0"]
    assert quick(max_features=2).fit(X, values).get_selected_features() == ["noise_0", "a"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_features": 0}, "leaves no column"),
        ({"max_features": None}, "give a number of columns"),
        ({"max_features": 3, "max_factor_ratio": 0.5}, "two names of the same budget"),
        ({"task": "ranking"}, "use one of auto, classification, regression"),
        ({"keep": ["citty"]}, "Did you mean 'city'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(options: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as told:
        quick(**options).fit(*mixed(40))
    assert "\n" not in str(told.value)
