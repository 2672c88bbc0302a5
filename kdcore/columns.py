"""What a raw column is, and how its values become numbers and category keys.

Training and the light runtime of `kdcore.load` share this module, so that a value is read the
same way in both. It needs numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcore.errors import DataError, shown

__all__ = ["KINDS", "MISSING", "Column", "category_key", "category_keys", "numeric_values"]

KINDS = ("numeric", "boolean", "categorical")

#: The key of a missing category; an empty text counts as missing, as it does in CSV files.
MISSING = ""

_TRUE = {"true", "1", "yes", "t", "y"}
_FALSE = {"false", "0", "no", "f", "n"}


@dataclass(frozen=True)
class Column:
    """One raw input column.

    Parameters
    ----------
    name : str
    kind : {"numeric", "boolean", "categorical"}
    categories : tuple of str, default=()
        The category keys seen in training, sorted; only for categorical columns.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()


def category_key(value: Any) -> str:
    """The text by which a category is known: ``3``, ``3.0`` and ``"3"`` are one category.

    Missing values (None, NaN, NaT, empty text) give `MISSING`.
    """
    if isinstance(value, str):
        return value
    if _is_missing(value):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        text = str(value)
    except Exception:
        # Integers of thousands of digits have no text in Python.
        text = hex(value) if isinstance(value, int) else type(value).__name__
    return MISSING if text in ("<NA>", "NaT") else text


def category_keys(values: Iterable[Any]) -> np.ndarray:
    """Keys of a column of categories as an object array of shape (n,)."""
    array = _as_array(values)
    if array.dtype.kind in "USO" and all(type(v) is str for v in array.ravel()):
        return array.astype(object)
    return np.array([category_key(v) for v in array.tolist()], dtype=object)


def numeric_values(values: Iterable[Any], column: Column) -> np.ndarray:
    """A numeric or boolean column as float32 of shape (n,), NaN where missing.

    float32 is what ONNX graphs and scikit-learn's trees compute with, so training reads its
    numbers in the same precision.

    Raises
    ------
    DataError
        When a value is not a number (for booleans: not a truth value), or is infinite; the
        message names the column and the value.
    """
    array = _as_array(values)
    if array.ndim != 1:
        raise DataError(f"column {column.name!r} holds nested values, expected numbers.")
    if array.dtype.kind in "OUS":
        array = np.array([_number(v, column) for v in array.tolist()], dtype=float)
    elif array.dtype.kind not in "buif":
        raise DataError(
            f"column {column.name!r} holds {array.dtype} values, expected numbers; convert it "
            "to numbers, or to text for a category, first."
        )
    with np.errstate(over="ignore"):
        out = array.astype(np.float32)
    if np.isinf(out).any():
        count = int(np.isinf(out).sum())
        raise DataError(
            f"column {column.name!r} holds {count} infinite value(s), or numbers beyond the "
            "range of float32; replace them by missing values or clip them."
        )
    return out


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:
        # pandas.NA is neither equal to itself nor unequal.
        return True
    except ValueError:
        # An array is many values, none of them missing for certain.
        return False
    except ArithmeticError:
        # A signalling NaN of decimal refuses to be compared.
        return True


def _number(value: Any, column: Column) -> float:
    if _is_missing(value):
        return float("nan")
    if isinstance(value, str):
        text = value.strip()
        if not text or text in ("<NA>", "NaT"):
            return float("nan")
        if column.kind == "boolean" and text.lower() in _TRUE | _FALSE:
            return float(text.lower() in _TRUE)
        value = text
    try:
        return float(value)
    except OverflowError:
        # Refused with the other numbers that float32 cannot hold.
        return float("inf")
    except (TypeError, ValueError):
        if str(value) in ("<NA>", "NaT"):
            return float("nan")
        raise DataError(
            f"column {column.name!r} holds {shown(value)}, expected "
            f"{'true or false' if column.kind == 'boolean' else 'a number'}; correct that value "
            "or leave it empty."
        ) from None


def _as_array(values: Any) -> np.ndarray:
    """Values of a pandas, polars or Arrow column, a list or an array, without importing any."""
    if isinstance(values, np.ndarray):
        return values
    if str(getattr(values, "type", "")).startswith("dictionary"):
        # Arrow's to_numpy gives a missing category the first one's name.
        return np.array(values.to_pylist(), dtype=object)
    if hasattr(values, "to_pylist"):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    if hasattr(values, "to_numpy"):
        dtype = str(getattr(values, "dtype", ""))
        # pandas' nullable, categorical and text types only become arrays of objects safely.
        plain = dtype in {"bool", "object"} or dtype.startswith(("int", "uint", "float"))
        if hasattr(values, "array") and not plain:
            return np.asarray(values.astype(object))
        return np.asarray(values.to_numpy())
    values = values if isinstance(values, (list, tuple)) else list(values)
    try:
        array = np.asarray(values)
    except ValueError:
        # Nested values of different lengths.
        array = np.empty((len(values), 0))
    if array.ndim == 1 and array.dtype.kind not in "US":
        return array
    # numpy would turn a missing value among texts into the text "nan", and lists into columns.
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value
    return out
