"""Teachers from XGBoost's model files (``.ubj``, ``.json``), checked before XGBoost reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xgboost import Booster, DMatrix
from xgboost.core import XGBoostError

from kdcore.columns import Column, category_keys, numeric_values
from kdcore.errors import DataError, FitError
from kdcore.loaded_models import LoadedModel
from kdcore.targets import softmax
from kdcore_xgboost.teacher import written_names
from kdcore_xgboost.trees import structure_of_booster
from kdcore_xgboost.ubjson import keys_of

if TYPE_CHECKING:
    from kdcore.structure import TeacherStructure

__all__ = ["LoadedClassifier", "LoadedRegressor", "load"]

_BINARY = ("binary:logistic", "binary:logitraw")
_SEVERAL = ("multi:softprob", "multi:softmax")


class _Loaded(LoadedModel):
    """A fitted booster that reads tables as the user has them.

    Parameters
    ----------
    booster : xgboost.Booster
    path : Path

    Attributes
    ----------
    model_ : xgboost.Booster
    feature_names_in_ : array of str
        The columns it was trained on; absent where the file holds no names.
    n_features_in_ : int
    """

    def __init__(self, booster: Booster, path: Path) -> None:
        super().__init__(path, int(booster.num_features()), booster.feature_names or None)
        self.model_ = booster
        kinds = booster.feature_types or []
        self._categorical = {j for j, kind in enumerate(kinds) if kind == "c"}
        self._categories = _categories(booster) if self._categorical else {}

    def structure(self) -> TeacherStructure | None:
        """What the trees tell of the columns; None where the file holds no names, or no trees."""
        return None if self.names is None else structure_of_booster(self.model_, self.names)

    def written(self, names: list[str]) -> list[str]:
        """XGBoost's own names, where it refuses those of the table."""
        return written_names(names)

    def _output(self, X: Any, *, margin: bool = False) -> np.ndarray:
        import pandas as pd

        frame = self.frame_of(X)
        data = {}
        for j, name in enumerate(frame.columns):
            column = frame[name]
            if j in self._categorical:
                data[j] = self._category(column, j)
            else:
                data[j] = numeric_values(column, Column(str(name), "numeric"))
        table = pd.DataFrame(data, index=frame.index)
        rows = DMatrix(
            table,
            feature_names=self.model_.feature_names,
            feature_types=self.model_.feature_types if not self._categorical else None,
            enable_categorical=True,
            nthread=1,
        )
        best = self.model_.attr("best_iteration")
        stop = 0 if best is None else int(best) + 1
        # XGBoost tells apart whole and other numbers, which say nothing of the model.
        return np.asarray(
            self.model_.predict(
                rows, output_margin=margin, iteration_range=(0, stop), validate_features=False
            ),
            dtype=float,
        )

    def _category(self, column: Any, j: int) -> Any:
        """The column with the categories of training; missing where it has another one."""
        import pandas as pd

        if j not in self._categories:
            raise DataError(
                f"the model file '{self.path}' does not hold the categories of the column "
                f"{column.name!r}; save the model again with XGBoost 3.1 or newer, or hand over "
                "the fitted model in Python."
            )
        categories = self._categories[j]
        position = {key: i for i, key in enumerate(category_keys(categories))}
        codes = [position.get(key, -1) for key in category_keys(column)]
        return pd.Categorical.from_codes(codes, pd.Index(categories))


class LoadedClassifier(_Loaded):
    """A classifier from a file; its classes are positions, since the file holds no labels."""

    def __init__(self, booster: Booster, path: Path, n_classes: int) -> None:
        super().__init__(booster, path)
        self.classes_ = np.arange(n_classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        margins = self._output(X, margin=True)
        if len(self.classes_) == 2 and margins.ndim == 1:
            margins = np.stack([-margins / 2, margins / 2], axis=1)
        return softmax(margins)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class LoadedRegressor(_Loaded):
    """A regression model from a file."""

    def predict(self, X: Any) -> np.ndarray:
        """Predicted values, (n,)."""
        return self._output(X).reshape(len(X))


def load(path: str | Path) -> LoadedClassifier | LoadedRegressor:
    """A fitted teacher from a file that ``save_model`` wrote.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FitError
        When the file is not such a model, is damaged, or holds a model that is no teacher.
    """
    path = Path(path)
    _require_whole(path)
    try:
        booster = Booster()
        booster.load_model(str(path))
        learner = json.loads(booster.save_config())["learner"]
    except (XGBoostError, KeyError, ValueError, RuntimeError, IndexError) as error:
        raise _unusable(path) from error
    objective = str(learner["objective"]["name"])
    shape = learner["learner_model_param"]
    if objective in _BINARY:
        return LoadedClassifier(booster, path, 2)
    if objective in _SEVERAL:
        return LoadedClassifier(booster, path, int(shape["num_class"]))
    if objective.startswith(("reg:", "count:")) and int(shape["num_target"]) == 1:
        return LoadedRegressor(booster, path)
    raise FitError(
        f"the model file '{path}' was trained with the objective {objective} for "
        f"{shape['num_target']} target(s), which gives neither class probabilities nor one value "
        "for each row."
    )


def _require_whole(path: Path) -> None:
    """Refuse files that XGBoost did not write, and those that would end the process."""
    try:
        data = path.read_bytes()
        keys = list(json.loads(data)) if path.suffix == ".json" else keys_of(data)
    except (OSError, ValueError, RecursionError, TypeError) as error:
        raise _unusable(path) from error
    if not {"learner", "version"} <= set(map(str, keys)):
        raise _unusable(path)


def _unusable(path: Path) -> FitError:
    return FitError(
        f"the model file '{path}' is not a usable XGBoost model: it is of another kind or "
        "damaged; save the model again with save_model."
    )


def _categories(booster: Booster) -> dict[int, list[Any]]:
    """The categories of training by position, where the file and this XGBoost tell them."""
    ask = getattr(booster, "get_categories", None)
    if ask is None:
        return {}
    try:
        told = ask(export_to_arrow=True).to_arrow()
    except (XGBoostError, ValueError, TypeError, AttributeError):
        return {}
    return {j: known.to_pylist() for j, (_, known) in enumerate(told) if known is not None}
