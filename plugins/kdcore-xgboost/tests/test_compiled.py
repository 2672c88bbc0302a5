"""The teacher as an ONNX graph: the same predictions, categories and gaps included."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore.compiled import compile_teacher
from kdcore.testing import tiny_data
from kdcore_xgboost.teacher import make


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


@pytest.mark.parametrize("params", [{"max_cat_to_onehot": 100}, {"max_cat_to_onehot": 1}])
def test_both_kinds_of_splits_of_categories_are_written(params):
    X, y = table("binary")
    teacher = make("classification").set_params(n_estimators=20, **params).fit(X, y)
    assert compile_teacher(teacher, X).bundle.manifest["parity"]["max_difference"] < 1e-5
