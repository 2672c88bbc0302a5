"""The framework's own overhead: `kd distill` against the same work by the libraries alone."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 5


def run(arguments, folder):
    """Wall seconds and CPU seconds of one process."""
    before = os.times()
    start = time.perf_counter()
    subprocess.run(arguments, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system
    return wall, cpu - before.children_user - before.children_system


def test_overhead_of_kd_distill(adult, tmp_path, show):
    path, what = adult
    direct = [sys.executable, str(Path(__file__).with_name("direct_adult.py")), str(path)]
    ours = [sys.executable, "-m", "kdcore", "distill", str(path), "--target", "target"]
    ours += ["--student", "logistic_regression", "--jobs", "2", "--no-cache", "--json"]
    ours += ["--force", "-o", "out"]
    run(direct, tmp_path), run(ours, tmp_path)  # caches warm
    pairs = [(run(direct, tmp_path), run(ours, tmp_path)) for _ in range(ROUNDS)]
    show(f"\nkd distill against the libraries alone, {what}, {ROUNDS} rounds in turns:")
    for i, clock in enumerate(("wall", "CPU")):
        ratios = [mine[i] / theirs[i] for theirs, mine in pairs]
        show(
            f"  {clock:4} seconds: direct {statistics.median(p[0][i] for p in pairs):6.2f}  "
            f"kd {statistics.median(p[1][i] for p in pairs):6.2f}  "
            f"ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})"
        )
    assert all(theirs[0] > 0 and mine[0] > 0 for theirs, mine in pairs)
