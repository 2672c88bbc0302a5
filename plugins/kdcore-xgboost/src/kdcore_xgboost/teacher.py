"""XGBoost teachers: scikit-learn's interface over raw tables with text, categories and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xgboost import DMatrix, XGBClassifier, XGBRegressor
from xgboost.callback import EarlyStopping

from kdcore import ClassifierTeacher, RegressorTeacher
from kdcore.errors import ParameterError
from kdcore.parameters import number, require, whole
from kdcore.teachers import mean_sizes, stopping_rows
from kdcore_xgboost.trees import booster_to_onnx, structure_of_booster

if TYPE_CHECKING:
    from kdcore.schema import TableSchema
    from kdcore.structure import TeacherStructure

__all__ = ["XGBoostTeacherClassifier", "XGBoostTeacherRegressor", "make"]


def written_names(names: list[str]) -> list[str]:
    """Column names, with others where XGBoost refuses ``[``, ``]`` and ``<`` in a name."""
    names = list(names)
    for i, name in enumerate(names):
        if set(name) & set("[]<"):
            names[i] = f"column {i}"
            while names.count(names[i]) > 1:
                names[i] += "_"
    return names


def named(frame: Any) -> Any:
    """The frame with `written_names`."""
    names = written_names(list(frame.columns))
    return frame if names == list(frame.columns) else frame.set_axis(names, axis=1)


class _XGBoostTeacher:
    """Constructor and size that both teachers share.

    Parameters have XGBoost's names and meaning; None leaves XGBoost's own default. The defaults
    given here are those of a strong teacher on tables of a few thousand rows and more.

    Parameters
    ----------
    early_stopping_rounds : int, optional
        Stop when so many rounds did not lower the loss on rows held out of those that ``fit`` was
        given, and keep the best round. Rows that are labelled out of fold are never among them.
    validation_fraction : float, default=0.1
        Share of the rows that are held out then; stratified, drawn by ``random_state``.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        max_depth: int | None = 6,
        learning_rate: float | None = 0.05,
        max_leaves: int | None = None,
        max_bin: int | None = None,
        grow_policy: str | None = None,
        min_child_weight: float | None = None,
        gamma: float | None = None,
        max_delta_step: float | None = None,
        subsample: float | None = None,
        sampling_method: str | None = None,
        colsample_bytree: float | None = None,
        colsample_bylevel: float | None = None,
        colsample_bynode: float | None = None,
        reg_alpha: float | None = None,
        reg_lambda: float | None = None,
        scale_pos_weight: float | None = None,
        num_parallel_tree: int | None = None,
        monotone_constraints: Any = None,
        interaction_constraints: Any = None,
        max_cat_to_onehot: int | None = None,
        max_cat_threshold: int | None = None,
        tree_method: str | None = "hist",
        device: str | None = None,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        random_state: int | None = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.max_bin = max_bin
        self.grow_policy = grow_policy
        self.min_child_weight = min_child_weight
        self.gamma = gamma
        self.max_delta_step = max_delta_step
        self.subsample = subsample
        self.sampling_method = sampling_method
        self.colsample_bytree = colsample_bytree
        self.colsample_bylevel = colsample_bylevel
        self.colsample_bynode = colsample_bynode
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.scale_pos_weight = scale_pos_weight
        self.num_parallel_tree = num_parallel_tree
        self.monotone_constraints = monotone_constraints
        self.interaction_constraints = interaction_constraints
        self.max_cat_to_onehot = max_cat_to_onehot
        self.max_cat_threshold = max_cat_threshold
        self.tree_method = tree_method
        self.device = device
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs

    model_: Any
    schema_: TableSchema

    def check_params(self) -> None:
        # XGBoost would take no tree at all for a model; the rest it judges itself.
        require(self, n_estimators=whole(1), early_stopping_rounds=whole(1, also=(None,)))
        if self.early_stopping_rounds is not None:
            require(self, validation_fraction=number(above=0, below=1))

    def _train(
        self, kind: Any, frame: Any, y: np.ndarray, weight: np.ndarray | None, **params: Any
    ) -> Any:
        """A fitted model of XGBoost."""
        rounds = params.pop("early_stopping_rounds", None)
        fraction = params.pop("validation_fraction", None)
        frame = named(frame)
        if rounds is None:
            return kind(**params, enable_categorical=True).fit(frame, y, sample_weight=weight)
        learn, stop = stopping_rows(
            y, fraction=fraction, random_state=self.random_state, classify=kind is XGBClassifier
        )
        # The trees after the best round are cut off.
        ending = EarlyStopping(rounds=rounds, save_best=True)
        model = kind(**params, enable_categorical=True, callbacks=[ending]).fit(
            frame.iloc[learn],
            y[learn],
            sample_weight=None if weight is None else weight[learn],
            eval_set=[(frame.iloc[stop], y[stop])],
            sample_weight_eval_set=None if weight is None else [weight[stop]],
            verbose=False,
        )
        return model.set_params(callbacks=None)

    def model_bytes(self) -> int:
        """Size in bytes of the model in XGBoost's own binary format."""
        return len(self.model_.get_booster().save_raw("ubj"))

    def structure(self) -> TeacherStructure | None:
        """Thresholds with the gain of their splits, and interacting pairs; None without trees."""
        return structure_of_booster(self.model_.get_booster(), self.schema_.names)

    def to_onnx(self) -> Any:
        """ONNX model from raw columns to probabilities or values; KDError where there is none."""
        return booster_to_onnx(self.model_.get_booster(), self.schema_)

    def contributions(self, X: Any) -> np.ndarray:
        """Mean size (p,) of each raw column's contributions to the margin (TreeSHAP)."""
        frame = named(self.schema_.canonical(X))
        rows = DMatrix(frame, enable_categorical=True, nthread=self.n_jobs)
        told = self.model_.get_booster().predict(rows, pred_contribs=True)
        return mean_sizes(told, frame.shape[1])


class XGBoostTeacherClassifier(_XGBoostTeacher, ClassifierTeacher):
    """Boosted trees that classify, with labels of any type.

    Attributes
    ----------
    model_ : xgboost.XGBClassifier
        The fitted model; its classes are positions in ``classes_``.
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.model_ = self._train(XGBClassifier, frame, y, sample_weight, **self.get_params())

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(named(frame)))


class XGBoostTeacherRegressor(_XGBoostTeacher, RegressorTeacher):
    """Boosted trees that predict numbers.

    Attributes
    ----------
    model_ : xgboost.XGBRegressor
    """

    def fit_frame(self, frame: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        params = self.get_params()
        if params.pop("scale_pos_weight") is not None:
            raise ParameterError("scale_pos_weight is for classification; leave it out.")
        self.model_ = self._train(XGBRegressor, frame, y, sample_weight, **params)

    def predict_frame(self, frame: Any) -> np.ndarray:
        return np.asarray(self.model_.predict(named(frame)))


def make(task: str) -> XGBoostTeacherClassifier | XGBoostTeacherRegressor:
    """Factory of the spec ``xgboost``."""
    return XGBoostTeacherRegressor() if task == "regression" else XGBoostTeacherClassifier()
