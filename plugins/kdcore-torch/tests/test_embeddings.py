"""Vectors of categories: what they learn, what they are written to, and what counts once."""

import numpy as np
import pandas as pd
import pytest

from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_torch.embeddings import Embeddings, category_blocks
from kdcore_torch.mlp import TorchMLPClassifier, TorchMLPRegressor
from kdcore_torch.teachers import TorchMLPTeacherClassifier


@pytest.fixture(scope="module")
def many():
    """A table whose truth is in a column of forty categories, and one of three."""
    rng = np.random.default_rng(0)
    n = 2400
    table = pd.DataFrame({
        "number": rng.standard_normal(n),
        "forty": pd.Categorical([f"c{i}" for i in rng.integers(0, 40, n)]),
        "three": pd.Categorical([f"c{i}" for i in rng.integers(0, 3, n)]),
        "flag": rng.random(n) > 0.5,
    })  # fmt: skip
    effect = rng.standard_normal(40)[table["forty"].cat.codes]
    y = (table["number"] + effect * (1 + table["three"].cat.codes) > 0).astype(int)
    return table[:1600], y[:1600], table[1600:].copy(), y[1600:]


@pytest.mark.parametrize("embedding", [2, "auto"])
def test_categories_get_vectors_and_the_columns_still_count_once(many, embedding):
    X, y, X_new, y_new = many
    student = TorchMLPClassifier(embedding=embedding, max_iter=800).fit(X, y)
    layer = student.model_[0]
    assert isinstance(layer, Embeddings)
    widths = [table.shape[1] for table in layer.tables]
    assert widths == ([2, 2] if embedding == 2 else [13])
    assert student.score(X_new, y_new) > 0.93
    assert student.get_selected_features() == list(X.columns)
    assert student.feature_importances_.shape == (4,)
    assert student.feature_importances_.argmax() == 1


def test_the_bundle_predicts_alike_with_gaps_and_unseen_categories(many):
    X, y, X_new, _ = many
    student = TorchMLPClassifier(embedding=3, max_iter=100, features=["forty", "number"])
    student.fit(X, y)
    X_new["forty"] = X_new["forty"].astype(object)
    X_new.loc[X_new.index[:20], "forty"] = None
    X_new.loc[X_new.index[20:40], "forty"] = "unseen"
    found = pack(student, X_new).bundle
    assert found.manifest["parity"]["flipped"] == 0
    assert set(student.get_selected_features()) == {"number", "forty"}


@pytest.mark.parametrize("encoder", ["none", "standard", "quantile", "ple", "teacher_bins"])
@pytest.mark.parametrize("embedding", [None, 2])
@pytest.mark.parametrize("kind", [TorchMLPClassifier, TorchMLPRegressor])
def test_every_encoding_of_numbers_goes_with_both_of_categories(kind, embedding, encoder):
    task = "binary" if kind is TorchMLPClassifier else "regression"
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    student = kind(encoder=encoder, embedding=embedding, max_iter=60)
    student.fit(data.X, tiny_targets(data))
    assert pack(student, fresh.X).bundle.manifest["parity"]["flipped"] == 0


def test_a_teacher_has_embeddings_too(many):
    X, y, X_new, y_new = many
    teacher = TorchMLPTeacherClassifier(embedding="auto", max_iter=400).fit(X, y)
    assert teacher.score(X_new, y_new) > 0.93


def test_a_table_without_categories_needs_no_embeddings():
    data = tiny_data("binary", content="numbers")
    one, other = (
        TorchMLPClassifier(embedding=e, max_iter=30).fit(data.X, data.y).predict_proba(data.X)
        for e in (None, "auto")
    )
    assert (one == other).all()
    assert not category_blocks(TorchMLPClassifier(max_iter=1).fit(data.X, data.y).encoder_)


@pytest.mark.parametrize("embedding", [0, -2, 1.5, "big", True])
def test_a_wrong_width_is_refused(embedding):
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match=r"embedding=.* must be a whole number above 0"):
        TorchMLPClassifier(embedding=embedding).fit(data.X, data.y)


def test_gaps_that_an_encoder_leaves_are_named_before_training():
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match="encoder='ordinal' leaves gaps in the column"):
        TorchMLPClassifier(encoder="ordinal").fit(data.X, data.y)
