"""How good the columns are that selectors choose for a PyTorch student, and what choosing costs.

Every selector hands over a set of columns of exactly the budget's size; the same student is fitted
to each set and judged on rows that no teacher, selector or student has seen. Of a selector with
several rankings the set with the smaller loss on the held-out rows counts, by the selector's own
comparison. "ceiling" also chooses the size, within a larger budget.

    KD_BENCH_DATA=FOLDER pytest -s tests/benchmarks/test_selection_quality.py -k madelon
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.selection_tables import TABLES, Split, Table, split
from sklearn.base import clone

from kdcore.evaluation import metrics
from kdcore.registry import default_registry
from kdcore.selection import ColumnWishes
from kdcore.selection.search import _chosen
from kdcore.selection.task import sizes

SEEDS = range(3)
PEERS = ("sigmoid_l1", "teacher_gain", "mrmr")
OWN = "budgeted_elimination"
#: By table: (row, column, "least" or "most", what the mean over seeds must reach).
CLAIMS: dict[str, list[tuple[str, str, str, float]]] = {
    "madelon": [
        (f"{OWN} = 20", "accuracy", "least", 0.85),
        (f"{OWN} = 20", "relevant", "least", 17),
        (f"{OWN} <= 100", "accuracy", "least", 0.85),
        (f"{OWN} <= 100", "columns", "most", 25),
        (f"{OWN} <= 100", "useless", "most", 0),
    ],
    "interactions": [
        (f"{OWN} = 10", "relevant", "least", 9.7),
        (f"{OWN} <= 100", "relevant", "least", 9.7),
        (f"{OWN} <= 100", "useless", "most", 3),
    ],
    "adult_copies": [
        (f"{OWN} = 8", "useless", "most", 0),
        (f"{OWN} = 8", "log_loss", "most", 0.320),
    ],
    "khan_srbct": [(f"{OWN} = 12", "accuracy", "least", 0.97)],
}


@pytest.mark.parametrize("name", TABLES)
def test_selectors_side_by_side(name: str, show: Any) -> None:
    table = TABLES[name]
    folder = Path(os.environ.get("KD_BENCH_DATA", "."))
    try:
        table.make(folder)
    except FileNotFoundError:
        pytest.skip(f"{name} is not in KD_BENCH_DATA")
    show(f"\n{name}: mean and smallest and largest of seeds {[*SEEDS]}")
    found: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        for row, value in _judged(table, split(table, folder, seed), seed).items():
            found.setdefault(row, []).append(value)
    for row, seeds in found.items():
        show("  " + row.ljust(30) + _line(seeds))
    for row, column, way, bound in CLAIMS.get(name, []):
        mean = np.mean([s[column] for s in found[row]])
        assert mean >= bound if way == "least" else mean <= bound, (row, column, mean)


def _judged(table: Table, made: Split, seed: int) -> dict[str, dict[str, float]]:
    task = made.task
    blank = default_registry().create(
        "student", "pytorch_mlp", task="regression" if table.regression else "classification"
    )
    task.estimator = blank.set_params(alpha=0.5, random_state=seed)
    relevant = made.relevant

    def row(columns: list[str], seconds: float) -> dict[str, float]:
        student = clone(task.estimator).set_params(features=columns).fit(task.X, task.targets)
        classes = task.targets.classes
        output = student.predict(made.test) if classes is None else student.predict_proba(made.test)
        assert set(student.get_selected_features()) <= set(columns)
        told = metrics(output, made.y, classes, np.ones(len(made.y)))
        shown = ("rmse", "r2") if classes is None else ("accuracy", "log_loss")
        counts = {"columns": len(columns), "seconds": seconds}
        if relevant:
            counts |= {"relevant": len(relevant & set(columns)),
                       "useless": len(set(columns) - relevant)}  # fmt: skip
        return {**{s: told[s] for s in shown}, **counts}

    start = time.process_time()
    task.prior()
    prior = time.process_time() - start
    rows = {"all columns": row(task.candidates, 0.0)}
    if relevant:
        rows["relevant columns"] = row([c for c in task.candidates if c in relevant], 0.0)
    for name in (OWN, *PEERS):
        selector = default_registry().create("selector", name)
        start = time.process_time()
        task.most = table.k
        rankings = selector.rankings(task)
        columns = _best(selector, task, rankings, [table.k])
        rows[f"{name} = {table.k}"] = row(columns, time.process_time() - start)
        if table.ceiling is None or name not in (OWN, "sigmoid_l1"):
            continue
        start = time.process_time()
        task.most = table.ceiling
        rankings = selector.rankings(task)
        if name == OWN:
            columns = _best(selector, task, rankings, sizes(table.ceiling))
            rows[f"{name} <= {table.ceiling}"] = row(columns, time.process_time() - start)
        else:
            columns = rankings["gates"][: table.ceiling]
            rows[f"{name} = {table.ceiling}"] = row(columns, time.process_time() - start)
    rows["all columns"]["seconds"] = prior
    return rows


def _best(selector: Any, task: Any, rankings: Any, wanted: list[int]) -> list[str]:
    """The set that a user would get: see `kdcore.selection.search`."""
    sets = [
        (ranking(size) if callable(ranking) else ranking)[:size]
        for size in wanted
        for ranking in rankings.values()
    ]
    if len(sets) == 1:
        return sets[0]
    trials = [("", columns, selector.losses(task, columns)) for columns in sets]
    m = len(task.held_targets)
    return sets[_chosen(trials, np.full(m, 1 / m), ColumnWishes().tolerance)[0]]


def _line(seeds: list[dict[str, float]]) -> str:
    parts = []
    for key in seeds[0]:
        values = [s[key] for s in seeds]
        digits = 3 if key in ("accuracy", "log_loss", "rmse", "r2") else 1
        low, high = min(values), max(values)
        parts.append(f"{key} {np.mean(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})")
    return "  ".join(parts)
