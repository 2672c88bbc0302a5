"""Teachers from networks that were trained elsewhere: code from the user, weights from a file.

Weights are read from safetensors, which hold arrays and nothing else; a pickled module is never
loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from torch import nn

from kdcore.errors import DataError, FitError, ParameterError, first_line
from kdcore_torch.engine import outputs
from kdcore_torch.links import Link

__all__ = ["StateClassifier", "StateRegressor", "load_teacher"]


class _StateTeacher(BaseEstimator):
    """A fitted network that reads tables as they are, or prepared by a function.

    It has no ``fit``: kdcore takes it for what it is, a teacher that was fitted elsewhere.
    """

    def __init__(
        self, module_: nn.Module, path: Path, prepare: Callable[[Any], Any] | None, link: Link
    ) -> None:
        self.module_ = module_
        self.path = path
        self.prepare = prepare
        self.link = link

    def model_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    def _output(self, X: Any) -> np.ndarray:
        name = type(self.module_).__name__
        if self.prepare is not None:
            X = self.prepare(X)
        try:
            array = np.asarray(X, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"the network {name} reads numbers only: {error}; give load_teacher a `prepare` "
                "that turns the table into an array."
            ) from error
        try:
            return outputs(self.module_, array)
        except (RuntimeError, ValueError, TypeError) as error:
            raise DataError(
                f"the network {name} failed on an array of shape {array.shape}: "
                f"{first_line(error)}; `prepare` must make what it reads."
            ) from error


class StateClassifier(ClassifierMixin, _StateTeacher):
    """A network that gives logits."""

    def __init__(
        self,
        module_: nn.Module,
        path: Path,
        prepare: Callable[[Any], Any] | None,
        link: Link,
        classes_: np.ndarray,
    ) -> None:
        super().__init__(module_, path, prepare, link)
        self.classes_ = classes_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        output = self._output(X)
        width = 1 if output.ndim == 1 else output.shape[-1]
        n_classes = len(self.classes_)
        if output.ndim > 2 or (width != n_classes and (width, n_classes) != (1, 2)):
            raise FitError(
                f"the network {type(self.module_).__name__} gives outputs of shape "
                f"{output.shape}, but there are {n_classes} classes; give it one logit for each."
            )
        return Link("logistic" if width == 1 else "softmax").predict(output)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class StateRegressor(RegressorMixin, _StateTeacher):
    """A network that gives values."""

    def predict(self, X: Any) -> np.ndarray:
        """Predicted values, (n,)."""
        output = self._output(X)
        if output.size != len(output):
            raise FitError(
                f"the network {type(self.module_).__name__} gives outputs of shape "
                f"{output.shape}, but a regression has one value for each row."
            )
        return self.link.predict(output)


def load_teacher(
    path: str | Path,
    module: nn.Module | Callable[[], nn.Module],
    *,
    classes: Sequence[Any] | None = None,
    prepare: Callable[[Any], Any] | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
) -> StateClassifier | StateRegressor:
    """A fitted teacher from a ``state_dict`` in safetensors and the code of its network.

    Parameters
    ----------
    path : str or Path
        A file that ``safetensors.torch.save_file(network.state_dict(), path)`` wrote.
    module : torch.nn.Module or callable
        The network, which is filled with the weights, or a function without arguments that
        makes it.
    classes : sequence of length K, optional
        Labels in the order of the network's logits; they must be sorted. One logit will do for
        two classes: it is the second one's. None: a regression.
    prepare : callable, optional
        From a table, as the user has it, to the array that the network reads. By default the
        columns as float32, in their order.
    scale, shift : float
        In regression: values are ``scale * output + shift``.

    Raises
    ------
    FitError
        When the file is not of that kind, or its weights are not those of the network.
    ParameterError
        When ``module`` or ``classes`` cannot be used.
    """
    path = Path(path)
    made = module if isinstance(module, nn.Module) else module() if callable(module) else None
    if not isinstance(made, nn.Module):
        raise ParameterError(
            f"module={module!r} must be a torch.nn.Module, or a function that returns one."
        )
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise FitError(f"there is no file '{path}'.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise FitError(
            f"the file '{path}' is not in the format safetensors ({first_line(error)}); "
            "write it by safetensors.torch.save_file(network.state_dict(), path)."
        ) from error
    _fill(made, state, path)
    made = made.float().eval()
    if classes is None:
        return StateRegressor(made, path, prepare, Link("identity", scale, shift))
    labels = np.asarray(classes)
    if labels.ndim != 1 or len(labels) < 2 or not (np.unique(labels) == labels).all():
        raise ParameterError(
            f"classes={list(classes)!r} must be two or more labels, sorted, in the order of the "
            "network's logits."
        )
    return StateClassifier(made, path, prepare, Link("softmax"), labels)


def _fill(module: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    own, name = module.state_dict(), type(module).__name__
    missing, stray = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    if missing or stray:
        what = f"lacks {missing[0]!r}" if missing else f"has {stray[0]!r}, which it does not know"
        raise FitError(f"the file '{path}' is not of a {name}: it {what}.")
    for key, tensor in own.items():
        if tensor.shape != state[key].shape:
            raise FitError(
                f"the file '{path}' is not of this {name}: {key!r} has the shape "
                f"{tuple(state[key].shape)}, not {tuple(tensor.shape)}."
            )
    module.load_state_dict(state)
