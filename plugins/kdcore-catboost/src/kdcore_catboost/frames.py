"""Tables in the form that CatBoost reads: numbers, and categories as texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.errors import DataError

__all__ = ["MISSING_TEXT", "categorical_names", "require_variation", "with_texts"]

#: A missing category, which CatBoost wants as a category of its own: what pandas' astype(str) makes
#: of it, so that models that users trained themselves often know it by this name.
MISSING_TEXT = "nan"


def categorical_names(frame: Any) -> list[str]:
    """Names of the ``category`` columns of a frame."""
    return [name for name in frame.columns if frame[name].dtype == "category"]


def require_variation(frame: Any) -> None:
    """Check that some column has more than one value, without which CatBoost does not start.

    Raises
    ------
    DataError
        When all columns are constant.
    """
    if all(frame[name].nunique(dropna=False) < 2 for name in frame.columns):
        raise DataError(
            f"all columns are constant (n_samples={len(frame)}), and CatBoost cannot be fitted to "
            "such a table; give columns that vary, or more rows."
        )


def with_texts(frame: Any) -> Any:
    """A copy of the frame with its ``category`` columns as texts."""
    texts = {}
    for name in categorical_names(frame):
        column = frame[name].cat
        # The last entry is for code -1.
        known = np.array([*map(str, column.categories), MISSING_TEXT], dtype=object)
        texts[name] = known[column.codes.to_numpy()]
    return frame.assign(**texts)
