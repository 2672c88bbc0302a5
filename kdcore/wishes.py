"""`Wishes`: what the user asks of a transfer, checked before any work; and how long it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.encoders import make_encoder
from kdcore.errors import ParameterError
from kdcore.label_correction import make_correction
from kdcore.recipe import MODES, split_augment
from kdcore.selection import ColumnWishes

if TYPE_CHECKING:
    from kdcore.resolve import Resolved

__all__ = ["Deadline", "Wishes"]


class Deadline:
    """How much of a time limit is left.

    Parameters
    ----------
    seconds : float or None
        None for no limit.

    Raises
    ------
    ParameterError
        When it is not above 0.
    """

    def __init__(self, seconds: float | None = None) -> None:
        if seconds is not None and not seconds > 0:
            raise ParameterError(f"time_limit={seconds!r} must be a number of seconds above 0.")
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; infinite without a limit."""
        return np.inf if self._end is None else self._end - time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user asks of the transfer.

    Parameters
    ----------
    mode : {"auto", "fast", "plain"}, default="auto"
    augment : int, str or callable, optional
    encoder : str or Encoder, optional
    label_correction : str or DaoCorrection, optional
    deadline : Deadline
    columns : ColumnWishes
        Which columns the student may read.

    Raises
    ------
    ParameterError
        When one of them cannot be used.
    """

    mode: str = "auto"
    augment: Any = None
    encoder: Any = None
    label_correction: Any = None
    deadline: Deadline = field(default_factory=Deadline)
    columns: ColumnWishes = field(default_factory=ColumnWishes)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ParameterError(
                f"recipe={self.mode!r} is not known; use one of {', '.join(MODES)}."
            )
        if self.augment is not None:
            split_augment(self.augment)
        if self.encoder is not None:
            make_encoder(self.encoder)
        if self.label_correction is not None:
            object.__setattr__(self, "label_correction", make_correction(self.label_correction))

    def require_use(self, student: Resolved) -> None:
        """Refuse wishes that a student would not heed.

        Raises
        ------
        ParameterError
            When the teacher's labels are to be corrected, and the student does not hear them.
        """
        if self.label_correction is None:
            return
        loss, alpha = student.estimator.loss, student.estimator.alpha
        if student.plain is not None or alpha == 0:
            why = f"loss={loss!r}" if student.plain is not None else "alpha=0"
            raise ParameterError(
                f"label_correction corrects the teacher's labels, which the student ignores with "
                f"{why}; leave one of them out."
            )
