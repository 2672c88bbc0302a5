"""What the students of any architecture share: kdcore's contract, and documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from kdcore.short_weights import shortened
from kdcore.students import table_of
from kdcore_torch.network import TorchNetwork
from kdcore_torch.onnx_layers import network_to_onnx
from kdcore_torch.saved import MEMBER, state_bytes

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["TorchStudent", "described"]

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
    keep_on_interrupt : bool, default=False
        Whether Ctrl-C in training ends it early, with the best weights so far, instead of
        stopping the program. What was not looked at (every 50th part of the training) is not kept.
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
    uses_steps = True
    state_holds: tuple[str, ...] = (
        "encoder_",
        "selected_features_",
        "_all_features",
        "n_features_in_",
        "feature_names_in_",
        "classes_",
        "n_iter_",
        "loss_curve_",
        "n_threads_",
        "_importances",
    )

    def _finish(self, network: Any) -> None:
        for weight in network.parameters() if self.module is None else ():
            if weight.ndim > 1:
                weight.data = torch.from_numpy(shortened(np.asarray(weight.detach())))

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self._fit_network(Z, targets, loss)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self._predict_network(Z)

    def _encode(self, frame: Any) -> np.ndarray:
        return self._encoded(frame)

    def _predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        frame = table_of(self, X, reset=False)
        return self._by_parts(
            frame, lambda part: self.predict_encoded(self.encoder_.transform(part))
        )

    def encoded_importances(self) -> np.ndarray:
        """How far the outputs move with one standard deviation of each encoded column."""
        return self._importances.astype(float)

    def state(self) -> tuple[str, bytes]:
        """For a bundle: the name of a member and its bytes, from which `kdcore_torch.saved.restore`
        makes this fitted student again.
        """
        check_is_fitted(self)
        return MEMBER, state_bytes(self)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities, or to values."""
        return network_to_onnx(self.model_, len(self.encoder_.owners_), self.link_)
