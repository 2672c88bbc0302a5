"""CatBoost teachers: scikit-learn's interface over raw tables with text, categories and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from catboost import CatBoostClassifier, CatBoostRegressor, Pool

from kdcore import ClassifierTeacher, RegressorTeacher
from kdcore.errors import ParameterError
from kdcore.parameters import number, require, whole
from kdcore.teachers import mean_sizes, stopping_rows
from kdcore_catboost.frames import categorical_names, require_variation, with_texts
from kdcore_catboost.splits import structure_of_model
from kdcore_catboost.trees import model_to_onnx

if TYPE_CHECKING:
    from kdcore.schema import TableSchema
    from kdcore.structure import TeacherStructure

__all__ = ["CatBoostTeacherClassifier", "CatBoostTeacherRegressor", "make"]

_CLASSES_ONLY = ("auto_class_weights", "class_weights", "scale_pos_weight")
_FIXED: dict[str, Any] = {
    "allow_const_label": True,
    "allow_writing_files": False,
    "logging_level": "Silent",
}


class _CatBoostTeacher:
    """Constructor and size that both teachers share.

    Parameters have CatBoost's names and meaning, except the last two; None leaves CatBoost's own
    default.

    Parameters
    ----------
    iterations : int, default=500
    learning_rate : float, optional
        None lets CatBoost choose one by the number of rows and iterations.
    one_hot_max_size : int, default=10
        Most categories of a column that is encoded one-hot. CatBoost's own 2 takes minutes a fit
        on tables of many categorical columns and classes, for no better a model.
    early_stopping_rounds : int, optional
        Stop when so many rounds did not lower the loss on rows held out of those that ``fit`` was
        given, and keep the best round. Rows that are labelled out of fold are never among them.
    validation_fraction : float, default=0.1
        Share of the rows that are held out then; stratified, drawn by ``random_state``.
    random_state : int, default=0
        CatBoost's ``random_seed``.
    n_jobs : int, default=1
        CatBoost's ``thread_count``.
    """

    def __init__(
        self,
        *,
        iterations: int = 500,
        learning_rate: float | None = None,
        depth: int | None = None,
        l2_leaf_reg: float | None = None,
        loss_function: str | None = None,
        grow_policy: str | None = None,
        max_leaves: int | None = None,
        min_data_in_leaf: int | None = None,
        border_count: int | None = None,
        nan_mode: str | None = None,
        bootstrap_type: str | None = None,
        bagging_temperature: float | None = None,
        subsample: float | None = None,
        rsm: float | None = None,
        random_strength: float | None = None,
        boosting_type: str | None = None,
        leaf_estimation_method: str | None = None,
        leaf_estimation_iterations: int | None = None,
        model_shrink_rate: float | None = None,
        langevin: bool | None = None,
        one_hot_max_size: int | None = 10,
        max_ctr_complexity: int | None = None,
        monotone_constraints: Any = None,
        class_weights: Any = None,
        auto_class_weights: str | None = None,
        scale_pos_weight: float | None = None,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        random_state: int | None = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.depth = depth
        self.l2_leaf_reg = l2_leaf_reg
        self.loss_function = loss_function
        self.grow_policy = grow_policy
        self.max_leaves = max_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.border_count = border_count
        self.nan_mode = nan_mode
        self.bootstrap_type = bootstrap_type
        self.bagging_temperature = bagging_temperature
        self.subsample = subsample
        self.rsm = rsm
        self.random_strength = random_strength
        self.boosting_type = boosting_type
        self.leaf_estimation_method = leaf_estimation_method
        self.leaf_estimation_iterations = leaf_estimation_iterations
        self.model_shrink_rate = model_shrink_rate
        self.langevin = langevin
        self.one_hot_max_size = one_hot_max_size
        self.max_ctr_complexity = max_ctr_complexity
        self.monotone_constraints = monotone_constraints
        self.class_weights = class_weights
        self.auto_class_weights = auto_class_weights
        self.scale_pos_weight = scale_pos_weight
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs

    model_: Any
    schema_: TableSchema

    def _given(self) -> dict[str, Any]:
        """The parameters that are not left to CatBoost, under its names."""
        params: dict[str, Any] = self.get_params()  # type: ignore[attr-defined]
        params["random_seed"] = _seed(params.pop("random_state"))
        params["thread_count"] = params.pop("n_jobs")
        return {name: value for name, value in params.items() if value is not None}

    def check_params(self) -> None:
        require(self, iterations=whole(1), early_stopping_rounds=whole(1, also=(None,)))
        if self.early_stopping_rounds is not None:
            require(self, validation_fraction=number(above=0, below=1))

    def _train(
        self, kind: Any, frame: Any, y: np.ndarray, weight: np.ndarray | None, **params: Any
    ) -> Any:
        """A fitted model of CatBoost."""
        require_variation(frame)
        rounds = params.pop("early_stopping_rounds", None)
        fraction = params.pop("validation_fraction", None)
        model, cats = kind(**params, **_FIXED), categorical_names(frame)
        frame = with_texts(frame)
        if rounds is None:
            return model.fit(frame, y, cat_features=cats, sample_weight=weight)
        learn, stop = stopping_rows(
            y,
            fraction=fraction,
            random_state=self.random_state,
            classify=kind is CatBoostClassifier,
        )
        return model.fit(
            frame.iloc[learn],
            y[learn],
            cat_features=cats,
            sample_weight=None if weight is None else weight[learn],
            eval_set=Pool(
                frame.iloc[stop],
                y[stop],
                cat_features=cats,
                weight=None if weight is None else weight[stop],
            ),
            early_stopping_rounds=rounds,
            # The trees after the best round are cut off.
            use_best_model=True,
        )

    def model_bytes(self) -> int:
        """Size in bytes of the model in CatBoost's own binary format."""
        return len(self.model_._serialize_model())

    def structure(self) -> TeacherStructure | None:
        """Thresholds with the gain of their splits, and interacting pairs; None without splits.

        CatBoost keeps no gains; see `kdcore_catboost.splits` for what stands in for them.
        """
        return structure_of_model(self.model_, self.schema_.names)

    def to_onnx(self) -> Any:
        """ONNX model from raw columns to probabilities or values; KDError where there is none."""
        classes = getattr(self, "classes_", ())
        return model_to_onnx(self.model_, self.schema_, len(classes))

    def contributions(self, X: Any) -> np.ndarray:
        """Mean size (p,) of each raw column's contributions to the margin (TreeSHAP)."""
        frame = with_texts(self.schema_.canonical(X))
        rows = Pool(frame, cat_features=self.model_.get_cat_feature_indices())
        told = self.model_.get_feature_importance(rows, type="ShapValues")
        return mean_sizes(told, frame.shape[1])


class CatBoostTeacherClassifier(_CatBoostTeacher, ClassifierTeacher):
    __doc__ = f"""Boosted trees that classify, with labels of any type.

    {_CatBoostTeacher.__doc__}
    Attributes
    ----------
    model_ : catboost.CatBoostClassifier
        The fitted model; its classes are positions in ``classes_``.
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.model_ = self._train(CatBoostClassifier, frame, y, sample_weight, **self._given())

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(with_texts(frame)))


class CatBoostTeacherRegressor(_CatBoostTeacher, RegressorTeacher):
    __doc__ = f"""Boosted trees that predict numbers.

    {_CatBoostTeacher.__doc__}
    Attributes
    ----------
    model_ : catboost.CatBoostRegressor
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        params = self._given()
        for name in _CLASSES_ONLY:
            if name in params:
                raise ParameterError(f"{name} is for classification; leave it out.")
        self.model_ = self._train(CatBoostRegressor, frame, y, sample_weight, **params)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict(with_texts(frame)))


def make(task: str) -> CatBoostTeacherClassifier | CatBoostTeacherRegressor:
    """Factory of the spec ``catboost``."""
    return CatBoostTeacherRegressor() if task == "regression" else CatBoostTeacherClassifier()


def _seed(random_state: Any) -> int | None:
    """CatBoost takes plain integers only."""
    if random_state is None or isinstance(random_state, (int, np.integer)):
        return None if random_state is None else int(random_state)
    return int(random_state.randint(2**31 - 1))
