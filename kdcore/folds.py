"""The folds in which a teacher labels rows that it has not seen."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from kdcore.errors import DataError, KDWarning, ParameterError

__all__ = ["fold_plan"]

_DEFAULT_FOLDS = 5


def fold_plan(
    y: np.ndarray,
    *,
    classes: np.ndarray | None,
    folds: int | str,
    random_state: int,
    ordered: bool = False,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and labelled row positions of each fold, stratified so that no fold lacks a class.

    Only a class with a single row cannot be in every fold's training part; it is warned about.

    Parameters
    ----------
    y : array of shape (n,)
    classes : array of shape (K,) or None
        None means regression.
    folds : int or "auto"
        ``"auto"`` is 5, or fewer where the rarest class has fewer rows.
    ordered : bool, default=False
        Rows in order of time become folds as blocks, unshuffled, so that no teacher has seen the
        neighbours of a row that it labels; a block may lack a class.

    Raises
    ------
    ParameterError
        When an explicit number of folds exceeds the rows of the rarest class, or of the table.
    DataError
        When there is a single row.
    """
    if folds != "auto" and (isinstance(folds, bool) or not isinstance(folds, (int, np.integer))):
        raise ParameterError(f"folds={folds!r} must be a whole number of at least 2, or 'auto'.")
    if folds != "auto" and int(folds) < 2:
        raise ParameterError(f"folds={folds} must be at least 2.")
    if len(y) < 2:
        raise DataError("out-of-fold labels need at least 2 rows; n_samples = 1 is too few.")
    if classes is None or ordered:
        most, what = len(y), "the table"
    else:
        labels, counts = np.unique(y, return_counts=True)
        most, what = int(counts.min()), f"the rarest class, {str(labels[counts.argmin()])!r},"
    if folds == "auto":
        number = min(_DEFAULT_FOLDS, max(2, most))
    elif int(folds) > most:
        more = f"folds={folds} is more than the {most} training row(s) of {what}"
        if classes is None or ordered:
            raise ParameterError(f"{more}; use fewer folds.")
        raise ParameterError(
            f"{more} so some fold would lack it; use fewer folds, or merge that class with another."
        )
    else:
        number = int(folds)
    if ordered:
        return list(KFold(number).split(y))
    if classes is not None and counts.max() < 2:
        raise DataError(
            f"each of the {len(labels)} classes has a single row, so a teacher that has not seen "
            "it cannot know its class; add rows of each class, or merge classes."
        )
    if classes is None:
        return list(KFold(number, shuffle=True, random_state=random_state).split(y))
    if most < 2:
        warnings.warn(
            f"the class {str(labels[counts.argmin()])!r} has a single row, so the teacher that "
            "labels this row has never seen its class; add rows of it or merge it with another.",
            KDWarning,
            stacklevel=3,
        )
    with warnings.catch_warnings():
        # Said above, in words that name the class.
        warnings.filterwarnings("ignore", message="The least populated class")
        plan = StratifiedKFold(number, shuffle=True, random_state=random_state)
        return list(plan.split(np.zeros(len(y)), y))
