"""Several teachers, averaged, as one; and the weights with which they are best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.evaluation import row_losses
from kdcore.given import checked_weights
from kdcore.labels import TeacherLabels
from kdcore.own_teachers import EnsembleTeacher
from kdcore.schema import TableSchema
from kdcore.targets import PROVENANCES
from kdcore.teacher_source import Source

if TYPE_CHECKING:
    from kdcore.table import LabeledTable

__all__ = ["averaged", "best_shares"]


def averaged(sources: Sequence[Source], weights: Sequence[float] | str | None) -> Source:
    """Several teachers as one whose output is the weighted mean of theirs.

    Parameters
    ----------
    sources : sequence of Source
    weights : sequence of float, "auto" or None
        None for equal ones; "auto" for those with the smallest loss of the mean on rows that the
        teachers have not seen (`best_shares`).

    Raises
    ------
    ParameterError
        When there is no teacher, or the weights cannot be used; for "auto" also when labels are
        in-sample.
    """
    if not sources:
        raise ParameterError("the list of teachers is empty; give at least one.")
    if isinstance(weights, str) and weights != "auto":
        raise ParameterError(f"teacher_weights={weights!r} must be numbers, 'auto' or None.")
    automatic = isinstance(weights, str)
    equal = checked_weights(None if isinstance(weights, str) else weights, len(sources))

    def shares(parts: list[TeacherLabels], train: LabeledTable) -> np.ndarray:
        if not automatic:
            return equal
        if any(part.provenance == "in-sample" for part in parts):
            raise ParameterError(
                "teacher_weights='auto' compares teachers on rows that they have not seen, but "
                "some labels are in-sample; give numbers."
            )
        outputs = np.stack([part.values for part in parts])
        return best_shares(outputs, train.y, train.classes, train.sample_weight)

    def label(train: LabeledTable, **options: Any) -> TeacherLabels:
        step = options.pop("on_step", None)
        parts = []
        for i, source in enumerate(sources):
            parts.append(source.label(train, **options))
            if step is not None:
                step(i + 1, len(sources))
        share = shares(parts, train)
        members = [p.teacher for p in parts]
        together = None not in members
        return TeacherLabels(
            values=np.tensordot(share, np.stack([p.values for p in parts]), axes=1),
            teacher=EnsembleTeacher(members, share, train.classes, TableSchema.fit(train.X))
            if together
            else None,
            provenance=max((p.provenance for p in parts), key=PROVENANCES.index),
            folds=max(p.folds for p in parts),
            fit_seconds=sum(p.fit_seconds for p in parts),
            seconds=sum(p.seconds for p in parts),
            parts=() if together else tuple(parts),
            shares=share,
        )

    def refit(train: LabeledTable) -> Any:
        members = [s.refit(train) for s in sources if s.refit is not None]
        return EnsembleTeacher(members, equal, train.classes, TableSchema.fit(train.X))

    whole = [s.identity for s in sources]
    # Weights that were found are not kept in the cache, so such labels are made anew.
    known = not automatic and None not in whole
    return Source(
        " + ".join(s.name for s in sources),
        label,
        {"members": whole, "weights": equal.tolist()} if known else None,
        can_be_asked=all(s.can_be_asked for s in sources),
        was_fitted=any(s.was_fitted for s in sources),
        refit=None if any(s.refit is None for s in sources) else refit,
    )


def best_shares(
    outputs: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray | None,
    sample_weight: np.ndarray | None = None,
) -> np.ndarray:
    """The weights, not negative and summing to 1, with which the mean output has the smallest loss.

    Parameters
    ----------
    outputs : array of shape (m, n, K) or (m, n)
        Of m teachers, for n rows that none of them has seen.
    y : array of shape (n,)
    classes : array of shape (K,) or None
        None means regression (squared error instead of log loss).
    sample_weight : array of shape (n,), optional

    Papers: Wolpert 1992 (stacked generalization); Breiman 1996 (stacked regressions).
    """
    from scipy.optimize import minimize

    m = len(outputs)
    start = np.full(m, 1 / m)

    def loss(share: np.ndarray) -> float:
        mean = np.tensordot(share, outputs, axes=1)
        return float(np.average(row_losses(mean, y, classes), weights=sample_weight))

    scale = loss(start) or 1.0
    found = minimize(
        lambda share: loss(share) / scale,
        start,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * m,
        constraints={"type": "eq", "fun": lambda share: share.sum() - 1.0},
    )
    share = np.clip(found.x, 0.0, 1.0)
    share = share / share.sum() if share.sum() > 0 else start
    return share if loss(share) <= loss(start) else start
