"""Students that stand in where a selection has none: small boosted trees of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from kdcore.students import ClassifierStudent, RegressorStudent

if TYPE_CHECKING:
    from kdcore.losses import Loss
    from kdcore.targets import SoftTargets

__all__ = ["BoostedClassifier", "BoostedRegressor"]

_OPTIONS = {"max_iter": 40, "max_leaf_nodes": 15, "early_stopping": False, "random_state": 0}


def _unequal(weight: np.ndarray) -> np.ndarray | None:
    """Weights that say something: with any, scikit-learn takes ten times as long to bin columns."""
    return None if (weight == weight[0]).all() else weight


class _Constructor:
    """The parameters of every student."""

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features


class BoostedClassifier(_Constructor, ClassifierStudent):
    """Boosted trees of labels; of soft labels only the most probable class counts."""

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        """Fit to encoded rows; see `kdcore.students.Student`."""
        codes = loss.blend(targets).argmax(axis=1)
        self.known_ = np.unique(codes)
        self.n_outputs_ = targets.n_classes
        if len(self.known_) > 1:
            self.model_ = HistGradientBoostingClassifier(**_OPTIONS)
            self.model_.fit(Z, codes, sample_weight=_unequal(targets.sample_weight))

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """Class probabilities (n, K); see `kdcore.students.Student`."""
        proba = np.zeros((len(Z), self.n_outputs_))
        proba[:, self.known_] = self.model_.predict_proba(Z) if len(self.known_) > 1 else 1.0
        return proba


class BoostedRegressor(_Constructor, RegressorStudent):
    """Boosted trees of values."""

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        """Fit to encoded rows; see `kdcore.students.Student`."""
        self.model_ = HistGradientBoostingRegressor(**_OPTIONS)
        self.model_.fit(Z, loss.blend(targets), sample_weight=_unequal(targets.sample_weight))

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """Values (n,); see `kdcore.students.Student`."""
        return np.asarray(self.model_.predict(Z))
