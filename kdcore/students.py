"""Base classes of students: three ways to call ``fit`` become one method that a plugin writes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
)

from kdcore.encoders import Encoder, make_encoder, raw_importances
from kdcore.errors import DataError, ParameterError, suggest
from kdcore.inputs import RawTables, labels_of, table_of, weights_of
from kdcore.loss_choice import make_loss
from kdcore.losses import Loss
from kdcore.targets import SoftTargets, encode_labels

__all__ = [
    "ClassifierStudent",
    "RegressorStudent",
    "Student",
    "labels_of",
    "table_of",
    "weights_of",
]


class Student(RawTables, BaseEstimator):
    """What all students share. Derive from `ClassifierStudent` or `RegressorStudent` instead.

    A subclass has at least the constructor parameters below, stores them untouched, and writes

    ``fit_encoded(Z, targets, loss)``
        Fit to encoded rows ``Z`` (n, d) float32 and `SoftTargets`, every row of positive weight.
    ``predict_encoded(Z)``
        Class probabilities (n, K), or values (n,).
    ``check_params()``
        Optional: raises `ParameterError` for values that cannot be used. It is called before a
        teacher is fitted, and by ``fit``; see `kdcore.parameters` for rules.
    ``encoded_importances()``
        Optional: non-negative importances (d,) of the encoded columns.
    ``to_onnx()``
        Optional: an ONNX model from ``Z`` to what ``predict_encoded`` returns (see `kdcore.graph`).

    Parameters
    ----------
    alpha : float
        Share of the teacher in the loss, in [0, 1]; unused where there is no teacher.
    temperature : float
        Softens both sides of the loss, where the loss and the student can use it.
    loss : str or callable or None
        Name of a loss, or ``loss(alpha=..., temperature=...)``. None: ``"kl"``, or ``"blend"``
        in regression.
    encoder : str or Encoder
        How raw columns become the student's input.
    features : list of str or None
        Raw columns the student may read; None for all.

    Attributes
    ----------
    encoder_ : Encoder
    selected_features_ : list of str
        The raw columns that are read; no other is ever looked at.
    """

    #: Whether the student minimises the loss itself; else it is fitted to ``loss.blend``.
    uses_gradient = False
    #: Whether it also divides by ``loss.hessian_bound``, as boosters do.
    uses_curvature = False
    #: Whether it trains step by step, and asks for ``loss.at(progress)`` on the way.
    uses_steps = False
    #: Names of fitted attributes, ``encoder_`` among them, that what ``state()`` writes gives back,
    #: so that a bundle need not hold them again; see `kdcore.native`.
    state_holds: tuple[str, ...] = ()

    alpha: float
    temperature: float
    loss: Any
    encoder: Any
    features: Any

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        """Fit to encoded rows; see the class."""
        raise TypeError(f"{type(self).__name__} must define fit_encoded(Z, targets, loss)")

    def check_params(self) -> None:
        """Refuse parameter values that cannot be used; see the class."""

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """Predict encoded rows; see the class."""
        raise TypeError(f"{type(self).__name__} must define predict_encoded(Z)")

    def _fit(self, handed: list[Any], targets: SoftTargets) -> None:
        """Encode the one frame in a list, take it out of there, and fit."""
        frame = handed.pop()
        if len(targets) != len(frame):
            raise DataError(
                f"the table has {len(frame)} rows but the targets have {len(targets)}; "
                "inconsistent numbers of samples."
            )
        self.check_params()
        keep = np.asarray(targets.sample_weight) > 0
        if not keep.all():
            frame, targets = frame.loc[keep], targets.take(keep)
        loss = make_loss(
            self.loss,
            alpha=self.alpha,
            temperature=self.temperature,
            task=targets.task,
            n_classes=targets.n_classes,
            gradient=self.uses_gradient,
            curvature=self.uses_curvature,
            steps=self.uses_steps,
        )
        if not getattr(loss, "uses_teacher", True):
            frame, targets = _labelled(frame, targets, loss)
        self.selected_features_ = self._chosen(list(map(str, frame.columns)))
        self._all_features = list(map(str, frame.columns))
        encoder: Encoder = make_encoder(self.encoder)
        # With alpha = 0 nothing may come from the teacher, the order of categories included.
        ignored = loss.alpha == 0 and not targets.unlabeled.any()
        guide = targets.plain() if ignored else targets
        # Choosing columns of a frame copies them, all of them too.
        whole = len(self.selected_features_) == len(self._all_features)
        read = frame if whole else frame[self.selected_features_]
        encoder.fit(read, guide, targets.sample_weight)
        del read
        self.encoder_ = encoder
        prepare = getattr(loss, "prepared", None)
        ready = loss if prepare is None else prepare(targets)
        Z = self._encode(frame)
        del frame
        self.fit_encoded(Z, targets, ready)

    def _encode(self, frame: Any) -> np.ndarray:
        """The encoded training rows; a student may keep those of large tables on disk."""
        return np.asarray(self.encoder_.transform(frame))

    def _chosen(self, names: list[str]) -> list[str]:
        if self.features is None:
            return names
        wanted = [str(f) for f in self.features]
        unknown = [f for f in wanted if f not in names]
        if unknown:
            raise ParameterError(
                f"features: the table has no column {unknown[0]!r}." + suggest(unknown[0], names)
            )
        if not wanted:
            raise ParameterError("features is empty; name at least one column, or use None.")
        return [n for n in names if n in set(wanted)]

    def _predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.predict_encoded(self.encoder_.transform(table_of(self, X, reset=False)))

    def get_support(self, indices: bool = False) -> np.ndarray:
        """Mask (or positions) of the raw columns that the student reads."""
        check_is_fitted(self)
        chosen = set(self.selected_features_)
        mask = np.array([n in chosen for n in self._all_features])
        return np.flatnonzero(mask) if indices else mask

    def get_selected_features(self) -> list[str]:
        """Names of the raw columns that the student reads."""
        check_is_fitted(self)
        return list(self.selected_features_)

    @property
    def feature_importances_(self) -> np.ndarray:
        """Importance of each raw column, (p,), summing to 1; 0 for columns that are not read."""
        check_is_fitted(self)
        if not hasattr(self, "encoded_importances"):
            raise AttributeError(f"{type(self).__name__} does not tell importances")
        values = raw_importances(self.encoder_, self.encoded_importances())
        by_name = dict(zip(self.encoder_.schema_.names, values, strict=True))
        return np.array([by_name.get(n, 0.0) for n in self._all_features])

    def get_feature_importance(self) -> dict[str, float]:
        """Importance of each raw column by name, the largest first."""
        values = self.feature_importances_
        order = np.argsort(-values, kind="stable")
        return {self._all_features[i]: float(values[i]) for i in order}


class ClassifierStudent(ClassifierMixin, Student):
    """A student that classifies: ``predict_encoded`` returns probabilities (n, K)."""

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, teacher_proba: Any = None
    ) -> ClassifierStudent:
        """Fit to labels, to labels and teacher probabilities, or to `SoftTargets`.

        Parameters
        ----------
        X : table or array of shape (n, p)
        y : array of shape (n,), or SoftTargets
        sample_weight : array of shape (n,), optional
            Not with `SoftTargets`, which hold their own.
        teacher_proba : array of shape (n, K), optional
            Columns in the order of the sorted labels.

        Raises
        ------
        DataError
            When rows, classes or values do not fit.
        ParameterError
            When a parameter cannot be used.
        """
        frame = table_of(self, X, reset=True)
        if isinstance(y, SoftTargets):
            targets = _given(y, sample_weight, teacher_proba, regression=False)
        else:
            y = labels_of(y, len(frame), classes=True)
            weight = weights_of(sample_weight, frame)
            classes = np.unique(y if weight is None else y[weight > 0])
            if weight is not None:
                # A class that only has rows of weight 0 is as good as absent.
                inside = np.isin(y, classes)
                frame, y, weight = frame.loc[inside], y[inside], weight[inside]
                if teacher_proba is not None:
                    teacher_proba = np.asarray(teacher_proba)[inside]
            targets = SoftTargets(
                labels=encode_labels(y, classes),
                teacher=teacher_proba,
                sample_weight=weight,
                classes=classes,
                provenance="none" if teacher_proba is None else "given",
            )
        if targets.n_classes < 2:
            raise DataError("only one class is present; a classifier needs at least two classes.")
        self.classes_ = np.asarray(targets.classes)
        # The caller's table is let go before the model is fitted, if nobody else holds it.
        handed = [frame]
        del X, frame
        self._fit(handed, targets)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K); columns follow ``classes_`` and rows sum to 1."""
        proba = self._predict(X)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        best = self._predict(X).argmax(axis=1)
        return self.classes_[best]


class RegressorStudent(RegressorMixin, Student):
    """A student that predicts numbers: ``predict_encoded`` returns values (n,)."""

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, teacher_output: Any = None
    ) -> RegressorStudent:
        """Fit to labels, to labels and a teacher's output, or to `SoftTargets`.

        Parameters
        ----------
        X : table or array of shape (n, p)
        y : array of shape (n,), or SoftTargets
        sample_weight : array of shape (n,), optional
            Not with `SoftTargets`, which hold their own.
        teacher_output : array of shape (n,), optional
            What the teacher predicts for these rows.

        Raises
        ------
        DataError
            When rows or values do not fit.
        ParameterError
            When a parameter cannot be used.
        """
        frame = table_of(self, X, reset=True)
        if isinstance(y, SoftTargets):
            targets = _given(y, sample_weight, teacher_output, regression=True)
        else:
            values = check_array(labels_of(y, len(frame)), ensure_2d=False, dtype=np.float64)
            targets = SoftTargets(
                labels=values,
                teacher=teacher_output,
                sample_weight=weights_of(sample_weight, frame),
                provenance="none" if teacher_output is None else "given",
            )
        # The caller's table is let go before the model is fitted, if nobody else holds it.
        handed = [frame]
        del X, frame
        self._fit(handed, targets)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predicted values, (n,)."""
        return self._predict(X)


def _labelled(frame: Any, targets: SoftTargets, loss: Loss) -> tuple[Any, SoftTargets]:
    """The rows with a label, without the teacher: all that a baseline may learn from."""
    known = ~targets.unlabeled
    if not known.any():
        raise DataError(
            f"the loss {type(loss).__name__} learns from labels alone, and no row has one; use a "
            "loss that listens to the teacher, such as 'kl', or give labels."
        )
    return frame.loc[known], targets.plain()


def _given(targets: SoftTargets, weight: Any, teacher: Any, *, regression: bool) -> SoftTargets:
    if weight is not None or teacher is not None:
        raise ParameterError(
            "SoftTargets hold row weights and teacher outputs themselves; do not pass "
            "sample_weight or a teacher's outputs beside them."
        )
    if regression != (targets.classes is None):
        wanted = "regression" if regression else "classification"
        raise ParameterError(f"these SoftTargets are for {targets.task}, not for {wanted}.")
    return targets
