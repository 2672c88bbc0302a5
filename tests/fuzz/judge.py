"""A process that loads mutants one after another under limits, and tells what came of each.

Usage: python judge.py FOLDER FIRST COUNT

FOLDER holds sound bundles ``N.kd`` with ``N.npz`` (``rows``, ``expected``). One line of JSON is
printed for each seed, before the mutant is loaded and after it, so that a seed that ends the
process is known.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from fuzz.mutations import mutant

import kdcore

#: Address space beyond what the process takes at its start, and seconds for one mutant.
MEMORY, SECONDS = 768 * 2**20, 20
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Failed to allocate", "bad allocation")


def main(folder: Path, first: int, count: int) -> None:
    """Judge the seeds ``first`` to ``first + count``."""
    bundles, rows, expected = [], [], []
    for path in sorted(folder.glob("*.kd"), key=lambda p: int(p.stem)):
        bundles.append(path.read_bytes())
        rows.append(json.loads(path.with_suffix(".json").read_text()))
        expected.append(np.load(path.with_suffix(".npy"), allow_pickle=False))
    own = folder / f"run-{first}" / "inner"
    own.mkdir(parents=True)
    os.chdir(own)
    Path("weights.bin").write_bytes(bytes(8192))
    for sound, table, wanted in zip(bundles, rows, expected, strict=True):
        Path("mutant.kd").write_bytes(sound)
        np.testing.assert_array_equal(_ask("mutant.kd", table), wanted)
    onnxruntime.set_default_logger_severity(4)
    _limit()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # What a mutant costs to make is not the loader's.
    for seed in range(first, first + count):
        which, made = mutant(bundles, seed)
        Path("mutant.kd").write_bytes(made.data)
        print(json.dumps({"seed": seed, "kind": made.kind}), flush=True)
        signal.alarm(SECONDS)
        start = time.perf_counter()
        result = _judged("mutant.kd", rows[which], expected[which], made.faithful)
        signal.alarm(0)
        strangers = _strangers(own)
        if strangers:
            result = {"fault": f"files appeared: {strangers}"}
        print(json.dumps({"seed": seed, **result, "seconds": time.perf_counter() - start}))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_bytes": peak * 1024}), flush=True)


def _limit() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def _ask(path: str, table: dict[str, list[Any]]) -> np.ndarray:
    bundle = kdcore.load(path)
    known = {
        name: table.get(name, [None] * len(next(iter(table.values())))) for name in bundle.features
    }
    bundle.unseen(known)
    bundle.predict_one({name: values[0] for name, values in known.items()})
    ask = bundle.predict if bundle.classes is None else bundle.predict_proba
    return ask(known)


def _judged(path: str, table: Any, expected: np.ndarray, faithful: bool) -> dict[str, str]:
    try:
        got = _ask(path, table)
    except kdcore.KDError as error:
        told = f"{error!r} {error.__cause__!r}"
        if "\n" in str(error):
            return {"fault": f"more than one line: {error}"}
        if any(word in told for word in _OUT_OF_MEMORY):
            return {"fault": f"out of memory: {told[:300]}"}
        return {"outcome": "refused"}
    except BaseException as error:
        return {"fault": f"{type(error).__name__}: {str(error)[:300]}"}
    if len(got) != len(expected):
        return {"fault": f"{len(got)} predictions for {len(expected)} rows"}
    if faithful and not np.array_equal(got, expected):
        return {"fault": "another answer"}
    return {"outcome": "answered"}


def _strangers(own: Path) -> list[str]:
    found = [p.name for p in own.iterdir() if p.name not in ("mutant.kd", "weights.bin")]
    found += [p.name for p in own.parent.iterdir() if p != own]
    return found + [p for p in ("/tmp/kdcore-escaped",) if os.path.exists(p)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
