"""The teacher as an ONNX graph: the same predictions, categories and gaps included."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdcore import KDError
from kdcore.compiled import compile_teacher
from kdcore.testing import tiny_data
from kdcore_lightgbm.teacher import make


def table(task: str):
    """Many categories, a truth value, gaps in every kind of column."""
    data = tiny_data(task, content="mixed")
    rng = np.random.default_rng(0)
    n = len(data)
    words = rng.choice(np.array([*"abcdefghijkl", None], dtype=object), n)
    rank = np.array([0 if w is None else ord(w) % 5 % 2 for w in words])
    X = data.X.assign(word=words, flag=rng.random(n) < 0.5, number=rng.normal(size=n).round(2))
    y = data.y + 3 * rank if task == "regression" else np.where(rank == 1, data.y[0], data.y)
    return X.mask(rng.random(X.shape) < 0.1), y


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_onnx_runtime_predicts_what_the_teacher_predicts(task):
    X, y = table(task)
    teacher = make("regression" if task == "regression" else "classification")
    teacher.set_params(n_estimators=12).fit(X.head(120), y[:120])
    fresh = X.assign(word=X["word"].where(X.index % 7 > 0, "never seen"))
    packed = compile_teacher(teacher, fresh)
    assert packed.bundle.manifest["parity"]["rows"] == len(X)
    assert packed.bundle.manifest["parity"]["flipped"] == 0


@pytest.mark.parametrize(
    "params",
    [{"linear_tree": True}, {"boosting_type": "rf", "subsample": 0.5}, {"objective": "poisson"}],
)
def test_what_is_not_plain_trees_is_refused_rather_than_wrong(params):
    X, y = table("regression")
    numbers = X[["number"]].astype(float)
    teacher = make("regression").set_params(n_estimators=5, subsample_freq=1, **params)
    teacher.fit(numbers, np.abs(y))
    with pytest.raises(KDError, match="cannot be written as ONNX"):
        compile_teacher(teacher, numbers)


def test_a_row_that_stands_on_a_threshold_keeps_its_side():
    """Thresholds half-way between decimals are decimals themselves, which rows may hold."""
    steps = np.arange(400) / 1000 + 28.0
    X = pd.DataFrame({"x": np.repeat(steps[::2], 5)})
    y = np.sin(X["x"].to_numpy() * 50)
    teacher = make("regression").set_params(n_estimators=50, min_child_samples=1).fit(X, y)
    packed = compile_teacher(teacher, pd.DataFrame({"x": steps}))
    assert packed.bundle.manifest["parity"]["max_difference"] < 1e-5
