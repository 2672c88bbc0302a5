"""What distilling gains: 4,000 rows to learn from, an XGBoost teacher, 3 seeds, several tables.

Tables come from the folder KD_BENCH_DATA where it has them, else from scikit-learn.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

import kdcore
from kdcore.table import read_table

TABLES = ("adult", "bank_marketing", "magic_gamma", "letter", "california_housing")
BUNDLED = ("digits", "breast_cancer", "diabetes")
SEEDS = (0, 1, 2)
TRAIN, TEST = 4_000, 10_000


def tables():
    folder = Path(os.environ.get("KD_BENCH_DATA", "."))
    found = [folder / f"{name}.parquet" for name in TABLES]
    if all(path.exists() for path in found):
        return {path.stem: pd.read_parquet(path) for path in found}
    return {name: read_table(f"sklearn:{name}") for name in BUNDLED}


def test_gain_over_the_plain_student(show):
    show(f"\n{'table':20}{'student':21}{'teacher':>11}{'plain':>11}{'distilled':>11}"
         f"{'change':>8}  seeds better / worse (95 % interval)")  # fmt: skip
    for name, frame in tables().items():
        runs = {}
        for seed in SEEDS:
            rows = np.random.default_rng(seed).permutation(len(frame))
            cut = min(TRAIN, len(frame) * 3 // 4)
            train, test = frame.iloc[rows[:cut]], frame.iloc[rows[cut : cut + TEST]]
            result = kdcore.compare(
                train,
                test=test,
                target="target",
                teachers=["xgboost"],
                students=["logistic_regression", "decision_tree", "xgboost"],
                random_state=seed,
                n_jobs=-1,
            )
            for pair in result.pairs:
                runs.setdefault(pair["student"]["name"], []).append(pair)
        for student, pairs in runs.items():
            metric = pairs[0]["verdict"]["metric"]
            teacher, plain, distilled = (
                np.mean([p[who]["metrics"][metric] for p in pairs])
                for who in ("teacher", "plain", "student")
            )
            better = sum(p["verdict"]["ci95"][0] > 0 for p in pairs)
            worse = sum(p["verdict"]["ci95"][1] < 0 for p in pairs)
            show(f"{name:20}{student:21}{teacher:11.5g}{plain:11.5g}{distilled:11.5g}"
                 f"{distilled / plain - 1:+8.1%}  {better} / {worse}")  # fmt: skip
            assert all(p["parity"]["flipped"] == 0 for p in pairs)
