"""Support vector machine students: margins fitted to soft labels, calibrated on left-out rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.errors import KDWarning
from kdcore.parameters import number, one_of, require, seed, whole
from kdcore.targets import softmax
from kdcore_sklearn.least_squares import COSTS, best_cost, calibrate, rbf, solve_dual, solve_primal
from kdcore_sklearn.rows import merge_rows
from kdcore_sklearn.state import StateMixin

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["SVMStudentClassifier", "SVMStudentRegressor", "make"]

_KERNELS = ("rbf", "linear")
#: Rows on which "auto" is decided, and the multiples of "scale" that are tried for gamma.
_TRIED, _WIDTHS = 1000, (0.25, 0.5, 1.0, 2.0)


class _SVMStudent(StateMixin):
    """Constructor, machine and export that both students share.

    The machine is a least-squares support vector machine: squared error instead of the hinge,
    so that soft labels are fitted as they are, all classes at once, in closed form. scikit-learn's
    ``SVC`` takes labels only; fed with weighted copies of each row for each class it is slower,
    larger, and worse than on plain labels.

    Parameters
    ----------
    kernel : {{"rbf", "linear"}}, default="rbf"
    C : float or "auto", default="auto"
        Inverse of the penalty, as in scikit-learn: ``C * sum of squared errors + ||f||^2``.
        "auto" takes the best for left-out rows, by an exact formula, on up to 1000 rows.
    gamma : float, "auto" or "scale", default="auto"
        Width of the kernel "rbf", ``exp(-gamma * ||a - b||^2)``. "scale" is
        ``1 / (columns * variance)`` of the encoded columns; "auto" takes the best of four around
        it, together with ``C``.
    max_kernel_rows : int, default=5000
        Most rows for the exact kernel "rbf", whose time grows with their cube and whose memory
        with their square (200 MB). Beyond, a warning is given and the kernel is approximated by
        ``n_landmarks`` rows (Nystroem), with a linear machine on top.
    n_landmarks : int, default=1000
    random_state : int, default=0
        Draws landmarks, and the rows for ``C="auto"``.
    alpha, temperature, loss, encoder, features
        See `kdcore.{base}`.

    Attributes
    ----------
    model_ : sklearn.kernel_ridge.KernelRidge, sklearn.linear_model.Ridge or Pipeline
        The machine of the encoded columns: exact kernel, linear kernel, or Nystroem's
        approximation; it predicts margins less ``offset_``.
    offset_ : array of shape (k,)
    C_, gamma_ : float
        What "auto" and "scale" stand for.{attributes}

    Papers: Suykens, Vandewalle 1999 (least-squares support vector machine classifiers);
    Cawley, Talbot 2004 (exact leave-one-out); Williams, Seeger 2001 (Nystroem).
    """

    encoder_: Any
    model_: Any

    def __init__(
        self,
        *,
        kernel: str = "rbf",
        C: float | str = "auto",
        gamma: float | str = "auto",
        max_kernel_rows: int = 5000,
        n_landmarks: int = 1000,
        random_state: Any = 0,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.max_kernel_rows = max_kernel_rows
        self.n_landmarks = n_landmarks
        self.random_state = random_state
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def _machine(self, Z: np.ndarray, Y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Fit the machine to targets (n, k); returns predictions for left-out rows."""
        draw = self.random_state
        if hasattr(draw, "randint"):
            draw = int(draw.randint(2**31 - 1))
        self.offset_ = np.average(Y, axis=0, weights=weight)
        Y = Y - self.offset_
        some = np.random.default_rng(draw).permutation(len(Z))[:_TRIED]
        self.C_, self.gamma_ = self._choose(Z, some, Y[some], weight[some])
        if self.kernel == "linear":
            coef, left_out = solve_primal(_wide, Z, Y, weight, self.C_)
            self.model_ = _ridge(coef, self.C_)
        elif len(Z) <= self.max_kernel_rows:
            coef, left_out = solve_dual(rbf(Z, Z, self.gamma_), Y, weight, self.C_)
            model = KernelRidge(alpha=1 / self.C_, kernel="rbf", gamma=self.gamma_)
            model.X_fit_, model.dual_coef_, model.n_features_in_ = Z, coef, Z.shape[1]
            self.model_ = model
        else:
            landmarks = min(self.n_landmarks, len(Z))
            warnings.warn(
                f"{len(Z)} rows are more than max_kernel_rows={self.max_kernel_rows}, so the RBF "
                f"kernel of the student svm is approximated by {landmarks} of them (Nystroem); "
                "raise max_kernel_rows for the exact kernel, or use kernel='linear'.",
                KDWarning,
                stacklevel=2,
            )
            nystroem = Nystroem(
                kernel="rbf", gamma=self.gamma_, n_components=landmarks, random_state=draw
            ).fit(Z)
            turn = nystroem.normalization_.T.astype(np.float64)
            near = nystroem.components_
            coef, left_out = solve_primal(
                lambda part: rbf(part, near, self.gamma_) @ turn, Z, Y, weight, self.C_
            )
            self.model_ = Pipeline([("nystroem", nystroem), ("ridge", _ridge(coef, self.C_))])
        return left_out + self.offset_

    def _choose(
        self, Z: np.ndarray, some: np.ndarray, Y: np.ndarray, weight: np.ndarray
    ) -> tuple[float, float]:
        """C and gamma, by the errors on some left-out rows where they are not given."""
        spread = float(Z.var())
        scale = 1 / (Z.shape[1] * spread) if spread > 0 else 1.0
        widths = [scale] if isinstance(self.gamma, str) else [float(self.gamma)]
        if self.gamma == "auto" and self.kernel == "rbf":
            widths = [scale * width for width in _WIDTHS]
        costs = COSTS if isinstance(self.C, str) else (float(self.C),)
        if len(widths) == len(costs) == 1:
            return costs[0], widths[0]
        Z = Z[some]
        tried = []
        for width in widths:
            kernel = _wide(Z) @ _wide(Z).T if self.kernel == "linear" else rbf(Z, Z, width)
            tried.append((*best_cost(kernel, Y, weight, costs), width))
        _, cost, width = min(tried)
        return cost, width

    def _expansion(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (m, d) and coefficients (m, k) of the kernel's machine."""
        if isinstance(self.model_, KernelRidge):
            return self.model_.X_fit_, self.model_.dual_coef_
        nystroem, ridge = self.model_.named_steps.values()
        return nystroem.components_, nystroem.normalization_.T.astype(np.float64) @ ridge.coef_.T

    def _margins(self, Z: np.ndarray) -> np.ndarray:
        """What the machine says of encoded rows, (n, k)."""
        if self.kernel == "linear":
            return _wide(Z) @ self.model_.coef_.T + self.offset_
        centers, coef = self._expansion()
        parts = [
            rbf(Z[start : start + 1024], centers, self.gamma_) @ coef
            for start in range(0, len(Z), 1024)
        ]
        return np.concatenate(parts) + self.offset_

    def _onnx(self, turn: np.ndarray, shift: np.ndarray, link: str) -> Any:
        """ONNX model of ``link(margins @ turn + shift)``."""
        from kdcore.graph import kernel_model, linear_model

        shift = self.offset_ @ turn + shift
        if self.kernel == "linear":
            return linear_model((self.model_.coef_.T @ turn).T, shift, link=link)
        centers, coef = self._expansion()
        return kernel_model(centers, (coef @ turn).T, shift, gamma=self.gamma_, link=link)

    @available_if(lambda self: self.kernel == "linear")  # type: ignore[untyped-decorator]
    def encoded_importances(self) -> np.ndarray:
        """Mean absolute coefficient of each encoded column; for the linear kernel only."""
        return np.abs(self.model_.coef_).mean(axis=0)

    def check_params(self) -> None:
        require(
            self,
            kernel=one_of(*_KERNELS),
            C=number(above=0, also=("auto",)),
            gamma=number(above=0, also=("auto", "scale")),
            max_kernel_rows=whole(0),
            n_landmarks=whole(1),
            random_state=seed,
        )


class SVMStudentClassifier(_SVMStudent, ClassifierStudent):
    __doc__ = "A support vector machine that classifies, with calibrated probabilities.\n" + (
        _SVMStudent.__doc__ or ""
    ).format(
        base="ClassifierStudent",
        attributes="\n    calibration_ : tuple of arrays (k, K) and (K,)\n"
        "        From margins (k is 1 for two classes) to logits; it was fitted to the margins of\n"
        "        left-out rows.",
    )

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        Z, targets = merge_rows(Z, targets, loss.alpha)
        blend, weight = loss.blend(targets), targets.sample_weight
        Y = 2 * (blend[:, 1:] if targets.n_classes == 2 else blend) - 1
        left_out = self._machine(Z, Y, weight)
        self.calibration_ = calibrate(left_out, blend, weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        turn, shift = self.calibration_
        return softmax(self._margins(Z) @ turn + shift)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities."""
        return self._onnx(*self.calibration_, link="softmax")


class SVMStudentRegressor(_SVMStudent, RegressorStudent):
    __doc__ = (
        "A support vector machine that predicts numbers; it scales them itself.\n\n"
        "    There is no ``epsilon``: it is the width of a tube in which the loss of sklearn's\n"
        "    ``SVR`` is 0, and a squared error has no such tube. What it is for, fewer support\n"
        "    vectors, ``n_landmarks`` with ``max_kernel_rows=0`` does.\n"
    ) + (_SVMStudent.__doc__ or "").format(base="RegressorStudent", attributes="")

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        Z, targets = merge_rows(Z, targets, loss.alpha)
        values, weight = loss.blend(targets), targets.sample_weight
        middle = np.average(values, weights=weight)
        self.scale_ = float(np.sqrt(np.average((values - middle) ** 2, weights=weight))) or 1.0
        self._machine(Z, values[:, None] / self.scale_, weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self._margins(Z)[:, 0] * self.scale_

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to values."""
        return self._onnx(np.array([[self.scale_]]), np.zeros(1), link="identity")


def _wide(Z: np.ndarray) -> np.ndarray:
    return Z.astype(np.float64)


def _ridge(coef: np.ndarray, cost: float) -> Ridge:
    model = Ridge(alpha=1 / cost, fit_intercept=False)
    model.coef_, model.intercept_, model.n_features_in_ = coef.T, 0.0, len(coef)
    return model


def make(task: str) -> SVMStudentClassifier | SVMStudentRegressor:
    """Factory of the spec ``svm``."""
    return SVMStudentRegressor() if task == "regression" else SVMStudentClassifier()
