"""Least-squares support vector machines in closed form, and what they predict for left-out rows.

For any number of outputs there is one factorisation, and from it follow the exact predictions for
every row of a machine that was fitted without this row: probabilities can be calibrated on all
rows without fitting again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack
from scipy.optimize import minimize

from kdcore import SoftTargets
from kdcore.losses import KL

__all__ = ["COSTS", "Calibration", "best_cost", "calibrate", "rbf", "solve_dual", "solve_primal"]

#: What ``C="auto"`` chooses from.
COSTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_CHUNK = 4096
#: Strength of the prior by which each class is calibrated on its own margin only.
_PRIOR = 3.0

#: From margins (n, k) to logits (n, K): coefficients (k, K) and intercept (K,).
Calibration = tuple[np.ndarray, np.ndarray]


def rbf(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    """``exp(-gamma * ||a - b||^2)`` for all pairs of rows, in float64."""
    A, B = A.astype(np.float64), B.astype(np.float64)
    out = A @ (2 * gamma * B.T)
    out -= gamma * (A * A).sum(axis=1)[:, None]
    out -= gamma * (B * B).sum(axis=1)
    np.minimum(out, 0.0, out=out)
    return np.exp(out, out=out)


def solve_dual(
    K: np.ndarray, Y: np.ndarray, weight: np.ndarray, cost: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise ``cost * sum of weighted squared errors + ||f||^2`` over a kernel's functions.

    Parameters
    ----------
    K : array of shape (n, n)
        The kernel; it is overwritten.
    Y : array of shape (n, k)
        Centred targets.
    weight : array of shape (n,)
    cost : float

    Returns
    -------
    coef : array of shape (n, k)
        The function is ``K @ coef``.
    left_out : array of shape (n, k)
        Predictions for each row by the function that is fitted without it.

    Paper: Cawley, Talbot 2004 (fast exact leave-one-out of least-squares machines).
    """
    K[np.diag_indices_from(K)] += 1 / (cost * weight)
    factor, _ = cho_factor(K, lower=True, overwrite_a=True, check_finite=False)
    coef = cho_solve((factor, True), Y, check_finite=False)
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    return coef, Y - coef / np.diag(inverse)[:, None]


def solve_primal(
    features: Callable[[np.ndarray], np.ndarray],
    Z: np.ndarray,
    Y: np.ndarray,
    weight: np.ndarray,
    cost: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The same over the linear functions of explicit features, whatever the number of rows.

    Parameters
    ----------
    features : callable
        From rows (m, d) to features (m, p); called on a few thousand rows at a time.
    Z : array of shape (n, d)
    Y : array of shape (n, k)
    weight : array of shape (n,)
    cost : float

    Returns
    -------
    coef : array of shape (p, k)
    left_out : array of shape (n, k)
    """
    gram = right = None
    for part in _chunks(len(Z)):
        F = features(Z[part])
        scaled = F * weight[part, None]
        add = (scaled.T @ F, scaled.T @ Y[part])
        gram, right = add if gram is None else (gram + add[0], right + add[1])
    assert gram is not None
    gram[np.diag_indices_from(gram)] += 1 / cost
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    coef = cho_solve(factor, right, check_finite=False)
    left_out = np.empty_like(Y)
    for part in _chunks(len(Z)):
        F = features(Z[part])
        leverage = weight[part] * np.einsum("ij,ji->i", F, cho_solve(factor, F.T))
        error = (Y[part] - F @ coef) / np.maximum(1 - leverage, 1e-9)[:, None]
        left_out[part] = Y[part] - error
    return coef, left_out


def best_cost(
    K: np.ndarray, Y: np.ndarray, weight: np.ndarray, costs: Sequence[float] = COSTS
) -> tuple[float, float]:
    """The smallest squared error on left-out rows, and the cost that has it.

    One eigendecomposition serves all of them; parameters are those of `solve_dual`.
    """
    root = np.sqrt(weight)[:, None]
    values, vectors = np.linalg.eigh(root * K * root.T)
    turned, squares = vectors.T @ (root * Y), vectors**2
    errors = []
    for cost in costs:
        shrunk = 1 / (np.maximum(values, 0) + 1 / cost)
        residual = (vectors @ (shrunk[:, None] * turned)) / (squares @ shrunk)[:, None]
        # Residuals of scaled rows: the weights are in there already.
        errors.append(float((residual**2).sum()))
    return min(zip(errors, costs, strict=True))


def calibrate(margins: np.ndarray, blend: np.ndarray, weight: np.ndarray) -> Calibration:
    """The linear map from margins to logits with the smallest cross-entropy to soft labels.

    It is Platt's scaling for two classes. For more, each logit may use the margins of other
    classes, but a prior holds it to its own.

    Parameters
    ----------
    margins : array of shape (n, k)
        Of left-out rows; k is 1 for two classes, else K.
    blend : array of shape (n, K)
        Soft labels, rows summing to 1.
    weight : array of shape (n,)

    Papers: Platt 1999; Kull et al. 2019 (Dirichlet calibration), arXiv:1910.12656.
    """
    n_classes, k = blend.shape[1], margins.shape[1]
    unlabeled = np.full(len(blend), -1)
    classes = np.arange(n_classes)
    targets = SoftTargets(labels=unlabeled, teacher=blend, sample_weight=weight, classes=classes)
    loss, prior = KL(alpha=1.0), _PRIOR / float(weight.sum())
    own = np.array([[-0.5, 0.5]]) if k == 1 else np.eye(k)

    def logits(flat: np.ndarray) -> Calibration:
        if k == 1:
            return flat[0] * own, flat[1] * own[0]
        # One slope for all classes, a free part that the prior keeps small, and intercepts.
        return flat[0] * own + flat[1 : 1 + k * k].reshape(k, k), flat[1 + k * k :]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coef, intercept = logits(flat)
        z = margins @ coef + intercept
        value, grad = loss.value_and_grad(z, targets)
        by_coef, by_intercept = margins.T @ grad, grad.sum(axis=0)
        if k == 1:
            return float(value), np.array([(by_coef * own).sum(), (by_intercept * own).sum()])
        free = flat[1 : 1 + k * k]
        slopes = by_coef.ravel() + prior * free
        out = np.concatenate([[(by_coef * own).sum()], slopes, by_intercept])
        return float(value) + prior / 2 * float(free @ free), out

    start = np.array([2.0, 0.0]) if k == 1 else np.r_[2.0, np.zeros(k * k + k)]
    options = {"maxiter": 300, "gtol": 1e-6}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return logits(result.x)


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, _CHUNK):
        yield slice(start, min(start + _CHUNK, n))
