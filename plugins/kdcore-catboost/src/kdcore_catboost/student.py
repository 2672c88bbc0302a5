"""CatBoost as a compact student: few oblivious trees, fitted to plain soft targets."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from catboost import CatBoost, Pool
from scipy.special import expit

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.parameters import number, require, whole

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["CatBoostStudentClassifier", "CatBoostStudentRegressor", "make", "restore"]

_SMALLEST = 1e-6
_MEMBER = "state.cbm"


class _CatBoostStudent:
    """Constructor, training and export that both students share.

    It is fitted to ``loss.blend(targets)`` by CatBoost's own losses: cross-entropy for two
    classes; one cross-entropy for each of more classes, all in the same trees, whose
    probabilities are then divided by their sum; squared error in regression.

    Parameters
    ----------
    iterations : int, default=100
        Trees; each serves all classes.
    depth : int, default=5
        Levels of a tree, which asks the same question in all nodes of a level.
    learning_rate : float, default=0.5
    l2_leaf_reg : float, default=3.0
    subsample : float, default=1.0
        Share of the rows that each tree sees.
    rsm : float, default=1.0
        Share of the columns that each level chooses from.
    random_state : int, default=0
    n_jobs : int, default=1
        Threads; the model is the same, bit for bit, whatever their number.
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`; temperature must stay 1.

    Attributes
    ----------
    model_ : catboost.CatBoost or None
        Its raw score, plus ``base_``, is the margin (or value) of encoded columns. None where
        all encoded columns are constant, which CatBoost refuses.
    base_ : array of shape (K,), or (1,) with two classes and in regression
        Where boosting starts: what a constant would predict, or 0 with more than two classes.
    """

    uses_gradient = False

    model_: CatBoost | None
    base_: np.ndarray

    def __init__(
        self,
        *,
        iterations: int = 100,
        depth: int = 5,
        learning_rate: float = 0.5,
        l2_leaf_reg: float = 3.0,
        subsample: float = 1.0,
        rsm: float = 1.0,
        random_state: int = 0,
        n_jobs: int = 1,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.iterations = iterations
        self.depth = depth
        self.learning_rate = learning_rate
        self.l2_leaf_reg = l2_leaf_reg
        self.subsample = subsample
        self.rsm = rsm
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
            iterations=whole(1),
            depth=whole(1, 16),
            learning_rate=number(above=0),
            l2_leaf_reg=number(least=0),
            subsample=number(above=0, most=1),
            rsm=number(above=0, most=1),
        )

    def _boost(
        self, Z: np.ndarray, wanted: np.ndarray, weight: np.ndarray, start: np.ndarray, loss: str
    ) -> None:
        """Fit to what is wanted, (n, outputs), where a constant would have ``start``."""
        self.model_, self.base_, self._width = None, start, Z.shape[1]
        if not _varies(Z):
            return
        single = wanted.shape[1] == 1
        if not single:
            # CatBoost takes no start for several outputs.
            self.base_ = np.zeros_like(start)
        data = Pool(
            np.ascontiguousarray(Z, dtype=np.float32),
            label=wanted[:, 0] if single else wanted,
            weight=weight,
            baseline=np.full(len(Z), self.base_[0]) if single else None,
        )
        sampling: dict[str, Any] = {"bootstrap_type": "No"}
        if self.subsample < 1:
            sampling = {"bootstrap_type": "Bernoulli", "subsample": self.subsample}
        model = CatBoost(
            {
                "loss_function": loss,
                "iterations": self.iterations,
                "depth": self.depth,
                "learning_rate": self.learning_rate,
                # CatBoost multiplies it by the mean weight; weights are to count as rows do.
                "l2_leaf_reg": self.l2_leaf_reg / float(weight.mean()),
                "rsm": self.rsm,
                # Noise in the scores of splits keeps trees from fitting noise in labels; soft
                # targets are smooth already.
                "random_strength": 0,
                "random_seed": self.random_state,
                "thread_count": self.n_jobs,
                "allow_const_label": True,
                "allow_writing_files": False,
                "logging_level": "Silent",
                **sampling,
            }
        )
        self.model_ = model.fit(data)

    def _margins(self, Z: np.ndarray) -> np.ndarray:
        out = np.tile(self.base_, (len(Z), 1))
        if self.model_ is None or len(Z) == 0:
            return out
        raw = self.model_.predict(
            np.ascontiguousarray(Z, dtype=np.float32),
            prediction_type="RawFormulaVal",
            thread_count=self.n_jobs,
        )
        return out + np.asarray(raw).reshape(len(Z), -1)

    def encoded_importances(self) -> np.ndarray:
        """How much predictions change with each encoded column, as CatBoost counts it."""
        if self.model_ is None:
            return np.zeros(self._width)
        kind = "PredictionValuesChange"
        return np.maximum(self.model_.get_feature_importance(type=kind), 0.0)

    def state(self) -> tuple[str, bytes]:
        """Name and bytes of the member that holds ``model_`` in a bundle; empty for None."""
        if self.model_ is None:
            return _MEMBER, b""
        # When and as which of all models it was trained: the same model is to be the same bytes.
        told = self.model_.get_metadata()
        for key in ("train_finish_time", "model_guid"):
            told[key] = ""
        with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
            path = Path(folder, _MEMBER)
            self.model_.save_model(str(path))
            return _MEMBER, path.read_bytes()

    def _onnx(self, link: str) -> Any:
        from kdcore.onnx_models import tree_ensemble
        from kdcore_catboost.trees import read_trees

        trees, bias = read_trees(self.model_, len(self.base_))
        return tree_ensemble(
            trees,
            n_features=self._width,
            n_outputs=len(self.base_),
            base=(self.base_ + bias).tolist(),
            less_or_equal=True,
            link=link,
        )


class CatBoostStudentClassifier(_CatBoostStudent, ClassifierStudent):
    __doc__ = f"Few oblivious trees that classify.\n\n    {_CatBoostStudent.__doc__}"

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        weight = np.asarray(targets.sample_weight)
        wanted = np.clip(loss.blend(targets), 0.0, 1.0)
        if targets.task == "binary":
            wanted = wanted[:, 1:]
        mean = np.clip(weight @ wanted / weight.sum(), _SMALLEST, 1 - _SMALLEST)
        kind = "CrossEntropy" if targets.task == "binary" else "MultiCrossEntropy"
        self._boost(Z, wanted, weight, np.log(mean / (1 - mean)), kind)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        margins = self._margins(Z)
        if margins.shape[1] == 1:
            return np.hstack([expit(-margins), expit(margins)])
        proba = expit(margins)
        return proba / proba.sum(axis=1, keepdims=True)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities."""
        if len(self.base_) == 1:
            return self._onnx("logistic")
        from kdcore_catboost.trees import with_normalised_sigmoids

        return with_normalised_sigmoids(self._onnx("identity"))


class CatBoostStudentRegressor(_CatBoostStudent, RegressorStudent):
    __doc__ = f"Few oblivious trees that predict numbers.\n\n    {_CatBoostStudent.__doc__}"

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        weight = np.asarray(targets.sample_weight)
        wanted = loss.blend(targets)
        start = np.array([float(np.average(wanted, weights=weight))])
        self._boost(Z, wanted[:, None], weight, start, "RMSE")

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return self._margins(Z)[:, 0]

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to values."""
        return self._onnx("identity")


def make(task: str) -> CatBoostStudentClassifier | CatBoostStudentRegressor:
    """Factory of the spec ``catboost``."""
    return CatBoostStudentRegressor() if task == "regression" else CatBoostStudentClassifier()


def restore(
    manifest: Mapping[str, Any], data: bytes
) -> CatBoostStudentClassifier | CatBoostStudentRegressor:
    """A student with its ``model_``, from what `state` wrote; see `kdcore.native`."""
    student = make(manifest["task"])
    student.model_ = CatBoost().load_model(blob=data) if data else None
    return student


def _varies(Z: np.ndarray) -> bool:
    """Whether some column holds more than one value, a missing one counting as a value."""
    same = (Z[:1] == Z) | (np.isnan(Z) & np.isnan(Z[:1]))
    return not bool(same.all())
