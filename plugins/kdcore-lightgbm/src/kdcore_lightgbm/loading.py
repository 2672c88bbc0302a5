"""Teachers from LightGBM's text files, checked before LightGBM reads them.

LightGBM ends the whole process on a file that is cut off within a tree, hence the care.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightgbm import Booster
from lightgbm.basic import LightGBMError

from kdcore.columns import Column, category_keys, numeric_values
from kdcore.errors import FitError, first_line
from kdcore.loaded_models import LoadedModel
from kdcore_lightgbm.model_text import check_text
from kdcore_lightgbm.splits import structure_of_booster

if TYPE_CHECKING:
    from kdcore.structure import TeacherStructure

__all__ = ["LoadedClassifier", "LoadedRegressor", "load"]

#: Objectives whose raw scores LightGBM itself turns into probabilities.
_PROBABILITIES = ("binary", "multiclass", "multiclassova", "cross_entropy")
_NOT_TEACHERS = ("lambdarank", "rank_xendcg", "cross_entropy_lambda")


class _Loaded(LoadedModel):
    """A fitted booster that reads tables as the user has them.

    Parameters
    ----------
    booster : lightgbm.Booster
    path : Path

    Attributes
    ----------
    model_ : lightgbm.Booster
    feature_names_in_ : array of str
        The columns it was trained on; absent where the file holds no names. LightGBM writes
        blanks in names as underscores.
    n_features_in_ : int
    """

    def __init__(self, booster: Booster, path: Path) -> None:
        names = booster.feature_name()
        unnamed = names == [f"Column_{i}" for i in range(len(names))]
        super().__init__(path, booster.num_feature(), None if unnamed else names)
        self.model_ = booster
        self._categories = _categories(booster)

    def structure(self) -> TeacherStructure | None:
        """What the trees tell of the columns; None where the file holds no names, or no splits."""
        return None if self.names is None else structure_of_booster(self.model_, self.names)

    def written(self, names: list[str]) -> list[str]:
        """LightGBM writes blanks as underscores."""
        return [str(name).replace(" ", "_") for name in names]

    def _output(self, X: Any) -> np.ndarray:
        if not hasattr(X, "columns"):
            return np.asarray(self.model_.predict(np.asarray(X, dtype=float)))
        columns = self.columns_of(X)
        values = np.empty(columns.shape, dtype=np.float64)
        for j, name in enumerate(columns.columns):
            column = columns[name]
            if j in self._categories:
                values[:, j] = self._codes(column, j)
            elif column.dtype.kind in "iufb":
                values[:, j] = column
            else:
                values[:, j] = numeric_values(column, Column(str(name), "numeric"))
        return np.asarray(self.model_.predict(values))

    def _codes(self, column: Any, j: int) -> np.ndarray:
        """Positions among the categories of training; NaN where missing or unseen."""
        known = self._categories[j]
        if known is None:
            return numeric_values(column, Column(str(column.name), "numeric"))
        return np.array([known.get(key, np.nan) for key in category_keys(column)])


class LoadedClassifier(_Loaded):
    """A classifier from a file; its classes are positions, since the file holds no labels."""

    def __init__(self, booster: Booster, path: Path, n_classes: int) -> None:
        super().__init__(booster, path)
        self.classes_ = np.arange(n_classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        output = self._output(X)
        if output.ndim == 1:
            output = np.stack([1 - output, output], axis=1)
        return output / output.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class LoadedRegressor(_Loaded):
    """A regression model from a file."""

    def predict(self, X: Any) -> np.ndarray:
        """Predicted values, (n,)."""
        return self._output(X)


def load(path: str | Path) -> LoadedClassifier | LoadedRegressor:
    """A fitted teacher from a file that ``Booster.save_model`` wrote.

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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FitError(f"the model file '{path}' is not a LightGBM model in text.") from error
    header = check_text(text, path)
    objective = header.get("objective", "").split(" ")[0]
    n_scores = int(header["num_class"])
    if objective in _NOT_TEACHERS or (not objective and n_scores > 1):
        raise FitError(
            f"the model file '{path}' was trained with the objective "
            f"{objective or '(one of your own)'}, which gives neither probabilities nor values."
        )
    try:
        # Without the sizes LightGBM reads tree by tree, and its errors can be caught.
        lines = [line for line in text.split("\n") if not line.startswith("tree_sizes=")]
        booster = Booster(model_str="\n".join(lines))
    except (LightGBMError, ValueError) as error:
        line = first_line(error)
        raise FitError(f"the model file '{path}' is not a usable LightGBM model: {line}") from error
    if objective in _PROBABILITIES:
        return LoadedClassifier(booster, path, max(2, n_scores))
    return LoadedRegressor(booster, path)


def _categories(booster: Booster) -> dict[int, dict[str, int] | None]:
    """Positions of categorical columns, each with its categories where the file tells them."""
    positions = booster.params.get("categorical_feature") or []
    if isinstance(positions, str):
        positions = positions.split(",")
    found: dict[int, dict[str, int] | None] = {int(j): None for j in positions}
    told = booster.pandas_categorical
    if told and len(told) == len(found):
        for j, categories in zip(found, told, strict=True):
            found[j] = {key: i for i, key in enumerate(category_keys(categories))}
    return found
