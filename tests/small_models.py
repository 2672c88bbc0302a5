"""Small students and teachers that need no plugin, for the tests of the core."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from kdcore import ClassifierStudent, ClassifierTeacher, Loss, RegressorStudent, SoftTargets
from kdcore.targets import softmax

__all__ = [
    "LeastSquaresStudent",
    "Memory",
    "RegressionTreeStudent",
    "SoftmaxStudent",
    "TreeStudent",
    "WeightlessTeacher",
    "WholeTableTeacher",
]


class SoftmaxStudent(ClassifierStudent):
    """A gradient student: linear logits with a penalty, fitted to any loss by L-BFGS."""

    uses_gradient = True

    def __init__(
        self,
        *,
        penalty: float = 1.0,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        rows = np.hstack([Z.astype(float), np.ones((len(Z), 1))])
        shape = (rows.shape[1], targets.n_classes)
        penalty = np.full((shape[0], 1), self.penalty / targets.sample_weight.sum())
        penalty[-1] = 0

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(shape)
            value, grad = loss.value_and_grad(rows @ weights, targets)
            slope = rows.T @ grad + penalty * weights
            return value + 0.5 * (penalty * weights**2).sum(), slope.ravel()

        found = minimize(
            objective,
            np.zeros(shape).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": 1e-8, "ftol": 1e-14, "maxiter": 1000},
        )
        self.weights_ = found.x.reshape(shape)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return softmax(Z.astype(float) @ self.weights_[:-1] + self.weights_[-1])

    def encoded_importances(self) -> np.ndarray:
        return np.abs(self.weights_[:-1]).mean(axis=1)


class TreeStudent(ClassifierStudent):
    """A target-only student: one multi-output tree on the simplex."""

    def __init__(
        self,
        *,
        max_depth: int | None = 6,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.max_depth = max_depth
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self.model_ = DecisionTreeRegressor(max_depth=self.max_depth, random_state=0)
        self.model_.fit(Z, loss.blend(targets), sample_weight=targets.sample_weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self.model_.predict(Z)


class LeastSquaresStudent(RegressorStudent):
    """A linear student for regression."""

    def __init__(
        self,
        *,
        l2: float = 1.0,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.l2 = l2
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self.model_ = Ridge(alpha=self.l2)
        self.model_.fit(Z.astype(float), loss.blend(targets), sample_weight=targets.sample_weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self.model_.predict(Z.astype(float))

    def encoded_importances(self) -> np.ndarray:
        return np.abs(self.model_.coef_)


class RegressionTreeStudent(RegressorStudent):
    """A tree for regression."""

    def __init__(
        self,
        *,
        max_depth: int | None = 6,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.max_depth = max_depth
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self.model_ = DecisionTreeRegressor(max_depth=self.max_depth, random_state=0)
        self.model_.fit(Z, loss.blend(targets), sample_weight=targets.sample_weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self.model_.predict(Z)


class WholeTableTeacher(ClassifierTeacher):
    """A teacher on the core's base class, which reads categories and gaps."""

    def __init__(self, *, random_state: int | None = 0, n_jobs: int | None = 1) -> None:
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.seen_ = frame
        self.model_ = LogisticRegression(max_iter=1000).fit(_plain_numbers(frame), y, sample_weight)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return self.model_.predict_proba(_plain_numbers(frame))


def _plain_numbers(frame: Any) -> np.ndarray:
    columns = [c.cat.codes if c.dtype == "category" else c.fillna(0) for _, c in frame.items()]
    return np.stack([np.asarray(c, dtype=float) for c in columns], axis=1)


class Memory(ClassifierMixin, BaseEstimator):
    """Knows the label of every row it was fitted on by the first column, a row number.

    Of any other row it says that each class is equally likely. So its labels tell, row by row,
    whether they came from a teacher that had seen that row.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Memory:
        self.classes_ = np.unique(y)
        ids = np.asarray(X)[:, 0].astype(int)
        self.known_ = dict(zip(ids.tolist(), np.searchsorted(self.classes_, y), strict=True))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        k = len(self.classes_)
        eye = np.eye(k)
        ids = np.asarray(X)[:, 0].astype(int).tolist()
        return np.array(
            [eye[self.known_[i]] if i in self.known_ else np.full(k, 1 / k) for i in ids]
        )

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class WeightlessTeacher(ClassifierMixin, BaseEstimator):
    """Does not take ``sample_weight``."""

    def fit(self, X: Any, y: Any) -> WeightlessTeacher:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.prior_ = counts / counts.sum()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.tile(self.prior_, (len(X), 1))

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
