"""XGBoost as a compact student: few shallow trees, any loss as a custom objective."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.parameters import number, require, whole

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["XGBoostStudentClassifier", "XGBoostStudentRegressor", "make", "restore"]


class _XGBoostStudent:
    """Constructor, training and export that both students share.

    Parameters
    ----------
    n_estimators : int, default=60
        Boosting rounds; each grows one tree, or one for each class beyond two.
    max_depth : int, default=4
    learning_rate : float, default=0.15
    min_child_weight, reg_lambda, subsample, colsample_bytree : float
        As in XGBoost.
    random_state : int, default=0
    n_jobs : int, default=1
        Threads. Sums of gradients depend on it in the last bits, hence one by default.
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`.

    Attributes
    ----------
    model_ : xgboost.Booster
        Predicts probabilities (or values) of encoded columns.
    """

    uses_gradient = True
    uses_curvature = True

    def __init__(
        self,
        *,
        n_estimators: int = 60,
        max_depth: int = 4,
        learning_rate: float = 0.15,
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
        self.max_depth = max_depth
        self.learning_rate = learning_rate
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
            max_depth=whole(1),
            learning_rate=number(above=0),
            min_child_weight=number(least=0),
            reg_lambda=number(least=0),
            subsample=number(above=0, most=1),
            colsample_bytree=number(above=0, most=1),
        )

    def _boost(
        self, Z: np.ndarray, targets: SoftTargets, loss: Loss, objective: dict[str, Any]
    ) -> xgboost.Booster:
        params = {
            "max_depth": self.max_depth,
            "eta": self.learning_rate,
            "min_child_weight": self.min_child_weight,
            "lambda": self.reg_lambda,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "seed": self.random_state,
            "nthread": self.n_jobs,
            "tree_method": "hist",
            # Gradients are ours: without this XGBoost would estimate a start from the labels.
            "boost_from_average": 0,
            "disable_default_eval_metric": 1,
            **objective,
        }
        # Losses are means over rows; XGBoost's penalties count rows.
        scale = float(np.sum(targets.sample_weight))

        def gradients(margin: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
            logits = margin.astype(np.float64)
            binary = targets.task == "binary"
            if binary:
                # One margin z stands for the logits (-z/2, z/2).
                logits = np.stack([-logits / 2, logits / 2], axis=1)
            _, grad = loss.value_and_grad(logits, targets)
            bound = loss.hessian_bound(logits, targets)
            if binary:
                grad = (grad[:, 1] - grad[:, 0]) / 2
                bound = (bound[:, 0] + bound[:, 1]) / 4
            return grad * scale, np.maximum(bound * scale, 1e-6)

        # The same trees as from a DMatrix, with a third of its memory.
        data = xgboost.QuantileDMatrix(Z, nthread=self.n_jobs)
        with xgboost.config_context(verbosity=0):
            return xgboost.train(params, data, self.n_estimators, obj=gradients)

    def _margins(self, Z: np.ndarray) -> np.ndarray:
        booster: xgboost.Booster = self.model_  # type: ignore[attr-defined]
        return np.asarray(booster.inplace_predict(Z, predict_type="margin"), dtype=np.float64)

    def encoded_importances(self) -> np.ndarray:
        """Total gain of the splits on each encoded column."""
        booster: xgboost.Booster = self.model_  # type: ignore[attr-defined]
        gains = booster.get_score(importance_type="total_gain")
        return np.array([gains.get(f"f{j}", 0.0) for j in range(booster.num_features())])

    def state(self) -> tuple[str, bytes]:
        """Name and bytes of the member that holds ``model_`` in a bundle."""
        booster: xgboost.Booster = self.model_  # type: ignore[attr-defined]
        return "state.ubj", bytes(booster.save_raw("ubj"))

    def _onnx(self, n_outputs: int, base: np.ndarray, link: str) -> Any:
        from kdcore.graph import tree_ensemble

        booster: xgboost.Booster = self.model_  # type: ignore[attr-defined]
        model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
        trees = []
        for output, tree in zip(model["tree_info"], model["trees"], strict=True):
            trees.append(
                {
                    "left": np.array(tree["left_children"]),
                    "right": np.array(tree["right_children"]),
                    "feature": np.array(tree["split_indices"]),
                    "threshold": np.array(tree["split_conditions"], dtype=np.float32),
                    "missing_left": np.array(tree["default_left"], dtype=bool),
                    # A leaf's value stands where an inner node has its threshold.
                    "value": np.array(tree["split_conditions"], dtype=np.float32),
                    "output": output,
                }
            )
        return tree_ensemble(
            trees,
            n_features=booster.num_features(),
            n_outputs=n_outputs,
            base=base.tolist(),
            less_or_equal=False,
            link=link,
        )


class XGBoostStudentClassifier(_XGBoostStudent, ClassifierStudent):
    __doc__ = f"Few boosted trees that classify.\n{_XGBoostStudent.__doc__}"

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        weight = np.asarray(targets.sample_weight)
        mean = weight @ targets.blended(loss.alpha) / weight.sum()
        if targets.task == "binary":
            start = float(np.clip(mean[1], 1e-6, 1 - 1e-6))
            objective = {"objective": "binary:logistic", "base_score": start}
            self.base_ = np.array([np.log(start / (1 - start))])
        else:
            objective = {
                "objective": "multi:softprob",
                "num_class": targets.n_classes,
                "base_score": 0.5,
            }
            self.base_ = np.full(targets.n_classes, 0.5)
        self.model_ = self._boost(Z, targets, loss, objective)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        margins = self._margins(Z)
        if margins.ndim == 1 or margins.shape[1] == 1:
            z = margins.reshape(-1, 1)
            margins = np.hstack([-z / 2, z / 2])
        from kdcore.targets import softmax

        return softmax(margins)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities."""
        binary = len(self.classes_) == 2
        return self._onnx(
            1 if binary else len(self.classes_), self.base_, "logistic" if binary else "softmax"
        )


class XGBoostStudentRegressor(_XGBoostStudent, RegressorStudent):
    __doc__ = f"Few boosted trees that predict numbers.\n{_XGBoostStudent.__doc__}"

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        start = float(np.average(targets.blended(loss.alpha), weights=targets.sample_weight))
        self.base_ = np.array([start])
        objective = {"objective": "reg:squarederror", "base_score": start}
        self.model_ = self._boost(Z, targets, loss, objective)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self._margins(Z).reshape(-1)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to values."""
        return self._onnx(1, self.base_, "identity")


def make(task: str) -> XGBoostStudentClassifier | XGBoostStudentRegressor:
    """Factory of the spec ``xgboost``."""
    return XGBoostStudentRegressor() if task == "regression" else XGBoostStudentClassifier()


def restore(
    manifest: Mapping[str, Any], data: bytes
) -> XGBoostStudentClassifier | XGBoostStudentRegressor:
    """A student with its ``model_``, from what `state` wrote; see `kdcore.native`."""
    student = make(manifest["task"])
    student.model_ = xgboost.Booster()
    student.model_.load_model(bytearray(data))
    return student
