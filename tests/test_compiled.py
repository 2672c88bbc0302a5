"""The compiled teacher: the same predictions from ONNX Runtime, and advice where it suffices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore import ClassifierTeacher, KDError
from kdcore.compiled import compile_instead, compile_teacher, compiled_latency
from kdcore.errors import BundleError
from kdcore.graph import raw_trees
from kdcore.tree_sets import with_sets

WORDS = ["b", "d", "f", "h", "j", "l"]


def stump(codes: list[int], missing_left: bool, below: float) -> dict[str, Any]:
    """Column 1 (a word) in the set: column 0 below a number; else column 2 (a word) in it."""
    tree = {
        "left": np.array([1, 3, 5, -1, -1, -1, -1]),
        "right": np.array([2, 4, 6, -1, -1, -1, -1]),
        "feature": np.array([1, 0, 2, 0, 0, 0, 0]),
        "threshold": np.array([0, below, 0, 0, 0, 0, 0], dtype=float),
        "missing_left": np.array([missing_left, False, not missing_left, 0, 0, 0, 0], dtype=bool),
        "value": np.array([0, 0, 0, 1.0, 2.0, 4.0, 8.0]),
        "output": 0,
    }
    return with_sets(tree, {0: codes, 2: codes[::-1]})


class SetTeacher(ClassifierTeacher):
    """Its trees are given; only the columns are learned."""

    def __init__(
        self,
        *,
        stumps: Any = (([0, 2], True, 0.5),),
        wrong: float = 0.0,
        random_state: int | None = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.stumps = stumps
        self.wrong = wrong
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.fitted_ = True

    def predict_frame(self, frame: Any) -> np.ndarray:
        number = frame["number"].to_numpy(dtype=np.float32)
        one, two = (frame[c].cat.codes.to_numpy() for c in ("one", "two"))
        score = np.zeros(len(frame))
        for codes, missing_left, below in self.stumps:
            first = np.where(one < 0, missing_left, np.isin(one, codes))
            second = np.where(two < 0, not missing_left, np.isin(two, codes))
            with np.errstate(invalid="ignore"):
                under = number <= below
            score += np.where(first, np.where(under, 1, 2), np.where(second, 4, 8))
        positive = 1 / (1 + np.exp(-score / 8))
        return np.stack([1 - positive, positive], axis=1)

    def to_onnx(self) -> Any:
        trees = [stump(*s) for s in self.stumps]
        for tree in trees:
            tree["value"] = tree["value"] / 8 + self.wrong
        return raw_trees(self.schema_, trees, n_outputs=1, less_or_equal=True, link="logistic")


def table(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    words = [*WORDS, None]
    frame = pd.DataFrame(
        {
            "number": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "one": rng.choice(np.array(words, dtype=object), n),
            "two": rng.choice(np.array(words, dtype=object), n),
        }
    )
    return frame, rng.integers(0, 2, n)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 5), max_size=6, unique=True),
            st.booleans(),
            st.floats(-2, 2, width=32),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_splits_of_categories_send_every_row_to_its_side(stumps):
    """Sets of none, one, some or all categories; gaps on either side; categories never seen."""
    frame, y = table()
    teacher = SetTeacher(stumps=stumps).fit(frame, y)
    frame.loc[:20, "one"] = "never seen"
    bundle = compile_teacher(teacher, frame).bundle
    np.testing.assert_allclose(bundle.predict_proba(frame), teacher.predict_proba(frame), atol=1e-6)


def test_a_compiled_teacher_is_a_bundle_like_any_other(tmp_path):
    import kdcore

    frame, y = table()
    teacher = SetTeacher().fit(frame, y)
    compile_teacher(teacher, frame, name="sets").save(tmp_path / "teacher.kd")
    bundle = kdcore.load(tmp_path / "teacher.kd")
    assert bundle.manifest["student"] == "sets"
    assert bundle.manifest["role"] == "teacher"
    row = {"number": 0.25, "one": "b", "two": None}
    want = teacher.predict_proba(pd.DataFrame([row]).astype({"two": object}))[0, 1]
    assert bundle.predict_proba_one(row)[1] == pytest.approx(want, abs=1e-6)


def test_a_graph_that_is_not_the_teacher_gives_no_time_but_a_reason():
    frame, y = table()
    teacher = SetTeacher(wrong=0.5).fit(frame, y)
    with pytest.raises(BundleError, match="differs from Python"):
        compile_teacher(teacher, frame)
    latency, note = compiled_latency(teacher, frame, size=10)
    assert latency is None
    assert "is not the teacher" in note
    teacher.to_onnx = lambda: 1 / 0  # type: ignore[method-assign]
    latency, note = compiled_latency(teacher, frame, size=10)
    assert latency is None
    assert "ZeroDivisionError" in note


def test_a_huge_teacher_and_one_of_another_kind_are_left_alone():
    frame, y = table()
    teacher = SetTeacher().fit(frame, y)
    assert compiled_latency(None, frame, size=None) == (None, "")
    assert compiled_latency(object(), frame, size=None) == (None, "")
    latency, note = compiled_latency(teacher, frame, size=10**9)
    assert latency is None
    assert "1000 MB" in note
    latency, note = compiled_latency(teacher, frame, size=None)
    assert latency is not None
    assert latency["single"] > 0
    assert note == ""
    with pytest.raises(KDError, match="must define to_onnx"):
        compile_teacher(object(), frame)


@pytest.mark.parametrize(
    ("time", "shift", "provenance", "advised"),
    [
        (10.0, 0.3, "out-of-fold", True),
        (10.0, 0.3, "in-sample", False),
        (30.0, 0.3, "out-of-fold", False),
        (10.0, -0.3, "out-of-fold", False),
    ],
)
def test_the_advice_needs_a_quick_teacher_that_is_better_on_rows_it_never_saw(
    time, shift, provenance, advised
):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    held = SimpleNamespace(y=y, classes=np.array([0, 1]), sample_weight=None)

    def proba(right: float) -> np.ndarray:
        p = np.where(y == 1, right, 1 - right)
        return np.stack([1 - p, p], axis=1)

    run: Any = SimpleNamespace(
        compiled={"single": time},
        held=proba(0.6 + shift),
        labels=SimpleNamespace(provenance=provenance),
    )
    note = compile_instead(run, held, proba(0.6), 14.0, random_state=0)  # type: ignore[arg-type]
    assert note.startswith("compile the teacher instead") == advised
    assert bool(note) == advised
