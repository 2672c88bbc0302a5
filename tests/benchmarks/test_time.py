"""Time and memory of `kd distill --recipe fast` on one core: small tables, and growing ones.

CPU seconds are counted as well as wall time, so that other work on the machine matters little.
KD_BENCH_STUDENTS and KD_BENCH_SIZES cut the lists down; results can be kept (`benchmark_cells`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark_cells import Cells

STUDENTS = "logistic_regression,decision_tree,sklearn_mlp,pytorch_mlp"
SIZES = "4000,12000,36000,108000,300000"
ROWS, COLUMNS = 200_000, 50


def measured(path: Path, *arguments: str) -> dict[str, Any]:
    """Run ``kd distill`` in a process of its own."""
    command = [sys.executable, "-m", "kdcore", "distill", str(path), "-t", "target", "--json"]
    command += ["--recipe", "fast", "--jobs", "1", "--no-cache", "-q", *arguments]
    command += ["-o", str(path.parent / "out"), "--force"]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **one}) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    assert process.returncode == 0
    report = json.loads(out)
    metric = report["verdict"]["metric"]
    return {
        "seconds": wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "stages": report["seconds"],
        "scores": [report[who]["metrics"][metric] for who in ("teacher", "plain", "student")],
        "choice": report["verdict"]["choice"],
    }


def line(cell: dict[str, Any]) -> str:
    stages = sorted(cell["stages"].items(), key=lambda item: -item[1])
    longest = ", ".join(f"{k} {v:.1f}" for k, v in stages[1:5])
    return (
        f"{cell['cpu_seconds']:7.1f} CPU s {cell['seconds']:7.1f} s wall {cell['peak_mb']:7.0f} MB"
        f"  (wall: {longest})"
    )


def test_a_table_of_4000_rows_takes_under_15_seconds(adult: Any, show: Any, tmp_path: Path) -> None:
    path, what = adult
    part = pd.read_parquet(path).sample(4000, random_state=0)
    part.to_parquet(tmp_path / "part.parquet")
    cells = Cells(tmp_path)
    show(f"\n4,000 rows of {what}, teacher xgboost, recipe fast, one core")
    for student in os.environ.get("KD_BENCH_STUDENTS", STUDENTS).split(","):
        cell = cells.get(
            ("time", what, student),
            lambda: measured(tmp_path / "part.parquet", "--student", student),  # noqa: B023
        )
        if cell:
            show(f"{student:21}{line(cell)}")
            assert cell["cpu_seconds"] < 15


def test_cost_grows_linearly_with_rows(show: Any, tmp_path: Path) -> None:
    folder = os.environ.get("KD_BENCH_DATA")
    if folder:
        frame, what = pd.read_parquet(Path(folder, "nyc_flights.parquet")), "nyc_flights"
    else:
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.normal(size=(300_000, 20)), columns=[f"c{i}" for i in range(20)])
        frame["target"] = frame["c0"] * frame["c1"] + frame["c2"] + rng.normal(size=len(frame))
        what = "a made table"
    cells = Cells(tmp_path)
    show(f"\n{what}, teacher xgboost, student ridge, recipe fast, one core")
    sizes = [int(n) for n in os.environ.get("KD_BENCH_SIZES", SIZES).split(",")]
    points = []
    for n in sizes:
        cell = cells.get(("growth", what, n), lambda: _grown(frame, n, tmp_path))  # noqa: B023
        if cell:
            points.append((n, cell["cpu_seconds"]))
            show(f"{n:9,} rows{line(cell)}")
            assert cell["peak_mb"] < 2048
    if len(points) > 1:
        rows, seconds = np.log(np.array(points)).T
        exponent = np.polyfit(rows, seconds, 1)[0]
        show(f"CPU seconds grow with the power {exponent:.2f} of the rows")
        assert exponent < 1.1


def _grown(frame: pd.DataFrame, n: int, folder: Path) -> dict[str, Any]:
    frame.sample(min(n, len(frame)), random_state=0).to_parquet(folder / "part.parquet")
    return measured(folder / "part.parquet", "--student", "ridge")


def test_wide_encodings_of_a_large_table_take_few_copies(show: Any, tmp_path: Path) -> None:
    """200,000 rows of 50 numbers; what a table of 1,000 rows needs too is taken off."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(size=(ROWS, COLUMNS)), columns=[f"c{i}" for i in range(COLUMNS)]
    )
    score = frame["c0"] * frame["c1"] + frame["c2"] + rng.normal(size=ROWS)
    frame["target"] = np.where(score > 0, "a", "b")
    cells, copy = Cells(tmp_path), ROWS * COLUMNS * 8 / 2**20
    show(f"\n{ROWS:,} x {COLUMNS}: a copy has {copy:.0f} MB")
    for student in os.environ.get("KD_BENCH_STUDENTS", STUDENTS).split(","):
        quick = ["--student", student, "--teacher-param", "n_estimators=50"]
        peaks = []
        for n in (1_000, ROWS):
            frame.head(n).to_parquet(tmp_path / "part.parquet")
            cell = cells.get(
                ("memory", student, n),
                lambda: measured(tmp_path / "part.parquet", *quick),  # noqa: B023
            )
            if cell:
                peaks.append(cell["peak_mb"])
                show(f"{student:21}{n:9,} rows{line(cell)}")
        if len(peaks) == 2:
            copies = (peaks[1] - peaks[0]) / copy
            show(f"{student:21}{copies:9.1f} copies")
            # Encodings are limited by their cells, whatever the rows; 10 was the most seen.
            assert copies < 15
