"""What the result tells of its making: columns, learning curves, recipe, data, origin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kdcore.webpage import formats
from kdcore.webpage.charts import Chart
from kdcore.webpage.words import Words, said

__all__ = ["columns_view", "data_view", "learning_view", "origin_view", "recipe_view"]

_MOST_NAMES = 200
_RECIPE = (
    "name",
    "folds",
    "temperature",
    "alpha",
    "loss",
    "calibration",
    "augment",
    "rows",
    "encoder",
    "structure",
    "selector",
    "max_features",
)
#: Words of keys that mean something else in other places.
_RECIPE_WORDS = {"calibration": "calibrated", "rows": "made_by"}


def columns_view(report: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """Which columns are read, how they weigh, and what fewer or more would have cost."""
    names, p = report["student"]["features"], formats.count(report["columns"])
    selection = report.get("selection")
    n = formats.count(len(names))
    if selection and selection.get("selector"):
        text = t(
            "columns_some", n=n, p=p, selector=selection["selector"], budget=selection["budget"]
        )
    else:
        text = t("columns_all" if len(names) == report["columns"] else "columns_dropped", n=n, p=p)
    weights = (report.get("pictures") or {}).get("importance")
    stability = _stability(selection)
    rows = []
    if weights:
        most = max(value for _, value in weights)
        for name, value in weights:
            share = stability.get(name)
            rows.append(
                {
                    "name": name,
                    "share": round(100 * value / most, 2),
                    "text": formats.percent(value),
                    "stability": "" if share is None else formats.percent(share, 0),
                }
            )
    return {
        "text": text,
        "rows": rows,
        "stability": bool(stability),
        "names": [] if rows else names[:_MOST_NAMES],
        "chart": _curve(report, selection, t),
    }


def _stability(selection: Mapping[str, Any] | None) -> dict[str, float]:
    """How often columns were chosen again, where selection tells it."""
    found = (selection or {}).get("stability")
    return {} if found is None else dict(found["frequency"])


def _curve(
    report: Mapping[str, Any], selection: Mapping[str, Any] | None, t: Words
) -> Chart | None:
    path = (selection or {}).get("path") or []
    best: dict[int, tuple[float, float]] = {}
    chosen = None
    for point in path:
        size, entry = point["n_columns"], (point["loss"], point["se"])
        if size not in best or entry < best[size]:
            best[size] = entry
        if point["chosen"]:
            chosen = (size, point["loss"])
    if len(best) < 2:
        return None
    sizes = sorted(best)
    every = (selection or {}).get("all_columns_loss")
    known = [v for v in best.values() if math.isfinite(v[0])]
    low = min(a - b for a, b in known)
    high = max(a + b for a, b in known)
    if every is not None:
        low, high = min(low, every), max(high, every)
    # A few columns may be far worse than all others; the picture is of the others.
    middle = sorted(a for a, _ in known)[len(known) // 2]
    if len(known) > 4:
        most = min(high, middle + 3 * max(middle - low, 1e-12))
        ends = [a + b for a, b in known if a <= most]
        high = max([*ends, every] if every is not None and every <= most else ends)
    room = (high - low) * 0.06
    low, high = max(low - room, 0.0), high + room
    log = sizes[-1] >= 20 * sizes[0]
    unit = "MSE" if report["classes"] is None else t("log_loss")
    chart = Chart(
        (sizes[0], sizes[-1]),
        (low, high),
        x_title=t("n_columns"),
        y_title=unit,
        title=t("curve"),
        log_x=log,
    )
    inside = [s for s in sizes if low <= best[s][0] <= high]
    chart.bars(
        [(s, max(low, best[s][0] - best[s][1]), min(high, sum(best[s]))) for s in inside], "student"
    )
    chart.line([(s, best[s][0]) for s in inside], "student")
    chart.marks([(s, best[s][0]) for s in inside], "student", 2.4)
    if every is not None and every <= high:
        chart.rule([(sizes[0], every), (sizes[-1], every)], t("all_columns"))
    if chosen is not None and low <= chosen[1] <= high:
        chart.marks([chosen], "ring", 7)
        chart.legend.append(("ring", t("chosen")))
    chart.note = t("curve_note")
    return chart


def learning_view(found: Mapping[str, Any] | None, t: Words) -> Chart | None:
    """The training losses of students that are trained in steps."""
    curves = {k: c for k, c in (found or {}).items() if len(c["steps"]) > 1}
    if not curves:
        return None
    values = [v for c in curves.values() for v in c["loss"]]
    chart = Chart(
        (1, max(c["steps"][-1] for c in curves.values())),
        (min(values), max(values)),
        x_title=t("steps"),
        y_title=t("train_loss"),
        title=t("learning_curve"),
    )
    for key in ("plain", "plain_encoded", "student"):
        if key in curves:
            points = list(zip(curves[key]["steps"], curves[key]["loss"], strict=True))
            chart.line(points, key, t(key))
    chart.note = t("learning_note")
    return chart


def recipe_view(report: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """All that shaped the transfer, and the recipes that it was compared with."""
    recipe = report["recipe"]
    rows = []
    for key in _RECIPE:
        value = recipe.get(key)
        if value is not None:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            shown = formats.count(value) if type(value) is int else shown
            shown = said(t, "recipe", value) if key == "name" else shown
            rows.append((t(_RECIPE_WORDS.get(key, key)), shown))
    if recipe.get("params"):
        rows.append((t("params"), ", ".join(f"{k}={v}" for k, v in recipe["params"].items())))
    trials = [
        {
            "name": said(t, "recipe", trial["name"]),
            "loss": formats.number(trial["loss"]),
            "gain": "" if "gain" not in trial else formats.with_error(trial["gain"], trial["se"]),
        }
        for trial in recipe.get("trials") or []
    ]
    return {"rows": rows, "trials": trials}


def data_view(report: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """Rows, columns, gaps, and the target."""
    found = (report.get("pictures") or {}).get("data")
    rows = [
        (t(k), formats.count(report["rows"][k]))
        for k in ("train", "test", "augmented", "unlabeled")
        if report["rows"].get(k)
    ]
    kinds = ""
    if found:
        kinds = ", ".join(f"{formats.count(n)} {t(kind)}" for kind, n in found["kinds"].items())
        rows.insert(0, (t("target"), found["target"]))
    rows.append(
        (t("n_inputs"), formats.count(report["columns"]) + (f" ({kinds})" if kinds else ""))
    )
    if found is None:
        return {"rows": rows, "columns": [], "classes": None, "quantiles": None}
    rows.append((t("cells_missing"), formats.percent(found["missing"], 2)))
    rows.append((t("weights"), t("yes" if found["weighted"] else "no")))
    columns = [
        (c["name"], t(c["kind"]), formats.percent(c["missing"]), _values(c, t))
        for c in found["columns"]
    ]
    classes = found.get("classes")
    return {
        "rows": rows,
        "columns": columns,
        "p": formats.count(report["columns"]),
        "classes": classes
        and [
            (
                name,
                formats.count(a),
                formats.percent(a / max(report["rows"]["train"], 1)),
                formats.count(b),
            )
            for name, a, b in classes
        ],
        "quantiles": _quantiles(found.get("quantiles")),
    }


def _quantiles(found: Mapping[str, Any] | None) -> list[tuple[str, str, str]] | None:
    if found is None:
        return None
    names = ("0 %", "5 %", "25 %", "50 %", "75 %", "95 %", "100 %")
    return [
        (name, formats.number(a), formats.number(b))
        for name, a, b in zip(names, found["train"], found["test"], strict=True)
    ]


def _values(column: Mapping[str, Any], t: Words) -> str:
    if "categories" in column:
        return t("n_categories", n=formats.count(column["categories"]))
    if "share" in column:
        return t("share_true", share=formats.percent(column["share"]))
    if not column["quantiles"]:
        return "–"
    return " | ".join(formats.number(v, 3) for v in column["quantiles"])


def origin_view(report: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """The command, versions and seed with which the result comes again."""
    found = report.get("origin") or {}
    rows = [(t("seed"), str(report.get("seed", "–")))]
    if found.get("created"):
        rows.append((t("created"), found["created"].replace("T", " ").replace("Z", " UTC")))
    if found.get("platform"):
        rows.append((t("platform"), found["platform"]))
    seconds = ", ".join(
        f"{said(t, 'stage', k)} {formats.number(v, 2)}" for k, v in report["seconds"].items()
    )
    rows.append((t("seconds"), seconds))
    versions = ", ".join(f"{k} {v}" for k, v in (found.get("versions") or {}).items())
    if versions:
        rows.append((t("versions"), versions))
    return {
        "title": t("command" if found.get("shell", True) else "call"),
        "command": found.get("command") or t("no_command"),
        "rows": rows,
    }
