"""Students in bundles for continued work: weights and parameters come back, code never does."""

import json

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from kdcore.bundle import pack
from kdcore.encoders import ENCODERS, StandardEncoder
from kdcore.errors import BundleError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_torch import restore
from kdcore_torch.cnn import TorchCNNClassifier, TorchCNNRegressor
from kdcore_torch.mlp import TorchMLPClassifier, TorchMLPRegressor

FAST = {"max_iter": 40}


def again(student, table, **options):
    name, data = student.state()
    assert name == "state.safetensors"
    manifest = pack(student, table).bundle.manifest
    return restore(manifest, data, **options)


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def same(one, other, fresh):
    assert (output(one, fresh) == output(other, fresh)).all()
    assert (one.feature_importances_ == other.feature_importances_).all()
    assert other.get_selected_features() == one.get_selected_features()
    assert (one.loss_curve_, one.n_iter_) == (other.loss_curve_, other.n_iter_)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_perceptron_comes_back_behind_every_encoder(task, encoder):
    # An ordinal encoding keeps gaps, which perceptrons do not read.
    content = "numbers" if encoder == "ordinal" else "mixed"
    data, fresh = (tiny_data(task, content=content, seed=seed) for seed in (0, 1))
    kind = TorchMLPRegressor if task == "regression" else TorchMLPClassifier
    params = {"hidden_layer_sizes": (12,), "batch_norm": True, "dropout": 0.1, "embedding": 2}
    student = kind(encoder=encoder, **params, **FAST)
    student.fit(data.X, tiny_targets(data))
    found = again(student, fresh.X)
    same(student, found, fresh.X)
    assert found.get_params() == student.get_params()
    refitted = clone(found).fit(data.X, tiny_targets(data))
    assert (output(refitted, fresh.X) == output(student, fresh.X)).all()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_network_of_some_pixels_comes_back(task):
    data, fresh = (tiny_data(task, content="image", seed=seed) for seed in (0, 1))
    kind = TorchCNNRegressor if task == "regression" else TorchCNNClassifier
    some = [f"pixel_{i}" for i in range(8, 60, 3)]
    student = kind(channels=(4,), max_shift=1, features=some, **FAST).fit(data.X, data.y)
    found = again(student, data.X)
    same(student, found, fresh.X)
    assert found.get_selected_features() == some
    read = output(found, fresh.X[some])
    assert (read == output(student, fresh.X)).all()
    assert np.ptp(read, axis=0).min() > 0
    turned = fresh.X.assign(
        **{c: fresh.X[d].to_numpy() for c, d in zip(some, some[::-1], strict=True)}
    )
    assert (output(found, turned) != read).any()


def test_a_restored_network_is_trained_further():
    data = tiny_data("multiclass", content="numbers")
    first = TorchMLPClassifier(max_iter=20).fit(data.X, data.y)
    start = again(first, data.X).model_
    further = TorchMLPClassifier(module=start, max_iter=200).fit(data.X, data.y)
    assert further.score(data.X, data.y) > first.score(data.X, data.y)


def test_an_encoder_with_parameters_comes_back_with_them():
    data = tiny_data("binary")
    student = TorchMLPClassifier(encoder=StandardEncoder(min_frequency=3), **FAST)
    found = again(student.fit(data.X, data.y), data.X)
    assert found.encoder.get_params() == {"min_frequency": 3, "max_categories": 100}
    same(student, found, data.X)


class OwnEncoder(StandardEncoder):
    """Its code is in no bundle."""


def test_code_of_the_user_is_asked_for_and_never_taken_from_the_file():
    data = tiny_data("binary", content="numbers")

    def network(d, k):
        return nn.Sequential(nn.Linear(d, 5), nn.Tanh(), nn.Linear(5, k))

    student = TorchMLPClassifier(module=network, **FAST).fit(data.X, data.y)
    with pytest.raises(BundleError, match=r"a network of your own .*, module=network\)"):
        again(student, data.X)
    same(student, again(student, data.X, module=network(4, 1)), data.X)
    with pytest.raises(BundleError, match="does not fit together"):
        again(student, data.X, module=nn.Linear(4, 1))
    student = TorchMLPClassifier(encoder=OwnEncoder(), **FAST).fit(data.X, data.y)
    with pytest.raises(BundleError, match="encoder 'OwnEncoder' of your own"):
        again(student, data.X)


def test_damaged_states_are_refused_in_one_line():
    data = tiny_data("binary")
    student = TorchMLPClassifier(**FAST).fit(data.X, data.y)
    manifest, (_, state) = pack(student, data.X).bundle.manifest, student.state()
    for bad in (b"", state[:-20], state[:100], torch.zeros(20).numpy().tobytes(),
                state.replace(b"TorchMLPClassifier", b"TorchMLPClassifie?"),
                state.replace(b"model/0.weight", b"model/9.weight")):  # fmt: skip
        with pytest.raises(BundleError, match=r"^holds a state\.safetensors") as caught:
            restore(manifest, bad)
        assert "\n" not in str(caught.value)


def test_a_bundle_holds_short_weights_and_the_encoder_once():
    data = tiny_data("binary")
    student = TorchMLPClassifier(hidden_layer_sizes=(32,), **FAST).fit(data.X, data.y)
    packed = pack(student, data.X)
    whole = student.state()[1]
    shared = packed.bundle.manifest["native"]["shared"]
    assert len(packed.members["state.safetensors.part"]) == len(whole) - shared[0][2]
    told = json.loads(packed.members["student.json"])
    assert told["encoder"] is None
    assert "_importances" not in told["attributes"]
    weights = [np.asarray(p.detach()) for p in student.model_.parameters() if p.ndim > 1]
    assert all((w.view(np.uint32) & 255 == 0).all() for w in weights)
    own = TorchMLPClassifier(module=nn.Linear(len(student.encoder_.owners_), 1), **FAST)
    (weight, _) = own.fit(data.X, data.y).model_.parameters()
    assert (np.asarray(weight.detach()).view(np.uint32) & 255 != 0).any()
