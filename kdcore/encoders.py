"""Student encoders: raw columns of any kind to the float32 matrix that a student computes with.

Each is a scikit-learn transformer, fitted on training rows only. Fitted state is a handful of
plain arrays, so that `kdcore.graph` can write an encoder as a few wide ONNX operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kdcore.errors import ParameterError, suggest
from kdcore.schema import TableSchema, as_frame
from kdcore.targets import SoftTargets

__all__ = ["Encoder", "OrdinalEncoder", "StandardEncoder", "make_encoder", "raw_importances"]


#: Rows that are encoded at a time, so that intermediate arrays stay small.
_CHUNK = 16_384


class Encoder(TransformerMixin, BaseEstimator):
    """Base of the student encoders.

    Attributes
    ----------
    schema_ : TableSchema
        The raw columns.
    owners_ : int array of shape (d,)
        For each output column, the position of its raw column in ``schema_.columns``.
    """

    def fit(self, X: Any, y: SoftTargets | None = None, sample_weight: Any = None) -> Encoder:
        """Learn the encoding from training rows.

        Parameters
        ----------
        X : table of n rows
        y : SoftTargets, optional
            Used by encodings that depend on what is to be predicted.
        sample_weight : array of shape (n,), optional

        Raises
        ------
        DataError
            When a column has a type or a value that cannot be encoded.
        """
        frame = as_frame(X)
        weight = np.ones(len(frame)) if sample_weight is None else np.asarray(sample_weight, float)
        self.schema_ = TableSchema.fit(frame)
        self._learn(self.schema_.numbers(frame), self.schema_.codes(frame), weight, y)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table; columns are matched by name.

        Returns
        -------
        array of shape (n, d), float32

        Raises
        ------
        DataError
            When a column is missing or holds a value of the wrong type.
        """
        check_is_fitted(self)
        frame = as_frame(X)
        self.schema_.require(frame)
        parts = (frame.iloc[i : i + _CHUNK] for i in range(0, max(len(frame), 1), _CHUNK))
        blocks = (self.encode(self.schema_.numbers(p), self.schema_.codes(p)) for p in parts)
        first = next(blocks)
        if len(first) == len(frame):
            return first
        out = np.empty((len(frame), first.shape[1]), dtype=first.dtype)
        out[: len(first)] = first
        for i, block in enumerate(blocks, 1):
            out[i * _CHUNK : i * _CHUNK + len(block)] = block
        return out

    def _learn(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> None:
        raise TypeError(f"{type(self).__name__} must define _learn")

    def encode(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Encode the blocks that `TableSchema.numbers` and `TableSchema.codes` return."""
        raise TypeError(f"{type(self).__name__} must define encode")

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns, such as ``age`` or ``workclass=Private``."""
        check_is_fitted(self)
        return np.array(self.names_, dtype=object)

    def _positions(self, kind: str) -> list[int]:
        """Positions in the table of its categorical, or of its other columns."""
        categorical = kind == "categorical"
        return [
            i
            for i, c in enumerate(self.schema_.columns)
            if (c.kind == "categorical") == categorical
        ]


class StandardEncoder(Encoder):
    """Standardised numbers, one-hot categories, missing values marked in columns of their own.

    A missing number becomes the mean (0 after scaling). Categories in fewer than
    ``min_frequency`` rows share one column "other", which unseen categories fall into as well;
    where there is no such column, an unseen category is encoded like a missing one.

    Parameters
    ----------
    min_frequency : int, default=10
        Fewest training rows for a category to have a column of its own.
    max_categories : int, default=100
        Most columns of one raw column; the commonest categories win.
    """

    def __init__(self, *, min_frequency: int = 10, max_categories: int = 100) -> None:
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def _learn(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> None:
        self.mean_, self.scale_ = _moments(numbers, weight)
        self.missing_ = np.flatnonzero(np.isnan(numbers).any(axis=0))
        names = [c.name for c in self.schema_.numeric]
        owners = self._positions("numeric")
        self.names_ = names + [f"{names[j]} is missing" for j in self.missing_]
        owners += [owners[j] for j in self.missing_]
        #: For each categorical column, the output column of each category; the last two entries
        #: are for unseen and missing values; -1 stands for "no column": all zeros.
        self.slots_: list[np.ndarray] = []
        width = 0
        for j, position in enumerate(self._positions("categorical")):
            slots, labels = self._slots(codes[:, j], self.schema_.columns[position].categories)
            self.slots_.append(np.where(slots >= 0, slots + width, -1))
            width += len(labels)
            self.names_ += [f"{self.schema_.columns[position].name}={label}" for label in labels]
            owners += [position] * len(labels)
        self.one_hot_width_ = width
        self.owners_ = np.array(owners, dtype=np.int64)

    def _slots(self, codes: np.ndarray, keys: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
        counts = np.bincount(codes[codes >= 0], minlength=len(keys))
        order = np.argsort(-counts, kind="stable")
        common = [k for k in order[: self.max_categories] if counts[k] >= self.min_frequency]
        if not common and len(keys):
            common = [order[0]]
        slots = np.full(len(keys) + 2, -1, dtype=np.int64)
        labels = [keys[k] for k in sorted(common)]
        slots[sorted(common)] = np.arange(len(common))
        if len(common) < len(keys):
            rare = [k for k in range(len(keys)) if slots[k] < 0]
            slots[rare] = slots[-2] = len(labels)
            labels.append("(other)")
        if (codes == -1).any():
            slots[-1] = len(labels)
            if slots[-2] < 0:
                slots[-2] = slots[-1]
            labels.append("(missing)")
        return slots, labels

    def encode(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        n, p = numbers.shape
        out = np.zeros((n, len(self.owners_)), dtype=np.float32)
        np.subtract(numbers, self.mean_, out=out[:, :p])
        out[:, :p] /= self.scale_
        gaps = np.isnan(numbers)
        out[:, :p][gaps] = 0.0
        start = p + len(self.missing_)
        out[:, p:start] = gaps[:, self.missing_]
        rows = np.arange(n)
        for j, slots in enumerate(self.slots_):
            # Codes -2 (unseen) and -1 (missing) index the last two entries.
            column = slots[codes[:, j]]
            hit = column >= 0
            out[rows[hit], start + column[hit]] = 1.0
        return out


class OrdinalEncoder(Encoder):
    """Numbers as they are, and each category as its rank; NaN where missing or unseen.

    Categories are ordered by what is to be predicted: by the mean target in regression and with
    two classes (for which such an order contains the best split: Breiman et al. 1984), by the
    first principal axis of their class frequencies otherwise (Coppersmith, Hong, Hosking 1999).
    Without targets they are in alphabetical order.

    Parameters
    ----------
    shrinkage : float, default=10.0
        Rows of the overall mean that each category's mean is shrunk towards, so that rare
        categories do not end up at the extremes by chance.
    """

    def __init__(self, *, shrinkage: float = 10.0) -> None:
        self.shrinkage = shrinkage

    def _learn(
        self, numbers: np.ndarray, codes: np.ndarray, weight: np.ndarray, y: SoftTargets | None
    ) -> None:
        profile = None if y is None else _profile(y)
        self.ranks_: list[np.ndarray] = []
        for j, column in enumerate(self.schema_.categorical):
            k = len(column.categories)
            order = np.arange(k)
            if profile is not None and k > 2:
                order = self._order(codes[:, j], k, profile, weight)
            # Two more entries for unseen and missing.
            ranks = np.full(k + 2, np.nan, dtype=np.float32)
            ranks[order] = np.arange(k)
            self.ranks_.append(ranks)
        self.names_ = [c.name for c in (*self.schema_.numeric, *self.schema_.categorical)]
        self.owners_ = np.array(
            self._positions("numeric") + self._positions("categorical"), dtype=np.int64
        )

    def _order(
        self, codes: np.ndarray, k: int, profile: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        seen = codes >= 0
        mass = np.bincount(codes[seen], weight[seen], minlength=k)
        sums = np.stack(
            [
                np.bincount(codes[seen], weight[seen] * column[seen], minlength=k)
                for column in profile.T
            ],
            axis=1,
        )
        prior = (weight[:, None] * profile).sum(axis=0) / weight.sum()
        means = (sums + self.shrinkage * prior) / (mass + self.shrinkage)[:, None] - prior
        if means.shape[1] == 1:
            score = means[:, 0]
        else:
            _, _, axes = np.linalg.svd(means * np.sqrt(mass)[:, None], full_matrices=False)
            axis = axes[0]
            # The sign of a singular vector is arbitrary; fix it.
            score = means @ (axis * np.sign(axis[np.abs(axis).argmax()] or 1.0))
        return np.argsort(np.round(score, 12), kind="stable")

    def encode(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        n, p = numbers.shape
        out = np.empty((n, len(self.owners_)), dtype=np.float32)
        out[:, :p] = numbers
        for j, ranks in enumerate(self.ranks_):
            out[:, p + j] = ranks[codes[:, j]]
        return out


ENCODERS: dict[str, type[Encoder]] = {"standard": StandardEncoder, "ordinal": OrdinalEncoder}


def make_encoder(encoder: str | Encoder) -> Encoder:
    """An unfitted encoder from its name, or a clone of the one given.

    Raises
    ------
    ParameterError
        When no encoder has that name, or it is no encoder.
    """
    from sklearn.base import clone

    if not isinstance(encoder, str):
        if not hasattr(encoder, "get_params"):
            raise ParameterError(
                f"encoder={encoder!r} is neither a name ({', '.join(ENCODERS)}) nor an encoder."
            )
        return clone(encoder)
    if encoder not in ENCODERS:
        raise ParameterError(
            f"encoder={encoder!r} is not known; use one of {', '.join(ENCODERS)}."
            + suggest(encoder, ENCODERS)
        )
    return ENCODERS[encoder]()


def _moments(numbers: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each column, missing values left out."""
    mean = np.zeros(numbers.shape[1])
    scale = np.ones(numbers.shape[1])
    for j in range(numbers.shape[1]):
        known = ~np.isnan(numbers[:, j])
        mass = weight[known].sum()
        if not mass > 0:
            continue
        values = numbers[known, j].astype(float)
        mean[j] = (weight[known] * values).sum() / mass
        spread = np.sqrt((weight[known] * (values - mean[j]) ** 2).sum() / mass)
        # A constant column differs from its mean by rounding only.
        if spread > 1e-6 * max(abs(mean[j]), 1e-30):
            scale[j] = spread
    return mean.astype(np.float32), scale.astype(np.float32)


def _profile(targets: SoftTargets) -> np.ndarray:
    """What to predict, as (n, 1) or (n, K): soft where there is a teacher, else the labels."""
    mix = targets.blended(1.0)
    if targets.classes is None:
        return mix[:, None]
    return mix[:, 1:] if mix.shape[1] == 2 else mix


def raw_importances(encoder: Encoder, values: np.ndarray) -> np.ndarray:
    """Sum non-negative importances of encoded columns over each raw column; they sum to 1."""
    out = np.bincount(encoder.owners_, np.abs(values), minlength=len(encoder.schema_.columns))
    total = out.sum()
    return out / total if total > 0 else out
