"""The Pareto front: what nothing else beats in all respects at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["lower_edge", "unbeaten"]


def unbeaten(points: Mapping[int, tuple[float, ...]]) -> list[int]:
    """Keys of the points of which no other is as small in every respect and smaller in one."""
    return [
        key
        for key, own in points.items()
        if not any(
            all(o <= p for o, p in zip(other, own, strict=True)) and other != own
            for other in points.values()
        )
    ]


def lower_edge(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The front of points in two respects from left to right, to be joined by a line."""
    found: list[tuple[float, float]] = []
    for point in sorted(points):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return found
