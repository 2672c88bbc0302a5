"""The views of a comparison: its table, and score against each cost with the front marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kdcore.pareto import lower_edge
from kdcore.webpage import formats
from kdcore.webpage.charts import Chart
from kdcore.webpage.labels import place
from kdcore.webpage.words import Words

__all__ = ["pair_views"]

_COSTS = ("latency", "size", "columns")
#: Width, height and name of the drawings for wide screens and for phones.
_SIZES = ((720, 380, "wide"), (360, 400, "phone"))


def pair_views(comparison: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """``rows`` and ``drawings`` of the pairs that were distilled, and ``failed`` ones."""
    front = set(comparison["pareto"])
    points = [
        _point(pair, i in front)
        for i, pair in enumerate(comparison["pairs"])
        if "error" not in pair
    ]
    points.sort(key=lambda p: p["score"])
    for number, point in enumerate(points, 1):
        point["number"] = number
    several = len({p["teacher"] for p in points}) > 1
    for point in points:
        point["label"] = point["student"] + (f" ← {point['teacher']}" if several else "")
    failed = [
        (pair["teacher"]["name"], pair["student"]["name"], pair["error"])
        for pair in comparison["pairs"]
        if "error" in pair
    ]
    view: dict[str, Any] = {"failed": failed, "rows": [], "drawings": [], "best": None}
    if points:
        metric = points[0]["metric"]
        view["metric"] = t(metric)
        view["rows"] = [_row(p, t) for p in points]
        view["drawings"] = [c for cost in _COSTS if (c := _charts(points, cost, t)) is not None]
        view["best"] = _verdict(points, t)
    return view


def _point(pair: Mapping[str, Any], on_front: bool) -> dict[str, Any]:
    verdict, student = pair["verdict"], pair["student"]
    metric = verdict["metric"]
    fidelity = student["fidelity"] or {}
    size = pair["size_bytes"]["student"]
    return {
        "metric": metric,
        "teacher": pair["teacher"]["name"],
        "student": student["name"],
        "score": student["metrics"][metric],
        "plain": pair["plain"]["metrics"][metric],
        "of_teacher": (pair["teacher"]["metrics"] or {}).get(metric),
        "gap": verdict["gap_closed"],
        "alike": fidelity.get("agreement", fidelity.get("r2_to_teacher")),
        "latency": pair["latency_us"]["student"]["single"],
        "bytes": size,
        "size": None if size is None else size / 1000,
        "columns": len(student["features"]),
        "choice": verdict["choice"],
        "front": on_front,
    }


def _row(point: Mapping[str, Any], t: Words) -> dict[str, Any]:
    alike = formats.percent if point["metric"] == "log_loss" else formats.number
    return {
        "number": point["number"],
        "front": point["front"],
        "names": (point["teacher"], point["student"]),
        "scores": [formats.number(point[k]) for k in ("of_teacher", "plain", "score")],
        "gap": formats.percent(point["gap"], 0),
        "alike": alike(point["alike"]),
        "time": formats.time(point["latency"]),
        "size": formats.size(point["bytes"]),
        "columns": formats.count(point["columns"]),
        "choice": t(f"choice_{point['choice']}"),
    }


def _verdict(points: Sequence[Mapping[str, Any]], t: Words) -> dict[str, Any]:
    """In how many pairs distilling helps, and which student is best."""
    helped = sum(p["choice"] == "distilled" for p in points)
    best, plain = points[0], min(points, key=lambda p: p["plain"])
    metric = t(f"said_{best['metric']}").strip()
    lines = [
        t(
            "best_distilled",
            pair=f"{best['teacher']} → {best['student']}",
            metric=metric,
            score=formats.number(best["score"]),
            time=formats.time(best["latency"]),
            size=formats.size(best["bytes"]),
        )
    ]
    if plain["plain"] < best["score"]:
        score = formats.number(plain["plain"])
        lines.append(t("best_plain", student=plain["student"], metric=metric, score=score))
    n = len(points)
    return {
        "tone": "good" if helped else "plain",
        "sign": "✓" if helped else "=",
        "badge": t("helps", k=helped, n=n) if helped else t("helps_none", n=n),
        "lines": lines,
    }


def _charts(points: Sequence[Mapping[str, Any]], cost: str, t: Words) -> dict[str, Any] | None:
    """A cost's drawings; None where it is unknown or all pairs have the same."""
    known = [p for p in points if p[cost] is not None]
    values = [p[cost] for p in known]
    if not known or (cost == "columns" and min(values) == max(values)):
        return None
    drawn = [(name, _chart(known, cost, t, width, height)) for width, height, name in _SIZES]
    return {"title": t(f"by_{cost}"), "id": cost, "drawn": drawn}


def _chart(
    points: Sequence[Mapping[str, Any]], cost: str, t: Words, width: int, height: int
) -> Chart:
    values = [p[cost] for p in points]
    scores = [p["score"] for p in points]
    low, high = min(scores), max(scores)
    teachers = {p["teacher"]: p["of_teacher"] for p in points if p["of_teacher"] is not None}
    room = (high - low) or abs(high) * 0.1 or 1.0
    # A teacher that is far better would press all students into a corner.
    low = min([low, *(v for v in teachers.values() if low - v < 1.5 * room)])
    room = ((high - low) or room) * 0.08
    log = cost != "columns"
    ends = (min(values) / 1.3, max(values) * 1.3) if log else _widened(values)
    chart = Chart(
        ends,
        (low - room, high + room),
        x_title=t(f"{cost}_axis"),
        y_title=t(points[0]["metric"]),
        title=t(f"by_{cost}"),
        log_x=log,
        width=width,
        height=height,
    )
    _teachers(chart, teachers, ends, t)
    # What is joined is the front of this cost alone.
    chart.line(lower_edge((p[cost], p["score"]) for p in points), "front")
    order = sorted(points, key=lambda p: (not p["front"], p["score"]))
    for key, on in (("beaten", False), ("front", True)):
        chart.marks([(p[cost], p["score"]) for p in order if p["front"] == on], key, 4.5)
    places = [(chart.x(p[cost]), chart.y(p["score"])) for p in order]
    labels = place(
        places,
        [f"{p['number']} {p['label']}" for p in order],
        (chart.left, chart.top, width - 2, chart.bottom),
        short=[str(p["number"]) for p in order],
        letter=6.6,
    )
    for label in labels:
        label["key"] = "front" if order[label["index"]]["front"] else "beaten"
    chart.texts(labels)
    chart.legend = [("front", t("on_front"))]
    if not all(p["front"] for p in points):
        chart.legend.append(("beaten", t("beaten")))
    return chart


def _teachers(
    chart: Chart, teachers: Mapping[str, float], ends: tuple[float, float], t: Words
) -> None:
    """Lines at the teachers' own scores, named where there is room for it."""
    last = float("inf")
    for name, score in sorted(teachers.items(), key=lambda item: item[1]):
        if chart.y.low <= score <= chart.y.high:
            near = abs(chart.y(score) - last) < 12
            text = "" if near else f"{name} ({t('teacher_itself')})"
            chart.rule([(ends[0], score), (ends[1], score)], text)
            last = last if near else chart.y(score)


def _widened(values: Sequence[float]) -> tuple[float, float]:
    room = (max(values) - min(values)) * 0.06
    return max(0.0, min(values) - room), max(values) + room
