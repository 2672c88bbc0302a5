"""Whether bytes are one whole UBJSON document, found out without XGBoost.

XGBoost ends the whole process on a binary model file that is cut off.
"""

from __future__ import annotations

__all__ = ["keys_of"]

_SIZES = {
    **dict.fromkeys(b"ZTFN", 0),
    **dict.fromkeys(b"iUC", 1),
    **dict.fromkeys(b"I", 2),
    **dict.fromkeys(b"ld", 4),
    **dict.fromkeys(b"LD", 8),
}
_INTEGERS = b"iUIlL"


def keys_of(data: bytes) -> list[str]:
    """Names of the entries of a document that is an object.

    Raises
    ------
    ValueError
        When the bytes are no UBJSON object, end too early, or go on after its end.
    """
    if data[:1] != b"{":
        raise ValueError("no object")
    keys: list[str] = []
    if _skip(data, 0, keys) != len(data):
        raise ValueError("trailing bytes")
    return keys


def _skip(data: bytes, at: int, keys: list[str] | None = None, depth: int = 0) -> int:
    """The position after the value at ``at``; ``keys`` collects those of an object."""
    marker = _byte(data, at)
    at += 1
    if marker in _SIZES:
        return _within(data, at + _SIZES[marker])
    if marker in b"SH":
        length, at = _integer(data, at)
        return _within(data, at + length)
    if marker not in b"[{" or depth > 100:
        raise ValueError("unknown marker")
    kind = count = None
    if _byte(data, at) == ord("$"):
        kind, at = _byte(data, at + 1), at + 2
    if _byte(data, at) == ord("#"):
        count, at = _integer(data, at + 1)
    elif kind is not None:
        raise ValueError("a type without a count")
    if marker == ord("[") and kind in _SIZES and count is not None:
        return _within(data, at + count * _SIZES[kind])
    if kind is not None:
        raise ValueError("unknown type")
    end = ord("]") if marker == ord("[") else ord("}")
    seen = 0
    while seen != count:
        if count is None and _byte(data, at) == end:
            return at + 1
        if end == ord("}"):
            length, at = _integer(data, at)
            name, at = data[at : at + length], _within(data, at + length)
            if keys is not None:
                keys.append(name.decode("utf-8"))
        at = _skip(data, at, depth=depth + 1)
        seen += 1
    return at


def _integer(data: bytes, at: int) -> tuple[int, int]:
    marker = _byte(data, at)
    if marker not in _INTEGERS:
        raise ValueError("no length")
    end = _within(data, at + 1 + _SIZES[marker])
    value = int.from_bytes(data[at + 1 : end], "big", signed=marker != ord("U"))
    if value < 0:
        raise ValueError("a negative length")
    return value, end


def _byte(data: bytes, at: int) -> int:
    _within(data, at + 1)
    return data[at]


def _within(data: bytes, at: int) -> int:
    if at > len(data):
        raise ValueError("cut off")
    return at
