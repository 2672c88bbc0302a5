"""Linear students: logistic regression on exact soft cross-entropy, and ridge regression."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, lstsq, solve
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.losses import KL
from kdcore.parameters import number, require, whole
from kdcore_sklearn.state import StateMixin

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = [
    "LogisticRegressionStudent",
    "RidgeStudent",
    "make_logistic_regression",
    "make_ridge",
]


#: Most entries of a matrix that is computed with in double precision.
_EXACT = 1_000_000
#: Rows of a chunk.
_ROWS = 8192


class LogisticRegressionStudent(StateMixin, ClassifierStudent):
    """Logistic regression that minimises a distillation loss exactly, by L-BFGS.

    A loss that is not convex (`dist`, `logit_standardization`) is minimised from the solution of
    ``kl`` on, to the minimum next to it.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the L2 penalty, on the scale of scikit-learn's: the objective is
        ``C * sum of losses + ||coef||^2 / 2``. Without a teacher, and with the default loss, it
        is scikit-learn's own.
    fit_intercept : bool, default=True
    max_iter : int, default=500
    tol : float, default=1e-4
        L-BFGS stops when no entry of the mean loss's gradient exceeds it.
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`.

    Attributes
    ----------
    model_ : sklearn.linear_model.LogisticRegression
        The fitted model of the encoded columns, usable on its own.
    coef_, intercept_ : arrays
        Those of ``model_``; columns are named by ``encoder_.get_feature_names_out()``.
    n_iter_ : int
    """

    uses_gradient = True

    def __init__(
        self,
        *,
        C: float = 1.0,
        fit_intercept: bool = True,
        max_iter: int = 500,
        tol: float = 1e-4,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def check_params(self) -> None:
        require(self, C=number(above=0), max_iter=whole(1), tol=number(least=0))

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        # Products of large matrices are twice as fast, and need no copy, in single precision.
        X = Z.astype(np.float64) if Z.size <= _EXACT else Z
        n_classes, d = targets.n_classes, X.shape[1]
        # Two classes need one row of coefficients: the logits are -z/2 and z/2.
        rows = 1 if n_classes == 2 else n_classes
        penalty = 1.0 / (self.C * float(np.sum(targets.sample_weight)))

        def objective(flat: np.ndarray, loss: Loss) -> tuple[float, np.ndarray]:
            weights = flat.reshape(rows, d + 1)
            z = X @ weights[:, :d].T.astype(X.dtype, copy=False) + weights[:, d]
            if rows == 1:
                # Column by column in memory: losses reduce over few classes and many rows.
                z = np.asfortranarray(np.hstack([-z / 2, z / 2]))
            value, grad = loss.value_and_grad(z, targets)
            if rows == 1:
                grad = (grad[:, 1:] - grad[:, :1]) / 2
            out = np.empty_like(weights)
            out[:, :d] = grad.T.astype(X.dtype, copy=False) @ X + penalty * weights[:, :d]
            out[:, d] = grad.sum(axis=0) if self.fit_intercept else 0.0
            return float(value) + penalty / 2 * float((weights[:, :d] ** 2).sum()), out.ravel()

        def minimum(start: np.ndarray, loss: Loss) -> Any:
            return minimize(
                objective,
                start,
                args=(loss,),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": self.max_iter,
                    "gtol": self.tol,
                    "ftol": 64 * np.finfo(float).eps,
                    "maxls": 50,
                },
            )

        start = np.zeros(rows * (d + 1))
        if not getattr(loss, "has_curvature", True):
            # Such losses are not convex and have a kink where all logits are equal, at zero.
            start = minimum(start, KL(alpha=loss.alpha)).x
        result = minimum(start, loss)
        # SciPy's objects refer to each other and to the objective, which would keep the matrix.
        X = np.empty((0, d))
        weights = result.x.reshape(rows, d + 1)
        model = LogisticRegression(
            C=self.C, fit_intercept=self.fit_intercept, max_iter=self.max_iter, tol=self.tol
        )
        model.classes_ = np.asarray(targets.classes)
        model.coef_ = weights[:, :d].copy()
        model.intercept_ = weights[:, d].copy()
        model.n_iter_ = np.array([result.nit], dtype=np.int32)
        model.n_features_in_ = d
        self.model_ = model
        self.n_iter_ = int(result.nit)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(Z.astype(np.float64)))

    def encoded_importances(self) -> np.ndarray:
        """Mean absolute coefficient of each encoded column, which are on one scale."""
        return np.abs(self.model_.coef_).mean(axis=0)

    @property
    def coef_(self) -> np.ndarray:
        return np.asarray(self.model_.coef_)

    @property
    def intercept_(self) -> np.ndarray:
        return np.asarray(self.model_.intercept_)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities."""
        from kdcore.graph import linear_model

        link = "logistic" if len(self.classes_) == 2 else "softmax"
        return linear_model(self.model_.coef_, self.model_.intercept_, link=link)


class RidgeStudent(StateMixin, RegressorStudent):
    """Ridge regression fitted to ``alpha * teacher + (1 - alpha) * label``.

    Parameters
    ----------
    l2 : float, default=1.0
        The penalty, called ``alpha`` in scikit-learn; here ``alpha`` is the teacher's share.
    fit_intercept : bool, default=True
    alpha, temperature, loss, encoder, features
        See `kdcore.RegressorStudent`.

    Attributes
    ----------
    model_ : sklearn.linear_model.Ridge
        The fitted model of the encoded columns, usable on its own.
    coef_ : array of shape (d,)
    intercept_ : float
    """

    def __init__(
        self,
        *,
        l2: float = 1.0,
        fit_intercept: bool = True,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def check_params(self) -> None:
        require(self, l2=number(least=0))

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        model = Ridge(alpha=self.l2, fit_intercept=self.fit_intercept, solver="cholesky")
        model.coef_, model.intercept_ = _solve(
            Z, loss.blend(targets), targets.sample_weight, self.l2, self.fit_intercept
        )
        model.n_features_in_, model.n_iter_, model.solver_ = Z.shape[1], None, "cholesky"
        self.model_ = model

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(self.model_.predict(Z.astype(np.float64)))

    def encoded_importances(self) -> np.ndarray:
        """Absolute coefficients of the encoded columns, which are on one scale."""
        return np.abs(self.model_.coef_)

    @property
    def coef_(self) -> np.ndarray:
        return np.asarray(self.model_.coef_)

    @property
    def intercept_(self) -> float:
        return float(self.model_.intercept_)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to values."""
        from kdcore.graph import linear_model

        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


def _solve(
    Z: np.ndarray, y: np.ndarray, weight: np.ndarray, l2: float, fit_intercept: bool
) -> tuple[np.ndarray, float]:
    """Coefficients and intercept of ridge regression, from sums over chunks of rows.

    scikit-learn's own fit would hold the whole encoded table in double precision.
    """
    d = Z.shape[1]
    total = float(weight.sum())
    mean = np.zeros(d)
    middle = 0.0
    if fit_intercept:
        mean = sum(weight[rows] @ Z[rows] for rows in _chunks(len(Z))) / total
        middle = float(weight @ y) / total
    gram, right = np.zeros((d, d)), np.zeros(d)
    for rows in _chunks(len(Z)):
        centred = Z[rows] - mean
        scaled = centred * weight[rows, None]
        gram += scaled.T @ centred
        right += scaled.T @ (y[rows] - middle)
    gram[np.diag_indices(d)] += l2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            coef = solve(gram, right, assume_a="pos")
    except (LinAlgError, LinAlgWarning):
        # Without a penalty, columns may be sums of others.
        coef = lstsq(gram, right)[0]
    return coef, middle - float(mean @ coef)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, n, _ROWS))


def make_logistic_regression(task: str) -> LogisticRegressionStudent:
    """Factory of the spec ``logistic_regression``."""
    return LogisticRegressionStudent()


def make_ridge(task: str) -> RidgeStudent:
    """Factory of the spec ``ridge``."""
    return RidgeStudent()
