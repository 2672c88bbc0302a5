"""Seconds of training the same network: a DataLoader loop, skorch, a minimal loop, kdcore.

Same data, network, batches, epochs and optimiser (AdamW, constant rate, no clipping); kdcore's
figure is all of ``fit``. CPU seconds of one thread, so that a shared machine counts for less.
"""

import importlib.util
import time

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from kdcore_torch.cnn import TorchCNNClassifier
from kdcore_torch.layers import convolutional, perceptron
from kdcore_torch.mlp import TorchMLPClassifier

ROUNDS, EPOCHS, RATE = 3, 4, 1e-3
EPOCHS_OF_DIGITS = 10
HAS_SKORCH = importlib.util.find_spec("skorch") is not None
PLAIN = {
    "learning_rate_init": RATE, "schedule": "constant", "l2": 0.01, "clip": None,
    "averaging": 0.0, "early_stopping": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def loop(make, x, y, batch, epochs):
    network = make()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE)
    loader = DataLoader(TensorDataset(x, y), batch, shuffle=True)
    for _ in range(epochs):
        for xb, yb in loader:
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(xb), yb).backward()
            optimiser.step()


def minimal(make, x, y, batch, epochs, *, fused=False):
    """What one writes who knows that a DataLoader is slow."""
    network = make()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, fused=fused)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for rows in order.split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()


def passes_alone(make, x, y, batch, epochs):
    """Forward and backward by autograd and nothing else: below it no such loop can go."""
    network = make()
    xb, yb = x[:batch], y[:batch]
    for _ in range(epochs * -(-len(x) // batch)):
        nn.functional.cross_entropy(network(xb), yb).backward()


def skorch(make, x, y, batch, epochs):
    from skorch import NeuralNetClassifier

    NeuralNetClassifier(
        make(), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, lr=RATE,
        batch_size=batch, max_epochs=epochs, train_split=None, iterator_train__shuffle=True,
        verbose=0,
    ).fit(x, y)  # fmt: skip


def table():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50_000, 40)).astype(np.float32)
    y = (x @ rng.standard_normal((40, 3)) + rng.gumbel(size=(50_000, 3))).argmax(axis=1)
    return x, y


def compare(show, what, make, shape, x, y, batch, epochs, model):
    inputs, labels = torch.from_numpy(x.reshape(-1, *shape)), torch.from_numpy(y)
    args = (make, inputs, labels, batch, epochs)
    runs = {
        "DataLoader": lambda: loop(*args),
        "skorch": lambda: skorch(*args),
        "minimal": lambda: minimal(*args),
        "minimal, fused": lambda: minimal(*args, fused=True),
        "passes alone": lambda: passes_alone(*args),
        "kdcore": lambda: model.fit(x, y),
    }
    if not HAS_SKORCH:
        del runs["skorch"]
    rounds = [{name: seconds(run) for name, run in runs.items()} for _ in range(ROUNDS)]
    steps = epochs * -(-len(x) // batch)
    for name in runs:
        us = np.median([r[name] for r in rounds]) / steps * 1e6
        ratios = [r[name] / r["kdcore"] for r in rounds]
        show(f"  {what:24}{name:16}{us:9.0f} us a step{np.median(ratios):8.2f} x kdcore "
             f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    return {n: np.median([r[n] / r["kdcore"] for r in rounds]) for n in runs}


@pytest.mark.parametrize("batch", [64, 256, 1024])
def test_a_perceptron_of_a_table(show, batch):
    x, y = table()
    show(f"\n50,000 x 40, 3 classes, 64-32 units, {EPOCHS} epochs, {ROUNDS} rounds; skorch "
         f"{'there' if HAS_SKORCH else 'not installed'}")  # fmt: skip

    def make():
        return perceptron(40, (64, 32), 3, torch.Generator().manual_seed(0))

    model = TorchMLPClassifier(
        encoder="none", batch_size=batch, max_iter=EPOCHS * -(-50_000 // batch), **PLAIN
    )
    found = compare(show, f"batch {batch}", make, (40,), x, y, batch, EPOCHS, model)
    assert found["DataLoader"] > 3
    assert found["minimal"] > 1 / 1.2


@pytest.mark.parametrize("channels", [(16, 32), (32, 64)])
def test_a_network_of_digits(show, channels):
    x, y = load_digits(return_X_y=True)
    x = ((x - x.mean()) / x.std()).astype(np.float32)
    show(
        f"\ndigits, {len(x)} pictures of 8 x 8, channels {channels}, batch 64, "
        f"{EPOCHS_OF_DIGITS} epochs"
    )

    def make():
        return convolutional((1, 8, 8), channels, (), 10, torch.Generator().manual_seed(0))

    model = TorchCNNClassifier(
        channels=channels, batch_size=64, max_iter=EPOCHS_OF_DIGITS * -(-len(x) // 64), **PLAIN
    )
    found = compare(show, "digits", make, (1, 8, 8), x, y, 64, EPOCHS_OF_DIGITS, model)
    assert found["minimal"] > 1 / 1.2
