"""Columns as the pixels of pictures: shapes, channels, and arrays of pictures as tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore.errors import DataError, ParameterError
from kdcore_torch.layers import Pixels, Shift, convolutional
from kdcore_torch.network import TorchNetwork, is_count
from kdcore_torch.rows import chunks

__all__ = ["Convolutional", "image_shape"]


def image_shape(n_pixels: int, channels: Any, size: Any) -> tuple[int, int, int]:
    """C, H and W of pictures of ``n_pixels`` numbers.

    Parameters
    ----------
    n_pixels : int
    channels : int
    size : int, (int, int), "row" or None
        Height and width, or both in one number; "row": one row of pixels, as of a signal; None:
        a square.

    Raises
    ------
    ParameterError
        When such pictures have another number of pixels.
    """
    if not is_count(channels):
        raise ParameterError(f"input_channels={channels!r} must be a whole number above 0.")
    each = n_pixels // channels
    if size is None:
        height = width = math.isqrt(each)
        if channels * height * width != n_pixels:
            raise ParameterError(
                f"img_size: {n_pixels} columns with input_channels={channels} are no square "
                "picture; give img_size=(height, width), or 'row' for a signal."
            )
        return channels, height, width
    if isinstance(size, str):
        if size != "row":
            raise ParameterError(f"img_size={size!r} must be (height, width), 'row' or None.")
        height, width = 1, each
    else:
        sides = [size, size] if is_count(size) else list(np.atleast_1d(size))
        if len(sides) != 2 or not all(is_count(s) for s in sides):
            raise ParameterError(f"img_size={size!r} must be (height, width), 'row' or None.")
        height, width = int(sides[0]), int(sides[1])
    if channels * height * width != n_pixels:
        raise ParameterError(
            f"img_size={size!r} with input_channels={channels} needs "
            f"{channels * height * width} columns, but the table has {n_pixels}."
        )
    return channels, height, width


class Convolutional(TorchNetwork):
    """The architecture: convolutions over pictures that are given as arrays or as columns."""

    channels: Any
    input_channels: int
    img_size: Any
    max_shift: int
    _of_hidden = ("dropout",)

    def _as_table(self, X: Any, *, reset: bool) -> Any:
        """Pictures (n, H, W) or (n, C, H, W) as rows of a table; tables as they are."""
        if not (hasattr(X, "ndim") and hasattr(X, "shape") and X.ndim in (3, 4)):
            if reset:
                self._given_shape: tuple[int, ...] | None = None
            return X
        array = np.asarray(X)
        shape = array.shape[1:] if array.ndim == 4 else (1, *array.shape[1:])
        if reset:
            self._given_shape = shape
        elif shape != self._picture:
            raise DataError(
                f"the pictures have the shape (C, H, W) = {shape}, but the model was fitted to "
                f"{self._picture}."
            )
        return array.reshape(len(array), -1)

    def _n_columns(self) -> int:
        """Raw columns of the table, read or not."""
        raise TypeError(f"{type(self).__name__} must define _n_columns")

    def _columns_read(self) -> np.ndarray:
        """Positions in the table of the encoder's raw columns."""
        raise TypeError(f"{type(self).__name__} must define _columns_read")

    def picture(self, n_columns: int) -> tuple[int, int, int]:
        """C, H and W of tables of so many columns."""
        return image_shape(n_columns, self.input_channels, self.img_size)

    def _shape(self, Z: np.ndarray) -> Any:
        n_pixels = self._n_columns()
        if self._given_shape is None:
            self._picture = self.picture(n_pixels)
        else:
            self._picture = self._given_shape  # type: ignore[assignment]
            if self.img_size is not None:
                image_shape(n_pixels, self._picture[0], self.img_size)
        return self._picture

    def _front(self, Z: np.ndarray, shape: Any, weight: np.ndarray, rows: np.ndarray) -> Any:
        owners = self.encoder_.owners_
        read = self._columns_read()
        if len(owners) != len(read):
            raise ParameterError(
                f"encoder={getattr(self, 'encoder', self.encoder_)!r} makes {len(owners)} columns "
                f"of {len(read)}; a picture needs one for each pixel: use encoder='ordinal'."
            )
        places = read[owners]
        channel = places // (shape[1] * shape[2])
        mean, scale = _moments(Z, rows, weight, channel, shape[0])
        return self._pixels(
            shape, places, torch.from_numpy(mean[channel]), torch.from_numpy(scale[channel])
        )

    def _saved_front(self, shape: Any, weights: dict[str, torch.Tensor]) -> list[nn.Module]:
        self._picture = shape
        places = self._columns_read()[self.encoder_.owners_]
        return self._pixels(shape, places, weights["0.mean"], weights["0.scale"])

    def _pixels(
        self, shape: Any, places: np.ndarray, mean: torch.Tensor, scale: torch.Tensor
    ) -> list[nn.Module]:
        pixels = Pixels(shape, torch.from_numpy(places), mean, scale)
        return [pixels, Shift(self.max_shift)] if self.max_shift else [pixels]

    def _build(self, shape: Any, n_outputs: int, generator: torch.Generator) -> nn.Module:
        return convolutional(
            shape,
            self._maps,
            self._hidden,
            n_outputs,
            generator,
            activation=self.activation,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
        )

    def _check(self) -> None:
        super()._check()
        maps = np.atleast_1d(np.asarray(self.channels, dtype=object)).tolist()
        if not maps or not all(is_count(m) for m in maps):
            raise ParameterError(
                f"channels={self.channels!r} must be whole numbers above 0, such as (16, 32)."
            )
        self._maps = [int(m) for m in maps]
        if not (self.max_shift == 0 or is_count(self.max_shift)):
            raise ParameterError(
                f"max_shift={self.max_shift!r} must be a whole number of pixels, or 0."
            )


def _moments(
    Z: np.ndarray, rows: np.ndarray, weight: np.ndarray, channel: np.ndarray, n_channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel over weighted rows, missing values left out."""
    sums = np.zeros((3, Z.shape[1]))
    for part in chunks(len(rows)):
        values = Z[rows[part]].astype(np.float64)
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        mass = weight[part]
        sums += [mass @ known, mass @ values, mass @ values**2]
    count, total, squares = (np.bincount(channel, s, minlength=n_channels) for s in sums)
    count = np.maximum(count, 1e-300)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A constant channel differs from its mean by rounding only.
    scale = np.where(spread > 1e-6 * np.maximum(np.abs(mean), 1e-30), spread, 1.0)
    return mean.astype(np.float32), scale.astype(np.float32)
