"""Values in C: literals that are exact, arrays of the smallest type, texts without surprises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["C_TYPES", "array", "comment", "literal", "text"]

#: C type of a tensor's elements; truth values and whole numbers are small ones.
C_TYPES = {"f": "float", "d": "double", "l": "int", "?": "int"}

_INTEGERS = (
    ("unsigned char", 0, 2**8 - 1),
    ("short", -(2**15), 2**15 - 1),
    ("int", -(2**31), 2**31 - 1),
)
_PER_LINE = 12


def literal(value: Any, kind: str) -> str:
    """A number; those with a fraction in hexadecimal, which loses no digit."""
    if kind in "l?":
        return str(int(value))
    number = float(value)
    if number != number:
        return "NAN"
    if number in (float("inf"), float("-inf")):
        return "INFINITY" if number > 0 else "-INFINITY"
    if number.is_integer() and abs(number) < 2**24:
        shown = f"{number:.1f}"
    else:
        mantissa, exponent = number.hex().split("p")
        mantissa = mantissa.rstrip("0") if "." in mantissa else mantissa
        shown = f"{mantissa.rstrip('.')}p{exponent}"
    return shown + ("f" if kind == "f" else "")


def array(name: str, values: Iterable[Any], kind: str) -> str:
    """The definition of a constant array; an empty one gets an element, since C has none."""
    items = np.asarray(list(values)).ravel().tolist() or [0]
    c_type = C_TYPES[kind]
    if kind in "l?":
        low, high = int(min(items)), int(max(items))
        c_type = next(t for t, least, most in _INTEGERS if least <= low and high <= most)
    shown = [literal(v, kind) for v in items]
    lines = [", ".join(shown[i : i + _PER_LINE]) for i in range(0, len(shown), _PER_LINE)]
    return f"static const {c_type} {name}[{len(items)}] = {{\n  " + ",\n  ".join(lines) + "};"


def text(value: str) -> str:
    """A string literal in ASCII; other bytes of its UTF-8 are written in octal."""
    out = []
    for byte in value.encode():
        plain = 32 <= byte < 127 and chr(byte) not in '"\\?'
        out.append(chr(byte) if plain else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def comment(value: str) -> str:
    """A text that can stand in a comment."""
    shown = value.encode("ascii", "backslashreplace").decode()
    return " ".join(shown.replace("*/", "* /").replace("/*", "/ *").split()) or "(no name)"
