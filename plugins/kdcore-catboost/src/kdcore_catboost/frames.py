"""Tables in the form that CatBoost reads: numbers, and categories as texts."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["MISSING_TEXT", "categorical_names", "with_texts"]

#: A missing category, which CatBoost wants as a category of its own: what pandas' astype(str) makes
#: of it, so that models that users trained themselves often know it by this name.
MISSING_TEXT = "nan"


def categorical_names(frame: Any) -> list[str]:
    """Names of the ``category`` columns of a frame."""
    return [name for name in frame.columns if frame[name].dtype == "category"]


def with_texts(frame: Any) -> Any:
    """A copy of the frame with its ``category`` columns as texts."""
    texts = {}
    for name in categorical_names(frame):
        column = frame[name].cat
        # The last entry is for code -1.
        known = np.array([*map(str, column.categories), MISSING_TEXT], dtype=object)
        texts[name] = known[column.codes.to_numpy()]
    return frame.assign(**texts)
