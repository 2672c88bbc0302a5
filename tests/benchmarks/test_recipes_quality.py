"""What the recipes gain: 4,000 rows to learn from, 3 seeds, the tables of KD_BENCH_DATA.

KD_BENCH_TEACHER names the teacher (xgboost), KD_BENCH_STUDENTS, KD_BENCH_TABLES and KD_BENCH_SEEDS
cut the lists down, KD_BENCH_RECIPES lists recipes (fast), KD_BENCH_DEEP=1 lets the tree be ten
splits deep with 50 synthetic rows for each real one. Gap closed is (plain - student) / (plain -
teacher) in log loss or RMSE, where the plain student (standard encoding, equally tuned) is over
2 % behind the teacher. Runs can be resumed: see `benchmark_cells`. Without KD_BENCH_DATA, tables of
scikit-learn are used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark_cells import Cells, rows_of, tables

import kdcore

TABLES = (
    "adult,bank_marketing,german_credit,magic_gamma,letter,wine_quality,mnist_5000,soybean,"
    "california_housing,bike_sharing"
)
STUDENTS = "logistic_regression,decision_tree,sklearn_mlp"
SEEDS = tuple(map(int, os.environ.get("KD_BENCH_SEEDS", "0,1,2").split(",")))
WHO = ("teacher", "plain", "plain_encoded", "student")
#: A tree without a bound of its leaves, and more rows to grow it with.
DEEP: dict[str, Any] = {
    "student_params": {"max_depth": 10, "max_leaf_nodes": None},
    "augment": 50,
}


def test_gap_closed(show: Any, tmp_path: Path) -> None:
    teacher = os.environ.get("KD_BENCH_TEACHER", "xgboost")
    recipes = os.environ.get("KD_BENCH_RECIPES", "fast").split(",")
    students = os.environ.get("KD_BENCH_STUDENTS", STUDENTS).split(",")
    more = DEEP if os.environ.get("KD_BENCH_DEEP") else {}
    cells = Cells(tmp_path)
    show(f"\nteacher {teacher}{', deep trees' if more else ''}")
    show(f"{'table':20}{'student':21}{'recipe':7}{'teacher':>9}{'plain':>9}"
         f"{'encoded':>9}{'distill':>9}  {'gap closed by seed':24}{'z to plain':>18}"
         f"{'z to encoded':>18}{'CPU s':>7}{'moved':>6}")  # fmt: skip
    gaps: dict[tuple[str, str], list[float]] = {}
    over: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, student, recipe, scale, found in _found(cells, teacher, recipes, students, more):
        runs = [run for run in found if run is not None]
        if not runs:
            continue
        closed = [run["gap_closed"] for run in runs]
        gaps.setdefault((student, recipe), []).extend(g for g in closed if g is not None)
        z = [(run["z_plain"], run["z_encoded"]) for run in runs]
        over.setdefault((student, recipe), []).extend(z)
        scores = [np.mean([run[who] for run in runs]) / scale for who in WHO]
        show(f"{name:20}{runs[0]['name']:21}{recipe:7}"
             + "".join(f"{score:9.4f}" for score in scores)
             + "  " + "".join("       -" if g is None else f"{g:8.0%}" for g in closed)
             + "".join(f"{a:6.1f}" for a, _ in z)
             + "".join(f"{b:6.1f}" for _, b in z)
             + f"{np.mean([run['cpu'] for run in runs]):7.1f}"
             + f"{sum(run['moved'] for run in runs):6}")  # fmt: skip
    for (student, recipe), values in gaps.items():
        both = np.array(over[student, recipe])
        plain, encoded = np.mean(both > -2, axis=0)
        if values:
            show(
                f"{student:21}{recipe:7} gap closed: median {np.median(values):.0%}, mean "
                f"{np.mean(values):.0%}, worst {min(values):.0%} of {len(values)} cells; of all "
                f"{len(both)}, z > -2 against plain in {plain:.1%}, against the same encoding in "
                f"{encoded:.1%}"
            )
    every = np.array([pair for values in over.values() for pair in values])
    plain, encoded = np.mean(every > -2, axis=0)
    show(
        f"all {len(every)} cells: z > -2 against plain in {plain:.1%}, against the same encoding "
        f"in {encoded:.1%}"
    )
    if not cells.lacking and len(every) >= 20:
        # Of fewer cells one by chance is more than 5 %.
        assert encoded >= 0.95
        assert plain >= 0.95
    if cells.lacking:
        show(f"{cells.lacking} cells are still lacking: run again with the same KD_BENCH_STORE")


def _found(
    cells: Cells, teacher: str, recipes: list[str], students: list[str], more: dict[str, Any]
) -> Iterator[tuple[str, str, str, float, list[Any]]]:
    for name, load in tables(TABLES).items():
        frame = load()
        scale = float(frame["target"].std()) if frame["target"].dtype == float else 1.0
        for student in students:
            for recipe in recipes:
                found = [
                    cells.get(
                        (teacher, name, student, recipe, seed, *(["deep"] if more else [])),
                        partial(
                            _distilled, name, frame, seed, cells, teacher, student, recipe, more
                        ),
                    )
                    for seed in SEEDS
                ]
                yield name, student, recipe, scale, found


def _distilled(
    name: str,
    frame: pd.DataFrame,
    seed: int,
    cells: Cells,
    teacher: str,
    student: str,
    recipe: str,
    more: dict[str, Any],
) -> dict[str, Any]:
    train, test = rows_of(name, frame, seed)
    result = kdcore.distill(
        train,
        test=test,
        target="target",
        teacher=teacher,
        student=student,
        recipe=recipe,
        random_state=seed,
        n_jobs=1,
        cache=cells.cache,
        **more,
    )
    report = result.report.to_dict()
    assert not report["parity"] or report["parity"]["flipped"] == 0
    verdict = report["verdict"]
    z_plain = z(verdict["gain"], verdict["ci95"])
    over = verdict["over_encoded"]
    return {
        **{who: metric(report, who) for who in WHO},
        "name": report["student"]["name"],
        "gap_closed": verdict["gap_closed"],
        "z_plain": z_plain,
        "z_encoded": z(over["gain"], over["ci95"]) if over else z_plain,
        "choice": verdict["choice"],
        "recipe": report["recipe"]["name"],
        "moved": report["recipe"]["name"] not in ("default", "textbook"),
        "seconds": report["seconds"],
    }


def metric(report: dict[str, Any], who: str) -> float:
    part = report[who] or report["plain"]
    return float(part["metrics"][report["verdict"]["metric"]])


def z(gain: float, interval: list[float]) -> float:
    """The gain in standard errors, from its 95 % interval."""
    width = (interval[1] - interval[0]) / 3.92
    return gain / width if width > 0 else 0.0
