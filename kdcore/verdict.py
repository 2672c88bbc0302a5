"""The verdict: is the distilled student better than the plain one, on the same held-out rows?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kdcore.evaluation import row_losses

__all__ = ["Verdict", "paired_interval", "verdict"]

_RESAMPLES = 2000
#: Below this relative lead of the teacher over the plain student, a share of it means nothing.
_NARROW_GAP = 0.02
#: With fewer held-out rows no interval can be trusted.
_FEWEST_ROWS = 10


@dataclass(frozen=True)
class Verdict:
    """What to deploy, and why.

    Parameters
    ----------
    choice : {"distilled", "plain", "plain_encoded"}
        ``"distilled"`` only if the whole interval of the gain lies above 0, and there are at
        least 10 rows: where the data cannot tell, the plain student is the simpler choice.
    metric : {"log_loss", "rmse"}
    gain : float
        Plain minus distilled; above 0 the distilled student is better.
    ci95 : tuple of two floats
        Paired bootstrap interval of the gain.
    gap_closed : float or None
        (plain - distilled) / (plain - teacher); 1 = as good as the teacher. None where the plain
        student is within 2 % of the teacher or ahead of it.
    reason : str
        The verdict in one sentence.
    """

    choice: str
    metric: str
    gain: float
    ci95: tuple[float, float]
    gap_closed: float | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "ci95": list(self.ci95)}


def paired_interval(
    first: np.ndarray,
    second: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    root: bool = False,
    random_state: int = 0,
) -> tuple[float, tuple[float, float]]:
    """Difference of two mean losses over the same rows, and its 95 % bootstrap interval.

    The bootstrap's percentiles are moved outwards as far as a t interval is wider than a normal
    one, since plain percentiles are too narrow for few rows (Hesterberg 2015).

    Parameters
    ----------
    first, second : arrays of shape (n,)
        Row losses of the two models.
    weight : array of shape (n,), optional
    root : bool, default=False
        Take square roots of the means first, as for RMSE.
    random_state : int, default=0

    Returns
    -------
    difference : float
        first - second.
    interval : tuple of two floats
    """
    weight = np.ones(len(first)) if weight is None else weight
    columns = np.stack([weight * first, weight * second, weight], axis=1)
    rng = np.random.default_rng(random_state)
    n = len(first)
    sums = np.empty((_RESAMPLES, 3))
    for i in range(_RESAMPLES):
        # Resampling n rows with replacement is counting how often each is drawn.
        counts = np.bincount(rng.integers(0, n, n, dtype=np.int32), minlength=n)
        sums[i] = counts @ columns

    def difference(total: np.ndarray) -> np.ndarray:
        means = total[..., :2] / np.maximum(total[..., 2:], 1e-300)
        if root:
            means = np.sqrt(means)
        return means[..., 0] - means[..., 1]

    tail = _tail(_effective_rows(weight))
    low, high = np.quantile(difference(sums), [tail, 1 - tail])
    return float(difference(columns.sum(axis=0))), (float(low), float(high))


def _effective_rows(weight: np.ndarray) -> float:
    """How many rows of equal weight tell as much as these (Kish)."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def _tail(rows: float) -> float:
    """Share of the bootstrap distribution to leave out at either end."""
    from scipy.special import ndtr, stdtrit

    if rows <= 1:
        return 0.0
    return float(ndtr(np.sqrt(rows / (rows - 1)) * stdtrit(rows - 1, 0.025)))


def verdict(
    y: np.ndarray,
    *,
    teacher: np.ndarray | None,
    plain: np.ndarray,
    distilled: np.ndarray,
    classes: np.ndarray | None,
    sample_weight: np.ndarray | None = None,
    random_state: int = 0,
) -> Verdict:
    """Compare plain and distilled student on held-out rows.

    Parameters
    ----------
    y : array of shape (n,)
        True labels.
    teacher, plain, distilled : arrays of shape (n, K) or (n,)
        Outputs for the same rows; the teacher's may be None, which leaves the gap open.
    classes : array of shape (K,) or None
        None means regression.
    sample_weight : array of shape (n,), optional
    random_state : int, default=0
        Of the bootstrap.
    """
    regression = classes is None
    losses = [row_losses(output, y, classes) for output in (plain, distilled)]

    def mean(loss: np.ndarray) -> float:
        average = float(np.average(loss, weights=sample_weight))
        return float(np.sqrt(average)) if regression else average

    gain, interval = paired_interval(
        *losses, weight=sample_weight, root=regression, random_state=random_state
    )
    at_plain, at_distilled = (mean(loss) for loss in losses)
    lead = None if teacher is None else at_plain - mean(row_losses(teacher, y, classes))
    gap_closed = None
    if lead is not None and lead > _NARROW_GAP * at_plain:
        gap_closed = (at_plain - at_distilled) / lead
    name = "RMSE" if regression else "log loss"
    change = f"{name} {at_distilled:.4g} against {at_plain:.4g} of the plain student"
    interval_text = f"95 % interval of the gain {interval[0]:+.3g} to {interval[1]:+.3g}"
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    if _effective_rows(weight) < _FEWEST_ROWS:
        choice = "plain"
        reason = f"too few held-out rows to tell, so keep the plain student: {change}."
    elif interval[0] > 0:
        choice, reason = "distilled", f"deploy the distilled student: {change} ({interval_text})."
    elif interval[1] < 0:
        choice = "plain"
        reason = f"do not distil: the plain student is better, {change} ({interval_text})."
    else:
        choice = "plain"
        reason = f"no clear gain, so keep the plain student: {change} ({interval_text})."
    if choice == "plain" and lead is not None and lead <= 0:
        reason += " It is not worse than the teacher either."
    return Verdict(choice, "rmse" if regression else "log_loss", gain, interval, gap_closed, reason)
