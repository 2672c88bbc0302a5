"""Tables for the benchmarks: real ones from the folder KD_BENCH_DATA, else made ones like them."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def adult(tmp_path_factory):
    """Path of the adult census table, or of a made table of its shape, and what it is."""
    folder = os.environ.get("KD_BENCH_DATA")
    if folder and (Path(folder) / "adult.parquet").exists():
        return Path(folder) / "adult.parquet", "adult"
    rng = np.random.default_rng(0)
    n = 48_842
    table = {f"number{i}": rng.gamma(2.0, 10.0, n).round() for i in range(6)}
    for i, levels in enumerate((9, 16, 7, 15, 6, 5, 2, 41)):
        table[f"text{i}"] = pd.Categorical(rng.choice([f"level{k}" for k in range(levels)], n))
    score = (
        table["number0"] / 20
        + np.where(table["text0"] == "level1", 1.0, 0.0)
        + (table["number1"] > 15) * (table["text1"] == "level2")
        + rng.logistic(size=n)
    )
    table["target"] = np.where(score > np.quantile(score, 0.76), ">50K", "<=50K")
    path = tmp_path_factory.mktemp("bench") / "adult.parquet"
    pd.DataFrame(table).to_parquet(path)
    return path, "a made table of adult's shape"


@pytest.fixture
def show(capsys):
    """Print past pytest's capture, so that `tox -e bench` shows the figures."""

    def line(text):
        with capsys.disabled():
            print(text)

    return line
