"""Soft targets: shapes, class order, temperature, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdcore import SoftTargets
from kdcore.errors import DataError
from kdcore.targets import encode_labels, logits_of, softmax

finite = st.floats(-20, 20, allow_nan=False, width=64)
logits = st.tuples(st.integers(1, 6), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=finite)
)


def refusal(**fields: Any) -> str:
    with pytest.raises(DataError) as caught:
        SoftTargets(**fields)
    text = str(caught.value)
    assert "\n" not in text
    return text


@given(logits)
def test_softmax_gives_probabilities_without_overflow(z: np.ndarray) -> None:
    for scale in (1.0, 50.0):
        p = softmax(scale * z)
        assert (p >= 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(softmax(z + 1e3), softmax(z), rtol=1e-9)


@given(logits)
def test_logits_and_probabilities_are_one_to_one(z: np.ndarray) -> None:
    centred = z - z.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(logits_of(softmax(z), clip=1e-300), centred, rtol=0, atol=1e-9)
    p = softmax(z / 4)
    np.testing.assert_allclose(softmax(logits_of(p)), p, rtol=1e-9)


def test_the_zeros_of_a_forest_give_finite_logits() -> None:
    z = logits_of(np.array([[1.0, 0.0, 0.0]]), clip=1e-4)
    assert np.isfinite(z).all()
    np.testing.assert_allclose(z[0, 0] - z[0, 1], np.log(1e4))


@given(st.permutations(["a", "b", "c", "d"]), st.integers(1, 4))
def test_labels_are_positions_in_the_sorted_classes(labels: list[str], n: int) -> None:
    classes = np.unique(labels[:n])
    assert (classes[encode_labels(labels[:n], classes)] == labels[:n]).all()


def test_a_label_beyond_the_classes_is_named() -> None:
    for label in ("zebra", "aardvark", "bat"):
        with pytest.raises(DataError, match=f"'{label}' is not among the classes ant, cat"):
            encode_labels(["cat", label], np.array(["ant", "cat"]))


def test_temperature_flattens_as_dividing_the_logits_does() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.01, 0.01, 0.98]])
    targets = SoftTargets([0, 2], p, classes=np.arange(3))
    np.testing.assert_allclose(targets.softened(1), p, rtol=1e-15)
    by_hand = p ** (1 / 3) / (p ** (1 / 3)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(targets.softened(3), by_hand, rtol=1e-9)


def test_rows_without_a_label_follow_the_teacher_alone() -> None:
    p = np.array([[0.7, 0.3], [0.4, 0.6]])
    targets = SoftTargets([1, -1], p, classes=np.array(["no", "yes"]))
    assert targets.unlabeled.tolist() == [False, True]
    np.testing.assert_array_equal(targets.one_hot, [[0, 1], [0, 0]])
    np.testing.assert_allclose(targets.blended(0.25), [[0.175, 0.825], [0.4, 0.6]])
    np.testing.assert_allclose(targets.plain().blended(0.25), [[0, 1]])
    assert len(targets.plain()) == 1


def test_the_blend_of_a_regression_ignores_the_label_that_is_not_there() -> None:
    targets = SoftTargets([10.0, np.nan], [0.0, 4.0])
    assert targets.task == "regression"
    assert targets.n_classes == 0
    np.testing.assert_allclose(targets.blended(0.3), [7.0, 4.0])
    np.testing.assert_allclose(targets.plain().labels, [10.0])


def test_without_a_teacher_only_the_labels_count() -> None:
    targets = SoftTargets([1, 0], classes=np.arange(2))
    np.testing.assert_array_equal(targets.blended(0.9), targets.one_hot)
    assert (targets.row_alpha(0.9) == 0).all()
    assert SoftTargets([1.0, 2.0]).blended(0.9).tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="no teacher outputs"):
        targets.softened(2)
    with pytest.raises(DataError, match="no teacher outputs"):
        _ = targets.logits


def test_taking_rows_takes_everything_that_belongs_to_them() -> None:
    p = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])
    targets = SoftTargets([1, 0, -1], p, np.array([1.0, 2, 3]), np.arange(2), "out-of-fold")
    assert targets.logits.shape == (3, 2)
    for rows in (np.array([2, 0]), np.array([True, False, True])):
        part = targets.take(rows)
        np.testing.assert_array_equal(part.labels, targets.labels[rows])
        np.testing.assert_array_equal(part.teacher, p[rows])
        np.testing.assert_array_equal(part.sample_weight, targets.sample_weight[rows])
        np.testing.assert_allclose(part.logits, targets.logits[rows])
        assert part.provenance == "out-of-fold"


def test_float32_probabilities_are_made_to_sum_to_one() -> None:
    p = softmax(np.random.default_rng(0).normal(size=(50, 7))).astype(np.float32)
    targets = SoftTargets(np.zeros(50), p, classes=np.arange(7))
    np.testing.assert_allclose(targets.teacher.sum(axis=1), 1, rtol=1e-15)


def test_one_set_of_targets_leaves_the_arrays_it_was_given_alone() -> None:
    p = np.array([[0.7, 0.3002]])
    weight = np.array([2.0])
    SoftTargets([0], p, weight, np.arange(2))
    assert p.tolist() == [[0.7, 0.3002]]
    assert weight.tolist() == [2.0]


BAD = {
    "shape (2, 3)": {"teacher": np.full((2, 3), 1 / 3)},
    "shape (2,)": {"teacher": np.ones(2)},
    "row 1 sum to 0.9": {"teacher": [[0.5, 0.5], [0.5, 0.4]]},
    "not negative": {"teacher": [[1.5, -0.5], [0.5, 0.5]]},
    "finite": {"teacher": [[np.nan, 1], [0.5, 0.5]]},
    "neither a label nor a teacher": {"labels": [0, -1]},
    "sample_weight has shape (3,)": {"sample_weight": np.ones(3)},
    "not all zero": {"sample_weight": np.zeros(2)},
    "sample_weight must be finite": {"sample_weight": [1, -1]},
    "provenance='somewhere'": {"provenance": "somewhere"},
}


@pytest.mark.parametrize("reason", BAD)
def test_classification_targets_that_cannot_be_used_are_refused(reason: str) -> None:
    fields = {"labels": [0, 1], "classes": np.arange(2), **BAD[reason]}
    assert reason in refusal(**fields)


def test_regression_targets_that_cannot_be_used_are_refused() -> None:
    assert "shape (2, 2)" in refusal(labels=[0.0, 1], teacher=np.zeros((2, 2)))
    assert "NaN" in refusal(labels=[0.0, 1], teacher=[np.nan, 0])
    assert "neither a label" in refusal(labels=[np.nan, 1])


def test_a_slice_of_rows_is_what_its_positions_are() -> None:
    """Optimisers take a slice of shuffled rows at every step."""
    rng = np.random.default_rng(0)
    proba = softmax(rng.standard_normal((9, 3)))
    targets = SoftTargets(np.arange(9) % 3, proba, rng.uniform(1, 2, 9), np.arange(3), "given")
    one, other = targets.take(slice(2, 6)), targets.take(np.arange(2, 6))
    for name in ("labels", "teacher", "sample_weight", "one_hot", "logits"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.provenance, one.task, len(one)) == ("given", "multiclass", 4)


def test_rows_that_all_weigh_nothing_cannot_be_taken() -> None:
    targets = SoftTargets([0, 1], sample_weight=[0.0, 1.0], classes=np.arange(2))
    with pytest.raises(DataError, match="zero in every row"):
        targets.take(slice(0, 1))
