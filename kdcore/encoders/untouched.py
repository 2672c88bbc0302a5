"""`UntouchedEncoder`: numbers as they are, for networks that scale their input themselves."""

from __future__ import annotations

import numpy as np

from kdcore.encoders.standard import StandardEncoder

__all__ = ["UntouchedEncoder"]


class UntouchedEncoder(StandardEncoder):
    """Numbers in their own units, one-hot categories, missing values marked.

    A missing number becomes 0. Useful where units matter or a network begins with batch norm;
    elsewhere `StandardEncoder` is the better start.

    Parameters
    ----------
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.
    """

    def _moments(self, numbers: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = numbers.shape[1]
        return np.zeros(p, np.float32), np.ones(p, np.float32)
