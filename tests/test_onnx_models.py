"""Students' building blocks as ONNX: each computes what its formula says, in float32 or better."""

import numpy as np
import onnxruntime
import pytest

from kdcore import graph, onnx_models
from kdcore.errors import KDError
from kdcore.onnx_models import kernel_model, perceptron
from kdcore.targets import softmax


def run(model, Z):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    [name] = [i.name for i in session.get_inputs()]
    return session.run(None, {name: Z})[0]


def linked(scores, link):
    if link == "logistic":
        scores = np.hstack([-scores, scores]) / 2
    return scores if link == "identity" else softmax(scores)


LINKS = pytest.mark.parametrize(("link", "k"), [("identity", 1), ("logistic", 1), ("softmax", 4)])


@LINKS
def test_a_kernel_machine_keeps_its_digits_far_from_the_origin(link, k):
    """||z||^2 - 2 z c + ||c||^2 in float32 is off by 0.1 for rows like these."""
    rng = np.random.default_rng(0)
    centers = (1000 + rng.standard_normal((300, 5))).astype(np.float32)
    Z = (1000 + rng.standard_normal((50, 5))).astype(np.float32)
    coef, intercept = rng.standard_normal((k, 300)), rng.standard_normal(k)
    squares = ((Z[:, None].astype(float) - centers[None].astype(float)) ** 2).sum(axis=2)
    wanted = linked(np.exp(-0.2 * squares) @ coef.T + intercept, link)
    got = run(kernel_model(centers, coef, intercept, gamma=0.2, link=link), Z)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@LINKS
@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda z: np.maximum(z, 0)),
        ("tanh", np.tanh),
        ("logistic", lambda z: 1 / (1 + np.exp(-z))),
        ("identity", lambda z: z),
    ],
)
def test_a_perceptron_is_its_layers(link, k, activation, function):
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) for shape in ((5, 4), (4, 3), (3, k))]
    biases = [rng.standard_normal(w.shape[1]) for w in weights]
    Z = rng.standard_normal((20, 5)).astype(np.float32)
    hidden = Z
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        hidden = function(hidden @ w + b)
    wanted = linked(hidden @ weights[-1] + biases[-1], link)
    kept = [w.copy() for w in weights]
    got = run(perceptron(weights, biases, activation=activation, link=link), Z)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert all((w == k).all() for w, k in zip(weights, kept, strict=True))


def test_an_activation_without_an_operator_is_refused():
    with pytest.raises(KDError, match="activation 'sin' cannot be written"):
        perceptron([np.ones((1, 1))], [np.ones(1)], activation="sin", link="identity")


@pytest.mark.parametrize("name", ["linear_model", "tree_ensemble", "OPSETS", "OUTPUT"])
def test_names_that_plugins_import_from_graph_are_still_there(name):
    assert getattr(graph, name) is getattr(onnx_models, name)
