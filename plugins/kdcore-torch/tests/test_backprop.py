"""Gradients of chains of layers: those of autograd, for every layer, or autograd itself."""

import numpy as np
import pytest
import torch
from torch import nn

from kdcore import SoftTargets
from kdcore.losses import KL, Blend
from kdcore_torch.backprop import Autograd, Chain, passes
from kdcore_torch.embeddings import Embeddings
from kdcore_torch.layers import ACTIVATIONS, Dropout, Pixels, Shift, convolutional, perceptron
from kdcore_torch.links import Link
from kdcore_torch.weights import FlatWeights

CPU = torch.device("cpu")


def generator():
    return torch.Generator().manual_seed(0)


def mlp(**options):
    return perceptron(6, (7, 5), 3, generator(), **options)


def pixels(shape):
    n = int(np.prod(shape))
    return Pixels(shape, torch.arange(n), torch.zeros(n), torch.ones(n))


def cnn(shape, **options):
    return nn.Sequential(
        pixels(shape), Shift(1), convolutional(shape, (4, 6), (5,), 3, generator(), **options)
    )


NETWORKS = {
    **{name: (lambda name=name: mlp(activation=name), 6) for name in ACTIVATIONS},
    "norm": (lambda: mlp(batch_norm=True), 6),
    "dropout": (lambda: mlp(dropout=0.3), 6),
    "without bias": (lambda: nn.Sequential(nn.Linear(6, 4, bias=False), nn.Linear(4, 3)), 6),
    "one layer": (lambda: nn.Linear(6, 3), 6),
    "embeddings": (
        lambda: nn.Sequential(
            Embeddings(6, [np.array([1, 3]), np.array([4, 5])], [2, 1], generator()),
            nn.Linear(5, 3),
        ),
        6,
    ),
    "pictures": (lambda: cnn((1, 8, 8)), 64),
    "three channels": (lambda: cnn((3, 6, 7), batch_norm=False, activation="gelu"), 126),
    "strides": (
        lambda: nn.Sequential(
            pixels((2, 9, 9)), nn.Conv2d(2, 4, 3, stride=2, bias=False), nn.SiLU(),
            nn.Conv2d(4, 4, 1, groups=2), nn.MaxPool2d(3, stride=1, padding=1), nn.Flatten(),
            nn.Linear(64, 3),
        ),
        162,
    ),
}  # fmt: skip


def seeded(module, seed):
    made = generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, (Dropout, Shift)):
            part.generator = made


@pytest.mark.parametrize("name", NETWORKS)
def test_a_chain_has_the_outputs_gradients_and_statistics_of_autograd(name):
    make, width = NETWORKS[name]
    x, g = torch.randn(10, width, generator=generator()), torch.randn(10, 3, generator=generator())
    seen = []
    for auto in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = make().train()
        weights = FlatWeights(module, l2=0.0, averaging=0.0)
        ways = passes(module, CPU, "float32", weights.clear)
        assert isinstance(ways, Chain)
        ways = Autograd(module, CPU, "float32", weights.clear) if auto else ways
        for seed in range(2):
            seeded(module, seed)
            output = ways.forward(x)
            ways.backward(g)
        grads = [p.grad.clone() for p in module.parameters()]
        seen.append([output, *grads, *[b.clone() for b in module.buffers()]])
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def frozen():
    module = mlp()
    module[0].weight.requires_grad_(False)
    return module


def hooked():
    module = mlp()
    module[0].register_forward_hook(lambda *args: None)
    return module


def shared():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(6, 3))


class Own(nn.Linear):
    """A layer may do anything in its forward."""

    def forward(self, x):
        return super().forward(x) ** 2


@pytest.mark.parametrize(
    "make",
    [frozen, hooked, shared, lambda: nn.Sequential(Own(6, 3)),
     lambda: nn.Sequential(nn.Linear(6, 3), nn.Softplus()),
     lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, affine=False)),
     lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 3))],
    ids=["frozen", "hooked", "shared", "own", "unknown", "norm", "dropout of PyTorch"],
)  # fmt: skip
def test_what_a_chain_does_not_know_is_left_to_autograd(make):
    module = make()
    FlatWeights(module, l2=0.0, averaging=0.0)
    assert isinstance(passes(module, CPU, "float32", lambda: None), Autograd)


def test_a_step_is_that_of_pytorchs_adamw():
    one, other = mlp(), mlp()
    weights = FlatWeights(one, l2=0.0, averaging=0.0)
    wanted = torch.optim.AdamW(other.parameters(), lr=0.01, weight_decay=0.0)
    for seed in range(5):
        x = torch.randn(20, 6, generator=generator().manual_seed(seed))
        for module in (one, other):
            module.zero_grad(set_to_none=False)
            (module(x) ** 2).sum().backward()
        nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        wanted.step()
        weights.step(0.01, 1.0)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("link", "width"),
    [(Link("softmax"), 3), (Link("logistic"), 1), (Link("identity", 7.0, -3.0), 1)],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_gradients_of_outputs_are_those_of_autograd(link, width):
    output = torch.randn(9, width, generator=generator(), requires_grad=True)
    labels = np.arange(9) % 3
    if link.kind == "identity":
        targets, loss = SoftTargets(labels=labels.astype(float)), Blend(alpha=0.0)
    else:
        k = 3 if width == 3 else 2
        targets, loss = SoftTargets(labels=labels % k, classes=np.arange(k)), KL(alpha=0.0)
    logits = link.logits(output)
    _, grad = loss.value_and_grad(logits.detach(), targets)
    (wanted,) = torch.autograd.grad(logits, output, 0.5 * grad)
    got = link.pull(grad, output, 0.5)
    assert (got.dtype, got.shape) == (output.dtype, output.shape)
    torch.testing.assert_close(got, wanted)
