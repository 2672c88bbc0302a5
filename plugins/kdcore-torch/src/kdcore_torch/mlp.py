"""Perceptron students: kdcore's own, or a network of the user's, on any encoding and any loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.errors import ParameterError
from kdcore_torch.embeddings import check_embedding, embeddings
from kdcore_torch.layers import perceptron
from kdcore_torch.network import TorchNetwork
from kdcore_torch.rows import chunks
from kdcore_torch.students import TorchStudent, described

if TYPE_CHECKING:
    import torch

__all__ = ["Perceptron", "TorchMLPClassifier", "TorchMLPRegressor", "make"]


class Perceptron(TorchNetwork):
    """The architecture: fully connected layers, behind embeddings if wanted."""

    embedding: Any

    def _shape(self, Z: np.ndarray) -> Any:
        if self.module is None:
            for part in chunks(len(Z)):
                gaps = np.isnan(Z[part]).any(axis=0)
                if gaps.any():
                    name = self.encoder_.get_feature_names_out()[gaps.argmax()]
                    raise ParameterError(
                        f"encoder={getattr(self, 'encoder', self.encoder_)!r} leaves gaps in the "
                        f"column {name!r}, which a perceptron cannot read; use 'none', which "
                        "marks them, or 'standard'."
                    )
        return super()._shape(Z)

    def _build(self, shape: Any, n_outputs: int, generator: torch.Generator) -> nn.Module:
        front = None
        if self.embedding is not None:
            front = embeddings(self.encoder_, self.embedding, generator)
        layers = perceptron(
            shape if front is None else front.width,
            self._hidden,
            n_outputs,
            generator,
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
        )
        return layers if front is None else nn.Sequential(front, *layers)

    def _check(self) -> None:
        super()._check()
        check_embedding(self.embedding)


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
    embedding : int, "auto" or None, default=None
        Width of the vectors that stand for categories, learned with the network, in columns with
        more categories than that. "auto" grows with their number, up to 16. None: one-hot.
    module : torch.nn.Module, callable or str, optional
        A network of your own, from encoded columns (n, d) to one logit for each class (or one for
        two classes), or to one standardised value. A module is copied with its weights; a class
        or function is called with d and the number of outputs; ``"package.module:name"`` is
        imported. The parameters above must then be left as they are.
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
        embedding: int | str | None = None,
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
        keep_on_interrupt: bool = False,
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
        self.embedding = embedding
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
        self.keep_on_interrupt = keep_on_interrupt
        self.random_state = random_state
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features


class TorchMLPClassifier(_MLPStudent, ClassifierStudent):
    __doc__ = f"A small neural network that classifies.\n{_MLPStudent.__doc__}"


class TorchMLPRegressor(_MLPStudent, RegressorStudent):
    __doc__ = f"A small neural network that predicts numbers.\n{_MLPStudent.__doc__}"


def make(task: str) -> TorchMLPClassifier | TorchMLPRegressor:
    """Factory of the spec ``pytorch_mlp``."""
    return TorchMLPRegressor() if task == "regression" else TorchMLPClassifier()
