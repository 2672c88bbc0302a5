"""Regular lattices of pixels, which learned choices of few pixels have to beat."""

from __future__ import annotations

import numpy as np

__all__ = ["lattice"]


def lattice(height: int, width: int, most: int) -> np.ndarray:
    """At most ``most`` pixels of a picture on evenly spaced rows and columns.

    Of all such lattices, that which leaves no pixel far from a chosen one; of these, the one with
    the most pixels.

    Returns
    -------
    int array
        Positions counted over height and width, in order.
    """
    best: tuple[float, int] | None = None
    rows, columns = np.arange(1), np.arange(1)
    for down in range(1, min(height, most) + 1):
        across = min(width, most // down)
        y, x = _spaced(height, down), _spaced(width, across)
        key = (_reach(height, y) ** 2 + _reach(width, x) ** 2, -down * across)
        if best is None or key < best:
            best, rows, columns = key, y, x
    return np.asarray((rows[:, None] * width + columns).ravel())


def _spaced(length: int, count: int) -> np.ndarray:
    """Centres of ``count`` equal parts of a line of pixels."""
    return np.floor((np.arange(count) + 0.5) * length / count).astype(int)


def _reach(length: int, chosen: np.ndarray) -> int:
    """Largest distance of a pixel to the nearest chosen one."""
    return int(np.abs(np.arange(length)[:, None] - chosen).min(axis=1).max())
