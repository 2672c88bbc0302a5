"""The verdict: is the distilled student better than the plain one, on the same held-out rows?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kdcore.evaluation import row_losses
from kdcore.notes import figure

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
        ``"plain_encoded"`` if labels alone, behind the encoding of the distilled student, are
        clearly better than both, or better than plain where the distilled one is not.
    metric : {"log_loss", "rmse"}
    gain : float
        Plain minus distilled; above 0 the distilled student is better.
    ci95 : tuple of two floats
        Paired bootstrap interval of the gain.
    gap_closed : float or None
        (plain - distilled) / (plain - teacher); 1 = as good as the teacher. None where the plain
        student is within 2 % of the teacher or ahead of it.
    reason : str
        The verdict in words.
    over_encoded : tuple of float and interval, optional
        The gain over the same student of labels alone behind the same encoding: what soft labels
        and synthetic rows add to the structure that the encoding borrows. None where the plain
        student has that encoding.
    """

    choice: str
    metric: str
    gain: float
    ci95: tuple[float, float]
    gap_closed: float | None
    reason: str
    over_encoded: tuple[float, tuple[float, float]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        over = self.over_encoded
        return {
            **asdict(self),
            "ci95": list(self.ci95),
            "over_encoded": None if over is None else {"gain": over[0], "ci95": list(over[1])},
        }


def paired_interval(
    first: np.ndarray,
    second: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    root: bool = False,
    block: int = 1,
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
    block : int, default=1
        Rows that are drawn together, for rows in order of time, neighbours of which resemble each
        other (circular block bootstrap; Politis, Romano 1992).
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
        drawn = rng.integers(0, n, -(-n // block), dtype=np.int32)
        if block > 1:
            drawn = ((drawn[:, None] + np.arange(block)) % n).ravel()[:n]
        counts = np.bincount(drawn, minlength=n)
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
    plain_encoded: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
    ordered: bool = False,
    random_state: int = 0,
) -> Verdict:
    """Compare the versions of a student on held-out rows.

    Parameters
    ----------
    y : array of shape (n,)
        True labels.
    teacher, plain, distilled : arrays of shape (n, K) or (n,)
        Outputs for the same rows; the teacher's may be None, which leaves the gap open.
    classes : array of shape (K,) or None
        None means regression.
    plain_encoded : array, optional
        Output of the student of labels alone behind the encoding of the distilled one.
    sample_weight : array of shape (n,), optional
    ordered : bool, default=False
        Whether the rows are in order of time; they are then drawn in blocks of n^(1/3) rows.
    random_state : int, default=0
        Of the bootstrap.
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    outputs = {"plain": plain, "distilled": distilled}
    if plain_encoded is not None:
        outputs["plain_encoded"] = plain_encoded
    block = round(len(y) ** (1 / 3)) if ordered else 1
    scores = _Scores(outputs, y, classes, weight, random_state, max(1, block))
    gain, interval = scores.gain("plain", "distilled")
    lead = None
    if teacher is not None:
        lead = scores.mean("plain") - scores.average(row_losses(teacher, y, classes))
    gap_closed = None
    if lead is not None and lead > _NARROW_GAP * scores.mean("plain"):
        gap_closed = gain / lead
    choice, reason = _chosen(scores, _effective_rows(weight))
    if choice == "plain" and lead is not None and lead <= 0:
        reason += " It is not worse than the teacher either."
    over = scores.gain("plain_encoded", "distilled") if plain_encoded is not None else None
    return Verdict(choice, scores.metric, gain, interval, gap_closed, reason, over)


class _Scores:
    """Row losses of the versions of a student, and their paired differences."""

    def __init__(
        self,
        outputs: dict[str, np.ndarray],
        y: np.ndarray,
        classes: np.ndarray | None,
        weight: np.ndarray,
        random_state: int,
        block: int,
    ) -> None:
        self.block = block
        self.losses = {name: row_losses(output, y, classes) for name, output in outputs.items()}
        self.regression = classes is None
        self.metric = "rmse" if self.regression else "log_loss"
        self.title = "RMSE" if self.regression else "log loss"
        self.weight = weight
        self.random_state = random_state

    def average(self, losses: np.ndarray) -> float:
        average = float(np.average(losses, weights=self.weight))
        return float(np.sqrt(average)) if self.regression else average

    def mean(self, name: str) -> float:
        return self.average(self.losses[name])

    def gain(self, base: str, other: str) -> tuple[float, tuple[float, float]]:
        """How much smaller the loss of ``other`` is than that of ``base``, with its interval."""
        return paired_interval(
            self.losses[base],
            self.losses[other],
            weight=self.weight,
            root=self.regression,
            block=self.block,
            random_state=self.random_state,
        )


def _chosen(scores: _Scores, rows: float) -> tuple[str, str]:
    """What to deploy, and the sentence that says why."""

    def change(name: str) -> str:
        plain = f"{figure(scores.mean('plain'))} of the plain student"
        return f"{scores.title} {figure(scores.mean(name))} against {plain}"

    def span(ends: tuple[float, float]) -> str:
        return f"{figure(ends[0], 3, '+')} to {figure(ends[1], 3, '+')}"

    def shown(interval: tuple[float, float]) -> str:
        return f"95 % interval of the gain {span(interval)}"

    _, interval = scores.gain("plain", "distilled")
    text = f"{change('distilled')} ({shown(interval)})"
    if rows < _FEWEST_ROWS:
        return "plain", (
            f"too few held-out rows to tell, so keep the plain student: {change('distilled')}."
        )
    if "plain_encoded" in scores.losses:
        _, encoded = scores.gain("plain", "plain_encoded")
        soft, over = scores.gain("plain_encoded", "distilled")
        # A recipe that fell back on labels alone has distilled nothing.
        same = np.array_equal(scores.losses["distilled"], scores.losses["plain_encoded"])
        if interval[0] > 0 and over[1] >= 0 and not same:
            return "distilled", (
                f"deploy the distilled student: {text}. Its encoding alone reaches "
                f"{figure(scores.mean('plain_encoded'))}; the teacher's labels add "
                f"{figure(soft, 3, '+')} ({span(over)})."
            )
        if encoded[0] > 0:
            more = f"; the teacher's labels add {figure(soft, 3, '+')} ({span(over)})"
            return "plain_encoded", (
                "deploy the student of labels alone with the encoding of the distilled one: "
                f"{change('plain_encoded')} ({shown(encoded)}){'' if same else more}."
            )
    elif interval[0] > 0:
        return "distilled", f"deploy the distilled student: {text}."
    if interval[1] < 0:
        return "plain", f"do not distil: the plain student is better, {text}."
    return "plain", f"no clear gain, so keep the plain student: {text}."
