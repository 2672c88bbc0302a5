"""`LoadedModel`: a saved native model, read by a plugin's loader, that finds its columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcore.errors import DataError, listed

__all__ = ["LoadedModel"]


class LoadedModel:
    """A fitted model from a file, which finds its columns in a table.

    A loader (``TeacherSpec.loader``) may return any fitted estimator; this base spares it the work
    of matching columns. A subclass has ``predict_proba`` and ``classes_``, or ``predict``.

    Parameters
    ----------
    path : Path
    n_features : int
    names : sequence of str, optional
        The columns it was trained on, as the file holds them; None where it holds no names.

    Attributes
    ----------
    path : Path
    n_features_in_ : int
    feature_names_in_ : array of str
        Absent without names.
    """

    def __init__(self, path: Path, n_features: int, names: Sequence[str] | None) -> None:
        self.path = path
        self.n_features_in_ = n_features
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)

    @property
    def names(self) -> list[str] | None:
        """The columns it was trained on, or None."""
        found = getattr(self, "feature_names_in_", None)
        return None if found is None else [str(name) for name in found]

    def written(self, names: list[str]) -> list[str]:
        """How the library writes column names into its files; as they are unless overridden."""
        return names

    def model_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    def columns_of(self, X: Any) -> Any:
        """The columns of a frame that the model reads, in its order.

        Raises
        ------
        DataError
            When one is missing; the message names it. Without names, when their number differs.
        """
        wanted = self.names
        if wanted is None:
            if X.shape[1] != self.n_features_in_:
                raise DataError(
                    f"the model file '{self.path}' was made for {self.n_features_in_} columns, "
                    f"but the table has {X.shape[1]}."
                )
            return X
        own = list(X.columns)
        # Of two columns that are written alike, the first; a column's own name comes before.
        known = dict(reversed(list(zip(self.written(own), own, strict=True))))
        known.update((name, name) for name in own)
        missing = [name for name in wanted if name not in known]
        if missing:
            raise DataError(
                f"the model file '{self.path}' was trained on {len(missing)} column(s) that the "
                f"table lacks: {listed(missing)}."
            )
        return X[[known[name] for name in wanted]]

    def frame_of(self, X: Any) -> Any:
        """The columns that the model reads, of a frame or of an array (n, p) in its order."""
        import pandas as pd

        if not hasattr(X, "columns"):
            array = np.asarray(X)
            fits = array.ndim == 2 and array.shape[1] == self.n_features_in_
            X = pd.DataFrame(array, columns=self.names if fits else None)
        return self.columns_of(X)
