"""What estimators are given: tables, labels, row weights, seeds; refused as scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data

from kdcore.columns import MISSING, category_key
from kdcore.errors import DataError, ParameterError
from kdcore.schema import as_frame

__all__ = ["RawTables", "labels_of", "seed_of", "table_of", "weights_of"]


class RawTables:
    """An estimator whose ``fit`` takes raw tables and labels, for scikit-learn's tags."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


def table_of(estimator: Any, X: Any, *, reset: bool) -> Any:
    """The input of an estimator as a pandas frame, with scikit-learn's bookkeeping of features.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` (and ``feature_names_in_``) when ``reset``; is asked for them
        otherwise.
    X : table or array
        Frames are matched by column name later, so extra columns are no error; arrays must have
        the width that was fitted.
    """
    # type(), since scipy's dok arrays are dictionaries too.
    named = hasattr(X, "columns") or type(X) is dict or hasattr(X, "column_names")
    if named:
        frame = as_frame(X)
        if len(frame) == 0:
            raise DataError("found a table with 0 rows while a minimum of 1 is required.")
        if reset:
            validate_data(estimator, frame, skip_check_array=True, reset=True)
        return frame
    array = validate_data(
        estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", accept_sparse=False
    )
    names = getattr(estimator, "feature_names_in_", None)
    return as_frame(array, None if names is None else [str(n) for n in names])


def labels_of(y: Any, n_rows: int, *, classes: bool = False) -> np.ndarray:
    """Labels as an array (n,), refused with scikit-learn's words where they cannot be used.

    ``classes`` tells whether they must be classes rather than values.
    """
    if y is None:
        raise DataError("fit requires y to be passed, but the target y is None.")
    try:
        y = column_or_1d(y, warn=True)
    except ValueError as error:
        raise DataError(str(error)) from error
    if len(y) != n_rows:
        raise DataError(
            f"Found input variables with inconsistent numbers of samples: {[n_rows, len(y)]}"
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise DataError("Input y contains NaN or infinity; drop those rows.")
    if y.dtype.kind == "O":
        if any(category_key(v) == MISSING for v in y):
            raise DataError("Input y contains NaN or other missing labels; drop those rows.")
        kinds = sorted({"text" if isinstance(v, str) else type(v).__name__ for v in y})
        if "text" in kinds and len(kinds) > 1:
            raise DataError(f"y mixes {' and '.join(kinds)}; turn all labels into text.")
    if classes:
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise DataError(str(error)) from error
    return y


def weights_of(sample_weight: Any, frame: Any) -> np.ndarray | None:
    """Row weights as an array (n,), or None; refused where negative, or zero in every row."""
    if sample_weight is None:
        return None
    try:
        weight = _check_sample_weight(sample_weight, frame.iloc[:, :1], dtype=np.float64)
    except ValueError as error:
        raise DataError(str(error)) from error
    weight = np.asarray(weight)
    if (weight < 0).any() or not weight.sum() > 0:
        raise DataError("sample_weight must not be negative, nor zero in every row.")
    return weight


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn calls ``random_state``; None draws a fresh one."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] % 2**31)
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    raise ParameterError(f"random_state={random_state!r} must be a whole number, or None.")
