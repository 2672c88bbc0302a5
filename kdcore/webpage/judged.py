"""Pictures of held-out rows: classes taken for each other, calibration, predicted values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kdcore.webpage import formats
from kdcore.webpage.charts import Chart
from kdcore.webpage.words import Words

__all__ = ["calibration_view", "classes_view", "residuals_view", "values_view"]

#: Height of a picture whose axes have the same range.
_SQUARE = 340
#: Bins of fewer rows are in the table beside the picture only.
_FEWEST_ROWS = 5


def classes_view(
    found: Mapping[str, Any] | None, report: Mapping[str, Any], t: Words
) -> dict[str, Any] | None:
    """Matrices: teacher against student, truth against both."""
    if found is None:
        return None
    names = list(found["classes"])
    if found["others"]:
        names.append(t("others", n=found["others"]))
    agreement = (report["student"]["fidelity"] or {}).get("agreement")
    return {
        "tables": [
            {"title": t(key), **_matrix(found[key], names)}
            for key in ("teacher_student", "truth_student", "truth_teacher")
            if found.get(key)
        ],
        "note": ""
        if agreement is None
        else t(
            "agree_note",
            share=formats.percent(agreement),
            n=formats.count(report["rows"]["test"]),
        ),
    }


def _matrix(counts: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, Any]:
    rows = []
    for i, row in enumerate(counts):
        total = sum(row)
        cells = [
            {
                "text": formats.count(n) if n else "·",
                # The root, so that errors can be seen beside all that is right.
                "shade": round(math.sqrt(n / total), 3) if n else 0,
                "diagonal": i == j,
            }
            for j, n in enumerate(row)
        ]
        rows.append({"name": names[i], "cells": cells, "total": formats.count(total)})
    return {"names": names, "rows": rows}


def calibration_view(found: Mapping[str, Any] | None, t: Words) -> dict[str, Any] | None:
    """Observed against predicted shares, with intervals of the student's."""
    if found is None:
        return None
    title = t("calibration_top") if found["of"] is None else t("calibration_of", of=found["of"])
    low = 0.0
    if found["of"] is None:
        # The chance of the class that is named has a floor; nothing is below it.
        first = min((min(c[0][0], c[0][1]) for c in found["curves"].values() if c), default=0.0)
        low = math.floor(first * 10) / 10
    chart = Chart(
        (low, 1), (low, 1), x_title=t("chance"), y_title=t("observed"), title=title, height=_SQUARE
    )
    chart.rule([(low, low), (1, 1)])
    for key in ("teacher", "plain", "plain_encoded", "student"):
        curve = _known(found["curves"].get(key) or [])
        if not curve:
            continue
        if key == "student":
            chart.bars([(p[0], *_wilson(p[1], p[2], low)) for p in curve], key)
        chart.line(curve, key, t(key))
        chart.marks(curve, key)
    chart.note = t("calibration_note")
    return {"chart": chart, "title": title, "points": found["curves"].get("student", [])}


def _known(curve: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """The bins with some rows; a share of one or two is 0, a half or 1 whatever the model."""
    return [p for p in curve if p[2] >= _FEWEST_ROWS] or curve


def _wilson(share: float, rows: float, floor: float) -> tuple[float, float]:
    z2 = 1.96**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    reach = math.sqrt(z2 * (share * (1 - share) / rows + z2 / (4 * rows**2))) / (1 + z2 / rows)
    return max(floor, middle - reach), min(1.0, middle + reach)


def values_view(found: Mapping[str, Any] | None, t: Words) -> list[Chart] | None:
    """Actual against predicted values as densities."""
    if found is None:
        return None
    charts = []
    low, high = found["low"], found["high"]
    step = (high - low) / found["bins"]
    axes = {
        "student": ("actual", "by_student", "student", "student_truth"),
        "teacher": ("actual", "by_teacher", "teacher", "teacher_truth"),
        "teacher_student": ("by_teacher", "by_student", "student", "student_of_teacher"),
    }
    for name, (x, y, key, title) in axes.items():
        if name not in found["cells"]:
            continue
        chart = Chart(
            (low, high),
            (low, high),
            x_title=t(x),
            y_title=t(y),
            title=t(title),
            height=_SQUARE,
        )
        chart.cells(found["cells"][name], low, step, key)
        chart.rule([(low, low), (high, high)])
        if found["outside"][name]:
            chart.note = t("outside", n=formats.count(found["outside"][name]))
        charts.append(chart)
    return charts


def residuals_view(found: Mapping[str, Any] | None, t: Words) -> list[Chart] | None:
    """A histogram of all models' residuals, and bands of the student's."""
    if found is None:
        return None
    low, high = found["low"], found["high"]
    most = max(max(counts) for counts in found["counts"].values())
    first = Chart(
        (low, high),
        (0, most),
        x_title=t("residual"),
        y_title=t("rows"),
        title=t("residuals_hist"),
    )
    for key in ("teacher", "plain", "plain_encoded", "student"):
        if key in found["counts"]:
            first.steps(found["counts"][key], low, high, key, t(key))
    first.rule([(0, 0), (0, most)])
    bands = found["bands"]
    if len(bands) < 2:
        return [first]
    ends = [*(b[1] for b in bands), *(b[3] for b in bands), 0.0]
    second = Chart(
        (bands[0][0], bands[-1][0]),
        (min(ends), max(ends)),
        x_title=t("by_student"),
        y_title=t("residual"),
        title=t("residuals_bands"),
    )
    second.band([(b[0], b[1], b[3]) for b in bands], "student")
    second.rule([(bands[0][0], 0), (bands[-1][0], 0)])
    second.line([(b[0], b[2]) for b in bands], "student")
    second.note = t("bands_note")
    return [first, second]
