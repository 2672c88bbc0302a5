"""The sections of a report: what each table and picture shows, ready for the template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kdcore.webpage import formats
from kdcore.webpage.judged import calibration_view, classes_view, residuals_view, values_view
from kdcore.webpage.told import columns_view, data_view, learning_view, origin_view, recipe_view
from kdcore.webpage.words import Words, said

__all__ = ["VERSIONS", "sections"]

#: Versions of a model, in the order of tables.
VERSIONS = ("teacher", "plain", "plain_encoded", "student")
_METRICS = ("accuracy", "log_loss", "roc_auc", "brier", "ece", "rmse", "mae", "r2")


def sections(report: Mapping[str, Any], t: Words) -> list[dict[str, Any]]:
    """Sections in order: ``id``, ``title``, and ``view``, None where there is no data for it."""
    pictures = report.get("pictures") or {}
    middle: dict[str, Any]
    if report["classes"] is None:
        middle = {
            "predicted": values_view(pictures.get("predicted"), t),
            "residuals": residuals_view(pictures.get("residuals"), t),
        }
    else:
        middle = {
            "agreement": classes_view(pictures.get("agreement"), report, t),
            "calibration": calibration_view(pictures.get("calibration"), t),
        }
    views: dict[str, Any] = {
        "scores": scores_view(report, t),
        **middle,
        "segments": segments_view(pictures.get("segments"), report, t),
        "columns": columns_view(report, t),
    }
    curves = learning_view(pictures.get("learning"), t)
    if curves is not None:
        views["learning"] = curves
    views |= {
        "costs": costs_view(report, t),
        "recipe": recipe_view(report, t),
        "data": data_view(report, t),
        "origin": origin_view(report, t),
    }
    return [{"id": name, "title": t(name), "view": view} for name, view in views.items()]


def scores_view(report: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """The table of all versions with intervals, costs, and which one to deploy."""
    intervals = (report.get("pictures") or {}).get("intervals") or {}
    metrics = [m for m in _METRICS if m in report["plain"]["metrics"]]
    likeness = "r2_to_teacher" if report["classes"] is None else "agreement"
    choice = report["verdict"]["choice"]
    deployed = "student" if choice == "distilled" else choice
    rows = []
    for key in VERSIONS:
        part = report.get(key)
        if part is None:
            continue
        scores = part["metrics"] or {}
        cells = []
        for metric in metrics:
            ends = intervals.get(key, {}).get(metric)
            cells.append(
                {
                    "text": formats.number(scores.get(metric)),
                    "range": " – ".join(map(_end, ends)) if ends else "",
                }
            )
        alike = (part.get("fidelity") or {}).get(likeness)
        rows.append(
            {
                "key": key,
                "label": t(key),
                "name": part["name"],
                "deploy": key == deployed,
                "cells": cells,
                "alike": "" if alike is None else _alike(alike, likeness),
                "time": _single(report, key),
                "size": formats.size(report["size_bytes"].get(key)),
            }
        )
        compiled = report["latency_us"].get("compiled_teacher")
        if key == "teacher" and compiled:
            rows.append(
                {
                    "key": "compiled_teacher",
                    "label": t("compiled_teacher"),
                    "name": "ONNX Runtime",
                    "deploy": False,
                    "cells": None,
                    "alike": "",
                    "time": formats.time(compiled["single"]),
                    "size": formats.size(report["size_bytes"].get("compiled_teacher")),
                }
            )
    return {
        "metrics": [t(m) for m in metrics],
        "alike": t("agrees" if likeness == "agreement" else "r2_to_teacher"),
        "rows": rows,
        "labels": said(t, "labels", report["teacher"]["labels"]),
    }


def _alike(value: float, likeness: str) -> str:
    return formats.percent(value) if likeness == "agreement" else formats.number(value)


def _end(value: float) -> str:
    return formats.number(value, 3 if abs(value) < 1000 else 4)


def _single(report: Mapping[str, Any], key: str) -> str:
    latency = report["latency_us"].get(key)
    return formats.time(latency["single"]) if latency else "–"


def segments_view(
    found: Mapping[str, Any] | None, report: Mapping[str, Any], t: Words
) -> dict[str, Any] | None:
    """Tables of the segments on which the student is worst."""
    if found is None:
        return None
    keys: list[tuple[str, Callable[[Any], str]]]
    if report["classes"] is None:
        keys = [("rmse_student", formats.number), ("rmse_teacher", formats.number)]
        keys += [("bias", formats.signed)]
    else:
        keys = [("errors_student", formats.percent), ("errors_teacher", formats.percent)]
        keys += [("loss_student", formats.number), ("loss_teacher", formats.number)]
    keys = [(key, shown) for key, shown in keys if key in found["overall"]]

    def row(entry: Mapping[str, Any], label: str) -> dict[str, Any]:
        return {"label": label, "cells": [shown(entry[key]) for key, shown in keys]}

    tables = []
    for name in ("worst", "behind"):
        if found[name]:
            rows = [
                {**row(e, _segment(e, t)), "rows": formats.count(e["rows"])} for e in found[name]
            ]
            tables.append({"title": t(name), "rows": rows})
    return {
        "headings": [t(key) for key, _ in keys],
        "tables": tables,
        "overall": row(found["overall"], t("all_rows")),
        "n": formats.count(report["rows"]["test"]),
        "note": t(
            "segments_note" if tables else "segments_none" if found["tested"] else "segments_few",
            tested=formats.count(found["tested"]),
            fewest=found["fewest_rows"],
        ),
    }


def _segment(entry: Mapping[str, Any], t: Words) -> str:
    column = entry["column"]
    if entry.get("missing"):
        return t("is_missing", column=column)
    if "value" in entry:
        return f"{column} = {entry['value']}"
    low, high = entry["low"], entry["high"]
    if low is None:
        return f"{column} ≤ {formats.short(high)}"
    if high is None:
        return f"{column} > {formats.short(low)}"
    return f"{formats.short(low)} < {column} ≤ {formats.short(high)}"


def costs_view(report: Mapping[str, Any], t: Words) -> list[dict[str, Any]]:
    """Bars of latency and size."""
    latency, sizes = report["latency_us"], report["size_bytes"]
    who = ("teacher", "compiled_teacher", "plain", "plain_encoded", "student")
    groups: list[tuple[str, Callable[[Any], str], dict[str, float]]] = [
        (kind, formats.time, {k: latency[k][part] for k in who if latency.get(k)})
        for kind, part in (("latency_single", "single"), ("latency_batch", "batch_per_row"))
    ]
    groups.append(("sizes", formats.size, {k: sizes[k] for k in who if sizes.get(k)}))
    return [
        {"title": t(kind), "items": bars(values, shown, t)}
        for kind, shown, values in groups
        if values
    ]


def bars(
    values: Mapping[str, float], shown: Callable[[Any], str], t: Words
) -> list[dict[str, Any]]:
    """Bars from zero, as shares of the longest."""
    most = max(values.values()) or 1
    return [
        {"key": k, "label": t(k), "share": round(100 * v / most, 2), "text": shown(v)}
        for k, v in values.items()
    ]
