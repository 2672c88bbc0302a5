"""Cells of a benchmark: each is one distillation, kept in a file so that a run can be resumed.

KD_BENCH_STORE names a folder for results (cells.jsonl) and teacher labels; without it nothing is
kept. KD_BENCH_SECONDS is the time after which no further cell is begun: call again for the rest.
The folder knows nothing of the code, so take a new one after a change.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kdcore.label_cache import LabelCache
from kdcore.table import read_table

__all__ = ["Cells", "rows_of", "tables"]

TRAIN, TEST = 4_000, 5_000
#: Images learn from 2,500 rows.
FEWER = {"mnist_5000": 2_500}
BUNDLED = ("digits", "breast_cancer", "diabetes")


class Cells:
    """Results by key, made when they are lacking and there is time."""

    def __init__(self, folder: Path) -> None:
        store = os.environ.get("KD_BENCH_STORE")
        self.folder = folder if store is None else Path(store)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cache = LabelCache(self.folder / "labels")
        self.file = self.folder / "cells.jsonl"
        self.end = time.monotonic() + float(os.environ.get("KD_BENCH_SECONDS", "inf"))
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.known = {tuple(cell["key"]): cell["value"] for cell in map(json.loads, lines)}
        self.lacking = 0

    def get(self, key: tuple[Any, ...], make: Callable[[], dict[str, Any]]) -> Any:
        """The result, or None where there was no time left for it."""
        key = tuple(map(str, key))
        if key not in self.known:
            if time.monotonic() > self.end:
                self.lacking += 1
                return None
            wall, cpu = time.perf_counter(), time.process_time()
            value = make()
            value["wall"] = time.perf_counter() - wall
            value["cpu"] = time.process_time() - cpu
            self.known[key] = value
            with self.file.open("a") as file:
                file.write(json.dumps({"key": key, "value": value}) + "\n")
        return self.known[key]


def tables(names: str) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of KD_BENCH_DATA by name, those of KD_BENCH_TABLES if given; else bundled ones."""
    folder = os.environ.get("KD_BENCH_DATA")
    if folder is None:
        return {name: lambda name=name: read_table(f"sklearn:{name}") for name in BUNDLED}
    chosen = os.environ.get("KD_BENCH_TABLES", names).split(",")
    return {name: lambda n=name: pd.read_parquet(Path(folder, f"{n}.parquet")) for name in chosen}


def rows_of(name: str, frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from (4,000, or 70 % of small tables), and up to 5,000 others to judge on."""
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = min(FEWER.get(name, TRAIN), int(0.7 * len(frame)))
    train = frame.iloc[order[:cut]]
    if train["target"].dtype != float:
        # A class of one row can be in no fold.
        counts = train["target"].map(train["target"].value_counts())
        train = train[counts.astype(int) >= 2]
    test = frame.iloc[order[cut : cut + TEST]]
    known = test["target"].isin(train["target"].unique()) if test["target"].dtype != float else None
    return train, test if known is None else test[known]
