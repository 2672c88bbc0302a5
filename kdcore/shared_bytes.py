"""Weights that a state has in common with the graph beside it, so that a bundle holds them once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["joined", "parted"]

#: Bytes of a tensor that are worth a reference.
_LEAST = 512


def parted(data: bytes, model: bytes) -> tuple[bytes, list[list[int]]]:
    """What is left of a state without the tensors of a model, and where these were.

    Parameters
    ----------
    data : bytes
        A state.
    model : bytes
        A serialised ONNX model.

    Returns
    -------
    rest : bytes
    places : list of [position in the state, position in the model, length]
        In the order of the state.
    """
    import onnx

    places: list[list[int]] = []
    for tensor in onnx.load_model_from_string(model).graph.initializer:
        raw = tensor.raw_data
        at = data.find(raw) if len(raw) >= _LEAST else -1
        if at >= 0 and not any(a < at + len(raw) and at < a + n for a, _, n in places):
            places.append([at, model.index(raw), len(raw)])
    places.sort()
    rest, done = [], 0
    for at, _, length in places:
        rest.append(data[done:at])
        done = at + length
    return b"".join([*rest, data[done:]]), places


def joined(rest: bytes, places: Sequence[Any], model: bytes) -> bytes:
    """The state again.

    Raises
    ------
    ValueError
        When the places do not lie in what is there.
    """
    parts, taken, done = [], 0, 0
    for at, start, length in places:
        if not (done <= at and 0 <= start <= start + length <= len(model)):
            raise ValueError("its references lead out of the model")
        if taken + at - done > len(rest):
            raise ValueError("its references lead out of the state")
        parts += [rest[taken : taken + at - done], model[start : start + length]]
        taken, done = taken + at - done, at + length
    return b"".join([*parts, rest[taken:]])
