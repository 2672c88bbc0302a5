"""A user's own way of making rows, checked before a student learns from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kdcore.errors import DataError, FitError, KDError, ParameterError, first_line, suggest
from kdcore.schema import as_frame
from kdcore.transfer.base import Augmenter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Custom"]


@dataclass(kw_only=True, eq=False)
class Custom(Augmenter):
    """Rows of a function.

    Parameters
    ----------
    function : callable
        ``function(frame, n, rng)`` returns n rows with the columns and types of ``frame``, the
        real rows (without those of weight zero; other weights are not passed on); ``rng`` is the
        `numpy.random.Generator` to draw with. It is called once for every 4,096 rows.
    """

    name: ClassVar[str] = "custom"

    function: Callable[..., Any]

    def to_dict(self) -> dict[str, Any]:
        """Name of the function, for reports."""
        return {"method": self._called}

    @property
    def _called(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _check(self) -> None:
        if not callable(self.function):
            raise ParameterError(f"function={self.function!r} cannot be called.")

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        # A function may add columns to its table; the user's own must not get them.
        real = self.real_.frame
        try:
            made = self.function(real.copy(deep=False), n, rng)
        except KDError:
            raise
        except Exception as error:
            line = first_line(error)
            raise FitError(f"the augmenter {self._called} failed: {line}") from error
        frame = as_frame(made)
        missing = [c for c in real.columns if c not in frame.columns]
        if missing:
            raise DataError(
                f"the rows of the augmenter {self._called} lack the column {missing[0]!r}; return "
                "every column of the frame that it is given."
                + suggest(missing[0], [c for c in frame.columns if c not in real.columns])
            )
        if len(frame) != n:
            raise DataError(
                f"the augmenter {self._called} returned {len(frame)} rows where {n} were asked for."
            )
        frame = frame[list(real.columns)].reset_index(drop=True)
        for column in real.columns:
            found, expected = frame[column].dtype, real[column].dtype
            if found != expected:
                raise DataError(
                    f"the augmenter {self._called} returned column {column!r} as "
                    f"{_described(found)}, expected {_described(expected)}; convert it with "
                    "astype(frame.dtypes)."
                )
        # Refuses infinite numbers in a message that names the column.
        self.real_.schema.numbers(frame)
        return frame


def _described(dtype: Any) -> str:
    levels = getattr(dtype, "categories", None)
    return str(dtype) if levels is None else f"{dtype} with {len(levels)} levels"
