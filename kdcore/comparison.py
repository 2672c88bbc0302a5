"""`Comparison`: all pairs that `kdcore.compare` has distilled, as table, page and picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.files import atomic_path
from kdcore.pareto import unbeaten
from kdcore.saved_results import COMPARISON_NAME, COMPARISON_PAGE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison"]


@dataclass
class Comparison:
    """What `compare` returns.

    Parameters
    ----------
    pairs : list of dict
        For each pair what ``kd distill --json`` prints; for a failed one
        ``{"teacher": {"name"}, "student": {"name"}, "error": reason}``, with ``max_features``
        where there is a budget.
    """

    pairs: list[dict[str, Any]]

    def pareto(self) -> list[int]:
        """Positions in ``pairs`` that no other pair beats in loss, latency and size at once."""
        points = {}
        for i, pair in enumerate(self.pairs):
            if "error" not in pair:
                metric = pair["verdict"]["metric"]
                points[i] = (
                    pair["student"]["metrics"][metric],
                    pair["latency_us"]["student"]["single"],
                    pair["size_bytes"]["student"] or float("inf"),
                )
        return unbeaten(points)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"pairs": self.pairs, "pareto": self.pareto()}

    def to_html(self, *, lang: str = "en") -> str:
        """All pairs as one page that stands alone; see `kdcore.webpage.comparison_page`."""
        from kdcore.webpage import comparison_page

        return comparison_page(self.to_dict(), lang=lang)

    def save(self, folder: str | Path) -> Path:
        """Write ``comparison.json`` and ``compare.html`` into a folder; older ones are replaced.

        Raises
        ------
        KDError
            When the folder cannot be written to.
        """
        folder = Path(folder)
        with atomic_path(folder / COMPARISON_NAME) as temporary:
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
            temporary.write_text(text, encoding="utf-8")
        with atomic_path(folder / COMPARISON_PAGE) as temporary:
            temporary.write_text(self.to_html(), encoding="utf-8")
        return folder

    def plot(self, *, figure: Any = None) -> Any:
        """Score against latency, size and columns by matplotlib; the extra ``plot``.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, optional
            To draw on; a new one unless given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        KDError
            When matplotlib is not installed, or no pair was distilled.
        """
        from kdcore.plots import plot_comparison

        return plot_comparison(self.to_frame(), figure=figure)

    def to_frame(self) -> pd.DataFrame:
        """One row for each pair, the best student first."""
        import pandas as pd

        front = set(self.pareto())
        rows = []
        for i, pair in enumerate(self.pairs):
            row: dict[str, Any] = {
                "teacher": pair["teacher"]["name"],
                "student": pair["student"]["name"],
            }
            if "error" in pair:
                most = pair.get("max_features")
                rows.append({**row, "max_features": most, "error": pair["error"]})
                continue
            row["max_features"] = pair.get("recipe", {}).get("max_features")
            metric = pair["verdict"]["metric"]
            likeness = pair["student"]["fidelity"] or {}
            row |= {
                f"{metric}_{who}": (pair[who]["metrics"] or {}).get(metric)
                for who in ("teacher", "plain", "student")
            }
            row |= {
                "fidelity": likeness.get("agreement", likeness.get("r2_to_teacher")),
                "gap_closed": pair["verdict"]["gap_closed"],
                "choice": pair["verdict"]["choice"],
                "latency_us": pair["latency_us"]["student"]["single"],
                "size_bytes": pair["size_bytes"]["student"],
                "columns": len(pair["student"].get("features", ())),
                "pareto": i in front,
                "error": None,
            }
            rows.append(row)
        frame = pd.DataFrame(rows)
        # 1 column and 1.0, which is all of them, are not the same.
        frame["max_features"] = pd.Series([r["max_features"] for r in rows], dtype=object)
        scores = [c for c in frame.columns if c.endswith("_student")]
        return frame.sort_values(scores, kind="stable", ignore_index=True) if scores else frame
