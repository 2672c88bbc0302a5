"""The contract of selectors, which choose raw input columns, and the budget that they keep."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

from kdcore.errors import ParameterError

if TYPE_CHECKING:
    from kdcore.targets import SoftTargets

__all__ = ["Selector", "budget"]


class Selector:
    """Base of selectors; deriving from it is not required, ``select`` is.

    The factory of a `SelectorSpec` takes the selector's own parameters, with defaults for all of
    them, and returns an object with this method. It keeps no state between calls.

    ``select`` is called once for each size that is tried, on each split of the training rows; there
    are several splits of small tables, whose answers are averaged. A selector that also defines
    ``rankings(task)`` is called once a split for all sizes, and may ask the teacher and the
    student; see `kdcore.selection.filters.RankingSelector`. It may also define
    ``losses(task, columns)``, the loss (m,) of a student of some columns on each of the task's
    held-out rows, so that sizes are compared by something quicker than a student that is fitted in
    full.
    """

    #: Whether ``rankings`` asks the teacher, for which one is fitted on each split.
    uses_teacher = True
    #: Whether it trains inside the student, so that not every student will do.
    embedded = False

    def select(
        self, X: Any, targets: SoftTargets, *, max_features: int | float, random_state: int = 0
    ) -> list[str]:
        """Choose raw columns.

        Parameters
        ----------
        X : table of n rows
            Raw columns of any kind, missing values included. A one-hot group made of one column
            counts once, since only the raw column is chosen.
        targets : SoftTargets
            The same n rows. Rows without a label have a teacher; there may be no teacher at all.
            Rows of weight 0 have no say.
        max_features : int or float
            See `budget`.
        random_state : int, default=0
            Seeds whatever is random: the same seed gives the same columns.

        Returns
        -------
        list of str
            Names of columns of ``X``: at least one, none twice, at most the budget.

        Raises
        ------
        ParameterError
            When ``max_features`` cannot be used.
        """
        raise TypeError(f"{type(self).__name__} must define select")


def budget(max_features: int | float, n_columns: int) -> int:
    """The most columns that may be read: a ceiling, never a target.

    Parameters
    ----------
    max_features : int or float
        A number of columns, or a ratio of them in (0, 1], which is rounded down but gives at
        least one column. A number beyond ``n_columns`` stands for all.
    n_columns : int
        Raw columns of the table.

    Raises
    ------
    ParameterError
        When ``max_features`` is not a number, is 0 or negative, or is a ratio above 1.
    """
    if isinstance(max_features, bool) or not isinstance(max_features, numbers.Real):
        raise ParameterError(
            f"max_features={max_features!r} is not a number; use a number of columns such as 20, "
            "or a ratio of them such as 0.2."
        )
    if isinstance(max_features, numbers.Integral):
        if max_features < 1:
            raise ParameterError(
                f"max_features={max_features} leaves no column; use at least 1, or a ratio of the "
                "columns such as 0.2."
            )
        return min(int(max_features), n_columns)
    ratio = float(max_features)
    if not 0 < ratio <= 1:
        raise ParameterError(
            f"max_features={ratio:g} is not a ratio in (0, 1]; use a whole number (an int) for a "
            "number of columns."
        )
    # 0.29 * 100 is 28.999999999999996 in floating point.
    return max(1, math.floor(ratio * n_columns + 1e-9))
