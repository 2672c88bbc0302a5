"""Random forest teachers: scikit-learn's forests over raw tables with text, categories and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from kdcore import ClassifierTeacher, RegressorTeacher, SoftTargets
from kdcore.encoders import OrdinalEncoder
from kdcore.parameters import require, whole
from kdcore.structure import sklearn_splits, structure_from_trees

if TYPE_CHECKING:
    from kdcore.structure import TeacherStructure

__all__ = ["RandomForestTeacherClassifier", "RandomForestTeacherRegressor", "make"]


class _RandomForestTeacher:
    """Encoding and size that both teachers share."""

    encoder_: OrdinalEncoder
    model_: Any

    def check_params(self) -> None:
        # The rest is scikit-learn's to judge, as soon as the fit begins.
        require(self, n_estimators=whole(1))

    def _grow(self, model: Any, frame: Any, targets: SoftTargets, weight: Any) -> None:
        # The order of categories comes from the rows that the forest is grown on, no others.
        self.encoder_ = OrdinalEncoder()
        self.encoder_.fit(frame, targets, targets.sample_weight)
        model.fit(self.encoder_.transform(frame), targets.labels, sample_weight=weight)
        # Threads would add up the trees' predictions in the order in which they finish.
        self.model_ = model.set_params(n_jobs=1)

    def model_bytes(self) -> int:
        """Size in bytes of the trees: their nodes with what these predict, as held in memory.

        Forests are large, and fully grown trees grow with the table: 300 of them take about
        70 MB on 10,000 rows of the adult census (2 classes) and 240 MB on 10,000 rows of letter
        (26 classes: every node holds a probability for each).
        """
        total = 0
        for tree in self.model_.estimators_:
            state = tree.tree_.__getstate__()
            total += state["nodes"].nbytes + state["values"].nbytes
        return int(total)

    def structure(self) -> TeacherStructure | None:
        """Thresholds with the decrease of impurity, and interacting pairs; None without splits.

        Categories are encoded by rank, so categorical columns have no thresholds; they take part
        in pairs.
        """
        schema, owners = self.encoder_.schema_, self.encoder_.owners_
        numeric = len(schema.numeric)
        trees = (sklearn_splits(tree.tree_, owners, numeric) for tree in self.model_.estimators_)
        return structure_from_trees(trees, schema.names)

    def to_onnx(self) -> Any:
        """ONNX model from raw columns to class probabilities, or values."""
        from kdcore.encoder_graphs import encoder_model
        from kdcore.graph import joined
        from kdcore.onnx_models import tree_ensemble

        forest = [tree.tree_ for tree in self.model_.estimators_]
        trees = [
            {
                "left": tree.children_left,
                "right": tree.children_right,
                "feature": tree.feature,
                "threshold": tree.threshold,
                "missing_left": tree.missing_go_to_left.astype(bool),
                # A node's value is the mean of its rows, or the share of each class among them.
                "value": tree.value[:, 0] / len(forest),
            }
            for tree in forest
        ]
        return joined(
            encoder_model(self.encoder_),
            tree_ensemble(
                trees,
                n_features=len(self.encoder_.owners_),
                n_outputs=trees[0]["value"].shape[1],
                less_or_equal=True,
            ),
        )


class RandomForestTeacherClassifier(_RandomForestTeacher, ClassifierTeacher):
    """A random forest that classifies, with labels of any type.

    Missing numbers go to the side that suits them best, split by split; categories are ordered
    by what is to be predicted (`kdcore.encoders.OrdinalEncoder`).

    Parameters
    ----------
    n_estimators : int, default=300
    criterion : {"gini", "entropy", "log_loss"}, default="gini"
    max_depth, max_leaf_nodes : int or None, default=None
    min_samples_split : int or float, default=2
    min_samples_leaf : int or float, default=1
        Larger leaves give a smaller forest and no probability of exactly 0, and help where
        labels are noisy; they cost much where there are many classes.
    max_features : {"sqrt", "log2"}, int, float or None, default="sqrt"
        Columns that are tried in each split.
    min_impurity_decrease, ccp_alpha : float, default=0.0
    bootstrap : bool, default=True
    max_samples : int, float or None, default=None
        Rows drawn for each tree.
    class_weight : {"balanced", "balanced_subsample"} or None, default=None
        It shifts probabilities away from the frequencies of the classes, and a student learns
        these probabilities: leave it out unless that is meant.
    random_state : int or None, default=0
    n_jobs : int or None, default=1
        Threads of ``fit``; the forest is the same bits whatever their number.

    Attributes
    ----------
    encoder_ : OrdinalEncoder
    model_ : sklearn.ensemble.RandomForestClassifier
        The fitted forest of encoded columns; its classes are positions in ``classes_``.

    Paper: Breiman 2001, Random forests.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        criterion: str = "gini",
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int | float = 1,
        max_features: str | int | float | None = "sqrt",
        min_impurity_decrease: float = 0.0,
        ccp_alpha: float = 0.0,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        class_weight: str | None = None,
        random_state: int | None = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.min_impurity_decrease = min_impurity_decrease
        self.ccp_alpha = ccp_alpha
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        classes = np.arange(len(self.classes_))
        targets = SoftTargets(labels=y, sample_weight=sample_weight, classes=classes)
        model = RandomForestClassifier(**self.get_params())
        self._grow(model, frame, targets, sample_weight)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(self.encoder_.transform(frame)))


class RandomForestTeacherRegressor(_RandomForestTeacher, RegressorTeacher):
    """A random forest that predicts numbers.

    Parameters
    ----------
    n_estimators : int, default=300
    criterion : {"squared_error", "absolute_error", "friedman_mse", "poisson"}, \
default="squared_error"
    max_depth, max_leaf_nodes : int or None, default=None
    min_samples_split : int or float, default=2
    min_samples_leaf : int or float, default=1
    max_features : {"sqrt", "log2"}, int, float or None, default=0.5
        Columns that are tried in each split; a share, by default.
    min_impurity_decrease, ccp_alpha : float, default=0.0
    bootstrap : bool, default=True
    max_samples : int, float or None, default=None
        Rows drawn for each tree.
    random_state : int or None, default=0
    n_jobs : int or None, default=1
        Threads of ``fit``; the forest is the same bits whatever their number.

    Attributes
    ----------
    encoder_ : OrdinalEncoder
    model_ : sklearn.ensemble.RandomForestRegressor
        The fitted forest of encoded columns.

    Paper: Breiman 2001, Random forests.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        criterion: str = "squared_error",
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_split: int | float = 2,
        min_samples_leaf: int | float = 1,
        max_features: str | int | float | None = 0.5,
        min_impurity_decrease: float = 0.0,
        ccp_alpha: float = 0.0,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        random_state: int | None = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.min_impurity_decrease = min_impurity_decrease
        self.ccp_alpha = ccp_alpha
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        targets = SoftTargets(labels=y, sample_weight=sample_weight)
        model = RandomForestRegressor(**self.get_params())
        self._grow(model, frame, targets, sample_weight)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict(self.encoder_.transform(frame)))


def make(task: str) -> RandomForestTeacherClassifier | RandomForestTeacherRegressor:
    """Factory of the spec ``random_forest``."""
    return (
        RandomForestTeacherRegressor() if task == "regression" else RandomForestTeacherClassifier()
    )
