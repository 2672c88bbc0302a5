"""The verdict: honest about chance, and about gaps too small to be shared out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from kdcore.targets import softmax
from kdcore.verdict import Verdict, paired_interval, verdict


def judged(
    errors: dict[str, float], n: int = 400, seed: int = 0, classes: int = 2, **options: Any
) -> Verdict:
    """Three models of a classification whose logits are off by so much."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    p = softmax(logits)
    y = (rng.random((n, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    outputs = {
        name: softmax(logits + rng.normal(0, 1, logits.shape) * error)
        for name, error in errors.items()
    }
    return verdict(y, classes=np.arange(classes), **outputs, **options)


@pytest.mark.parametrize(("root", "weighted"), [(False, False), (True, True)])
def test_the_interval_covers_the_true_difference_in_about_95_of_100_samples(
    root: bool, weighted: bool
) -> None:
    rng = np.random.default_rng(0)
    n, runs, inside = 100, 150, 0
    truth = np.sqrt(1.2) - 1 if root else 0.2
    for _ in range(runs):
        common = rng.gamma(2.0, 0.25, n)
        first = common + 0.7 * rng.exponential(1, n)
        second = common + 0.5 * rng.exponential(1, n)
        weight = rng.uniform(0.2, 2, n) if weighted else None
        _, (low, high) = paired_interval(first, second, weight=weight, root=root)
        inside += low <= truth <= high
    assert 0.89 <= inside / runs <= 0.99


def test_the_difference_and_its_interval_by_hand() -> None:
    first, second = np.array([1.0, 2, 3]), np.array([0.0, 1, 2])
    assert paired_interval(first, second)[0] == 1
    assert paired_interval(first, second)[1] == pytest.approx((1, 1))
    difference, interval = paired_interval(first, np.array([4.0, 0, 0]), weight=np.array([1, 0, 0]))
    assert difference == -3
    assert interval[0] <= -3 <= interval[1]
    assert paired_interval(first, second, root=True)[0] == pytest.approx(np.sqrt(2) - 1)


def test_pairing_makes_the_interval_narrow() -> None:
    rng = np.random.default_rng(0)
    common = rng.exponential(5, 300)
    _, paired = paired_interval(common + 0.1, common)
    _, loose = paired_interval(common + 0.1, rng.permutation(common))
    assert paired[1] - paired[0] < 0.01 * (loose[1] - loose[0])


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.exponential(1, (2, 50))
    assert paired_interval(first, second) == paired_interval(first, second)
    other = paired_interval(first, second, random_state=1)
    assert other[0] == paired_interval(first, second)[0]
    assert other[1] != paired_interval(first, second)[1]


def test_without_a_difference_distilling_is_recommended_rarely() -> None:
    choices = [
        judged({"teacher": 0.0, "plain": 0.5, "distilled": 0.5}, n=200, seed=seed).choice
        for seed in range(100)
    ]
    assert choices.count("distilled") <= 8  # 2.5 % expected, and chance


def test_few_held_out_rows_do_not_make_chance_look_like_a_gain() -> None:
    """One lucky row used to be enough to deploy the distilled student."""
    y = np.array([1, 0] * 4)
    good, bad = np.eye(2)[y] * 0.98 + 0.01, np.full((8, 2), 0.5)
    found = verdict(y, teacher=good, plain=bad, distilled=good, classes=np.arange(2))
    assert found.choice == "plain"
    assert found.reason.startswith("too few held-out rows to tell, so keep the plain student")
    many = {name: np.tile(p, (2, 1)) for name, p in (("teacher", good), ("distilled", good))}
    y, plain = np.tile(y, 2), np.tile(bad, (2, 1))
    assert verdict(y, plain=plain, classes=np.arange(2), **many).choice == "distilled"
    one_row_counts = np.where(np.arange(16) == 3, 1e6, 1.0)
    found = verdict(y, plain=plain, classes=np.arange(2), sample_weight=one_row_counts, **many)
    assert found.choice == "plain"


def test_the_interval_is_as_wide_as_few_rows_ask_for() -> None:
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        first, second = rng.exponential(1, (2, 12))
        _, (low, high) = paired_interval(first, second)
        wrong += low > 0 or high < 0
    assert wrong <= 200 * 0.09


def test_a_clear_gain_is_recommended_with_its_share_of_the_gap() -> None:
    for classes in (2, 4):
        found = judged({"teacher": 0.0, "plain": 1.5, "distilled": 0.5}, classes=classes)
        assert found.choice == "distilled"
        assert found.metric == "log_loss"
        assert 0 < found.ci95[0] < found.gain < found.ci95[1]
        assert 0.5 < found.gap_closed < 1.1
        assert found.reason.startswith("deploy the distilled student: log loss ")


def test_a_clear_loss_is_said_plainly() -> None:
    found = judged({"teacher": 0.0, "plain": 0.3, "distilled": 2.0})
    assert found.choice == "plain"
    assert found.gain < found.ci95[1] < 0
    assert found.reason.startswith("do not distil: the plain student is better, log loss ")


def test_equal_students_mean_the_simpler_choice() -> None:
    y = np.array([0, 1] * 50)
    p = np.tile([0.6, 0.4], (100, 1))
    found = verdict(y, teacher=np.eye(2)[y], plain=p, distilled=p, classes=np.arange(2))
    assert (found.choice, found.gain, found.ci95) == ("plain", 0, (0, 0))
    assert found.gap_closed == 0
    assert found.reason.startswith("no clear gain, so keep the plain student")


def test_a_share_of_a_gap_that_hardly_exists_is_withheld() -> None:
    """A gap closed of 300 % of nothing would be the loudest number of the report."""
    y = np.array([0.0, 1, 2, 3] * 25)
    noise = np.where(np.arange(100) % 2, 1.0, -1.0)

    def share(teacher: float, plain: float) -> float | None:
        found = verdict(
            y,
            teacher=y + teacher * noise,
            plain=y + plain * noise,
            distilled=y + 0.5 * noise,
            classes=None,
        )
        assert found.metric == "rmse"
        return found.gap_closed

    assert share(0.985, 1.0) is None
    assert share(1.0, 1.0) is None
    assert share(2.0, 1.0) is None
    assert share(0.5, 1.0) == pytest.approx(1)
    assert share(0.75, 1.0) == pytest.approx(2)


def test_a_plain_student_ahead_of_the_teacher_is_pointed_out() -> None:
    found = judged({"teacher": 2.0, "plain": 0.0, "distilled": 1.0})
    assert found.choice == "plain"
    assert found.gap_closed is None
    assert found.reason.endswith("It is not worse than the teacher either.")


def test_weights_of_rows_count() -> None:
    y = np.zeros(60)
    plain, distilled = np.zeros(60), np.zeros(60)
    plain[:30], distilled[30:] = 1.0, 1.0
    teacher = np.zeros(60)
    weight = np.where(np.arange(60) < 30, 10.0, 1.0)
    options = {"teacher": teacher, "plain": plain, "distilled": distilled, "classes": None}
    assert verdict(y, sample_weight=weight, **options).choice == "distilled"
    assert verdict(y, sample_weight=1 / weight, **options).choice == "plain"
    assert verdict(y, **options).gain == 0


def test_a_verdict_is_plain_data() -> None:
    found = judged({"teacher": 0.0, "plain": 1.5, "distilled": 0.5})
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["ci95"] == list(found.ci95)
    keys = "choice metric gain ci95 gap_closed reason over_encoded"
    assert list(plain) == keys.split()
    assert "\n" not in found.reason


def test_what_learned_from_labels_alone_is_not_called_distilled() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    good = softmax(np.eye(2)[y] * 2 + rng.normal(0, 0.5, (400, 2)))
    poor = softmax(np.eye(2)[y] + rng.normal(0, 1, (400, 2)))
    options = {"teacher": good, "plain": poor, "classes": np.arange(2)}
    same = verdict(y, distilled=good, plain_encoded=good.copy(), **options)
    assert same.choice == "plain_encoded"
    assert "labels add" not in same.reason
    assert same.over_encoded == (0.0, (0.0, 0.0))
    better = verdict(y, distilled=good, plain_encoded=poor.copy(), **options)
    assert better.choice == "distilled"
