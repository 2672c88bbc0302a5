"""Peak resident memory of a call in a process of its own, above that after a small first call."""

import json
import subprocess
import sys

__all__ = ["told"]

#: What a script of `told` begins with.
_PRELUDE = """
import ctypes, gc, json, os, sys, threading, time
import numpy as np, pandas as pd
import kdcore

PAGE = os.sysconf("SC_PAGE_SIZE")

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE

def settled():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident()

def peaks_of(call, base, stage=lambda: "all"):
    # Bytes above `base` at the peak of each stage, and what the call returned.
    peaks, done = {}, threading.Event()
    def watch():
        while not done.wait(0.002):
            now = stage()
            peaks[now] = max(peaks.get(now, 0), resident() - base)
    watching = threading.Thread(target=watch)
    watching.start()
    found = call()
    done.set()
    watching.join()
    return peaks, found
"""


def told(script: str, *arguments: object) -> dict:
    """What a script prints last, as JSON; it may use `settled` and `peaks_of`."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PRELUDE + script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)
