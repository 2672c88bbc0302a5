"""LightGBM teachers: scikit-learn's interface over raw tables with text, categories and gaps."""

from __future__ import annotations

import re
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

from kdcore import ClassifierTeacher, RegressorTeacher
from kdcore.errors import ParameterError
from kdcore.parameters import number, require, whole
from kdcore.teachers import mean_sizes, stopping_rows
from kdcore_lightgbm.splits import structure_of_booster
from kdcore_lightgbm.trees import booster_to_onnx

if TYPE_CHECKING:
    from kdcore.schema import TableSchema
    from kdcore.structure import TeacherStructure

__all__ = ["LightGBMTeacherClassifier", "LightGBMTeacherRegressor", "make"]

_CLASSES_ONLY = ("class_weight", "is_unbalance", "scale_pos_weight")

#: LightGBM's histograms by rows depend on the number of threads in their last bits; by columns
#: they do not.
_REPEATABLE: dict[str, Any] = {"deterministic": True, "force_col_wise": True, "verbosity": -1}


def named(frame: Any) -> Any:
    """The frame, with other names where LightGBM would refuse or change one of them."""
    if all(re.fullmatch(r"[A-Za-z0-9_.+-]+", name) for name in frame.columns):
        return frame
    return frame.set_axis([f"Column_{i}" for i in range(frame.shape[1])], axis=1)


class _LightGBMTeacher:
    """Constructor and size that both teachers share.

    Parameters have LightGBM's names and meaning; None leaves LightGBM's own default. The defaults
    given here are those of a strong teacher on tables of a few hundred rows and more.

    Parameters
    ----------
    n_estimators : int, default=300
    learning_rate : float, default=0.05
    num_leaves : int, default=31
    subsample_for_bin : int, default=50_000
        Rows that the edges of histograms are taken from. LightGBM's own 200,000 hold up to two
        more copies of a table of that size.
    early_stopping_rounds : int, optional
        Stop when so many rounds did not lower the loss on rows held out of those that ``fit`` was
        given, and keep the best round. Rows that are labelled out of fold are never among them.
    validation_fraction : float, default=0.1
        Share of the rows that are held out then; stratified, drawn by ``random_state``.
    n_jobs : int, default=1
        Threads; the model is the same, bit for bit, whatever their number.
    random_state : int, default=0
    """

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        learning_rate: float | None = 0.05,
        num_leaves: int | None = 31,
        max_depth: int | None = None,
        boosting_type: str | None = None,
        objective: str | None = None,
        class_weight: Any = None,
        scale_pos_weight: float | None = None,
        is_unbalance: bool | None = None,
        min_child_samples: int | None = 10,
        min_child_weight: float | None = 1.0,
        min_split_gain: float | None = None,
        subsample: float | None = None,
        subsample_freq: int | None = None,
        subsample_for_bin: int | None = 50_000,
        data_sample_strategy: str | None = None,
        colsample_bytree: float | None = 0.7,
        feature_fraction_bynode: float | None = None,
        reg_alpha: float | None = None,
        reg_lambda: float | None = 3.0,
        max_delta_step: float | None = None,
        extra_trees: bool | None = None,
        path_smooth: float | None = None,
        linear_tree: bool | None = None,
        max_bin: int | None = None,
        min_data_in_bin: int | None = None,
        min_data_per_group: int | None = 10,
        max_cat_threshold: int | None = None,
        max_cat_to_onehot: int | None = None,
        cat_l2: float | None = None,
        cat_smooth: float | None = None,
        monotone_constraints: Any = None,
        interaction_constraints: Any = None,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        random_state: int | None = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.boosting_type = boosting_type
        self.objective = objective
        self.class_weight = class_weight
        self.scale_pos_weight = scale_pos_weight
        self.is_unbalance = is_unbalance
        self.min_child_samples = min_child_samples
        self.min_child_weight = min_child_weight
        self.min_split_gain = min_split_gain
        self.subsample = subsample
        self.subsample_freq = subsample_freq
        self.subsample_for_bin = subsample_for_bin
        self.data_sample_strategy = data_sample_strategy
        self.colsample_bytree = colsample_bytree
        self.feature_fraction_bynode = feature_fraction_bynode
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.max_delta_step = max_delta_step
        self.extra_trees = extra_trees
        self.path_smooth = path_smooth
        self.linear_tree = linear_tree
        self.max_bin = max_bin
        self.min_data_in_bin = min_data_in_bin
        self.min_data_per_group = min_data_per_group
        self.max_cat_threshold = max_cat_threshold
        self.max_cat_to_onehot = max_cat_to_onehot
        self.cat_l2 = cat_l2
        self.cat_smooth = cat_smooth
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs

    model_: Any
    schema_: TableSchema

    def _given(self) -> dict[str, Any]:
        """The parameters that are not left to LightGBM."""
        params: dict[str, Any] = self.get_params()  # type: ignore[attr-defined]
        return {name: value for name, value in params.items() if value is not None}

    def check_params(self) -> None:
        require(self, n_estimators=whole(1), early_stopping_rounds=whole(1, also=(None,)))
        if self.early_stopping_rounds is not None:
            require(self, validation_fraction=number(above=0, below=1))
        if self.early_stopping_rounds is not None and self.boosting_type == "dart":
            raise ParameterError(
                "early_stopping_rounds cannot be used with boosting_type='dart', which changes "
                "earlier trees; leave one of them out."
            )

    def _train(
        self, kind: Any, frame: Any, y: np.ndarray, weight: np.ndarray | None, **params: Any
    ) -> Any:
        """A fitted model of LightGBM."""
        rounds = params.pop("early_stopping_rounds", None)
        fraction = params.pop("validation_fraction", None)
        model, frame = kind(**params, **_REPEATABLE), named(frame)
        if rounds is None:
            return model.fit(frame, y, sample_weight=weight)
        classify = kind is LGBMClassifier
        learn, stop = stopping_rows(
            y, fraction=fraction, random_state=self.random_state, classify=classify
        )
        held: dict[str, Any] = {"eval_X": frame.iloc[stop], "eval_y": y[stop]}
        if "eval_X" not in signature(kind.fit).parameters:
            # Before LightGBM 4.7.
            held = {"eval_set": [tuple(held.values())]}
        if weight is not None:
            held["eval_sample_weight"] = [weight[stop]]
        if classify and self.class_weight is not None:
            held["eval_class_weight"] = [self.class_weight]
        return model.fit(
            frame.iloc[learn],
            y[learn],
            sample_weight=None if weight is None else weight[learn],
            callbacks=[early_stopping(rounds, verbose=False)],
            **held,
        )

    def model_bytes(self) -> int:
        """Size in bytes of the model in LightGBM's own text format."""
        return len(self.model_.booster_.model_to_string())

    def structure(self) -> TeacherStructure | None:
        """Thresholds with the gain of their splits, and interacting pairs; None without splits."""
        return structure_of_booster(self.model_.booster_, self.schema_.names)

    def to_onnx(self) -> Any:
        """ONNX model from raw columns to probabilities or values; KDError where there is none."""
        return booster_to_onnx(self.model_.booster_, self.schema_)

    def contributions(self, X: Any) -> np.ndarray:
        """Mean size (p,) of each raw column's contributions to the margin (TreeSHAP)."""
        frame = named(self.schema_.canonical(X))
        told = self.model_.predict(frame, pred_contrib=True)
        return mean_sizes(told, frame.shape[1])


class LightGBMTeacherClassifier(_LightGBMTeacher, ClassifierTeacher):
    __doc__ = f"""Boosted trees that classify, with labels of any type.

    {_LightGBMTeacher.__doc__}
    Attributes
    ----------
    model_ : lightgbm.LGBMClassifier
        The fitted model; its classes are positions in ``classes_``.
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.model_ = self._train(LGBMClassifier, frame, y, sample_weight, **self._given())

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(named(frame)))


class LightGBMTeacherRegressor(_LightGBMTeacher, RegressorTeacher):
    __doc__ = f"""Boosted trees that predict numbers.

    {_LightGBMTeacher.__doc__}
    Attributes
    ----------
    model_ : lightgbm.LGBMRegressor
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        params = self._given()
        for name in _CLASSES_ONLY:
            if name in params:
                raise ParameterError(f"{name} is for classification; leave it out.")
        self.model_ = self._train(LGBMRegressor, frame, y, sample_weight, **params)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict(named(frame)))


def make(task: str) -> LightGBMTeacherClassifier | LightGBMTeacherRegressor:
    """Factory of the spec ``lightgbm``."""
    return LightGBMTeacherRegressor() if task == "regression" else LightGBMTeacherClassifier()
