"""`kd predict` on a table that is larger than what it may hold: peak memory and rows a second.

`KD_BENCH_STREAM_ROWS` sets the number of rows.
"""

import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, PIECE = int(os.environ.get("KD_BENCH_STREAM_ROWS", "2000000")), 250_000
LIMIT = 2**30


def test_peak_memory_of_kd_predict(adult, tmp_path, show):
    path, what = adult
    frame = pd.read_parquet(path)
    command = [sys.executable, "-m", "kdcore", "distill", str(path), "-t", "target"]
    command += ["--student", "logistic_regression", "--recipe", "plain", "-o", "out", "--quiet"]
    subprocess.run(command, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    rng = np.random.default_rng(0)
    sink = None
    for _ in range(ROWS // PIECE):
        rows = frame.iloc[rng.integers(0, len(frame), PIECE)]
        table = pa.Table.from_pandas(rows, preserve_index=False)
        sink = sink or pq.ParquetWriter(tmp_path / "large.parquet", table.schema)
        sink.write_table(table.cast(sink.schema))
    sink.close()
    show(f"\nkd predict, {ROWS:,} rows of {what}:")
    for ending in ("parquet", "csv"):
        # Not ru_maxrss, which charges a child for its parent.
        code = (
            "from kdcore.__main__ import main\n"
            f"code = main(['predict', 'out/student.kd', 'large.parquet', '-o', 'p.{ending}'])\n"
            "status = open('/proc/self/status').read()\n"
            "print(status.split('VmHWM:')[1].split()[0])\n"
            "raise SystemExit(code)\n"
        )
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        peak = int(done.stdout) * 1024
        show(
            f"  to {ending:8} {seconds:6.1f} s, {ROWS / seconds:9,.0f} rows/s, {peak / 1e6:.0f} MB"
        )
        assert peak < LIMIT
    written = pq.ParquetFile(tmp_path / "p.parquet").metadata.num_rows
    assert written == ROWS
