"""Places for the names of points, so that names do not lie on each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["place"]

_LINE = 12.0
_RADIUS = 6.0

Box = tuple[float, float, float, float]


def place(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    bounds: Box,
    *,
    short: Sequence[str],
    letter: float = 6.1,
) -> list[dict[str, Any]]:
    """Where to write the name of each point; the first points choose first.

    A name that fits nowhere gives way to its short form, which goes where it covers least.

    Parameters
    ----------
    points : sequence of (x, y)
        Pixels; y grows downwards.
    texts, short : sequence of str
    bounds : (left, top, right, bottom)
    letter : float, default=6.1
        Width of a letter in pixels.

    Returns
    -------
    list of dict
        ``x``, ``y`` (the baseline), ``text``, ``anchor`` (start, middle or end), ``lead`` (a line
        from the point, where the name is not beside it, else None), ``index``.
    """
    taken: list[Box] = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in points]
    placed = []
    for index, (point, text, brief) in enumerate(zip(points, texts, short, strict=True)):
        options = _options(point, _width(text, letter))
        free = [o for o in options if _inside(o[1], bounds) and not _covered(o[1], taken, index)]
        shown = text
        if not free:
            shown = brief
            options = _options(point, _width(brief, letter))
            inside = [o for o in options if _inside(o[1], bounds)] or options
            free = [min(inside, key=lambda o: _covered(o[1], taken, index))]
        anchor, box, lead = free[0]
        taken.append(box)
        x = {"start": box[0], "middle": (box[0] + box[2]) / 2, "end": box[2]}[anchor]
        placed.append(
            {
                "x": round(x, 1),
                "y": round(box[3] - 3, 1),
                "text": shown,
                "anchor": anchor,
                "lead": [round(v, 1) for v in lead] if lead else None,
                "index": index,
            }
        )
    return placed


def _width(text: str, letter: float) -> float:
    """Chinese characters are twice as wide."""
    return sum(letter if ord(c) < 0x2E80 else 1.9 * letter for c in text)


def _options(
    point: tuple[float, float], width: float
) -> list[tuple[str, Box, tuple[float, ...] | None]]:
    """Anchor, box and line of all places around a point, the best first."""
    x, y = point
    half = _LINE / 2
    found: list[tuple[str, Box, tuple[float, ...] | None]] = []
    for far in (0.0, 16.0, 32.0, 50.0):
        gap = _RADIUS + 2 + far * 0.6
        for side, rise in ((1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1)):
            middle = y + rise * (_LINE * 0.9 + far)
            if far and not rise:
                continue
            left = x + gap if side > 0 else x - gap - width
            box = (left, middle - half, left + width, middle + half)
            near = box[0] - 1 if side > 0 else box[2] + 1
            found.append(
                ("start" if side > 0 else "end", box, (x, y, near, middle) if far else None)
            )
        for rise in (-1, 1):
            middle = y + rise * (_RADIUS + half + 1 + far)
            box = (x - width / 2, middle - half, x + width / 2, middle + half)
            found.append(("middle", box, (x, y, x, middle - rise * half) if far else None))
    return found


def _inside(box: Box, bounds: Box) -> bool:
    left, top, right, bottom = bounds
    return box[0] >= left and box[1] >= top and box[2] <= right and box[3] <= bottom


def _covered(box: Box, taken: Sequence[Box], own: int) -> float:
    """Area of what is already there below a box; its own point does not count."""
    area = 0.0
    for i, other in enumerate(taken):
        if i != own:
            w = min(box[2], other[2]) - max(box[0], other[0])
            h = min(box[3], other[3]) - max(box[1], other[1])
            area += max(w, 0.0) * max(h, 0.0)
    return area
