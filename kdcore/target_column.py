"""A target column as labels, and a column of row weights: what can be used, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.columns import category_key
from kdcore.errors import DataError
from kdcore.schema import column_kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["aligned", "class_task", "classes_of", "numbers_of", "plain_target", "weights_in"]


def plain_target(y: pd.Series, target: str) -> pd.Series:
    """The known values of a target column, in the type that they have in a CSV file.

    Raises
    ------
    DataError
        For dates, complex numbers and nested values.
    """
    try:
        kind = column_kind(y)
    except DataError as error:
        raise DataError(f"the target {target!r} cannot be used: {error}") from error
    if y.dtype != object:
        return y
    if kind == "numeric":
        import pandas as pd

        return pd.to_numeric(y)
    return y.astype(bool) if kind == "boolean" else y


def numbers_of(y: pd.Series, target: str) -> np.ndarray:
    """A regression target as floats (n,)."""
    import pandas as pd
    from pandas.api import types

    if isinstance(y.dtype, pd.CategoricalDtype) or not types.is_numeric_dtype(y.dtype):
        values = pd.to_numeric(y.astype(object), errors="coerce")
        if values.isna().any():
            bad = y[values.isna()].iloc[0]
            raise DataError(
                f"the target column {target!r} holds {bad!r}, which is not a number, so it cannot "
                "be a regression target; correct it, or use task 'classification'."
            )
        y = values
    numbers = y.to_numpy(dtype=float)
    if not (np.abs(numbers) <= np.finfo(np.float32).max).all():
        raise DataError(
            f"the target column {target!r} holds infinite values, or numbers beyond the range of "
            "float32; drop those rows, or divide the column by a constant."
        )
    return numbers


def classes_of(y: pd.Series, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Class labels (n,), and the sorted classes."""
    import pandas as pd
    from pandas.api import types

    if isinstance(y.dtype, pd.CategoricalDtype) and types.is_numeric_dtype(y.cat.categories.dtype):
        y = y.astype(y.cat.categories.dtype)
    values: np.ndarray
    if types.is_bool_dtype(y.dtype):
        values = y.to_numpy(dtype=bool)
    elif types.is_numeric_dtype(y.dtype):
        values = y.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise DataError(f"the target column {target!r} holds infinite values; drop those rows.")
        if (values == np.round(values)).all():
            values = values.astype(np.int64)
    else:
        values = np.asarray(y.astype(object))
        kinds = {type(v) for v in values.tolist()}
        if kinds <= {int} or kinds <= {bool}:
            values = values.astype(kinds.pop())
        else:
            values = np.array([str(v) for v in values])
    return values, np.unique(values)


def class_task(classes: np.ndarray, asked: str, target: str) -> str:
    """``"binary"`` or ``"multiclass"``, refused if the other was asked for."""
    found = "binary" if len(classes) <= 2 else "multiclass"
    if asked == "binary" and found != "binary":
        raise DataError(
            f"task 'binary' was asked for, but the target column {target!r} has {len(classes)} "
            "classes; use task 'multiclass'."
        )
    if asked == "multiclass" and found == "binary":
        raise DataError(
            f"task 'multiclass' was asked for, but the target column {target!r} has "
            f"{len(classes)} classes; use task 'binary'."
        )
    return found


def aligned(labels: np.ndarray, classes: np.ndarray, target: str) -> np.ndarray:
    """Test labels in the type of the training classes, all of them known.

    The two tables may come from files of different formats, so ``1`` and ``"1"`` are one class,
    and so are ``1`` and ``True``; but 0.5 is not 0.
    """
    kinds = {labels.dtype.kind, classes.dtype.kind}
    truth_as_number = len(kinds) == 2 and "b" in kinds and bool(kinds & set("iuf"))

    def key(value: Any) -> str:
        return str(int(value)) if truth_as_number and type(value) is bool else category_key(value)

    place = {key(c): i for i, c in enumerate(classes.tolist())}
    found, inverse = np.unique(labels, return_inverse=True)
    places = np.array([place.get(key(v), -1) for v in found.tolist()])
    if (places < 0).any():
        raise DataError(
            f"the target column {target!r} holds the class {str(found[places < 0][0])!r}, which "
            "the training table lacks; drop those rows or add such rows to the training table."
        )
    return np.asarray(classes[places[inverse]])


def weights_in(values: pd.Series, name: str) -> np.ndarray:
    """A column of row weights as floats (n,)."""
    import pandas as pd

    weight = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum() > 0:
        raise DataError(
            f"the sample_weight column {name!r} must hold finite numbers, none negative and not "
            "all zero."
        )
    return weight
