"""Convolutional networks: shapes of pictures, what they read, and what they are written to."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from kdcore.bundle import pack
from kdcore.errors import DataError, ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_torch.cnn import TorchCNNClassifier, TorchCNNRegressor
from kdcore_torch.images import image_shape
from kdcore_torch.layers import Shift
from kdcore_torch.teachers import TorchCNNTeacherClassifier

SMALL = {"channels": (8,), "max_iter": 120}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:900], y[:900], X[900:], y[900:]


def test_a_small_student_reads_digits(digits):
    X, y, X_new, y_new = digits
    assert TorchCNNClassifier(max_iter=250).fit(X, y).score(X_new, y_new) > 0.93


def test_pictures_and_rows_of_pixels_are_the_same_thing(digits):
    X, y, X_new, _ = digits
    flat = TorchCNNClassifier(**SMALL).fit(X, y)
    for shape in ((-1, 1, 8, 8), (-1, 8, 8)):
        model = TorchCNNClassifier(**SMALL).fit(X.reshape(shape), y)
        got = model.predict_proba(X_new.reshape(shape))
        assert (got == flat.predict_proba(X_new)).all()
        assert (model.predict_proba(X_new) == got).all()
    with pytest.raises(DataError, match=r"shape \(C, H, W\) = \(4, 4, 4\)"):
        model.predict(X_new.reshape(-1, 4, 4, 4))


def test_channels_are_standardised_each_by_itself():
    """A channel in other units must not drown the rest."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3, 6, 6)) * [[[[1e-3]], [[1]], [[1e4]]]]
    y = X[:, 0, :3].mean(axis=(1, 2)) > 0
    model = TorchCNNClassifier(channels=(8, 8), max_iter=300).fit(X[:300], y[:300])
    assert model.score(X[300:], y[300:]) > 0.75
    importances = model.feature_importances_.reshape(3, -1).sum(axis=1)
    assert importances.argmax() == 0


@pytest.mark.parametrize(
    ("args", "shape"),
    [
        ((64, 1, None), (1, 8, 8)),
        ((75, 3, None), (3, 5, 5)),
        ((12, 1, (3, 4)), (1, 3, 4)),
        ((27, 3, 3), (3, 3, 3)),
        ((10, 1, "row"), (1, 1, 10)),
    ],
)
def test_shapes_that_fit(args, shape):
    assert image_shape(*args) == shape


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((63, 1, None), "img_size: 63 columns with input_channels=1 are no square picture"),
        ((64, 1, (8, 9)), r"img_size=\(8, 9\) with input_channels=1 needs 72 columns, but .* 64"),
        ((64, 3, "row"), "needs 63 columns"),
        ((64, 1, "square"), "img_size='square' must be"),
        ((64, 1, (8, 0)), r"img_size=\(8, 0\) must be"),
        ((64, 0, None), "input_channels=0 must be"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_both_numbers(args, message):
    with pytest.raises(ParameterError, match=message):
        image_shape(*args)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"channels": ()}, r"channels=\(\) must be"),
        ({"max_shift": -1}, "max_shift=-1 must be"),
        ({"img_size": (4, 4)}, r"img_size=\(4, 4\) with input_channels=1 needs 16 columns"),
        ({"encoder": "standard"}, "encoder='standard' makes 65 columns of 64"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_by_its_name(params, message):
    data = tiny_data("binary", content="image")
    data.X.iloc[0, 0] = np.nan
    with pytest.raises(ParameterError, match=message):
        TorchCNNClassifier(**{**SMALL, **params}).fit(data.X, data.y)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": (16,), "dropout": 0.1},
        {"channels": (4, 8, 8, 8), "batch_norm": False},
        {"features": [f"pixel_{i}" for i in range(10, 60, 3)]},
    ],
    ids=["head", "deep", "some pixels"],
)
def test_the_bundle_predicts_alike_also_where_pixels_are_missing(task, params):
    data, fresh = (tiny_data(task, content="image", seed=seed) for seed in (0, 1))
    data.X.iloc[:5, :20] = np.nan
    fresh.X.iloc[::3, 4:30] = np.nan
    kind = TorchCNNRegressor if task == "regression" else TorchCNNClassifier
    student = kind(**{**SMALL, **params}).fit(data.X, tiny_targets(data))
    found = pack(student, fresh.X).bundle.manifest["parity"]
    assert found["flipped"] == 0
    assert found["max_difference"] < 1e-5


def test_a_signal_is_a_picture_of_one_row():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((400, 23)))
    y = (table.iloc[:, :11].mean(axis=1) > 0).to_numpy()
    model = TorchCNNClassifier(img_size="row", channels=(8, 8), max_iter=300)
    assert model.fit(table[:300], y[:300]).score(table[300:], y[300:]) > 0.85
    assert pack(model, table[300:].rename(columns=str)).bundle.manifest["parity"]["flipped"] == 0


def test_a_shift_moves_whole_pictures_by_up_to_so_many_pixels():
    layer = Shift(2).train()
    layer.generator = torch.Generator().manual_seed(0)
    x = torch.zeros(200, 1, 9, 9)
    x[:, :, 4, 4] = 1
    moved = layer(x)
    assert moved.shape == x.shape
    assert (moved.sum(dim=(1, 2, 3)) == 1).all()
    places = {tuple(p) for p in moved.nonzero()[:, 2:].tolist()}
    assert places == {(i, j) for i in range(2, 7) for j in range(2, 7)}
    assert layer.eval()(x) is x


def test_a_teacher_is_better_for_pictures_that_are_moved(digits):
    """Shifts in training are what makes a teacher of pictures of few rows strong."""
    X, y, X_new, y_new = digits
    moved = np.roll(X_new.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    scores = [
        TorchCNNTeacherClassifier(**SMALL, hidden_layer_sizes=(), max_shift=shift)
        .fit(X, y)
        .score(moved, y_new)
        for shift in (0, 1)
    ]
    assert scores[1] > scores[0] + 0.05


def test_a_teacher_reads_pictures_as_arrays_and_as_tables(digits):
    X, y, X_new, _ = digits
    params = {**SMALL, "hidden_layer_sizes": (), "max_iter": 40}
    one = TorchCNNTeacherClassifier(**params).fit(X.reshape(-1, 1, 8, 8), y)
    other = TorchCNNTeacherClassifier(**params).fit(X, y)
    wanted = other.predict_proba(X_new)
    assert (one.predict_proba(X_new.reshape(-1, 1, 8, 8)) == wanted).all()
    assert one.model_bytes() > 1000
