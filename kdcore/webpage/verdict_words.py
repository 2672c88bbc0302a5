"""The verdict in one sentence, and the few figures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcore.webpage.formats import count, number, percent, ratio, signed
from kdcore.webpage.words import Words

__all__ = ["banner"]

_FEWEST_ROWS = 10


def banner(report: Mapping[str, Any], t: Words) -> dict[str, Any]:
    """``tone`` (good, mixed, plain or bad), ``badge``, ``sentence``, ``advice``, ``tiles``."""
    verdict = report["verdict"]
    choice, (low, high) = verdict["choice"], verdict["ci95"]
    kind = choice
    if choice == "plain" and report["rows"]["test"] < _FEWEST_ROWS:
        kind = "few"
    elif choice == "plain" and high < 0:
        kind = "worse"
    metric = verdict["metric"]

    def loss(part: str) -> str:
        return number((report.get(part) or {"metrics": {}})["metrics"].get(metric))

    sentence = t(
        f"say_{kind}",
        n=count(report["rows"]["test"]),
        metric=t(f"said_{metric}"),
        student=loss("student"),
        plain=loss("plain"),
        encoded=loss("plain_encoded"),
        gain=signed(verdict["gain"]),
        low=signed(low),
        high=signed(high),
    )
    return {
        "tone": {"distilled": "good", "plain_encoded": "mixed", "worse": "bad"}.get(kind, "plain"),
        "sign": {"distilled": "✓", "plain_encoded": "◐", "worse": "✕"}.get(kind, "="),
        "badge": t("badge_worse" if kind == "worse" else f"badge_{choice}"),
        "sentence": sentence,
        "advice": t("say_compile") if verdict.get("compile_teacher") else "",
        "tiles": _tiles(report, t),
    }


def _tiles(report: Mapping[str, Any], t: Words) -> list[tuple[str, str]]:
    """Figure and text of each; what is unknown is left out."""
    tiles = []
    closed = report["verdict"]["gap_closed"]
    if closed is not None:
        tiles.append((percent(closed, 0), t("tile_gap")))
    elif report["teacher"]["metrics"]:
        tiles.append(("–", t("tile_gap_none")))
    fidelity = report["student"]["fidelity"] or {}
    if "agreement" in fidelity:
        tiles.append((percent(fidelity["agreement"]), t("tile_agree")))
    elif fidelity:
        tiles.append((number(fidelity["r2_to_teacher"], 3), t("tile_r2")))
    latency, sizes = report["latency_us"], report["size_bytes"]
    if latency.get("teacher") and latency.get("student"):
        speedup = latency["teacher"]["single"] / latency["student"]["single"]
        tiles.append((ratio(speedup), t("tile_fast")))
    if sizes.get("teacher") and sizes.get("student"):
        tiles.append((ratio(sizes["teacher"] / sizes["student"]), t("tile_small")))
    read = len(report["student"]["features"])
    tiles.append((count(read), t("tile_columns", p=count(report["columns"]))))
    return tiles
