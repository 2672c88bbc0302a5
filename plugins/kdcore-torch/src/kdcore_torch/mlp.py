"""Perceptron students: kdcore's own, or a network of the user's, on any encoding and any loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore import ClassifierStudent, RegressorStudent
from kdcore_torch.layers import perceptron
from kdcore_torch.network import TorchNetwork
from kdcore_torch.onnx_layers import network_to_onnx

if TYPE_CHECKING:
    import torch
    from torch import nn

    from kdcore import Loss, SoftTargets

__all__ = ["TRAINING", "Perceptron", "TorchMLPClassifier", "TorchMLPRegressor", "TorchStudent",
           "make"]  # fmt: skip

#: Documentation of the parameters that all estimators here share.
TRAINING = """learning_rate_init : float, default={rate}
        The largest; of all parameters this one matters most.
    schedule : {"cosine", "one_cycle", "constant"}, default="cosine"
        Course of the learning rate.
    batch_size : int or "auto", default="auto"
        Rows of a gradient step. "auto" is 128, or a 256th of the table where that is more.
    max_iter : int, default={steps}
        Most gradient steps, and the length of the schedule.
    l2 : float, default={l2}
        Weight decay, decoupled from the gradient (AdamW), of matrices and filters.
    clip : float or None, default=1.0
        Largest norm of a gradient, when those of the first step's outputs sum to 1.
    averaging : float, default=0.99
        What a step keeps of the running mean of the weights, which is the model; 0 for none.
    early_stopping : bool or "auto", default={stopping}
        Hold out some rows, stop when their loss no longer falls, and keep the weights that were
        best for them. "auto" does so unless the teacher was trained on these rows, or most rows
        have no label of their own (synthetic ones): there it would stop too late.
    validation_fraction : float, default=0.1
        Share of the held-out rows, of which there are 20,000 at most.
    device : str, default="cpu"
        "cpu", "cuda", "mps", or "auto" for a GPU where there is one. Only on a CPU the same seed
        gives the same bits.
    precision : {"float32", "bfloat16"}, default="float32"
        Of matrix products in training; weights stay float32.
    n_jobs : int or None, default=1
        Most threads on a CPU; None and -1 for all cores. More than one are used only where the
        first steps show that they are faster and change no bit.
    memory_limit : float, default=2e9
        Bytes of encoded rows that may be in memory; a larger table is kept in a temporary file,
        from which batches are read.
    on_step : callable, optional
        Called with steps done, steps in all, and the loss, about 50 times.
    random_state : int, default=0"""


def described(text: str, **defaults: Any) -> str:
    """A docstring with the documentation of training in the place of ``{training}``."""
    training = TRAINING
    for name, value in defaults.items():
        training = training.replace(f"{{{name}}}", repr(value))
    return text.replace("{training}", training)


class TorchStudent(TorchNetwork):
    """What students of any architecture add: the contract of `kdcore.ClassifierStudent`."""

    uses_gradient = True

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self._fit_network(Z, targets, loss)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self._predict_network(Z)

    def _encode(self, frame: Any) -> np.ndarray:
        return self._encoded(frame)

    def encoded_importances(self) -> np.ndarray:
        """How far the outputs move with one standard deviation of each encoded column."""
        return self._importances

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities, or to values."""
        return network_to_onnx(self.model_, len(self.encoder_.owners_), self.link_)


class Perceptron(TorchNetwork):
    """The architecture: fully connected layers."""

    def _build(self, shape: Any, n_outputs: int, generator: torch.Generator) -> nn.Module:
        return perceptron(
            shape,
            self._hidden,
            n_outputs,
            generator,
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
        )


class _MLPStudent(TorchStudent, Perceptron):
    __doc__ = described(
        """Constructor of both perceptron students.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(64, 32)
    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
    batch_norm : bool, default=False
        Batch normalisation in hidden layers; the exported model has it folded into its weights.
    dropout : float, default=0.0
        Share of hidden units that are dropped in a training step.
    module : torch.nn.Module, callable or str, optional
        A network of your own, from encoded columns (n, d) to one logit for each class (or one for
        two classes), or to one standardised value. A module is copied with its weights; a class
        or function is called with d and the number of outputs; ``"package.module:name"`` is
        imported. The parameters above then go unused.
    {training}
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`.

    Attributes
    ----------
    model_ : torch.nn.Module
        The fitted network of the encoded columns, usable on its own.
    n_iter_ : int
        Gradient steps done.
    loss_curve_ : list of float
        The loss on held-out rows (on the last batch, if none are held out) over the course.
    n_threads_ : int
        Threads used.
    """,
        rate=0.008,
        steps=5000,
        l2=0.2,
        stopping="auto",
    )

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (64, 32),
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        module: Any = None,
        learning_rate_init: float = 0.008,
        schedule: str = "cosine",
        batch_size: int | str = "auto",
        max_iter: int = 5000,
        l2: float = 0.2,
        clip: float | None = 1.0,
        averaging: float = 0.99,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        device: str = "cpu",
        precision: str = "float32",
        n_jobs: int | None = 1,
        memory_limit: float = 2e9,
        on_step: Any = None,
        random_state: Any = 0,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.module = module
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.l2 = l2
        self.clip = clip
        self.averaging = averaging
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.memory_limit = memory_limit
        self.on_step = on_step
        self.random_state = random_state
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features


class TorchMLPClassifier(_MLPStudent, ClassifierStudent):
    __doc__ = f"A small neural network that classifies.\n{_MLPStudent.__doc__}"


class TorchMLPRegressor(_MLPStudent, RegressorStudent):
    __doc__ = f"A small network that predicts numbers; it scales them itself.\n{_MLPStudent.__doc__}"


def make(task: str) -> TorchMLPClassifier | TorchMLPRegressor:
    """Factory of the spec ``pytorch_mlp``."""
    return TorchMLPRegressor() if task == "regression" else TorchMLPClassifier()
