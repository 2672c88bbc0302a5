"""Pictures of a comparison by matplotlib, for notebooks and papers; the extra ``plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcore.errors import KDError
from kdcore.pareto import lower_edge
from kdcore.webpage.labels import place

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["plot_comparison"]

_COSTS = {
    "latency_us": "one row, µs",
    "size_bytes": "size, bytes",
    "columns": "columns read",
}


def plot_comparison(frame: pd.DataFrame, *, figure: Any = None, score: str = "") -> Any:
    """Score against latency, size and columns, the front marked and every pair named.

    Where there is no room for a name, the pair's row in the frame is written instead.

    Parameters
    ----------
    frame : pandas.DataFrame
        As from `kdcore.comparison.Comparison.to_frame`.
    figure : optional
        As for `Comparison.plot`, which tells the errors too; a new one has 15 x 4.5 inches.
    score : str, default=""
        Label of the vertical axes; the name of the metric unless given.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KDError(
            "plot() needs matplotlib, which is not installed; pip install 'kdcore[plot]'."
        ) from error
    column = next((c for c in frame.columns if c.endswith("_student")), None)
    if column is None:
        raise KDError("no pair was distilled, so there is nothing to plot; to_frame() says why.")
    done = frame[frame["error"].isna()].sort_values(["pareto", column], ascending=[False, True])
    figure = Figure(figsize=(15, 4.5), layout="tight") if figure is None else figure
    axes = figure.subplots(1, len(_COSTS), sharey=True)
    several = done["teacher"].nunique() > 1
    names = [
        f"{s} ← {t}" if several else str(s)
        for s, t in zip(done["student"], done["teacher"], strict=True)
    ]
    for axis, (cost, title) in zip(axes, _COSTS.items(), strict=True):
        known = done[cost].notna().to_numpy()
        if known.any():
            rows = done[known]
            _draw(axis, rows[cost], rows[column], rows["pareto"].astype(bool), cost != "columns")
        axis.set_xlabel(title)
    axes[0].set_ylabel(score or column.removesuffix("_student"))
    # Names are placed in pixels, so only once the axes have their final size.
    figure.canvas.draw() if hasattr(figure, "canvas") and figure.canvas else None
    for axis, cost in zip(axes, _COSTS, strict=True):
        known = done[cost].notna().to_numpy()
        shown = [name for name, there in zip(names, known, strict=True) if there]
        _name(axis, done[known][cost], done[known][column], shown)
    return figure


def _draw(axis: Any, x: pd.Series, y: pd.Series, front: pd.Series, log: bool) -> None:
    axis.scatter(x[~front], y[~front], facecolors="none", edgecolors="0.4", label="beaten")
    axis.scatter(x[front], y[front], color="tab:blue", label="on the front")
    if log:
        axis.set_xscale("log")
    best = lower_edge(zip(x, y, strict=True))
    axis.plot(*zip(*best, strict=True), color="tab:blue", linewidth=0.8, linestyle="--")
    axis.margins(0.15)
    axis.grid(alpha=0.3)


def _name(axis: Any, x: pd.Series, y: pd.Series, names: list[str]) -> None:
    """Write the names, in pixels of 100 to the inch; the index holds the short ones."""
    if not names:
        return
    low, high = axis.transAxes.transform([(0, 0), (1, 1)])
    scale = axis.figure.dpi / 100
    pixels = axis.transData.transform(list(zip(x, y, strict=True)))
    points = [((px - low[0]) / scale, (high[1] - py) / scale) for px, py in pixels]
    bounds = (0.0, 0.0, (high[0] - low[0]) / scale, (high[1] - low[1]) / scale)
    labels = place(points, names, bounds, short=[str(i) for i in x.index])
    alignment = {"start": "left", "middle": "center", "end": "right"}
    for label in labels:
        px, py = points[label["index"]]
        axis.annotate(
            label["text"],
            (x.iloc[label["index"]], y.iloc[label["index"]]),
            xytext=((label["x"] - px) * 0.72, (py - label["y"]) * 0.72),
            textcoords="offset points",
            fontsize=7.5,
            horizontalalignment=alignment[label["anchor"]],
            arrowprops={"arrowstyle": "-", "linewidth": 0.4} if label["lead"] else None,
        )
