"""Temperature calibration of a teacher on rows that it has not seen."""

from __future__ import annotations

import numpy as np

from kdcore.targets import logits_of, softmax

__all__ = ["Calibration", "fit_temperature"]

#: Where the best temperature lies in here, calibrating changes less than it risks.
_GOOD_ENOUGH = (0.9, 1.15)
_RANGE = (0.1, 10.0)


def fit_temperature(
    proba: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """The temperature with the smallest log loss: probabilities become ``softmax(logits / T)``.

    Above 1 the teacher is over-confident, below 1 it is too cautious.

    Parameters
    ----------
    proba : array of shape (n, K)
        Of rows that the teacher was not fitted on.
    labels : int array of shape (n,)
        Positions of the true classes; rows with -1 are left out.
    sample_weight : array of shape (n,), optional

    Paper: Guo et al. 2017, arXiv:1706.04599.
    """
    from scipy.optimize import minimize_scalar

    known = labels >= 0
    if not known.any():
        return 1.0
    logits, labels = logits_of(proba[known]), labels[known]
    weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight)[known]
    if not weight.sum() > 0:
        return 1.0
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        z = logits / np.exp(log_temperature)
        z -= z.max(axis=1, keepdims=True)
        return float(weight @ (np.log(np.exp(z).sum(axis=1)) - z[rows, labels]))

    found = minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x))


class Calibration:
    """What turns a teacher's output into calibrated soft labels.

    Parameters
    ----------
    temperature : float, default=1.0
        1 leaves everything as it is.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    @classmethod
    def fit(
        cls, proba: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> Calibration:
        """Calibrate, unless the teacher is calibrated well enough; see `fit_temperature`."""
        best = fit_temperature(proba, labels, sample_weight)
        low, high = _GOOD_ENOUGH
        return cls(1.0 if low <= best <= high else best)

    def __call__(self, output: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (n, K); values (n,) of a regression stay as they are."""
        if self.temperature == 1 or output.ndim == 1:
            return output
        return softmax(logits_of(output) / self.temperature)
