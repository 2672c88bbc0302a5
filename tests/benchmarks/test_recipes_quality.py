"""What the recipes gain: 4,000 rows to learn from, 3 seeds, the tables of KD_BENCH_DATA.

KD_BENCH_TEACHER names the teacher (xgboost), KD_BENCH_STUDENTS and KD_BENCH_TABLES cut the lists
down, KD_BENCH_RECIPE is fast unless given. Gap closed is (plain - student) / (plain - teacher) in
log loss or RMSE, where the plain student (standard encoding, equally tuned) is over 2 % behind the
teacher. Without KD_BENCH_DATA, tables of scikit-learn are used.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import kdcore
from kdcore.label_cache import LabelCache
from kdcore.table import read_table

TABLES = (
    "adult,bank_marketing,german_credit,magic_gamma,letter,wine_quality,mnist_5000,soybean,"
    "california_housing,bike_sharing"
)
BUNDLED = ("digits", "breast_cancer", "diabetes")
STUDENTS = "logistic_regression,decision_tree,sklearn_mlp"
SEEDS = tuple(map(int, os.environ.get("KD_BENCH_SEEDS", "0,1,2").split(",")))
TRAIN, TEST = 4_000, 5_000
#: Tables of fewer rows keep 30 % for judging; images learn from 2,500.
FEWER = {"mnist_5000": 2_500}


def tables() -> dict[str, pd.DataFrame]:
    folder = os.environ.get("KD_BENCH_DATA")
    if folder is None:
        return {name: read_table(f"sklearn:{name}") for name in BUNDLED}
    names = os.environ.get("KD_BENCH_TABLES", TABLES).split(",")
    return {name: pd.read_parquet(Path(folder, f"{name}.parquet")) for name in names}


def rows_of(name: str, frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = min(FEWER.get(name, TRAIN), int(0.7 * len(frame)))
    train = frame.iloc[order[:cut]]
    if train["target"].dtype != float:
        # A class of one row can be in no fold.
        counts = train["target"].map(train["target"].value_counts())
        train = train[counts.astype(int) >= 2]
    test = frame.iloc[order[cut : cut + TEST]]
    known = test["target"].isin(train["target"].unique()) if test["target"].dtype != float else None
    return train, test if known is None else test[known]


def test_gap_closed(show: Any, tmp_path: Path) -> None:
    teacher = os.environ.get("KD_BENCH_TEACHER", "xgboost")
    recipe = os.environ.get("KD_BENCH_RECIPE", "fast")
    students = os.environ.get("KD_BENCH_STUDENTS", STUDENTS).split(",")
    cache = LabelCache(tmp_path)
    show(f"\nteacher {teacher}, recipe {recipe}")
    show(f"{'table':20}{'student':21}{'teacher':>9}{'plain':>9}"
         f"{'encoded':>9}{'distill':>9}  {'gap closed by seed':24}{'z to plain':>18}"
         f"{'z to encoded':>18}{'s':>6}")  # fmt: skip
    gaps: dict[str, list[float]] = {}
    cells: dict[str, list[tuple[float, float]]] = {}
    for name, frame in tables().items():
        for student in students:
            runs, seconds = [], 0.0
            for seed in SEEDS:
                train, test = rows_of(name, frame, seed)
                began = time.perf_counter()
                result = kdcore.distill(
                    train,
                    test=test,
                    target="target",
                    teacher=teacher,
                    student=student,
                    recipe=recipe,
                    random_state=seed,
                    n_jobs=1,
                    cache=cache,
                )
                seconds += time.perf_counter() - began
                runs.append(result.report.to_dict())
            scores = {who: [metric(r, who) for r in runs] for who in WHO}
            closed = [r["verdict"]["gap_closed"] for r in runs]
            over_plain = [z(r["verdict"]["gain"], r["verdict"]["ci95"]) for r in runs]
            over = [r["verdict"]["over_encoded"] for r in runs]
            over_encoded = [z(o["gain"], o["ci95"]) if o else p
                            for o, p in zip(over, over_plain, strict=True)]  # fmt: skip
            gaps.setdefault(student, []).extend(g for g in closed if g is not None)
            cells.setdefault(student, []).extend(zip(over_plain, over_encoded, strict=True))
            scale = 1.0 if runs[0]["classes"] else float(frame["target"].std())
            show(f"{name:20}{runs[0]['student']['name']:21}"
                 + "".join(f"{np.mean(scores[who]) / scale:9.4f}" for who in WHO)
                 + "  " + "".join("       -" if g is None else f"{g:8.0%}" for g in closed)
                 + "".join(f"{v:6.1f}" for v in over_plain)
                 + "".join(f"{v:6.1f}" for v in over_encoded)
                 + f"{seconds / len(runs):6.1f}")  # fmt: skip
            assert all(r["parity"]["flipped"] == 0 for r in runs if r["parity"])
    for student, values in gaps.items():
        if not values:
            continue
        both = np.array(cells[student])
        plain, encoded = np.mean(both > -2, axis=0)
        show(
            f"{student:21} gap closed: median {np.median(values):.0%}, worst {min(values):.0%} of "
            f"{len(values)} cells; of all {len(both)}, z > -2 against plain in {plain:.0%}, "
            f"against the same encoding in {encoded:.0%}"
        )


WHO = ("teacher", "plain", "plain_encoded", "student")


def metric(report: dict[str, Any], who: str) -> float:
    part = report[who] or report["plain"]
    return float(part["metrics"][report["verdict"]["metric"]])


def z(gain: float, interval: list[float]) -> float:
    """The gain in standard errors, from its 95 % interval."""
    width = (interval[1] - interval[0]) / 3.92
    return gain / width if width > 0 else 0.0
