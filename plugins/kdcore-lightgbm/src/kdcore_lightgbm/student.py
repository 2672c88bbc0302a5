"""LightGBM as a compact student: few small trees, any loss as a custom objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.parameters import number, require, whole
from kdcore.targets import softmax

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["LightGBMStudentClassifier", "LightGBMStudentRegressor", "make", "restore"]

_SMALLEST = 1e-6


class _LightGBMStudent:
    """Constructor, training and export that both students share.

    Parameters
    ----------
    n_estimators : int, default=60
        Boosting rounds; each grows one tree, or one for each class beyond two.
    num_leaves : int, default=15
        Most leaves of a tree.
    max_depth : int, default=-1
        Most levels of a tree; -1 for no limit.
    learning_rate : float, default=0.15
    min_child_samples : int, default=0
        LightGBM guesses numbers of rows from second derivatives, so ``min_child_weight`` is the
        surer limit.
    min_child_weight, reg_lambda, subsample, colsample_bytree : float
        As in LightGBM; ``subsample`` draws anew in every round.
    random_state : int, default=0
    n_jobs : int, default=1
        Threads; the model is the same, bit for bit, whatever their number.
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`.

    Attributes
    ----------
    model_ : lightgbm.Booster
        Its raw score, plus ``base_``, is the margin (or value) of encoded columns.
    base_ : array of shape (K,), or (1,) with two classes and in regression
        Where boosting starts: what a constant would predict.
    """

    uses_gradient = True
    uses_curvature = True

    model_: lightgbm.Booster
    base_: np.ndarray

    def __init__(
        self,
        *,
        n_estimators: int = 60,
        num_leaves: int = 15,
        max_depth: int = -1,
        learning_rate: float = 0.15,
        min_child_samples: int = 0,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        random_state: int = 0,
        n_jobs: int = 1,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_samples = min_child_samples
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def check_params(self) -> None:
        require(
            self,
            n_estimators=whole(1),
            num_leaves=whole(2),
            max_depth=whole(1, also=(-1,)),
            learning_rate=number(above=0),
            min_child_samples=whole(0),
            min_child_weight=number(least=0),
            reg_lambda=number(least=0),
            subsample=number(above=0, most=1),
            colsample_bytree=number(above=0, most=1),
        )

    def _boost(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        # Losses are means over rows; LightGBM's penalties count rows.
        scale = float(np.sum(targets.sample_weight))
        task = targets.task

        def gradients(margin: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
            logits = np.asarray(margin, dtype=np.float64)
            if task == "binary":
                # One margin z stands for the logits (-z/2, z/2).
                logits = np.stack([-logits / 2, logits / 2], axis=1)
            _, grad = loss.value_and_grad(logits, targets)
            bound = loss.hessian_bound(logits, targets)
            if task == "binary":
                grad = (grad[:, 1] - grad[:, 0]) / 2
                bound = (bound[:, 0] + bound[:, 1]) / 4
            return grad * scale, np.maximum(bound * scale, _SMALLEST)

        params = {
            "objective": gradients,
            "num_class": len(self.base_),
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_child_samples,
            "min_sum_hessian_in_leaf": self.min_child_weight,
            "lambda_l2": self.reg_lambda,
            "bagging_fraction": self.subsample,
            "bagging_freq": int(self.subsample < 1),
            "feature_fraction": self.colsample_bytree,
            "min_data_in_bin": 1,
            "feature_pre_filter": False,
            # Histograms by rows would depend on the number of threads in their last bits.
            "deterministic": True,
            "force_col_wise": True,
            "seed": self.random_state,
            "num_threads": self.n_jobs,
            "verbosity": -1,
        }
        start = np.tile(self.base_, (len(Z), 1))
        data = lightgbm.Dataset(
            np.ascontiguousarray(Z),
            label=np.zeros(len(Z)),
            init_score=start if start.shape[1] > 1 else start[:, 0],
            params=params,
        )
        self.model_ = lightgbm.train(params, data, self.n_estimators)

    def _margins(self, Z: np.ndarray) -> np.ndarray:
        raw = self.model_.predict(np.ascontiguousarray(Z), raw_score=True, num_threads=self.n_jobs)
        return np.asarray(raw).reshape(len(Z), -1) + self.base_

    def encoded_importances(self) -> np.ndarray:
        """Total gain of the splits on each encoded column."""
        return np.maximum(self.model_.feature_importance("gain"), 0.0)

    def state(self) -> tuple[str, bytes]:
        """Name and bytes of the member that holds ``model_`` in a bundle."""
        return "state.txt", self.model_.model_to_string().encode()

    def _onnx(self, link: str) -> Any:
        from kdcore.onnx_models import tree_ensemble
        from kdcore_lightgbm.trees import read_trees

        return tree_ensemble(
            read_trees(self.model_),
            n_features=self.model_.num_feature(),
            n_outputs=len(self.base_),
            base=self.base_.tolist(),
            less_or_equal=True,
            link=link,
        )


class LightGBMStudentClassifier(_LightGBMStudent, ClassifierStudent):
    __doc__ = f"Few boosted trees that classify.\n\n    {_LightGBMStudent.__doc__}"

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        weight = np.asarray(targets.sample_weight)
        mean = weight @ targets.blended(loss.alpha) / weight.sum()
        start = np.log(np.clip(mean, _SMALLEST, 1 - _SMALLEST))
        binary = targets.task == "binary"
        self.base_ = start[1:] - start[:1] if binary else start - start.mean()
        self._boost(Z, targets, loss)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        margins = self._margins(Z)
        if margins.shape[1] == 1:
            margins = np.hstack([-margins / 2, margins / 2])
        return softmax(margins)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities."""
        return self._onnx("logistic" if len(self.base_) == 1 else "softmax")


class LightGBMStudentRegressor(_LightGBMStudent, RegressorStudent):
    __doc__ = f"Few boosted trees that predict numbers.\n\n    {_LightGBMStudent.__doc__}"

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        mean = np.average(targets.blended(loss.alpha), weights=targets.sample_weight)
        self.base_ = np.array([float(mean)])
        self._boost(Z, targets, loss)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self._margins(Z)[:, 0]

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to values."""
        return self._onnx("identity")


def make(task: str) -> LightGBMStudentClassifier | LightGBMStudentRegressor:
    """Factory of the spec ``lightgbm``."""
    return LightGBMStudentRegressor() if task == "regression" else LightGBMStudentClassifier()


def restore(
    manifest: Mapping[str, Any], data: bytes
) -> LightGBMStudentClassifier | LightGBMStudentRegressor:
    """A student with its ``model_``, from what `state` wrote; see `kdcore.native`."""
    student = make(manifest["task"])
    student.model_ = lightgbm.Booster(model_str=data.decode())
    return student
