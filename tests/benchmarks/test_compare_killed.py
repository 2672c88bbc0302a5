"""`kd compare` that is killed ten times, at random moments, loses no finished pair.

KD_BENCH_ROWS takes so many rows of adult (or of the made table of its shape), KD_BENCH_RECIPE names
the recipe ("auto"). With KD_BENCH_KEEP, a folder, the run that nobody stops is kept there, so that
KD_BENCH_PART=whole and, later, KD_BENCH_PART=killed run one half each.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

TEACHERS = "xgboost,lightgbm,random_forest"
STUDENTS = "logistic_regression,decision_tree,sklearn_mlp,xgboost"
KILLS = 10
#: What a clock says, which no two runs agree on.
TIMES = {"latency_us", "seconds", "fit_seconds", "compile_teacher", "reason", "cached"}
#: Notes tell of clocks and caches too.
TIMES |= {"notes", "note_templates"}


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def finished(folder):
    """Bytes and time of each finished pair; what is being written begins with a dot."""
    files = folder.glob("pairs/[!.]*.json")
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_killed_ten_times_it_ends_with_the_same_table(adult, tmp_path, show):
    path, what = adult
    tmp_path = Path(os.environ.get("KD_BENCH_KEEP", tmp_path)).absolute()
    frame = pd.read_parquet(path)
    wanted = os.environ.get("KD_BENCH_ROWS")
    if wanted:
        frame = frame.sample(min(int(wanted), len(frame)), random_state=0)
        path = tmp_path / "part.parquet"
        frame.to_parquet(path)
    command = [sys.executable, "-m", "kdcore", "compare", str(path), "-t", "target", "--json"]
    recipe = os.environ.get("KD_BENCH_RECIPE", "auto")
    command += ["--teachers", TEACHERS, "--students", STUDENTS, "--recipe", recipe]
    # What is tested does not depend on the size of the teachers.
    for teacher in TEACHERS.split(","):
        command += ["--teacher-param", f"{teacher}:n_estimators=30"]

    def environ(name):
        return {**os.environ, "KD_CACHE_DIR": str(tmp_path / f"cache-{name}")}

    def run(name):
        done = subprocess.run(
            [*command, "-o", str(tmp_path / name)], env=environ(name), stdout=subprocess.PIPE
        )
        assert done.returncode == 0
        return json.loads(done.stdout)["pairs"]

    kept_seconds = tmp_path / "seconds"
    start = time.perf_counter()
    whole = run("whole")
    if not kept_seconds.exists():
        kept_seconds.write_text(str(time.perf_counter() - start))
    seconds = float(kept_seconds.read_text())
    if os.environ.get("KD_BENCH_PART") == "whole":
        show(f"\n{len(whole)} pairs in {seconds:.0f} s")
        return
    assert not [pair for pair in whole if "error" in pair]
    draw, folder, kept, counts = random.Random(0), tmp_path / "killed", {}, []
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*command, "-o", str(folder)], env=environ("killed"), stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=draw.uniform(0.03, 0.25) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
            process.wait()
        now = finished(folder)
        assert kept.items() <= now.items(), "a finished pair was lost or made again"
        kept = now
        counts.append(len(kept))
    resumed = run("killed")
    assert kept.items() <= finished(folder).items()
    assert without_times(resumed) == without_times(whole)
    assert run("killed") == resumed
    show(
        f"\nkd compare, {what}, {len(frame)} rows, recipe {recipe}, {len(whole)} pairs in "
        f"{seconds:.0f} s, killed "
        f"{killed} times in {KILLS} starts: finished pairs after each {counts}; none lost, the "
        "same table"
    )
