"""What an estimator's ``fit`` is given, as the table that teachers and students work with."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from kdcore.errors import DataError
from kdcore.inputs import labels_of, table_of, weights_of
from kdcore.schema import TableSchema
from kdcore.table import LabeledTable

__all__ = ["labeled_rows"]


def labeled_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, regression: bool
) -> LabeledTable:
    """The rows of positive weight.

    Parameters
    ----------
    estimator : estimator
        Gets scikit-learn's bookkeeping of features.
    X : table or array of shape (n, p)
    y : array of shape (n,)
    sample_weight : array of shape (n,) or None
    regression : bool

    Raises
    ------
    DataError
        When rows, labels or weights cannot be used.
    """
    frame = table_of(estimator, X, reset=True)
    y = labels_of(y, len(frame), classes=not regression)
    weight = weights_of(sample_weight, frame)
    rows, kept = np.arange(len(frame)), frame
    if weight is not None and not (weight > 0).all():
        rows = np.flatnonzero(weight > 0)
        kept, y, weight = frame.iloc[rows], y[rows], weight[rows]
    classes, task = None, "regression"
    if regression:
        y = check_array(y, ensure_2d=False, dtype=np.float64)
    else:
        classes = np.unique(y)
        if len(classes) < 2:
            raise DataError("only one class is present; a classifier needs at least two classes.")
        task = "binary" if len(classes) == 2 else "multiclass"
    return LabeledTable(
        whole=TableSchema.fit(kept).canonical(kept).reset_index(drop=True),
        classes=classes,
        source=frame,
        rows=rows,
        y=y,
        sample_weight=weight,
        task=task,
        target="y",
    )
