"""Correcting a teacher's labels by the true ones, where the teacher may be biased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kdcore.encoders import OrdinalEncoder
from kdcore.errors import DataError, ParameterError
from kdcore.named_params import named_kind
from kdcore.parameters import number, require

if TYPE_CHECKING:
    from kdcore.targets import SoftTargets

__all__ = ["CORRECTIONS", "DaoCorrection", "corrected", "make_correction", "teacher_error"]


@dataclass(frozen=True, kw_only=True)
class DaoCorrection:
    """Loss-corrected targets: ``p + g * (y - p)`` in place of a teacher's output ``p``.

    In a row with the label ``y`` (one-hot, or a value), ``g`` is the share with the smallest sum
    of squared bias and variance, in the worst case that a teacher of this error allows:
    ``(1 - g)^2 error^2 + g^2 v / rows``. There ``v`` is the largest variance that labels can have
    where the truth is no farther from ``p`` than ``error``. 0 is the teacher alone, 1 the label
    alone; a sure teacher is corrected more, since labels are less noisy there. ``g`` does not
    depend on ``y``, so that a teacher without error stays what it is in the mean over labels.

    The paper bounds the teacher's error relatively to each probability, and tunes the bound; here
    it is one root mean square, which `teacher_error` estimates, so that the rows' probabilities
    keep their sum.

    Parameters
    ----------
    error : float, optional
        Root mean square of ``p`` less the truth, summed over classes. None: `teacher_error`.
    rows : float, default=10.0
        Over how many rows a student averages, as in a leaf of a tree: as much smaller than that of
        a single label is the noise that it hears.

    Raises
    ------
    ParameterError
        When a value cannot be used.

    Paper: Dao, Kamath, Syrgkanis, Mackey 2021 (Knowledge distillation as semiparametric
    inference), arXiv:2104.09732.
    """

    name: ClassVar[str] = "dao"

    error: float | None = None
    rows: float = 10.0

    def __post_init__(self) -> None:
        require(self, error=number(least=0, also=(None,)), rows=number(above=0))

    def shares(self, targets: SoftTargets, error: float) -> np.ndarray:
        """``g`` (n,) of each row for a teacher of this error; 0 in rows without a label."""
        teacher = targets.teacher
        assert teacher is not None
        known = ~targets.unlabeled
        if targets.classes is None:
            weight = np.where(known, targets.sample_weight, 0.0)
            rest = np.where(known, targets.labels - teacher, 0.0)
            noise = np.full(len(teacher), max(weight @ rest**2 / weight.sum() - error**2, 0.0))
        else:
            k = teacher.shape[1]
            # Labels are the noisier the nearer the truth is to equal shares.
            off = np.linalg.norm(teacher - 1 / k, axis=1)
            noise = 1 - 1 / k - np.maximum(off - error, 0.0) ** 2
        share = error**2 / np.maximum(error**2 + noise / self.rows, 1e-300)
        return np.where(known, np.clip(share, 0.0, 1.0), 0.0)


#: Ways to correct labels, by name.
CORRECTIONS: Mapping[str, type[DaoCorrection]] = {DaoCorrection.name: DaoCorrection}


def make_correction(correction: str | Any) -> DaoCorrection:
    """A correction from its name, or the one given.

    Parameters
    ----------
    correction : str or DaoCorrection
        A name of `CORRECTIONS`, which parameters may follow as in ``"dao:error=0.1"``.

    Raises
    ------
    ParameterError
        When there is none of that name or parameter, or a value cannot be used.
    """
    if isinstance(correction, DaoCorrection):
        return correction
    if not isinstance(correction, str):
        raise ParameterError(
            f"label_correction={correction!r} must be a name ({', '.join(CORRECTIONS)}) or a "
            "kdcore.label_correction.DaoCorrection."
        )
    kind, params = named_kind(correction, "label_correction", CORRECTIONS, "dao:error=0.1")
    return kind(**params)


def corrected(
    correction: DaoCorrection, X: Any, targets: SoftTargets, *, random_state: int = 0
) -> tuple[SoftTargets, dict[str, float]]:
    """Targets with corrected teacher outputs in the rows that have a label.

    Parameters
    ----------
    correction : DaoCorrection
    X : table of n rows
    targets : SoftTargets of these rows, with teacher
    random_state : int, default=0
        Of `teacher_error`.

    Returns
    -------
    targets : SoftTargets
        Otherwise as they were.
    told : dict
        ``error`` of the teacher, and ``label_share``, the mean share of the label.

    Raises
    ------
    DataError
        When the teacher has seen the rows that it labels: its errors cannot be told then.
    """
    if targets.provenance == "in-sample":
        raise DataError(
            "label_correction needs labels of rows that the teacher has not seen, and these are "
            "in-sample; name the teacher or give an unfitted one for out-of-fold labels, say "
            "fitted='held-out' if it was fitted on other rows, or leave the correction out."
        )
    assert targets.teacher is not None
    error = correction.error
    if error is None:
        error = teacher_error(X, targets, random_state=random_state)
    share = correction.shares(targets, error)
    if targets.classes is None:
        mixed = targets.teacher + share * np.where(
            targets.unlabeled, 0.0, targets.labels - targets.teacher
        )
    else:
        mixed = targets.teacher + share[:, None] * (targets.one_hot - targets.teacher)
    known = ~targets.unlabeled
    mean = float(np.average(share[known], weights=targets.sample_weight[known]))
    return replace(targets, teacher=mixed), {"error": float(error), "label_share": mean}


def teacher_error(
    X: Any, targets: SoftTargets, *, max_rows: int = 20_000, random_state: int = 0
) -> float:
    """Root mean square of a teacher's output less the truth, as far as labels tell of it.

    A forest learns what is left of the labels, ``y - p``, from the columns and from ``p``, and
    predicts it for rows out of its bags. What it can tell of rows it has not seen is the teacher's
    mistake, and not noise of the labels. So this is an estimate from below: a mistake that no
    pattern in the columns gives away does not count, nor does one that is within chance.

    Parameters
    ----------
    X : table of n rows
    targets : SoftTargets of these rows, with a teacher that has not seen them
    max_rows : int, default=20000
        Where there are more, so many are drawn.
    random_state : int, default=0
    """
    from sklearn.ensemble import RandomForestRegressor

    from kdcore.schema import as_frame

    frame = as_frame(X)
    rng = np.random.default_rng(random_state)
    rows = np.flatnonzero(~targets.unlabeled & (targets.sample_weight > 0))
    if len(rows) > max_rows:
        rows = np.sort(rng.choice(rows, max_rows, replace=False))
    if len(rows) < _FEWEST:
        return 0.0
    part, teacher = targets.take(rows), np.asarray(targets.teacher)[rows]
    weight = part.sample_weight / part.sample_weight.sum()
    if part.classes is None:
        teacher = teacher[:, None]
        rest = part.labels[:, None] - teacher
    else:
        rest = part.one_hot - teacher
    # The order of categories comes from the teacher alone: labels must not tell of themselves.
    columns = OrdinalEncoder().fit(frame.iloc[rows], part, part.sample_weight)
    Z = np.hstack([columns.transform(frame.iloc[rows]), teacher.astype(np.float32)])
    forest = RandomForestRegressor(
        n_estimators=50,
        min_samples_leaf=max(1, min(10, len(rows) // 20)),
        max_features="sqrt" if Z.shape[1] > 30 else 1 / 3,
        max_samples=min(1.0, 5_000 / len(rows)),
        oob_score=True,
        random_state=int(rng.integers(2**31 - 1)),
    ).fit(Z, rest if rest.shape[1] > 1 else rest[:, 0], sample_weight=part.sample_weight)
    told = forest.oob_prediction_.reshape(rest.shape)
    along = (told * rest).sum(axis=1)
    mean = float(weight @ along)
    chance = float(np.sqrt(weight**2 @ (along - mean) ** 2))
    length = float(weight @ (told**2).sum(axis=1))
    if mean <= chance or not length > 0:
        return 0.0
    # By Cauchy and Schwarz, no mistake smaller than this goes along so well with what was told.
    return float(np.sqrt((mean - chance) ** 2 / length))


#: With fewer labelled rows nothing can be told.
_FEWEST = 50
