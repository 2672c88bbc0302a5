"""Network teachers: wide perceptrons of tables, and convolutional networks of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore import ClassifierTeacher, RegressorTeacher, SoftTargets
from kdcore.encoders import make_encoder
from kdcore.losses import KL, Blend
from kdcore_torch.cnn import PICTURES
from kdcore_torch.images import Convolutional
from kdcore_torch.mlp import Perceptron
from kdcore_torch.network import TorchNetwork
from kdcore_torch.students import described

__all__ = [
    "TorchCNNTeacherClassifier",
    "TorchCNNTeacherRegressor",
    "TorchMLPTeacherClassifier",
    "TorchMLPTeacherRegressor",
    "make_cnn",
    "make_mlp",
]


class _Teacher(TorchNetwork):
    """What the teachers of any architecture add to a network.

    Rows on which a training stops early are taken from the teacher's own training rows.
    """

    encoder: Any = "ordinal"
    schema_: Any

    def _fit_rows(
        self, frame: Any, y: np.ndarray, weight: np.ndarray | None, classes: np.ndarray | None
    ) -> None:
        self.encoder_ = make_encoder(self.encoder)
        targets = SoftTargets(labels=y, sample_weight=weight, classes=classes)
        self.encoder_.fit(frame, targets, targets.sample_weight)
        loss = Blend(alpha=0.0) if classes is None else KL(alpha=0.0)
        self._fit_network(self._encoded(frame), targets, loss)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return self._by_parts(
            frame, lambda part: self._predict_network(self.encoder_.transform(part))
        )

    def model_bytes(self) -> int:
        """Size in bytes of the weights."""
        return sum(t.numel() * t.element_size() for t in self.model_.state_dict().values())


class _ClassifierTeacher(_Teacher, ClassifierTeacher):
    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self._fit_rows(frame, y, sample_weight, np.arange(len(self.classes_)))


class _RegressorTeacher(_Teacher, RegressorTeacher):
    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self._fit_rows(frame, y, sample_weight, None)


class _MLPTeacher(Perceptron):
    __doc__ = described(
        """Constructor of both perceptron teachers.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 128)
    activation, batch_norm, embedding, module
        As in the student ``pytorch_mlp``.
    dropout : float, default=0.1
        Share of hidden units that are dropped in a training step.
    encoder : str or Encoder, default="standard"
        How raw columns become the network's input.
    {training}

    Attributes
    ----------
    model_ : torch.nn.Module
        The fitted network of the encoded columns.
    """,
        rate=0.005,
        steps=4000,
        l2=0.2,
        stopping=True,
    )

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (256, 128),
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: float = 0.1,
        embedding: int | str | None = None,
        module: Any = None,
        encoder: Any = "standard",
        learning_rate_init: float = 0.005,
        schedule: str = "cosine",
        batch_size: int | str = "auto",
        max_iter: int = 4000,
        l2: float = 0.2,
        clip: float | None = 1.0,
        averaging: float = 0.99,
        early_stopping: bool | str = True,
        validation_fraction: float = 0.1,
        device: str = "cpu",
        precision: str = "float32",
        n_jobs: int | None = 1,
        memory_limit: float = 2e9,
        on_step: Any = None,
        keep_on_interrupt: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.embedding = embedding
        self.module = module
        self.encoder = encoder
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


class _CNNTeacher(Convolutional):
    __doc__ = described(
        """Constructor of both convolutional teachers.

    Parameters
    ----------
    channels : tuple of int, default=(32, 64)
        Maps of each block of a 3 x 3 convolution and a max-pool of 2.
    hidden_layer_sizes : tuple of int, default=(128,)
        Fully connected layers between the last block and the output.
    {pictures}
    dropout : float, default=0.2
        Share of units of the fully connected layers that are dropped in a training step.
    max_shift : int, default=1
        Pixels by which a picture is moved at most, by chance, whenever it is trained on.
    module
        As in the student ``pytorch_cnn``.
    {training}

    Attributes
    ----------
    model_ : torch.nn.Module
        The fitted network of rows of pixels.
    """.replace("{pictures}", PICTURES),
        rate=0.01,
        steps=1000,
        l2=0.2,
        stopping=True,
    )

    _given_shape: tuple[int, ...] | None

    def __init__(
        self,
        *,
        channels: Any = (32, 64),
        hidden_layer_sizes: Any = (128,),
        input_channels: int = 1,
        img_size: Any = None,
        activation: str = "relu",
        batch_norm: bool = True,
        dropout: float = 0.2,
        max_shift: int = 1,
        module: Any = None,
        learning_rate_init: float = 0.01,
        schedule: str = "cosine",
        batch_size: int | str = "auto",
        max_iter: int = 1000,
        l2: float = 0.2,
        clip: float | None = 1.0,
        averaging: float = 0.99,
        early_stopping: bool | str = True,
        validation_fraction: float = 0.1,
        device: str = "cpu",
        precision: str = "float32",
        n_jobs: int | None = 1,
        memory_limit: float = 2e9,
        on_step: Any = None,
        keep_on_interrupt: bool = False,
        random_state: Any = 0,
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

    def _n_columns(self) -> int:
        return len(self.encoder_.schema_.names)

    def _columns_read(self) -> np.ndarray:
        return np.arange(self._n_columns())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit to a table of pixels or pictures (n, C, H, W), and labels or values (n,)."""
        table = self._as_table(X, reset=True)
        return super().fit(table, y, sample_weight)  # type: ignore[misc]

    def _predict(self, X: Any) -> np.ndarray:
        return super()._predict(self._as_table(X, reset=False))  # type: ignore[misc]


class TorchMLPTeacherClassifier(_MLPTeacher, _ClassifierTeacher):
    __doc__ = f"A wide neural network that classifies.\n{_MLPTeacher.__doc__}"


class TorchMLPTeacherRegressor(_MLPTeacher, _RegressorTeacher):
    __doc__ = f"A wide neural network that predicts numbers.\n{_MLPTeacher.__doc__}"


class TorchCNNTeacherClassifier(_CNNTeacher, _ClassifierTeacher):
    __doc__ = f"A convolutional network that classifies pictures.\n{_CNNTeacher.__doc__}"


class TorchCNNTeacherRegressor(_CNNTeacher, _RegressorTeacher):
    __doc__ = f"A convolutional network that predicts numbers.\n{_CNNTeacher.__doc__}"


def make_mlp(task: str) -> TorchMLPTeacherClassifier | TorchMLPTeacherRegressor:
    """Factory of the spec ``pytorch_mlp``."""
    regression = task == "regression"
    return TorchMLPTeacherRegressor() if regression else TorchMLPTeacherClassifier()


def make_cnn(task: str) -> TorchCNNTeacherClassifier | TorchCNNTeacherRegressor:
    """Factory of the spec ``pytorch_cnn``."""
    regression = task == "regression"
    return TorchCNNTeacherRegressor() if regression else TorchCNNTeacherClassifier()
