"""Plain data as JSON and back, exactly: numbers, texts, lists, arrays. Nothing else, no code."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

__all__ = ["NotPlain", "from_json", "to_json"]

_DTYPES = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}


class NotPlain(TypeError):
    """A value that is more than data, such as a model or a function."""


def to_json(value: Any) -> Any:
    """What `json.dumps` can write, from which `from_json` makes an equal value of equal types.

    Parameters
    ----------
    value : None, bool, int, float, str, numpy number or array, list, tuple, or dict with text keys
        Arrays of objects hold such values too.

    Raises
    ------
    NotPlain
        When it is, or holds, something else.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"float": repr(value)}
    if type(value) is list:
        return [to_json(v) for v in value]
    if type(value) is tuple:
        return {"tuple": [to_json(v) for v in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: to_json(v) for key, v in value.items()}}
    if isinstance(value, np.generic) and value.dtype.kind in _DTYPES:
        return {"number": _array(np.asarray(value))}
    if isinstance(value, np.str_):
        return str(value)
    if type(value) is np.ndarray:
        return {"array": _array(value)}
    raise NotPlain(f"{type(value).__name__} is no plain data")


def _array(values: np.ndarray) -> dict[str, Any]:
    kind, size = values.dtype.kind, values.dtype.itemsize
    told: dict[str, Any] = {"shape": list(values.shape)}
    if kind in "OU":
        return {**told, "type": kind, "items": [to_json(v) for v in values.ravel().tolist()]}
    if size not in _DTYPES.get(kind, ()):
        raise NotPlain(f"an array of {values.dtype} is no plain data")
    told["type"] = f"{kind}{size}"
    if kind in "iub":
        # Positions and masks pack well as text.
        return {**told, "items": values.ravel().tolist()}
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return {**told, "data": base64.b64encode(little.tobytes()).decode()}


def from_json(told: Any) -> Any:
    """The value that `to_json` told.

    Raises
    ------
    ValueError, KeyError, TypeError
        When it is not of that form.
    """
    if isinstance(told, list):
        return [from_json(v) for v in told]
    if not isinstance(told, dict):
        return told
    ((kind, content),) = told.items()
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(from_json(v) for v in content)
    if kind == "dict":
        return {key: from_json(v) for key, v in content.items()}
    if kind == "number":
        return _values(content)[()]
    if kind == "array":
        return _values(content)
    raise ValueError(f"there is no kind of value {kind!r}")


def _values(told: dict[str, Any]) -> np.ndarray:
    kind, shape = told["type"], tuple(told["shape"])
    if kind in ("O", "U"):
        items = [from_json(v) for v in told["items"]]
        if kind == "U":
            return np.array(items, dtype=str).reshape(shape)
        out = np.empty(len(items), dtype=object)
        out[:] = items
        return out.reshape(shape)
    if int(kind[1:]) not in _DTYPES.get(kind[0], ()):
        raise ValueError(f"there is no array of {kind!r}")
    dtype = np.dtype(f"<{kind}")
    if "items" in told:
        return np.array(told["items"], dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)
    raw = np.frombuffer(base64.b64decode(told["data"], validate=True), dtype=dtype)
    return raw.astype(dtype.newbyteorder("=")).reshape(shape)
