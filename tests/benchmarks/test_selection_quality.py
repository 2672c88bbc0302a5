"""How good the columns are that selectors choose for a PyTorch student, and what choosing costs.

Every selector hands over a set of columns of exactly the budget's size; the same student is fitted
to each set and judged, as it is saved, on rows that no teacher, selector or student has seen. Of a
selector with several rankings the set with the smaller loss on the held-out rows counts, by the
selector's own comparison. "<=" also chooses the size, within a larger budget; "fast" does so
without fits of its own.

    pip install --no-deps lassonet
    KD_BENCH_DATA=FOLDER pytest -s tests/benchmarks/test_selection_quality.py -k madelon

KD_BENCH_SEEDS cuts the seeds down (0,1,2), KD_BENCH_ROWS keeps the rows whose names hold one of
these texts, and a run can be resumed: see `benchmark_cells`. Without LassoNet its rows are left
out.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.benchmark_cells import Cells
from benchmarks.selection_rows import OWN, Rows
from benchmarks.selection_tables import TABLES, split

SEEDS = tuple(map(int, os.environ.get("KD_BENCH_SEEDS", "0,1,2").split(",")))
WANTED = os.environ.get("KD_BENCH_ROWS", "").split(",")
#: By table: (row, column, "least" or "most", what the mean over seeds must reach).
CLAIMS: dict[str, list[tuple[str, str, str, float]]] = {
    "madelon": [
        (f"{OWN} = 20", "accuracy", "least", 0.85),
        (f"{OWN} = 20", "relevant", "least", 17),
        (f"{OWN} <= 100", "accuracy", "least", 0.85),
        (f"{OWN} <= 100", "columns", "most", 25),
        (f"{OWN} <= 100", "useless", "most", 0),
        ("decision_tree: prior_backward = 20", "accuracy", "least", 0.79),
        ("svm: prior_backward = 20", "accuracy", "least", 0.82),
    ],
    "interactions": [
        (f"{OWN} = 10", "relevant", "least", 9.7),
        (f"{OWN} <= 100", "relevant", "least", 9.7),
        (f"{OWN} <= 100", "useless", "most", 3),
        ("distill, relabel=auto <= 100", "accuracy", "least", 0.87),
    ],
    "adult_copies": [
        (f"{OWN} = 8", "useless", "most", 0),
        (f"{OWN} = 8", "log_loss", "most", 0.320),
    ],
    "khan_srbct": [
        (f"{OWN} = 12", "accuracy", "least", 0.97),
        ("distill, relabel=auto <= 12", "accuracy", "least", 0.97),
    ],
}
#: By table: (row, how far its mean accuracy may be behind that of all columns).
NEAR = {"isolet": (f"{OWN} = 61", 0.015)}

#: Other tables on which the mask has to be beaten in log loss.
ALSO = ("isolet", "digits_12", "digits_19")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    return Cells(tmp_path_factory.mktemp("cells"))


@pytest.mark.parametrize("name", TABLES)
def test_selectors_side_by_side(name: str, show: Any, cells: Cells) -> None:
    table = TABLES[name]
    folder = Path(os.environ.get("KD_BENCH_DATA", "."))
    try:
        table.make(folder)
    except FileNotFoundError:
        pytest.skip(f"{name} is not in KD_BENCH_DATA")
    show(f"\n{name}: mean and smallest and largest of seeds {', '.join(map(str, SEEDS))}")
    lasso = importlib.util.find_spec("lassonet") is not None
    if not lasso:
        show("  lassonet: left out, as it is not installed (pip install --no-deps lassonet)")
    found: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        rows = Rows(table, lambda seed=seed: split(table, folder, seed), seed)
        for row, make in rows.all().items():
            if not any(part in row for part in WANTED) or (row.startswith("lasso") and not lasso):
                continue
            value = cells.get((name, seed, row), make)
            if value is not None:
                found.setdefault(row, []).append(value)
    for row, seeds in found.items():
        show(f"  {row:<36}{_line(seeds)}")
    if cells.lacking:
        show(f"{cells.lacking} rows are still lacking: run again with the same KD_BENCH_STORE")
        return
    own, mask, whole = f"{OWN} = {table.k}", f"sigmoid_l1 = {table.k}", "all columns"
    missed = []
    if (name in CLAIMS or name in ALSO) and {own, mask} <= set(found):
        ours, theirs = _mean(found[own], "log_loss"), _mean(found[mask], "log_loss")
        if not ours < theirs:
            missed.append(f"{own}: log_loss {ours:.3f}, no better than {mask}, {theirs:.3f}")
    if name in NEAR and {NEAR[name][0], whole} <= set(found):
        row, most = NEAR[name]
        behind = _mean(found[whole], "accuracy") - _mean(found[row], "accuracy")
        if behind > most:
            missed.append(f"{row}: {behind:.3f} behind {whole}, goal at most {most}")
    for row, column, way, bound in CLAIMS.get(name, []):
        if row in found:
            mean = _mean(found[row], column)
            if not (mean >= bound if way == "least" else mean <= bound):
                missed.append(f"{row}: {column} {mean:.3f}, goal at {way} {bound}")
    # All of them, so that one miss does not hide another.
    assert not missed, "; ".join(missed)


def _mean(seeds: list[dict[str, float]], column: str) -> float:
    return float(np.mean([s[column] for s in seeds]))


def _line(seeds: list[dict[str, float]]) -> str:
    parts = []
    for key in seeds[0]:
        if key in ("wall", "cpu"):
            continue
        values = [s[key] for s in seeds]
        digits = 3 if key in ("accuracy", "log_loss", "rmse", "r2") else 1
        low, high = min(values), max(values)
        parts.append(f"{key} {np.mean(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})")
    return f"{'  '.join(parts)}  [{len(seeds)} seeds]"
