"""`StandardEncoder`: standardised numbers, for students and for those who have no better idea."""

from __future__ import annotations

import numpy as np

from kdcore.encoders.mixed import MixedEncoder
from kdcore.targets import SoftTargets

__all__ = ["StandardEncoder", "moments"]


class StandardEncoder(MixedEncoder):
    """Standardised numbers, one-hot categories, missing values marked in columns of their own.

    A missing number becomes the mean (0 after scaling). Categories in fewer than
    ``min_frequency`` rows share one column "other", which unseen categories fall into as well;
    where there is no such column, an unseen category is encoded like a missing one.

    Parameters
    ----------
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.
    """

    def __init__(self, *, min_frequency: int = 10, max_categories: int = 100) -> None:
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def _learn_numbers(
        self, numbers: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> tuple[list[str], list[int]]:
        self.mean_, self.scale_ = self._moments(numbers, weight)
        return [c.name for c in self.schema_.numeric], list(range(numbers.shape[1]))

    def _moments(self, numbers: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is taken from each column, and what it is divided by."""
        return moments(numbers, weight)

    def _encode_numbers(self, numbers: np.ndarray, out: np.ndarray) -> None:
        np.subtract(numbers, self.mean_, out=out)
        out /= self.scale_
        out[np.isnan(numbers)] = 0.0


def moments(numbers: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each column, missing values left out."""
    mean = np.zeros(numbers.shape[1])
    scale = np.ones(numbers.shape[1])
    for j in range(numbers.shape[1]):
        known = ~np.isnan(numbers[:, j])
        mass = weight[known].sum()
        if not mass > 0:
            continue
        values = numbers[known, j].astype(float)
        mean[j] = (weight[known] * values).sum() / mass
        spread = np.sqrt((weight[known] * (values - mean[j]) ** 2).sum() / mass)
        # A constant column differs from its mean by rounding only.
        if spread > 1e-6 * max(abs(mean[j]), 1e-30):
            scale[j] = spread
    return mean.astype(np.float32), scale.astype(np.float32)
