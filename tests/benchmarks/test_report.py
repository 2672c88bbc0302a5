"""The report of a large table: pictures of 100,000 held-out rows and 500 columns, and the page."""

import time

import numpy as np
import pandas as pd
import pytest

import kdcore
from kdcore.pictures import collect
from kdcore.splits import prepare
from kdcore.webpage import report_page

ROWS, COLUMNS, LIMIT = 100_000, 500, 10.0


def table(n, task, seed):
    rng = np.random.default_rng(seed)
    columns = {f"number{i}": rng.normal(size=n) for i in range(COLUMNS - 50)}
    columns |= {f"text{i}": rng.choice(["Ulm", "Bonn", "Kiel"], n) for i in range(50)}
    score = columns["number0"] + rng.normal(size=n)
    columns["y"] = score if task == "regression" else np.digitize(score, [-1, 0, 1]).astype(str)
    return pd.DataFrame(columns)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_report_of_a_large_table(task, show):
    small = table(500, task, 0)
    report = kdcore.distill(
        small, target="y", task=task, recipe="plain", folds=2,
        student="ridge" if task == "regression" else "logistic_regression",
    ).report.to_dict()  # fmt: skip
    data = prepare(small, target="y", task=task, test=table(ROWS, task, 1))
    rng = np.random.default_rng(2)
    shape = ROWS if task == "regression" else (ROWS, 4)
    outputs = {name: rng.random(shape) for name in ("teacher", "plain", "plain_encoded", "student")}
    if task != "regression":
        outputs = {name: o / o.sum(axis=1, keepdims=True) for name, o in outputs.items()}
    start = time.perf_counter()
    pictures = collect(data, outputs)
    collected = time.perf_counter() - start
    page = report_page({**report, "columns": COLUMNS, "pictures": pictures})
    total = time.perf_counter() - start
    show(
        f"\nreport of {ROWS:,} rows and {COLUMNS} columns, {task}: {total:.2f} s "
        f"({collected:.2f} s of it for the data of the pictures), {len(page) / 1000:.0f} kB"
    )
    assert total < LIMIT
    assert len(page.encode()) < 2_000_000
