"""Several teachers: their weights, and what these may be found by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from small_models import SoftmaxStudent

import kdcore
from kdcore import KDError
from kdcore.evaluation import row_losses
from kdcore.several_teachers import best_shares
from kdcore.targets import softmax


def table(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    frame["y"] = np.where(frame["a"] + rng.normal(0, 0.5, n) > 0, "up", "down")
    return frame


@given(st.integers(2, 4), st.integers(2, 5), st.integers(0, 200), st.booleans())
def test_found_weights_are_never_worse_than_equal_ones(m, k, seed, regression):
    rng = np.random.default_rng(seed)
    classes = None if regression else np.arange(k)
    truth = rng.normal(0, 1, 80) if regression else rng.integers(0, k, 80)
    if regression:
        outputs = truth + rng.normal(0, rng.uniform(0.1, 2, (m, 1)), (m, 80))
    else:
        sharp = np.eye(k)[truth] * rng.uniform(0, 4, (m, 1, 1)) + rng.normal(0, 1, (m, 80, k))
        outputs = np.stack([softmax(z) for z in sharp])
    share = best_shares(outputs, truth, classes)
    assert share.min() >= 0
    assert share.sum() == pytest.approx(1)

    def loss(weights):
        return row_losses(np.tensordot(weights, outputs, axes=1), truth, classes).mean()

    assert loss(share) <= loss(np.full(m, 1 / m)) + 1e-12
    assert loss(share) <= min(loss(one) for one in np.eye(m)) + 1e-4


def test_a_teacher_that_knows_nothing_gets_no_say():
    result = kdcore.distill(
        table(),
        target="y",
        teacher=[LogisticRegression(), DummyClassifier(strategy="prior")],
        teacher_weights="auto",
        student=SoftmaxStudent(),
        recipe="plain",
    )
    weights = result.report.teacher["weights"]
    assert weights[0] > 0.9
    assert sum(weights) == pytest.approx(1)


def test_in_sample_labels_cannot_tell_who_is_better():
    data = table()
    fitted = LogisticRegression().fit(data[["a", "b", "c"]], data["y"])
    with pytest.warns(match="in-sample"), pytest.raises(KDError, match="give numbers"):
        kdcore.distill(
            data,
            target="y",
            teacher=[fitted, GaussianNB()],
            teacher_weights="auto",
            student=SoftmaxStudent(),
        )


def test_other_words_than_auto_are_refused():
    with pytest.raises(KDError, match="teacher_weights='best'"):
        kdcore.distill(
            table(),
            target="y",
            teacher=[LogisticRegression(), GaussianNB()],
            teacher_weights="best",
            student=SoftmaxStudent(),
        )
