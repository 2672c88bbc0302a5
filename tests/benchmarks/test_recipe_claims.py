"""What the documentation claims of recipes beyond the main table: other teachers, honest verdicts.

Tables come from KD_BENCH_DATA, else from scikit-learn. KD_BENCH_STUDENTS cuts the students down.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import kdcore
from kdcore.label_cache import LabelCache
from kdcore.table import read_table

SEEDS = tuple(map(int, os.environ.get("KD_BENCH_SEEDS", "0").split(",")))
STUDENTS = os.environ.get(
    "KD_BENCH_STUDENTS", "logistic_regression,decision_tree,sklearn_mlp"
).split(",")


def tables(*names: str) -> dict[str, pd.DataFrame]:
    folder = os.environ.get("KD_BENCH_DATA")
    if folder is None:
        return {name: read_table(f"sklearn:{name}") for name in ("digits", "breast_cancer")}
    return {name: pd.read_parquet(Path(folder, f"{name}.parquet")) for name in names}


def z_of(verdict: dict[str, Any]) -> float:
    low, high = verdict["ci95"]
    return verdict["gain"] / max((high - low) / 3.92, 1e-12)


def test_a_teacher_of_other_rows_and_many_unlabeled_ones(show: Any) -> None:
    """The student owns 1,000 labels and 8,000 rows without; the teacher knows 8,000 other rows."""
    show(f"\n{'table':20}{'student':21}{'teacher':>9}{'plain':>9}{'distill':>9}{'gap':>7}{'z':>7}")
    from kdcore_xgboost.teacher import make

    gaps: dict[str, list[float]] = {}
    for name, frame in tables(
        "adult", "bank_marketing", "magic_gamma", "letter", "california_housing", "bike_sharing"
    ).items():
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(frame))
            own, rest = order[:1000], order[1000:]
            share = min(8000, len(rest) * 2 // 5)
            theirs, unlabeled = rest[:share], rest[share : 2 * share]
            test = rest[2 * share : 2 * share + 5000]
            X, y = frame.drop(columns="target"), frame["target"]
            teacher = make("regression" if y.dtype == float else "classification")
            teacher.fit(X.iloc[theirs], y.iloc[theirs].to_numpy())
            for student in STUDENTS:
                report = kdcore.distill(
                    frame.iloc[own],
                    test=frame.iloc[test],
                    target="target",
                    teacher=teacher,
                    fitted="held-out",
                    unlabeled=X.iloc[unlabeled],
                    student=student,
                    recipe="fast",
                    random_state=seed,
                ).report.to_dict()
                metric = report["verdict"]["metric"]
                scores = [report[w]["metrics"][metric] for w in ("teacher", "plain", "student")]
                scale = 1.0 if report["classes"] else float(y.std())
                gap = report["verdict"]["gap_closed"]
                gaps.setdefault(student, []).append(np.nan if gap is None else gap)
                show(
                    f"{name:20}{report['student']['name']:21}"
                    + "".join(f"{s / scale:9.4f}" for s in scores)
                    + f"{'-' if gap is None else f'{gap:.0%}':>7}{z_of(report['verdict']):7.1f}"
                )
    for student, values in gaps.items():
        show(f"{student}: mean gap closed {np.nanmean(values):.0%}, worst {np.nanmin(values):.0%}")
        # What the documentation says: every student gains by such a teacher.
        assert np.nanmin(values) > 0


def test_an_overconfident_teacher_does_no_harm(show: Any, tmp_path: Path) -> None:
    """XGBoost at learning rate 0.3 is far too sure; no student may be significantly worse."""
    show(f"\n{'table':20}{'student':21}{'T':>6}{'teacher':>9}{'plain':>9}{'distill':>9}{'z':>7}")
    for name, frame in tables("adult", "magic_gamma", "wine_quality").items():
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(frame))
            train, test = frame.iloc[order[:4000]], frame.iloc[order[4000:9000]]
            counts = train["target"].map(train["target"].value_counts()).astype(int)
            train = train[counts >= 2]
            test = test[test["target"].isin(train["target"].unique())]
            for student in STUDENTS:
                report = kdcore.distill(
                    train,
                    test=test if len(test) else None,
                    target="target",
                    teacher="xgboost",
                    teacher_params={"learning_rate": 0.3},
                    student=student,
                    recipe="fast",
                    random_state=seed,
                    cache=LabelCache(tmp_path),
                ).report.to_dict()
                scores = [report[w]["metrics"]["log_loss"] for w in ("teacher", "plain", "student")]
                show(
                    f"{name:20}{report['student']['name']:21}{report['recipe']['calibration']:6.2f}"
                    + "".join(f"{s:9.4f}" for s in scores)
                    + f"{z_of(report['verdict']):7.1f}"
                )
                assert z_of(report["verdict"]) > -2, (name, student)


def test_no_gain_is_claimed_where_there_is_none(show: Any) -> None:
    """A linear truth: labels say all that a linear student can learn. 100 repetitions."""
    claims = {"distilled": 0, "plain_encoded": 0, "plain": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(1600, 6))
        p = 1 / (1 + np.exp(-(X @ np.array([1.0, -1.0, 0.5, 0.5, 0.0, 0.0]))))
        frame = pd.DataFrame(X, columns=list("abcdef"))
        frame["target"] = np.where(rng.random(len(p)) < p, "yes", "no")
        report = kdcore.distill(
            frame,
            target="target",
            test_size=0.5,
            teacher="xgboost",
            teacher_params={"n_estimators": 50},
            student="logistic_regression",
            recipe="fast",
            random_state=seed,
        ).report
        claims[report.verdict["choice"]] += 1
    show(f"\nlinear truth, logistic regression, 100 tables: {claims}")
    assert claims["distilled"] <= 5
