"""A multilayer perceptron in numpy that minimises any loss: the training behind `sklearn_mlp`.

Parameters, gradients and Adam's moments are each one flat float32 array, so that a step is a few
matrix products and a few passes over that array.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["ACTIVATIONS", "Network", "Training", "train"]

#: Weight of each new step in the running mean of the weights that is kept.
_AVERAGING = 0.01
#: Training stops after this share of all steps without a better value on held-out rows.
_PATIENCE = 0.3

#: Each activation with its derivative, given the activation's own value.
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "relu": (lambda z: np.maximum(z, 0, out=z), lambda a: a > 0),
    "tanh": (lambda z: np.tanh(z, out=z), lambda a: 1 - a * a),
    "logistic": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "identity": (lambda z: z, lambda a: np.float32(1)),
}


class Network:
    """Weights and biases of a perceptron as views of one flat array.

    Parameters
    ----------
    sizes : sequence of int
        Width of every layer, input and output included.
    activation : str
        One of `ACTIVATIONS`.
    rng : numpy.random.Generator
        Draws the weights (Glorot, Bengio 2010, as in scikit-learn); biases start at 0.
    """

    def __init__(self, sizes: list[int], activation: str, rng: np.random.Generator) -> None:
        shapes = list(itertools.pairwise(sizes))
        self.flat = np.zeros(sum(i * o + o for i, o in shapes), dtype=np.float32)
        self.weights, self.biases = _views(self.flat, shapes)
        self._grad = np.zeros_like(self.flat)
        self._grads = _views(self._grad, shapes)
        self._act, self._derivative = ACTIVATIONS[activation]
        factor = 2.0 if activation == "logistic" else 6.0
        for w in self.weights:
            bound = np.sqrt(factor / sum(w.shape))
            w[:] = rng.uniform(-bound, bound, w.shape)

    def forward(self, Z: np.ndarray) -> list[np.ndarray]:
        """The input, the values of every hidden layer, and the output."""
        layers = [Z]
        last = len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = layers[-1] @ w
            z += b
            layers.append(z if i == last else self._act(z))
        return layers

    def backward(self, layers: list[np.ndarray], grad: np.ndarray) -> np.ndarray:
        """The flat gradient, from that of the output; the array is reused by the next call."""
        weights, biases = self._grads
        for i in range(len(self.weights) - 1, -1, -1):
            np.matmul(layers[i].T, grad, out=weights[i])
            np.sum(grad, axis=0, out=biases[i])
            if i:
                grad = grad @ self.weights[i].T
                grad *= self._derivative(layers[i])
        return self._grad

    def sensitivity(self, Z: np.ndarray) -> np.ndarray:
        """Root mean square derivative of the outputs in each input, (d,), at the rows ``Z``.

        Outputs are centred over each other, since a softmax is blind to what they share.
        Paper: Ruck, Rogers, Kabrisky 1990 (feature selection using a multilayer perceptron).
        """
        slopes = [self._derivative(a) for a in self.forward(Z)[1:-1]]
        out = self.weights[-1]
        if out.shape[1] > 1:
            out = out - out.mean(axis=1, keepdims=True)
        total = np.zeros(Z.shape[1])
        for k in range(out.shape[1]):
            grad = np.broadcast_to(out[:, k], (len(Z), len(out)))
            for slope, w in zip(reversed(slopes), reversed(self.weights[:-1]), strict=True):
                grad = (grad * slope) @ w.T
            total += np.mean(grad.astype(float) ** 2, axis=0)
        return np.sqrt(total)


def _views(
    flat: np.ndarray, shapes: list[tuple[int, int]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    weights, biases, at = [], [], 0
    for i, o in shapes:
        weights.append(flat[at : at + i * o].reshape(i, o))
        biases.append(flat[at + i * o : at + i * o + o])
        at += i * o + o
    return weights, biases


@dataclass(frozen=True)
class Training:
    """How to train.

    Parameters
    ----------
    steps : int
        Most gradient steps.
    batch : int
        Rows of a step, about.
    learning_rate : float
        At the start; it falls to 0 along half a cosine.
    l2 : float
        Decoupled weight decay (Loshchilov, Hutter 2019, arXiv:1711.05101), not of biases.
    held : int
        Rows that are not trained on but decide when to stop and which weights to keep.
    """

    steps: int
    batch: int
    learning_rate: float
    l2: float
    held: int


def train(
    network: Network,
    Z: np.ndarray,
    rows: np.ndarray,
    targets: SoftTargets,
    loss: Loss,
    logits: tuple[Callable[[Any], Any], Callable[[Any], Any]],
    plan: Training,
    rng: np.random.Generator,
) -> tuple[int, list[float]]:
    """Minimise a loss by Adam, in place.

    What is kept is a running mean of the weights (Polyak, Juditsky 1992): it is far less noisy
    than the last weights where training stops early, at a learning rate that is still high.

    Parameters
    ----------
    network : Network
    Z : array of shape (n, d), float32
    rows : array of int, shape (m,)
        Positions in ``Z`` of the rows to learn from.
    targets : SoftTargets of those m rows
    loss : Loss
    logits : pair of callables
        From the network's output to what the loss reads, and from the loss's gradient to that of
        the output, up to a factor.
    plan : Training
    rng : numpy.random.Generator

    Returns
    -------
    steps : int
    values : list of float
        The loss on held-out rows, or of the training rows' last batch, over the course. On
        held-out rows it is the loss of the training's end, for losses that change on the way.
    """
    to_logits, to_output = logits
    order = rng.permutation(len(rows))
    held, learnt = order[: plan.held], order[plan.held :]
    Z_held, targets_held = Z[rows[held]], targets.take(held) if plan.held else targets
    rows, targets = rows[learnt], targets.take(learnt)
    # Only the loss at the end of the training can compare weights of different moments.
    # A user's own loss need not know that losses can change.
    at = getattr(loss, "at", lambda progress: loss)
    taught = targets.teacher is not None
    final, changing = at(1.0), taught and getattr(loss, "uses_progress", False)
    block = max(1, plan.steps // 50)
    n_batches = max(1, -(-len(rows) // plan.batch))
    edges = np.linspace(0, len(rows), n_batches + 1).astype(int)
    batch_weight = float(np.sum(targets.sample_weight)) / n_batches
    flat, mean = network.flat, network.flat.copy()
    best, best_at, best_mean = np.inf, 0, mean.copy()
    moments = np.zeros_like(flat), np.zeros_like(flat)
    decay = _like_weights(network, plan.l2)
    values: list[float] = []
    part, unit, now = targets, 0.0, loss
    for step in range(plan.steps):
        i = step % n_batches
        if step % block == 0:
            now = at(step / plan.steps)
        if n_batches > 1:
            if i == 0:
                shuffled = rng.permutation(len(rows))
                rows, targets = rows[shuffled], targets.take(shuffled)
            part = targets.take(slice(edges[i], edges[i + 1]))
        # Rows are gathered a batch at a time: shuffling the table would need two more of it.
        layers = network.forward(Z[rows[edges[i] : edges[i + 1]]])
        value, grad = now.value_and_grad(to_logits(layers[-1]), part)
        if not step:
            # Targets in any unit: Adam is blind to the scale of gradients, but for its epsilon.
            unit = 1.0 / max(float(np.abs(grad).sum()), 1e-300)
        # A batch's gradient is a mean; heavier batches count for more.
        share = unit * float(np.sum(part.sample_weight)) / batch_weight
        grad = (to_output(grad) * share).astype(np.float32)
        rate = plan.learning_rate * 0.5 * (1 + np.cos(np.pi * step / plan.steps))
        _adam(flat, network.backward(layers, grad), *moments, decay, rate, step + 1)
        mean += np.float32(max(_AVERAGING, 1 / (step + 1))) * (flat - mean)
        if (step + 1) % block and step + 1 < plan.steps:
            continue
        if plan.held:
            last = flat.copy()
            flat[:] = mean
            value = final.value_and_grad(to_logits(network.forward(Z_held)[-1]), targets_held)[0]
            flat[:] = last
        values.append(float(value))
        if values[-1] < best or not plan.held:
            best, best_at = values[-1], step
            best_mean[:] = mean
        elif step - best_at > _PATIENCE * plan.steps and not changing:
            break
    flat[:] = best_mean
    return step + 1, values


def _like_weights(network: Network, value: float) -> np.ndarray:
    """A flat array that holds a value for each weight, and 0 for each bias."""
    flat = np.zeros_like(network.flat)
    for w in _views(flat, [w.shape for w in network.weights])[0]:
        w[:] = value
    return flat


def _adam(
    flat: np.ndarray,
    grad: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    decay: np.ndarray,
    rate: float,
    step: int,
) -> None:
    """One step of Adam (Kingma, Ba 2015, arXiv:1412.6980) with decoupled weight decay."""
    b1, b2 = np.float32(0.9), np.float32(0.999)
    first *= b1
    first += (1 - b1) * grad
    second *= b2
    second += (1 - b2) * grad * grad
    root = np.sqrt(second)
    root *= np.float32(1 / np.sqrt(1 - 0.999**step))
    root += np.float32(1e-8)
    flat -= np.float32(rate) * decay * flat
    flat -= np.float32(rate / (1 - 0.9**step)) * first / root
