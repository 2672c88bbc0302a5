"""Rows of several methods, as many of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kdcore.errors import ParameterError
from kdcore.transfer.base import Augmenter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Mixture"]


@dataclass(kw_only=True, eq=False)
class Mixture(Augmenter):
    """Every block of rows is made by all of several methods in turn.

    What one method does badly makes up a part of the rows only: CART rows follow the dependence
    of all columns, those of MUNGE stay near real rows. ``"cart+munge"`` names one of both.

    Parameters
    ----------
    parts : list of Augmenter
        At least two.
    """

    name: ClassVar[str] = "mixture"

    parts: list[Augmenter] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Name, and name and parameters of each part, for reports."""
        called = "+".join(part.name for part in self.parts)
        return {"method": called, "parts": [part.to_dict() for part in self.parts]}

    def clone(self) -> Mixture:
        return Mixture(parts=[part.clone() for part in self.parts])

    def _check(self) -> None:
        if len(self.parts) < 2:
            raise ParameterError("a mixture of augmenters needs at least two parts.")
        for part in self.parts:
            part._check()

    def _learn(self, rng: np.random.Generator) -> None:
        for part, own in zip(self.parts, rng.spawn(len(self.parts)), strict=True):
            part.real_, part.random_state_ = self.real_, self.random_state_
            part._learn(own)

    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        from kdcore.table import stacked

        ends = np.linspace(0, n, len(self.parts) + 1).astype(int)
        made = [
            part._draw(int(count), own)
            for part, count, own in zip(
                self.parts, np.diff(ends), rng.spawn(len(self.parts)), strict=True
            )
            if count
        ]
        return stacked(*made) if len(made) > 1 else made[0]
