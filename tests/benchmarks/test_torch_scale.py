"""Memory and time of large tables: 10,000 to 1,000,000 rows of 50 columns, one process each."""

import json
import subprocess
import sys

import numpy as np

ROWS, COLUMNS = (10_000, 100_000, 1_000_000), 50

SCRIPT = """
import json, resource, sys, time
import numpy as np
from kdcore_torch.mlp import TorchMLPClassifier

def table(n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 50), dtype=np.float32)
    return X, (X[:, 0] + X[:, 1] > rng.logistic(size=n)).astype(int)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def fit(X, y, epochs):
    start = time.process_time()
    steps = epochs * -(-len(X) // 1024)
    TorchMLPClassifier(batch_size=1024, max_iter=steps, early_stopping=False).fit(X, y)
    return time.process_time() - start

fit(*table(2000), 1)
before = peak()
X, y = table(int(sys.argv[1]))
one = fit(X, y, 1)
seen = peak() - before
epoch = (fit(X, y, 3) - one) / 2
print(json.dumps({"bytes": seen, "table": X.nbytes, "fit": one, "epoch": epoch}))
"""


def test_memory_and_time_grow_with_the_table(show):
    show(f"\n{'rows':>10}{'float32 table':>16}{'peak beside it':>16}{'ratio':>8}{'all of fit':>12}"
         f"{'an epoch':>10}")  # fmt: skip
    found = []
    for n in ROWS:
        out = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(n)], check=True, capture_output=True, text=True
        ).stdout
        got = json.loads(out)
        found.append(got)
        size, peak = got["table"] / 1e6, got["bytes"] / 1e6
        show(f"{n:10,}{size:13.1f} MB{peak:13.1f} MB{peak / size:8.2f}{got['fit']:10.2f} s"
             f"{got['epoch']:8.2f} s")  # fmt: skip
    for what in ("fit", "epoch"):
        seconds = [got[what] for got in found]
        show(f"exponent of {what}: {np.polyfit(np.log(ROWS), np.log(seconds), 1)[0]:.2f}")
    exponent = np.polyfit(np.log(ROWS), np.log([got["epoch"] for got in found]), 1)[0]
    assert exponent <= 1.1
    assert found[-1]["bytes"] < 2.5 * found[-1]["table"]
