"""Peak memory of `kdcore.compare` on a large table, in copies of it as float64.

The copy that the user holds counts as one. Models are small, so that tables are what is measured.
"""

import json

import pytest
from benchmarks.resident_memory import told

MEASURE = """
teacher, params, student = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
ROWS, COLUMNS = 200_000, 50

def table(n):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, COLUMNS))).rename(columns="c{}".format)
    y = frame["c0"] + frame["c1"] * frame["c2"] + rng.normal(size=n) > 0
    return frame.assign(target=y.astype(int))

def compare(frame):
    result = kdcore.compare(
        frame, target="target", teachers=[teacher], students=[student],
        teacher_params={teacher: params}, recipe="plain", n_jobs=1,
    )
    assert "error" not in result.pairs[0], result.pairs

compare(table(2000))
base = settled()
frame = table(ROWS)
own = settled() - base
peaks, _ = peaks_of(lambda: compare(frame), base)
one = ROWS * COLUMNS * 8
print(json.dumps({"peak": max(peaks.values()) / one, "own": own / one}))
"""
PAIRS = {
    ("xgboost", "decision_tree"): {"n_estimators": 5},
    ("random_forest", "logistic_regression"): {"n_estimators": 3, "max_depth": 6},
    ("lightgbm", "logistic_regression"): {"n_estimators": 5},
    ("lightgbm", "sklearn_mlp"): {"n_estimators": 5},
    ("catboost", "sklearn_mlp"): {"iterations": 5},
}


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_a_large_table_is_held_about_three_times(teacher, student, show):
    found = told(MEASURE, teacher, json.dumps(PAIRS[teacher, student]), student)
    show(
        f"\n{teacher} into {student}: {found['peak']:.2f} copies at the peak, "
        f"of which the user's own {found['own']:.2f}"
    )
    # CatBoost's own allocator keeps what it has freed, some 0.7 of a copy.
    assert found["peak"] < (4.2 if teacher == "catboost" else 3.4)
