"""Peak memory of choosing columns of a wide table, in copies of it as float32.

The copy that the user holds counts as one. With labels that are given, what is measured is the
selection and the student. XGBoost as the teacher adds what it needs itself: it sketches each column
in up to 0.9 MB, however few its rows.

    pytest -s tests/benchmarks/test_selection_memory.py

KD_BENCH_ROWS (100,000) and KD_BENCH_COLUMNS (2,000) are the table's shape. The largest needs some
4 GB.
"""

import os

import pytest
from benchmarks.resident_memory import told

ROWS = int(os.environ.get("KD_BENCH_ROWS", "100000"))
COLUMNS = int(os.environ.get("KD_BENCH_COLUMNS", "2000"))
#: Teacher, student, and the most copies.
CASES = [
    ("given", "pytorch_mlp", 2.5),
    ("given", "decision_tree", 2.5),
    ("xgboost", "pytorch_mlp", 6),
]
MEASURE = """
teacher, student, rows, columns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def table(n):
    rng = np.random.default_rng(0)
    X = np.empty((columns, n), dtype=np.float32)
    for row in X:
        row[:] = rng.normal(size=n)
    y = X[0] + X[1] * X[2] + rng.normal(size=n) > 0
    frame = pd.DataFrame(X.T, columns=[f"c{j}" for j in range(columns)], copy=False)
    return pd.concat([frame, pd.Series(y.astype(int), name="target")], axis=1)

stages = {}
def step(stage, done, total):
    stages["now"] = stage

def distill(frame):
    if teacher == "given":
        p = 1 / (1 + np.exp(-1.7 * (frame["c0"] + frame["c1"] * frame["c2"])))
        named = {"teacher_proba": np.column_stack([1 - p, p])}
    else:
        named = {"teacher": teacher, "teacher_params": {"n_estimators": 5}, "folds": 2}
    return kdcore.distill(
        frame, target="target", student=student, recipe="plain", max_features=20, n_jobs=1,
        on_progress=step, **named,
    )

distill(table(2000))
base = settled()
frame = table(rows)
own = settled() - base
stages.clear()
start = time.process_time()
peaks, result = peaks_of(lambda: distill(frame), base, lambda: stages.get("now", "start"))
seconds = time.process_time() - start
one = rows * columns * 4
found = result.student.get_selected_features()
print(json.dumps({
    "own": own / one, "peaks": {k: v / one for k, v in peaks.items()}, "seconds": seconds,
    "found": found, "stages": result.report.seconds,
}))
"""


@pytest.mark.parametrize(("teacher", "student", "most"), CASES)
def test_a_wide_table_is_held_less_than_two_and_a_half_times(teacher, student, most, show):
    found = told(MEASURE, teacher, student, ROWS, COLUMNS)
    by_stage = ", ".join(f"{stage} {peak:.2f}" for stage, peak in found["peaks"].items())
    peak = max(found["peaks"].values())
    show(
        f"\n{ROWS:,} x {COLUMNS:,}, {teacher} labels, {student}: {peak:.2f} copies at the peak, of "
        f"which the user's own {found['own']:.2f} ({by_stage}); {found['seconds']:.0f} s of CPU; "
        f"chosen: {', '.join(found['found'])}"
    )
    assert {"c0", "c1", "c2"} <= set(found["found"])
    assert peak < most
