"""`Encoder`: the base of the student encoders, and what is common to all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kdcore.errors import ParameterError
from kdcore.schema import TableSchema, as_frame
from kdcore.targets import SoftTargets

__all__ = ["Encoder", "raw_importances"]


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
    partners_ : int array of shape (d,)
        The same, except in columns that are made of two raw columns: there, the second one.
    """

    #: Whether `fit` looks at ``SoftTargets.structure``, which takes a fitted teacher.
    uses_structure: ClassVar[bool] = False
    #: Least value of each parameter that is a whole number.
    _counts: ClassVar[Mapping[str, int]] = {}

    def check_parameters(self) -> None:
        """Refuse parameters that cannot be used, before there are any rows.

        Raises
        ------
        ParameterError
            Naming the parameter.
        """
        for name, least in self._counts.items():
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or value < least:
                raise ParameterError(
                    f"the encoder's {name}={value!r} must be a whole number of at least {least}."
                )

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
        ParameterError
            When a parameter of the encoder cannot be used.
        """
        self.check_parameters()
        frame = as_frame(X)
        weight = np.ones(len(frame)) if sample_weight is None else np.asarray(sample_weight, float)
        schema = TableSchema.fit(frame)
        self.learn_blocks(schema, schema.numbers(frame), schema.codes(frame), weight, y)
        return self

    def learn_blocks(
        self,
        schema: TableSchema,
        numbers: np.ndarray,
        codes: np.ndarray,
        weight: np.ndarray,
        y: SoftTargets | None,
    ) -> None:
        """Learn the encoding from what `TableSchema.numbers` and `TableSchema.codes` return."""
        self.schema_ = schema
        self.__dict__.pop("partners_", None)
        self._learn(numbers, codes, weight, y)
        if not hasattr(self, "partners_"):
            self.partners_ = self.owners_

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


def raw_importances(encoder: Encoder, values: np.ndarray) -> np.ndarray:
    """Sum non-negative importances of encoded columns over each raw column; they sum to 1.

    An encoded column that is made of two raw columns counts half for each.
    """
    share, p = np.abs(values) / 2, len(encoder.schema_.columns)
    out = np.zeros(p)
    partners = getattr(encoder, "partners_", encoder.owners_)
    for owners in (encoder.owners_, partners):
        out += np.bincount(np.asarray(owners), share, minlength=p)
    total = out.sum()
    return out / total if total > 0 else out
