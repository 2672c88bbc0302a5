"""Teachers from CatBoost's binary files (``.cbm``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from catboost import CatBoost, CatBoostError

from kdcore.columns import MISSING, Column, category_keys, numeric_values
from kdcore.errors import FitError
from kdcore.loaded_models import LoadedModel
from kdcore_catboost.frames import MISSING_TEXT
from kdcore_catboost.splits import structure_of_model

if TYPE_CHECKING:
    from kdcore.structure import TeacherStructure

__all__ = ["LoadedClassifier", "LoadedRegressor", "load"]

_CLASSIFY = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll")
_VALUES = (
    *("RMSE", "MAE", "Quantile", "LogLinQuantile", "Poisson", "MAPE", "Lq", "Huber", "Expectile"),
    *("Tweedie", "LogCosh"),
)
_EXPONENT = ("LogLinQuantile", "Poisson", "Tweedie")


class _Loaded(LoadedModel):
    """A fitted model that reads tables as the user has them.

    Parameters
    ----------
    model : catboost.CatBoost
    path : Path

    Attributes
    ----------
    model_ : catboost.CatBoost
    feature_names_in_ : array of str
        The columns it was trained on; absent where the file holds no names.
    n_features_in_ : int
    """

    def __init__(self, model: CatBoost, path: Path) -> None:
        self._names = list(model.feature_names_)
        unnamed = self._names == [str(i) for i in range(len(self._names))]
        super().__init__(path, len(self._names), None if unnamed else self._names)
        self.model_ = model
        self._texts = {*model.get_cat_feature_indices(), *model.get_text_feature_indices()}

    def structure(self) -> TeacherStructure | None:
        """What the trees tell of the columns; None where the file holds no names, or no splits."""
        return None if self.names is None else structure_of_model(self.model_, self.names)

    def _output(self, X: Any, kind: str) -> np.ndarray:
        import pandas as pd

        frame = self.frame_of(X)
        data: dict[str, Any] = {}
        for j, (name, column) in enumerate(zip(self._names, frame.columns, strict=True)):
            values = frame[column]
            if j in self._texts:
                keys = category_keys(values)
                data[name] = np.where(keys == MISSING, MISSING_TEXT, keys)
            else:
                data[name] = numeric_values(values, Column(str(column), "numeric"))
        return np.asarray(self.model_.predict(pd.DataFrame(data), prediction_type=kind))


class LoadedClassifier(_Loaded):
    """A classifier from a file.

    Attributes
    ----------
    classes_ : array of shape (K,)
        The labels that the file holds, in its order.
    """

    def __init__(self, model: CatBoost, path: Path) -> None:
        super().__init__(model, path)
        told = np.asarray(model.classes_)
        self.classes_ = told if len(told) else np.arange(2)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K); columns follow ``classes_``."""
        proba = self._output(X, "Probability")
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class LoadedRegressor(_Loaded):
    """A regression model from a file."""

    def __init__(self, model: CatBoost, path: Path, kind: str) -> None:
        super().__init__(model, path)
        self._kind = kind

    def predict(self, X: Any) -> np.ndarray:
        """Predicted values, (n,)."""
        return self._output(X, self._kind).reshape(len(X))


def load(path: str | Path) -> LoadedClassifier | LoadedRegressor:
    """A fitted teacher from a file that ``save_model`` wrote.

    Missing categories are given to the model as the text ``nan``, as pandas' ``astype(str)``
    writes them.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FitError
        When the file is not such a model, is damaged, or holds a model that is no teacher.
    """
    path = Path(path)
    try:
        model = CatBoost().load_model(str(path), format="cbm")
        # The loss is in the file's metadata, which CatBoost reads on request.
        loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    except (CatBoostError, OSError) as error:
        raise FitError(
            f"the model file '{path}' is not a usable CatBoost model: it is of another kind or "
            "damaged; save the model again with save_model."
        ) from error
    if loss in _CLASSIFY:
        return LoadedClassifier(model, path)
    if loss in _VALUES:
        return LoadedRegressor(model, path, "Exponent" if loss in _EXPONENT else "RawFormulaVal")
    raise FitError(
        f"the model file '{path}' was trained with the loss {loss or '(unknown)'}, which gives "
        "neither class probabilities nor one value for each row."
    )
