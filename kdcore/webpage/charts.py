"""Pictures as plain shapes: scales, ticks and places; a template turns them into inline SVG.

They are drawn by hand rather than by a plotting library so that their colours and fonts are those
of the page, dark or light, and a phone shows them at their own size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Chart", "Scale"]

_WIDTH, _HEIGHT = 360, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 22, 38


class Scale:
    """From values to places along an axis.

    Parameters
    ----------
    low, high : float
    start, end : float
        Their places.
    log : bool, default=False
    """

    def __init__(
        self, low: float, high: float, start: float, end: float, *, log: bool = False
    ) -> None:
        if log:
            low = max(low, 1e-12)
            high = max(high, low * 1.01)
        elif high <= low:
            low, high = low - (abs(low) or 1) * 0.5, high + (abs(high) or 1) * 0.5
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def __call__(self, value: float) -> float:
        """The place of a value, to a tenth of a pixel."""
        how: Callable[[float], float] = math.log if self.log else float
        value = max(value, 1e-12) if self.log else value
        share = (how(value) - how(self.low)) / (how(self.high) - how(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, wanted: int = 5) -> list[tuple[float, str]]:
        """Places and texts of round values."""
        found = _log_ticks(self.low, self.high) if self.log else []
        if len(found) < 2:
            found = _round_values(self.low, self.high, wanted)
        return [(self(value), _tick(value)) for value in found]


def _round_values(low: float, high: float, wanted: int) -> list[float]:
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.2 else (1,)
    if math.log10(high / low) > 6:
        powers = range(powers.start, powers.stop, 2)
    return [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]


def _tick(value: float) -> str:
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e−").replace("e+", "e")
    if abs(value) >= 10_000:
        return f"{value / 1000:,.10g}k".replace("-", "−")
    return f"{value:,.10g}".replace("-", "−")


class Chart:
    """A picture under construction; the template reads its attributes.

    Parameters
    ----------
    x, y : tuple of two floats
        Ranges of the axes.
    x_title, y_title : str
    title : str
        What is shown, for those who do not see it.
    log_x : bool, default=False
    width, height : int
        Size in CSS pixels.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        x_title: str,
        y_title: str,
        title: str,
        log_x: bool = False,
        width: int = _WIDTH,
        height: int = _HEIGHT,
    ) -> None:
        self.width, self.height = width, height
        self.right, self.top, self.bottom = width - _RIGHT, _TOP, height - _BOTTOM
        self.y = Scale(*y, self.bottom, self.top)
        # Room for the longest number beside the axis.
        longest = max((len(text) for _, text in self.y_ticks), default=0)
        self.left = max(_LEFT, round(6.6 * longest) + 8)
        self.x = Scale(*x, self.left, self.right, log=log_x)
        self.x_title, self.y_title, self.title = x_title, y_title, title
        self.layers: list[dict[str, Any]] = []
        self.legend: list[tuple[str, str]] = []
        self.note = ""

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """Places and texts along the horizontal axis."""
        return self.x.ticks(6 if self.width > 500 else 4)

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """Places and texts along the vertical axis."""
        return self.y.ticks(6 if self.height > 300 else 5)

    def line(self, points: Sequence[Sequence[float]], key: str, label: str = "") -> None:
        """A line through points; ``key`` names its colour and dashes."""
        self.layers.append({"what": "line", "points": self._path(points), "key": key})
        if label:
            self.legend.append((key, label))

    def steps(self, counts: Sequence[float], low: float, high: float, key: str, label: str) -> None:
        """The outline of a histogram."""
        width = (high - low) / len(counts)
        points = []
        for i, value in enumerate(counts):
            points += [(low + i * width, value), (low + (i + 1) * width, value)]
        self.line(points, key, label)

    def band(self, points: Sequence[Sequence[float]], key: str) -> None:
        """The area between two lines, from ``[x, low, high]``."""
        around = [(p[0], p[1]) for p in points] + [(p[0], p[2]) for p in reversed(points)]
        self.layers.append({"what": "band", "points": self._path(around), "key": key})

    def marks(self, points: Sequence[Sequence[float]], key: str, radius: float = 3.2) -> None:
        """A mark at each point; its shape, like its colour, goes with ``key``."""
        places = [(self.x(p[0]), self.y(p[1])) for p in points]
        self.layers.append({"what": "marks", "places": places, "key": key, "radius": radius})

    def bars(self, points: Sequence[Sequence[float]], key: str) -> None:
        """Upright error bars, from ``[x, low, high]``."""
        lines = [(self.x(p[0]), self.y(p[1]), self.y(p[2])) for p in points]
        self.layers.append({"what": "bars", "lines": lines, "key": key})

    def rule(self, ends: Sequence[Sequence[float]], label: str = "") -> None:
        """A thin reference line between two points, with a text at its end."""
        (a, b), (c, d) = ends
        places = (self.x(a), self.y(b), self.x(c), self.y(d))
        self.layers.append({"what": "rule", "places": places, "label": label})

    def cells(self, counts: Sequence[Sequence[int]], low: float, step: float, key: str) -> None:
        """Squares, the denser the more rows they hold, from ``[i, j, rows]``."""
        most = max((c[2] for c in counts), default=1)
        places = []
        for i, j, rows in counts:
            x, y = self.x(low + i * step), self.y(low + (j + 1) * step)
            w, h = self.x(low + (i + 1) * step) - x, self.y(low + j * step) - y
            shade = 0.12 + 0.88 * math.sqrt(rows / most)
            places.append((x, y, round(w, 1), round(h, 1), round(shade, 2)))
        self.layers.append({"what": "cells", "places": places, "key": key})

    def texts(self, labels: Sequence[dict[str, Any]]) -> None:
        """Texts at places, as from `kdcore.webpage.labels.place`."""
        self.layers.append({"what": "texts", "labels": labels})

    def _path(self, points: Sequence[Sequence[float]]) -> str:
        return " ".join(f"{self.x(p[0])},{self.y(p[1])}" for p in points)
