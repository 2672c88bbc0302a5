"""Convolutional students of small pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore import ClassifierStudent, RegressorStudent
from kdcore_torch.images import Convolutional
from kdcore_torch.students import TorchStudent, described

__all__ = ["PICTURES", "TorchCNNClassifier", "TorchCNNRegressor", "make"]

#: Documentation of the parameters that students and teachers of pictures share.
PICTURES = """input_channels : int, default=1
        Channels of pictures that are given as rows of pixels, channel after channel.
    img_size : (int, int), int, "row" or None, default=None
        Their height and width; None for squares, "row" for a single row of pixels, such as a
        signal or a spectrum. Arrays (n, C, H, W) or (n, H, W) tell all this themselves.
    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
    batch_norm : bool, default=True
        Batch normalisation; the exported model has it folded into its weights."""


class _CNNStudent(TorchStudent, Convolutional):
    __doc__ = described(
        """Constructor of both convolutional students.

    Pixels are standardised by channel, and a missing one becomes its channel's mean. With
    ``features`` the others are as good as missing in every row.

    Parameters
    ----------
    channels : tuple of int, default=(16, 32)
        Maps of each block of a 3 x 3 convolution and a max-pool of 2.
    hidden_layer_sizes : tuple of int, default=()
        Fully connected layers between the last block and the output.
    {pictures}
    dropout : float, default=0.0
        Share of units of the fully connected layers that are dropped in a training step.
    max_shift : int, default=0
        Pixels by which a picture is moved at most, by chance, whenever it is trained on.
    module : torch.nn.Module, callable or str, optional
        A network of your own, from pictures (n, C, H, W), standardised, to one logit for each
        class (or one for two classes), or to one standardised value. A module is copied with its
        weights; a class or function is called with (C, H, W) and the number of outputs;
        ``"package.module:name"`` is imported. Channels, layers, activation, batch norm and dropout
        must then be left as they are.
    {training}
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`. The encoder must make one column of each; "ordinal" does.

    Attributes
    ----------
    model_ : torch.nn.Module
        The fitted network of rows of pixels, usable on its own.
    n_iter_, loss_curve_, n_threads_
        As in ``pytorch_mlp``.
    """.replace("{pictures}", PICTURES),
        rate=0.01,
        steps=1000,
        l2=0.2,
        stopping="auto",
    )

    def __init__(
        self,
        *,
        channels: Any = (16, 32),
        hidden_layer_sizes: Any = (),
        input_channels: int = 1,
        img_size: Any = None,
        activation: str = "relu",
        batch_norm: bool = True,
        dropout: float = 0.0,
        max_shift: int = 0,
        module: Any = None,
        learning_rate_init: float = 0.01,
        schedule: str = "cosine",
        batch_size: int | str = "auto",
        max_iter: int = 1000,
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
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.channels = channels
        self.hidden_layer_sizes = hidden_layer_sizes
        self.input_channels = input_channels
        self.img_size = img_size
        self.activation = activation
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.max_shift = max_shift
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

    def _n_columns(self) -> int:
        return len(self._all_features)  # type: ignore[attr-defined]

    def _columns_read(self) -> np.ndarray:
        names: list[str] = self._all_features  # type: ignore[attr-defined]
        at = {name: i for i, name in enumerate(names)}
        return np.array([at[name] for name in self.encoder_.schema_.names])

    def _predict(self, X: Any) -> np.ndarray:
        return super()._predict(self._as_table(X, reset=False))


class TorchCNNClassifier(_CNNStudent, ClassifierStudent):
    __doc__ = f"A small convolutional network that classifies.\n{_CNNStudent.__doc__}"

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, teacher_proba: Any = None
    ) -> TorchCNNClassifier:
        """Fit as `kdcore.ClassifierStudent.fit`; ``X`` may be pictures (n, C, H, W) as well."""
        table = self._as_table(X, reset=True)
        super().fit(table, y, sample_weight, teacher_proba=teacher_proba)
        return self


class TorchCNNRegressor(_CNNStudent, RegressorStudent):
    __doc__ = f"A small convolutional network that predicts numbers.\n{_CNNStudent.__doc__}"

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, teacher_output: Any = None
    ) -> TorchCNNRegressor:
        """Fit as `kdcore.RegressorStudent.fit`; ``X`` may be pictures (n, C, H, W) as well."""
        table = self._as_table(X, reset=True)
        super().fit(table, y, sample_weight, teacher_output=teacher_output)
        return self


def make(task: str) -> TorchCNNClassifier | TorchCNNRegressor:
    """Factory of the spec ``pytorch_cnn``."""
    return TorchCNNRegressor() if task == "regression" else TorchCNNClassifier()
