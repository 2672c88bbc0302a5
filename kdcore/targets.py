"""`SoftTargets`: what a student is fitted to, for classification and regression alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError

if TYPE_CHECKING:
    from kdcore.structure import TeacherStructure

__all__ = ["PROVENANCES", "SoftTargets", "encode_labels", "logits_of", "softmax"]

#: Where a teacher's labels can come from, the most trustworthy first.
PROVENANCES = ("out-of-fold", "held-out", "given", "in-sample", "none")

_TINY = 1e-7


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise softmax of an (n, K) array."""
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def logits_of(proba: np.ndarray, clip: float = _TINY) -> np.ndarray:
    """Logits of (n, K) probabilities, centred so that each row sums to zero.

    Probabilities are clipped from below at ``clip``, since trees and forests give exact zeros.
    """
    logits = np.log(np.maximum(proba, clip))
    return logits - logits.mean(axis=1, keepdims=True)


def encode_labels(y: Any, classes: np.ndarray) -> np.ndarray:
    """Positions of the labels ``y`` in the sorted array ``classes``.

    Raises
    ------
    DataError
        When a label is not among the classes; the message names it.
    """
    y = np.asarray(y)
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    wrong = classes[codes] != y
    if wrong.any():
        raise DataError(
            f"label {str(y[wrong][0])!r} is not among the classes "
            f"{', '.join(map(str, classes[:10]))}; drop those rows or add them to the training "
            "table."
        )
    return codes.astype(np.int64)


@dataclass(frozen=True, eq=False)
class SoftTargets:
    """Teacher outputs, true labels and weights of n rows.

    Parameters
    ----------
    labels : array of shape (n,)
        Classification: positions in ``classes``, -1 where a row has no label.
        Regression: values, NaN where a row has no label.
    teacher : array of shape (n, K) or (n,), optional
        The teacher's class probabilities, columns in the order of ``classes``, or its regression
        output. None for a plain student, which learns from labels alone.
    sample_weight : array of shape (n,), optional
        Row weights; ones if not given.
    classes : array of shape (K,), optional
        Sorted class labels; None means regression.
    provenance : str, default="none"
        One of `PROVENANCES`: how the teacher's outputs were made.
    structure : TeacherStructure, optional
        What the teacher's trees tell of the columns, for encoders that borrow from it.

    Raises
    ------
    DataError
        When shapes disagree, values are not finite, probabilities are negative or do not sum
        to 1, or a row has neither a label nor a teacher.
    """

    labels: np.ndarray
    teacher: np.ndarray | None = None
    sample_weight: Any = None  # always an array once made
    classes: np.ndarray | None = None
    provenance: str = "none"
    structure: TeacherStructure | None = None
    _cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels, dtype=np.int64 if self.classes is not None else float)
        object.__setattr__(self, "labels", labels)
        n = len(labels)
        weight = np.ones(n) if self.sample_weight is None else np.asarray(self.sample_weight, float)
        if weight.shape != (n,):
            raise DataError(f"sample_weight has shape {weight.shape}, expected ({n},).")
        if not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum() > 0:
            raise DataError("sample_weight must be finite, not negative, and not all zero.")
        object.__setattr__(self, "sample_weight", weight)
        if self.provenance not in PROVENANCES:
            raise DataError(
                f"provenance={self.provenance!r} is not one of {', '.join(PROVENANCES)}."
            )
        if self.teacher is not None:
            object.__setattr__(self, "teacher", self._checked_teacher(n))
        elif self.unlabeled.any():
            raise DataError("some rows have neither a label nor a teacher; drop them.")

    def _checked_teacher(self, n: int) -> np.ndarray:
        teacher = np.asarray(self.teacher, dtype=float)
        if self.classes is None:
            if teacher.shape != (n,):
                raise DataError(f"teacher output has shape {teacher.shape}, expected ({n},).")
            if not np.isfinite(teacher).all():
                raise DataError("the teacher's output holds NaN or infinite values.")
            return teacher
        shape = (n, len(self.classes))
        if teacher.shape != shape:
            raise DataError(f"teacher probabilities have shape {teacher.shape}, expected {shape}.")
        if not np.isfinite(teacher).all() or (teacher < 0).any():
            raise DataError("teacher probabilities must be finite and not negative.")
        total = teacher.sum(axis=1, keepdims=True)
        worst = int(np.abs(total - 1).argmax()) if n else 0
        if n and abs(total[worst, 0] - 1) > 1e-3:
            raise DataError(
                f"teacher probabilities of row {worst} sum to {total[worst, 0]:.6g}, not 1."
            )
        return teacher / total

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 in regression."""
        return 0 if self.classes is None else len(self.classes)

    @property
    def task(self) -> str:
        """``"binary"``, ``"multiclass"`` or ``"regression"``."""
        if self.classes is None:
            return "regression"
        return "binary" if len(self.classes) <= 2 else "multiclass"

    @property
    def unlabeled(self) -> np.ndarray:
        """Boolean mask of the rows without a true label."""
        return np.isnan(self.labels) if self.classes is None else self.labels < 0

    @property
    def one_hot(self) -> np.ndarray:
        """(n, K) indicator of the true labels; zero rows where a label is missing."""
        if "one_hot" not in self._cache:
            out = np.zeros((len(self), self.n_classes))
            known = np.flatnonzero(~self.unlabeled)
            out[known, self.labels[known]] = 1.0
            self._cache["one_hot"] = out
        return self._cache["one_hot"]

    @property
    def logits(self) -> np.ndarray:
        """(n, K) centred logits of the teacher."""
        if "logits" not in self._cache:
            self._cache["logits"] = logits_of(self._require_teacher())
        return self._cache["logits"]

    def softened(self, temperature: float) -> np.ndarray:
        """(n, K) teacher probabilities at a temperature: ``softmax(logits / T)``."""
        return self._require_teacher() if temperature == 1 else softmax(self.logits / temperature)

    def row_alpha(self, alpha: float) -> np.ndarray:
        """(n,) share of the teacher: ``alpha``, but 1 without a label and 0 without a teacher."""
        if self.teacher is None:
            return np.zeros(len(self))
        return np.where(self.unlabeled, 1.0, alpha)

    def blended(self, alpha: float, temperature: float = 1.0) -> np.ndarray:
        """``alpha * teacher + (1 - alpha) * label``, of shape (n, K) or (n,)."""
        share = self.row_alpha(alpha)
        if self.classes is None:
            labels = np.where(self.unlabeled, 0.0, self.labels)
            soft = 0.0 if self.teacher is None else self.teacher
            return share * soft + (1 - share) * labels
        hard = (1 - share)[:, None] * self.one_hot
        return hard if self.teacher is None else hard + share[:, None] * self.softened(temperature)

    def plain(self) -> SoftTargets:
        """The same labelled rows without the teacher and its structure: for a plain student."""
        known = ~self.unlabeled
        return SoftTargets(
            labels=self.labels[known],
            sample_weight=self.sample_weight[known],
            classes=self.classes,
        )

    def with_structure(self, structure: TeacherStructure | None) -> SoftTargets:
        """The same targets, with what the teacher's trees tell of the columns."""
        other = object.__new__(SoftTargets)
        vars(other).update({**vars(self), "structure": structure})
        return other

    def take(self, rows: np.ndarray | slice) -> SoftTargets:
        """The targets of the given row positions (or boolean mask, or slice).

        Raises
        ------
        DataError
            When all their weights are zero.
        """
        weight = self.sample_weight[rows]
        if not weight.sum() > 0:
            raise DataError("sample_weight must not be zero in every row.")
        part = object.__new__(SoftTargets)
        # Rows of what was checked need no second check; optimisers take a batch at every step.
        vars(part).update(
            labels=self.labels[rows],
            teacher=None if self.teacher is None else self.teacher[rows],
            sample_weight=weight,
            classes=self.classes,
            provenance=self.provenance,
            structure=self.structure,
            _cache={},
        )
        return part

    def _require_teacher(self) -> np.ndarray:
        if self.teacher is None:
            raise DataError("these targets hold no teacher outputs, only labels.")
        return self.teacher
