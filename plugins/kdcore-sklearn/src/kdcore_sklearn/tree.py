"""Decision tree students: one tree with an output for each class, grown best leaf first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.parameters import number, require, seed, whole
from kdcore_sklearn.state import StateMixin

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["DecisionTreeStudentClassifier", "DecisionTreeStudentRegressor", "make"]


class _DecisionTree(StateMixin):
    """What both tree students share; the parameters are documented there."""

    max_depth: int | None
    max_leaf_nodes: int | None
    min_samples_leaf: int | float
    ccp_alpha: float
    shrinkage: float
    random_state: int | None

    def __init__(
        self,
        *,
        max_depth: int | None = None,
        max_leaf_nodes: int | None = 64,
        min_samples_leaf: int | float = 5,
        ccp_alpha: float = 0.0,
        shrinkage: float = 20.0,
        random_state: int | None = 0,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "ordinal",
        features: Any = None,
    ) -> None:
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.ccp_alpha = ccp_alpha
        self.shrinkage = shrinkage
        self.random_state = random_state
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def check_params(self) -> None:
        require(
            self,
            max_depth=whole(1, also=(None,)),
            max_leaf_nodes=whole(2, also=(None,)),
            min_samples_leaf=_rows_or_share,
            ccp_alpha=number(least=0),
            shrinkage=number(least=0),
            random_state=seed,
        )

    def _grow(self, Z: np.ndarray, y: np.ndarray, weight: Any) -> DecisionTreeRegressor:
        tree = DecisionTreeRegressor(
            max_depth=self.max_depth,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            ccp_alpha=self.ccp_alpha,
            random_state=self.random_state,
        )
        tree.fit(Z, y, sample_weight=weight)
        _shrink(tree.tree_, self.shrinkage)
        return tree

    def encoded_importances(self) -> np.ndarray:
        """Share of the squared error that the splits on each encoded column remove."""
        return np.asarray(self.model_.feature_importances_)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities, or to values."""
        from kdcore.graph import tree_ensemble

        model = self.model_
        tree = model.tree_
        nodes = {
            "left": tree.children_left,
            "right": tree.children_right,
            "feature": tree.feature,
            "threshold": tree.threshold,
            "missing_left": tree.missing_go_to_left,
            "value": tree.value[:, :, 0],
        }
        return tree_ensemble(
            [nodes],
            n_features=model.n_features_in_,
            n_outputs=tree.value.shape[1],
            less_or_equal=True,
        )


class DecisionTreeStudentClassifier(_DecisionTree, ClassifierStudent):
    """A tree whose leaves hold class probabilities, fitted by squared error to soft labels.

    It is one multi-output regression tree on the simplex, so that the probabilities of a row sum
    to 1. With labels alone it is the tree that the Gini criterion grows.

    Parameters
    ----------
    max_depth : int or None, default=None
    max_leaf_nodes : int or None, default=64
        Leaves are grown best first up to this number.
    min_samples_leaf : int or float, default=5
        Fewest training rows in a leaf (or their share).
    ccp_alpha : float, default=0.0
        Cost-complexity pruning.
    shrinkage : float, default=20.0
        Each step from a node to its child counts ``N / (N + shrinkage)``, where N is the weight
        of the node's rows: small leaves lean on their ancestors, so that no class ever has
        probability 0. Paper: Agarwal et al. 2022 (hierarchical shrinkage), arXiv:2202.00858.
    random_state : int or None, default=0
        Breaks ties between equally good splits.
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`.

    Attributes
    ----------
    model_ : sklearn.tree.DecisionTreeRegressor
        The fitted tree of the encoded columns; its outputs follow ``classes_``.
    """

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self.model_ = self._grow(Z, loss.blend(targets), targets.sample_weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return np.maximum(self.model_.predict(Z), 0.0)

    def _plain_model(self) -> DecisionTreeClassifier:
        """The same tree as a classifier: its outputs are class probabilities already."""
        grown = self.model_.tree_
        told = grown.__getstate__()
        values = np.maximum(told["values"], 0.0).transpose(0, 2, 1)
        told["values"] = np.ascontiguousarray(values / values.sum(axis=2, keepdims=True))
        n_classes = len(self.classes_)
        tree = type(grown)(grown.n_features, np.array([n_classes], dtype=np.intp), 1)
        tree.__setstate__(told)
        model = DecisionTreeClassifier(
            max_depth=self.max_depth,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            ccp_alpha=self.ccp_alpha,
            random_state=self.random_state,
        )
        model.tree_, model.classes_, model.n_outputs_ = tree, self.classes_, 1
        model.n_classes_, model.n_features_in_ = n_classes, grown.n_features
        model.max_features_ = grown.n_features
        return model


class DecisionTreeStudentRegressor(_DecisionTree, RegressorStudent):
    """A regression tree fitted to ``alpha * teacher + (1 - alpha) * label``.

    Parameters
    ----------
    max_depth : int or None, default=None
    max_leaf_nodes : int or None, default=64
        Leaves are grown best first up to this number.
    min_samples_leaf : int or float, default=5
        Fewest training rows in a leaf (or their share).
    ccp_alpha : float, default=0.0
        Cost-complexity pruning.
    shrinkage : float, default=20.0
        As in `DecisionTreeStudentClassifier`.
    random_state : int or None, default=0
        Breaks ties between equally good splits.
    alpha, temperature, loss, encoder, features
        See `kdcore.RegressorStudent`.

    Attributes
    ----------
    model_ : sklearn.tree.DecisionTreeRegressor
        The fitted tree of the encoded columns.
    """

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        self.model_ = self._grow(Z, loss.blend(targets), targets.sample_weight)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(self.model_.predict(Z))


def _rows_or_share(value: Any) -> str | None:
    if whole(1)(value) is None or (isinstance(value, float) and 0 < value < 1):
        return None
    return "be a whole number of rows of at least 1, or a share between 0 and 1"


def _shrink(tree: Any, strength: float) -> None:
    """Hierarchical shrinkage of all nodes of a fitted tree, in place.

    ``value`` is a view of the tree's memory, so what is written here is what every user of the
    model sees, its ONNX export included.
    """
    own = tree.value.copy()
    # Parents come before their children.
    for node in np.flatnonzero(tree.children_left >= 0):
        share = tree.weighted_n_node_samples[node]
        share = share / (share + strength)
        for child in (tree.children_left[node], tree.children_right[node]):
            tree.value[child] = tree.value[node] + share * (own[child] - own[node])


def make(task: str) -> DecisionTreeStudentClassifier | DecisionTreeStudentRegressor:
    """Factory of the spec ``decision_tree``."""
    return (
        DecisionTreeStudentRegressor() if task == "regression" else DecisionTreeStudentClassifier()
    )
