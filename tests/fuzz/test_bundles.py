"""A damaged, forged or hostile bundle gives a `KDError` or the right answer, and does no harm.

`KD_FUZZ_CASES` sets the number of mutants (`tox -e fuzz` runs 10,000), `KD_FUZZ_SEED` the first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz.mutations import KINDS
from fuzz.sound import bundles

_CASES = int(os.environ.get("KD_FUZZ_CASES", "450"))
_SEED = int(os.environ.get("KD_FUZZ_SEED", "0"))
_JUDGE = Path(__file__).with_name("judge.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    for number, (packed, table) in enumerate(bundles()):
        path = folder / f"{number}.kd"
        packed.save(path)
        path.with_suffix(".json").write_text(json.dumps(table))
        ask = (
            packed.bundle.predict if packed.bundle.classes is None else packed.bundle.predict_proba
        )
        np.save(path.with_suffix(".npy"), ask(table))
    return folder


def judged(folder: Path, first: int, count: int) -> list[dict[str, Any]]:
    """What became of each seed; one that ended the process is a fault, and the next go on."""
    results: list[dict[str, Any]] = []
    stop = first + count
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_JUDGE.parents[1]), *sys.path])}
    while first < stop:
        command = [sys.executable, str(_JUDGE), str(folder), str(first), str(stop - first)]
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        kinds = {t["seed"]: t["kind"] for t in told if "kind" in t}
        ended = {t["seed"]: t for t in told if "seconds" in t}
        results += [{**t, "kind": kinds[seed]} for seed, t in ended.items()]
        if done.returncode == 0:
            return [*results, told[-1]]
        assert kinds, done.stderr[-3000:]
        last = max(kinds)
        fault = f"ended the process with {done.returncode}: {done.stderr[-300:]}"
        if last not in ended:
            results.append({"seed": last, "kind": kinds[last], "fault": fault, "seconds": 0.0})
        first = last + 1
    return results


def test_no_mutant_crashes_hangs_or_answers_wrongly(folder):
    results = judged(folder, _SEED, _CASES)
    faults = [r for r in results if "fault" in r]
    assert not faults, "\n".join(f"{f['seed']} {f['kind']}: {f['fault']}" for f in faults[:40])
    told = [r for r in results if "seed" in r]
    assert len(told) == _CASES
    counts = Counter((r["kind"], r["outcome"]) for r in told)
    slowest = max(told, key=lambda r: r["seconds"])
    print(f"\n{_CASES} mutants, first seed {_SEED}; slowest {slowest}; {results[-1]}")
    for kind in KINDS:
        print(f"{kind:14} refused {counts[kind, 'refused']}, answered {counts[kind, 'answered']}")
    # A run that refuses everything, or nothing, has tested nothing.
    assert sum(n for (_, o), n in counts.items() if o == "refused") > _CASES / 2
    assert sum(n for (_, o), n in counts.items() if o == "answered") > _CASES / 50
