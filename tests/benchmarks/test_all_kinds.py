"""Every kind of teacher into every kind of student, on pictures, tables and a regression.

digits is bundled with scikit-learn; the other tables are read from the folder KD_BENCH_DATA where
it has them. KD_BENCH_ROWS is the number of rows that are drawn from each (1,500).
"""

import os
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_digits

import kdcore

TEACHERS = ("xgboost", "lightgbm", "catboost", "random_forest", "pytorch_cnn", "pytorch_mlp")
STUDENTS = (
    "logistic_regression", "svm", "decision_tree", "sklearn_mlp", "pytorch_mlp", "pytorch_cnn",
)  # fmt: skip
TABLES = ("digits", "mnist_5000", "adult", "letter", "california_housing")
PICTURES = ("digits", "mnist_5000")
ROWS = int(os.environ.get("KD_BENCH_ROWS", "1500"))
#: Small models, so that all cells take minutes.
TEACHER_PARAMS = {
    "xgboost": {"n_estimators": 60},
    "lightgbm": {"n_estimators": 60},
    "catboost": {"iterations": 60},
    "random_forest": {"n_estimators": 60},
    "pytorch_cnn": {"max_iter": 300, "channels": (16, 32)},
    "pytorch_mlp": {"max_iter": 600},
}
STUDENT_PARAMS = {
    "sklearn_mlp": {"max_iter": 600},
    "pytorch_mlp": {"max_iter": 600},
    "pytorch_cnn": {"max_iter": 300},
}


def table_of(name):
    if name == "digits":
        frame = load_digits(as_frame=True).frame
    else:
        path = Path(os.environ.get("KD_BENCH_DATA", ".")) / f"{name}.parquet"
        if not path.exists():
            pytest.skip(f"KD_BENCH_DATA has no {name}.parquet")
        frame = pd.read_parquet(path)
    return frame.sample(min(ROWS, len(frame)), random_state=0).reset_index(drop=True)


@pytest.mark.parametrize("name", TABLES)
def test_all_pairs(name, show):
    found = kdcore.compare(
        table_of(name), target="target", teachers=TEACHERS, students=STUDENTS, recipe="plain",
        folds=3, teacher_params=TEACHER_PARAMS, student_params=STUDENT_PARAMS, n_jobs=1,
    ).to_dict()["pairs"]  # fmt: skip
    metric = "r2" if name == "california_housing" else "accuracy"
    show(f"\n{name}, {ROWS} rows at most, a quarter held out, {metric}: teacher, then the student "
         "distilled (plain)")  # fmt: skip
    show(f"{'':24}" + "".join(f"{student:>20}" for student in STUDENTS))
    refused = {}
    for teacher in TEACHERS:
        line, own = "", None
        for pair in (p for p in found if p["teacher"]["name"] == teacher):
            if "error" in pair:
                refused.setdefault(pair["error"], []).append((teacher, pair["student"]["name"]))
                line += f"{'refused':>20}"
                continue
            own = pair["teacher"]["metrics"][metric]
            values = [pair[key]["metrics"][metric] for key in ("student", "plain")]
            line += f"{values[0]:11.3f} ({values[1]:.3f})"
        show(f"{teacher:15}{'' if own is None else f'{own:8.3f}':9}{line}")
    for reason, pairs in refused.items():
        show(f"  {len(pairs)} refused, as {' -> '.join(pairs[0])}: {reason}")
    assert len(found) == len(TEACHERS) * len(STUDENTS)
    if name in PICTURES:
        assert not refused
    else:
        assert all("pytorch_cnn" in pair for pairs in refused.values() for pair in pairs)
