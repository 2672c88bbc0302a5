"""`SearchResult`: the trials of a search, the best of them, and the one that was chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kdcore.errors import ParameterError
from kdcore.pareto import unbeaten

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.distill_result import DistillResult

__all__ = ["PICKS", "SearchResult", "require_pick", "trial_rows"]

#: How a trial can be picked, beside by its number.
PICKS = ("best", "one_se")


@dataclass
class SearchResult:
    """What `kdcore.search` returns.

    Parameters
    ----------
    metric : {"log_loss", "rmse"}
    trials : list of dict
        Those that came to an end: ``number``, ``state`` (complete, stopped or failed), ``student``,
        ``learns_from`` (soft labels or labels), ``score`` with its standard error ``se``,
        ``latency_us``, ``columns`` and ``setting``; None where a trial was stopped before.
    chosen : int or None
        Number of the trial that was picked; None where no trial with soft labels is complete.
    distilled : DistillResult or None
        Its student, fitted to all training rows and judged on rows that the search never saw.
    storage, study : str or None
        Where the trials are kept, and under which name.
    """

    metric: str
    trials: list[dict[str, Any]]
    chosen: int | None = None
    distilled: DistillResult | None = None
    storage: str | None = None
    study: str | None = None
    notes: list[str] = field(default_factory=list)

    def front(self) -> list[int]:
        """Numbers of the trials that no other beats in score, latency and columns at once."""
        points = {
            t["number"]: (t["score"], t["latency_us"], t["columns"])
            for t in self.trials
            if t["state"] == "complete"
        }
        return unbeaten(dict(sorted(points.items(), key=lambda item: item[1])))

    def pick(self, how: str | int = "best") -> int | None:
        """Number of a complete trial of a distilled student.

        Parameters
        ----------
        how : {"best", "one_se"} or int
            The smallest loss; the fewest columns (then the quickest) of those whose loss is within
            a standard error of the smallest; or the number of a trial.

        Raises
        ------
        ParameterError
            When it is none of these, or there is no such trial.
        """
        able = {
            t["number"]: t
            for t in self.trials
            if t["state"] == "complete" and t["learns_from"] == "soft labels"
        }
        if isinstance(how, int):
            if how not in able:
                raise ParameterError(
                    f"pick={how}: no complete trial of a distilled student has that number; "
                    f"there are {', '.join(map(str, sorted(able))) or 'none'}."
                )
            return how
        require_pick(how)
        if not able:
            return None
        best = min(able.values(), key=lambda t: (t["score"], t["latency_us"], t["columns"]))
        if how == "best":
            return int(best["number"])
        near = [t for t in able.values() if t["score"] <= best["score"] + best["se"]]
        smallest = min(near, key=lambda t: (t["columns"], t["latency_us"], t["score"]))
        return int(smallest["number"])

    def to_frame(self) -> pd.DataFrame:
        """One row for each trial, the best score first; ``front`` marks the Pareto front."""
        import pandas as pd

        front = set(self.front())
        rows = [{**t, "front": t["number"] in front} for t in self.trials]
        frame = pd.DataFrame(rows)
        return frame.sort_values("score", kind="stable", ignore_index=True) if rows else frame

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "metric": self.metric,
            "trials": self.trials,
            "front": self.front(),
            "chosen": self.chosen,
            "result": None if self.distilled is None else self.distilled.report.to_dict(),
            "storage": self.storage,
            "study": self.study,
            "notes": self.notes,
        }


def require_pick(how: str | int) -> None:
    """Refuse a way of picking a trial that there is not.

    Raises
    ------
    ParameterError
    """
    if not isinstance(how, int) and how not in PICKS:
        raise ParameterError(f"pick={how!r} is neither {' nor '.join(PICKS)} nor a number.")


def trial_rows(trials: list[Any]) -> list[dict[str, Any]]:
    """Optuna's trials as plain data."""
    states = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}
    rows = []
    for trial in trials:
        told, values = trial.user_attrs, trial.values
        complete = trial.state.name == "COMPLETE"
        rows.append(
            {
                "number": trial.number,
                "state": states[trial.state.name],
                "student": told.get("student"),
                "learns_from": told.get("learns_from"),
                "score": values[0] if complete else None,
                "se": told.get("se"),
                "latency_us": told.get("latency_us"),
                "columns": trial.params.get("columns"),
                "setting": told.get("setting", {}),
                "error": told.get("error"),
            }
        )
    return rows
