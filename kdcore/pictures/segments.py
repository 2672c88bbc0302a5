"""Where the student errs: groups of held-out rows, by the value of one column."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.schema import column_kind

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.table import LabeledTable

__all__ = ["segments"]

_GROUPS = 5
#: Numbers with no more different values than this are groups each.
_FEW_VALUES = 6
_MOST_CATEGORIES = 50
_FEWEST_ROWS = 20
_SHOWN = 8
_OF_ONE_COLUMN = 2
#: Edges of numeric groups are quantiles of so many rows at most.
_SAMPLE = 10_000
#: Chance that any segment is shown where none differs, all taken together (Bonferroni).
_LEVEL = 0.05


def segments(
    held: LabeledTable, outputs: Mapping[str, np.ndarray], losses: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Groups of rows on which the student is clearly worse than on the others.

    Each column is cut into its values, or fifths where they are numbers, and gaps. Of the groups
    with at least 20 rows those are kept whose mean loss exceeds that of all other rows by more
    than chance explains, whatever the number of groups that were looked at; the worst first, by
    the lower end of the excess, and at most two of a column.

    Parameters
    ----------
    held : LabeledTable
    outputs, losses : mapping of str to arrays
        Of all models on the held-out rows; losses as from `kdcore.evaluation.row_losses`.

    Returns
    -------
    dict
        ``tested`` (number of groups), ``overall`` (scores of all rows), ``worst`` by the
        student's loss, and ``behind`` by how much it exceeds the teacher's (None without one).
        An entry has ``column``, one of ``value``, ``missing`` or ``low`` and ``high`` (exclusive
        and inclusive, None if open), ``rows``, and scores.
    """
    weight = held.weight
    ranked = {"worst": losses["student"]}
    if "teacher" in losses:
        ranked["behind"] = losses["student"] - losses["teacher"]
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {name: [] for name in ranked}
    fewest = max(_FEWEST_ROWS, len(held) // 500)
    frame, tested = held.X, 0
    groups: list[tuple[dict[str, Any], np.ndarray, int, dict[str, tuple[float, float]]]] = []
    for name in frame.columns:
        place, described = _cut(frame[name])
        sums = _Sums(place, len(described), weight)
        both = {key: sums.excess(values) for key, values in ranked.items()}
        for g, what in enumerate(described):
            if what is not None and fewest <= sums.rows[g] <= len(held) - fewest:
                tested += 1
                excess = {k: (float(e[0][g]), float(e[1][g])) for k, e in both.items()}
                groups.append(({"column": str(name), **what}, place, g, excess))
    reach = _reach(tested)
    score = _Scores(held, outputs, losses)
    for what, place, g, excess in groups:
        for key, (gap, error) in excess.items():
            if gap > reach * error:
                found[key].append((gap - reach * error, {**what, "_": (place, g)}))
    shown = {key: _finish(entries, score) for key, entries in found.items()}
    return {
        "tested": tested,
        "fewest_rows": fewest,
        "overall": score.of(slice(None)),
        "worst": shown["worst"],
        "behind": shown.get("behind"),
    }


def _finish(entries: list[tuple[float, dict[str, Any]]], score: _Scores) -> list[dict[str, Any]]:
    entries.sort(key=lambda entry: -entry[0])
    kept: list[dict[str, Any]] = []
    for _, entry in entries:
        if sum(k["column"] == entry["column"] for k in kept) < _OF_ONE_COLUMN:
            place, g = entry.pop("_")
            rows = place == g
            kept.append({**entry, "rows": int(rows.sum()), **score.of(rows)})
        if len(kept) == _SHOWN:
            break
    return kept


class _Sums:
    """Mean losses inside and outside of the groups of one column."""

    def __init__(self, place: np.ndarray, n: int, weight: np.ndarray) -> None:
        self.place, self.n, self.weight = place, n, weight
        self.rows = np.bincount(place, minlength=n)
        self.mass = np.bincount(place, weight, n)
        self.squares = np.bincount(place, weight**2, n)

    def excess(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far the means inside lie above those outside, and the standard errors."""
        first = np.bincount(self.place, self.weight * values, self.n)
        second = np.bincount(self.place, self.weight * values**2, self.n)
        with np.errstate(all="ignore"):
            sides = []
            for m, a, b, q in (
                (self.mass, first, second, self.squares),
                (
                    self.mass.sum() - self.mass,
                    first.sum() - first,
                    second.sum() - second,
                    self.squares.sum() - self.squares,
                ),
            ):
                mean = a / m
                sides.append((mean, np.maximum(b / m - mean**2, 0) * q / m**2))
            gap = sides[0][0] - sides[1][0]
            error = np.sqrt(sides[0][1] + sides[1][1])
        return np.nan_to_num(gap, nan=-np.inf), np.nan_to_num(error, nan=np.inf)


class _Scores:
    """What a table shows of a group of rows."""

    def __init__(
        self,
        held: LabeledTable,
        outputs: Mapping[str, np.ndarray],
        losses: Mapping[str, np.ndarray],
    ) -> None:
        self.weight, self.losses = held.weight, losses
        if held.classes is None:
            self.extra = {"bias": outputs["student"] - held.y}
        else:
            codes = np.searchsorted(held.classes, held.y)
            self.extra = {
                f"errors_{name}": (output.argmax(axis=1) != codes).astype(float)
                for name, output in outputs.items()
            }
        self.regression = held.classes is None

    def of(self, rows: Any) -> dict[str, float]:
        weight = self.weight[rows]
        if not weight.sum() > 0:
            weight = np.ones(len(weight))

        def mean(values: np.ndarray) -> float:
            return float(np.average(values[rows], weights=weight))

        found = {f"loss_{name}": mean(values) for name, values in self.losses.items()}
        if self.regression:
            found = {f"rmse_{k.removeprefix('loss_')}": float(np.sqrt(v)) for k, v in found.items()}
        return found | {name: mean(values) for name, values in self.extra.items()}


def _cut(values: pd.Series) -> tuple[np.ndarray, list[dict[str, Any] | None]]:
    """The group of each row, and what the groups are; None is for rows that are of no interest."""
    import pandas as pd

    described: list[dict[str, Any] | None]
    if column_kind(values) == "categorical":
        codes, names = pd.factorize(values, use_na_sentinel=True)
        missing = codes < 0
        order = np.argsort(-np.bincount(codes[~missing], minlength=len(names)), kind="stable")
        rank = np.empty(len(names), dtype=int)
        rank[order] = np.arange(len(names))
        described = [{"value": str(names[k])} for k in order[:_MOST_CATEGORIES]]
        place = np.full(len(codes), len(described))
        place[~missing] = np.minimum(rank[codes[~missing]], len(described))
    else:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        missing = np.isnan(numbers)
        sample = numbers[:: max(1, len(numbers) // _SAMPLE)]
        sample = sample[~np.isnan(sample)]
        known = np.unique(sample)
        if len(known) <= _FEW_VALUES:
            boolean = values.dtype.kind == "b"
            described = [{"value": str(bool(v)) if boolean else f"{v:.6g}"} for v in known]
            place = np.searchsorted(known, numbers)
            there = place < len(known)
            there[there] = known[place[there]] == numbers[there]
            place = np.where(there, place, len(known))
        else:
            cuts = np.unique(np.quantile(sample, np.arange(1, _GROUPS) / _GROUPS))
            place = np.searchsorted(cuts, numbers)
            ends = [None, *cuts.tolist(), None]
            described = [{"low": a, "high": b} for a, b in itertools.pairwise(ends)]
    place[missing] = len(described) + 1
    # Small numbers, since those of all columns are held at once.
    return place.astype(np.int8), [*described, None, {"missing": True}]


def _reach(tested: int) -> float:
    """Standard errors beyond which none of so many groups comes by chance, in 95 % of reports."""
    from scipy.special import ndtri

    return float(ndtri(1 - _LEVEL / max(tested, 1)))
