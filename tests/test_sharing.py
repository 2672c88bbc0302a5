"""One loaded bundle serves many threads, and the processes that are forked from its own."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fuzz.sound import bundles

import kdcore


@pytest.fixture(params=[0, 2])
def sound(request, tmp_path):
    packed, table = bundles()[request.param]
    packed.save(tmp_path / "s.kd")
    # Enough rows for ONNX Runtime to part the work among threads.
    return tmp_path / "s.kd", {name: values * 200 for name, values in table.items()}


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_a_bundle_and_get_what_one_alone_gets(sound, threads):
    path, table = sound
    bundle = kdcore.load(path, threads=threads)
    n = len(next(iter(table.values())))
    rows = [{name: values[i] for name, values in table.items()} for i in range(8)]
    wanted, singles = bundle.predict_proba(table), [bundle.predict_proba_one(r) for r in rows]
    start = threading.Barrier(8)

    def work(number: int) -> bool:
        start.wait()
        ok = True
        for turn in range(20):
            i = (number + turn) % 8
            ok &= bundle.predict_proba_one(rows[i]) == singles[i]
            half = {name: values[: n // 2 + i] for name, values in table.items()}
            got = bundle.predict_proba(half)
            ok &= np.allclose(got, wanted[: len(got)], atol=1e-6)
        return ok

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_process_predicts_with_the_bundle_of_its_parent(sound, threads):
    """The threads of a session stay behind in the parent; waiting for them would hang."""
    path, table = sound
    bundle = kdcore.load(path, threads=threads)
    wanted = bundle.predict_proba(table)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        same = np.array_equal(bundle.predict_proba(table), wanted)
        os._exit(0 if same else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(bundle.predict_proba(table), wanted)
