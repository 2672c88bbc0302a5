"""Joining rows that only the teacher has labelled to the training rows, with fair weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError, ParameterError
from kdcore.schema import as_frame
from kdcore.table import stacked
from kdcore.targets import SoftTargets

if TYPE_CHECKING:
    import pandas as pd

    from kdcore.transfer.base import Augmenter

__all__ = ["build_transfer_set", "default_ratio", "join_unlabeled", "synthetic_weights"]


def default_ratio(n_real: int) -> float:
    """Total weight of made rows over that of real ones: 3, or 1 with fewer than 1,000 real rows."""
    return 3.0 if n_real >= 1000 else 1.0


def synthetic_weights(
    real: int | np.ndarray, n_synthetic: int, ratio: float | None = None
) -> np.ndarray:
    """Weights of made rows, all equal, so that the totals of made and real ones are in a ratio.

    Parameters
    ----------
    real : int or array of shape (n,)
        Number of real rows, or their weights.
    n_synthetic : int
    ratio : float, optional
        Total of the made rows over that of the real ones; see `default_ratio`.

    Returns
    -------
    array of shape (n_synthetic,)

    Raises
    ------
    ParameterError
        When the ratio is not a number above 0.
    """
    weight = np.ones(real) if np.ndim(real) == 0 else np.asarray(real, float)
    if ratio is None:
        ratio = default_ratio(len(weight))
    if isinstance(ratio, bool) or not 0 < ratio < np.inf:
        raise ParameterError(
            f"ratio={ratio!r} of made to real rows must be a number above 0; leave made rows out "
            "if they are not to count."
        )
    return np.full(n_synthetic, ratio * weight.sum() / max(n_synthetic, 1))


def join_unlabeled(
    X: Any,
    targets: SoftTargets,
    extra: Any,
    output: np.ndarray,
    sample_weight: np.ndarray | None = None,
) -> tuple[pd.DataFrame, SoftTargets]:
    """Put rows that only the teacher has labelled below others.

    Parameters
    ----------
    X : table of n rows
    targets : SoftTargets
        Of these rows, with teacher. Classes, provenance and structure are kept.
    extra : table of m rows
        With the same columns.
    output : array of shape (m, K) or (m,)
        What the teacher says of them, columns in the order of ``targets.classes``.
    sample_weight : array of shape (m,), optional
        Without it, a row counts like an average one of ``X``.

    Raises
    ------
    DataError
        When the targets have no teacher, or shapes or values do not fit.
    """
    below, output = as_frame(extra), np.asarray(output, dtype=float)
    if sample_weight is None:
        sample_weight = np.full(len(below), targets.sample_weight.mean())
    return _joined(as_frame(X), targets, [below], output, sample_weight)


def _joined(
    frame: pd.DataFrame,
    targets: SoftTargets,
    below: list[pd.DataFrame],
    output: np.ndarray,
    weight: np.ndarray,
) -> tuple[pd.DataFrame, SoftTargets]:
    _require_fit(frame, targets)
    assert targets.teacher is not None
    m = sum(len(part) for part in below)
    expected = (m, *targets.teacher.shape[1:])
    if output.shape != expected:
        raise DataError(
            f"the teacher's output for {m} rows without a label has shape {output.shape}, expected "
            f"{expected}."
        )
    unknown = np.full(m, np.nan) if targets.classes is None else np.full(m, -1)
    return stacked(frame, *below), replace(
        targets,
        labels=np.concatenate([targets.labels, unknown]),
        teacher=np.concatenate([targets.teacher, output]),
        sample_weight=np.concatenate([targets.sample_weight, weight]),
    )


def _require_fit(frame: pd.DataFrame, targets: SoftTargets) -> None:
    if len(frame) != len(targets):
        raise DataError(f"the table has {len(frame)} rows but the targets have {len(targets)}.")
    if targets.teacher is None:
        raise DataError("rows without a label need targets with a teacher; label the others first.")


def build_transfer_set(
    X: Any,
    targets: SoftTargets,
    augmenter: Augmenter,
    n: int,
    teacher: Callable[[pd.DataFrame], np.ndarray],
    *,
    ratio: float | None = None,
    random_state: int = 0,
    chunk_rows: int = 16_384,
    on_rows: Callable[[pd.DataFrame], None] | None = None,
) -> tuple[pd.DataFrame, SoftTargets]:
    """Training rows, then unlabeled real ones, then rows made and labelled by the teacher.

    Made rows have no label, so that a student's ``alpha`` is 1 there. Rows without a label that
    are in ``X`` already are better than made ones and take their place: of ``n`` rows, only
    those that are lacking are made, with the part of the weight that falls to them.

    Parameters
    ----------
    X : table
        Rows to learn from; the augmenter is fitted to all of them.
    targets : SoftTargets
        Of these rows, with teacher.
    augmenter : Augmenter
        Unfitted; a copy is fitted.
    n : int
        Rows without a label that are wanted.
    teacher : callable
        ``teacher(frame)`` returns (m, K) probabilities, columns in the order of
        ``targets.classes``, or (m,) values.
    ratio : float, optional
        Total weight of ``n`` rows without a label over that of the labelled ones; see
        `default_ratio`. Real rows without a label keep the weights that they have.
    random_state : int, default=0
    chunk_rows : int, default=16384
        Most rows that the teacher is asked about at a time.
    on_rows : callable, optional
        Is given every chunk of made rows, as by `QualityMeter.update`.

    Raises
    ------
    DataError, ParameterError
        When rows cannot be made or the teacher's output does not fit; see `Augmenter.fit`.
    """
    frame = as_frame(X)
    _require_fit(frame, targets)
    if n < 0:
        raise ParameterError(f"n={n!r}, the number of rows to make, must be at least 0.")
    known = ~targets.unlabeled
    lacking = max(n - int((~known).sum()), 0)
    if not lacking:
        return frame, targets
    labelled = targets.sample_weight[known]
    if not labelled.sum() > 0:
        raise DataError("made rows need at least one row with a label and a positive weight.")
    weight = synthetic_weights(labelled, n, ratio)[:lacking]
    fitted = augmenter.clone().fit(frame, targets.sample_weight, random_state=random_state)
    chunks, outputs = [], []
    for chunk in fitted.sample(lacking, chunk_rows=chunk_rows):
        if on_rows is not None:
            on_rows(chunk)
        output = np.asarray(teacher(chunk), dtype=float)
        if output.shape[:1] != (len(chunk),):
            raise DataError(
                f"the teacher's output for {len(chunk)} made rows has shape {output.shape}; it "
                "must give one row for each."
            )
        chunks.append(chunk)
        outputs.append(output)
    return _joined(frame, targets, chunks, np.concatenate(outputs), weight)
