"""`kd compare` of every classical teacher with every classical student, from end to end.

The table is adult, or the made table of its shape; KD_BENCH_ROWS takes so many rows of it.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

TEACHERS = "xgboost,lightgbm,catboost,random_forest"
STUDENTS = "logistic_regression,svm,decision_tree,sklearn_mlp,xgboost,lightgbm,catboost"
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree_bytes(root):
    """Resident memory of a process and of all its descendants, read from /proc."""
    parents, pages = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name in brackets may hold blanks.
                after = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(after[1])
                pages[int(entry.name)] = int((entry / "statm").read_text().split()[1])
            except OSError:
                continue
    family = {root}
    while more := {p for p, parent in parents.items() if parent in family} - family:
        family |= more
    return PAGE * sum(pages.get(p, 0) for p in family)


def peak_of(arguments, folder):
    """Wall seconds and peak bytes of a process with all its descendants."""
    start, peak = time.perf_counter(), 0
    with open(folder / "out.json", "w") as out:
        process = subprocess.Popen(arguments, cwd=folder, stdout=out)
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.05)
    assert process.returncode == 0
    return time.perf_counter() - start, peak


def test_all_pairs_from_end_to_end(adult, tmp_path, show):
    path, what = adult
    frame = pd.read_parquet(path)
    wanted = os.environ.get("KD_BENCH_ROWS")
    if wanted:
        frame = frame.sample(min(int(wanted), len(frame)), random_state=0)
        path = tmp_path / "part.parquet"
        frame.to_parquet(path)
    size = int(frame.memory_usage(deep=True).sum())
    kd = [sys.executable, "-m", "kdcore"]
    _, empty = peak_of([*kd, "plugins", "--json"], tmp_path)
    small = tmp_path / "small.parquet"
    frame.groupby("target", observed=True).head(150).to_parquet(small)
    ours = ["--target", "target", "--teachers", TEACHERS, "--students", STUDENTS]
    ours += ["--no-cache", "--json"]
    # What the libraries need for any table, however small.
    _, base = peak_of([*kd, "compare", str(small), *ours], tmp_path)
    seconds, peak = peak_of([*kd, "compare", str(path), *ours], tmp_path)
    pairs = json.loads((tmp_path / "out.json").read_text())["pairs"]
    dense = frame.shape[0] * (frame.shape[1] - 1) * 8
    show(
        f"\nkd compare, {what}, {len(frame)} rows, {len(pairs)} pairs: {seconds:.0f} s; "
        f"peak {peak / 1e6:.0f} MB, of which {base / 1e6:.0f} MB are for a small table "
        f"({empty / 1e6:.0f} MB for kd plugins); the table takes {size / 1e6:.1f} MB in pandas, "
        f"{dense / 1e6:.1f} MB as float64: {(peak - base) / dense:.1f} copies of that"
    )
    for pair in pairs:
        assert "error" not in pair, pair
        metric = pair["verdict"]["metric"]
        show(
            f"  {pair['teacher']['name']:15}{pair['student']['name']:21}"
            + "".join(
                f"{pair[who]['metrics'][metric]:9.4f}" for who in ("teacher", "plain", "student")
            )
            + f"  {pair['verdict']['choice']:10} fit {pair['student']['fit_seconds']:6.1f} s"
        )
    assert len(pairs) == 28
