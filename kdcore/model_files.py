"""Teachers from saved native model files: through plugins' loaders, and ONNX models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdcore.columns import Column, category_keys, numeric_values
from kdcore.errors import DataError, FitError, KDError
from kdcore.given import FittedTeacher
from kdcore.registry import default_registry

__all__ = ["OnnxTeacher", "load_model_file"]


def load_model_file(path: str | Path, classes: np.ndarray | None) -> FittedTeacher:
    """A fitted teacher from a model file, by the file's ending.

    Parameters
    ----------
    path : str or Path
    classes : array of shape (K,) or None
        Sorted classes of the table. Native files know classes as positions 0 ... K-1 only.

    Raises
    ------
    FitError
        When no installed plugin reads such a file, or it holds another kind of model.
    """
    path = Path(path)
    if not path.is_file():
        raise FitError(f"there is no model file '{path}'.")
    if path.suffix == ".onnx":
        return FittedTeacher(OnnxTeacher(path, classes))
    registry = default_registry()
    readers = [n for n, s in registry.specs("teacher").items() if path.suffix in s.suffixes]
    if not readers:
        known = sorted({x for s in registry.specs("teacher").values() for x in s.suffixes})
        raise FitError(
            f"no installed plugin reads the model file '{path}'; endings that are read: "
            f"{', '.join([*known, '.onnx'])}."
        )
    reasons = []
    for name in readers:
        try:
            model = registry.resolve("teacher", name, "loader")(path)
            break
        except KDError as error:
            reasons.append(str(error))
    else:
        raise FitError(reasons[0])
    _name_classes(model, classes, path)
    return FittedTeacher(model)


def _name_classes(model: Any, classes: np.ndarray | None, path: Path) -> None:
    own = getattr(model, "classes_", None)
    if (own is None) != (classes is None):
        kind, task = (
            ("a regression model", "classification")
            if own is None
            else ("a classifier", "regression")
        )
        raise FitError(f"the model file '{path}' holds {kind}, but the task is {task}.")
    if own is None or classes is None or np.array_equal(own, classes):
        return
    if len(own) != len(classes):
        raise FitError(
            f"the model file '{path}' knows {len(own)} classes, but the table has {len(classes)}."
        )
    if np.array_equal(own, np.arange(len(own))):
        model.classes_ = classes


class OnnxTeacher:
    """A model in ONNX as a teacher, run by ONNX Runtime.

    It may have one float input (n, p), which gets the numeric columns in the order of the table,
    or one input (n, 1) for each column, matched by name.

    Parameters
    ----------
    path : str or Path
    classes : array of shape (K,) or None
    """

    def __init__(self, path: str | Path, classes: np.ndarray | None) -> None:
        import onnxruntime

        self.path = Path(path)
        self._classes = classes
        if classes is not None:
            self.classes_ = classes
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            line = str(error).splitlines()[0]
            raise FitError(f"the model file '{path}' is not a usable ONNX model: {line}") from error

    def model_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        assert self._classes is not None
        width = len(self._classes)
        for output in self._session.run(None, self._feed(X)):
            if isinstance(output, list) and output and isinstance(output[0], dict):
                # skl2onnx's ZipMap: one mapping from class to probability for each row.
                keys = sorted(output[0])
                output = np.array([[row[k] for k in keys] for row in output])
            array = np.asarray(output)
            if array.ndim == 2 and array.shape == (len(X), width) and array.dtype.kind == "f":
                return array.astype(float)
        raise FitError(
            f"the ONNX model '{self.path}' has no output of probabilities (n, {width}), one for "
            "each class of the table."
        )

    def predict(self, X: Any) -> np.ndarray:
        """Classes, or values (n,)."""
        if self._classes is not None:
            return np.asarray(self._classes[self.predict_proba(X).argmax(axis=1)])
        output = np.asarray(self._session.run(None, self._feed(X))[0], dtype=float)
        return output.reshape(len(X))

    def _feed(self, X: Any) -> dict[str, np.ndarray]:
        inputs = self._session.get_inputs()
        if len(inputs) == 1 and "string" not in inputs[0].type:
            width = inputs[0].shape[-1] if len(inputs[0].shape) == 2 else None
            if isinstance(width, int) and width not in (1, X.shape[1]):
                raise DataError(
                    f"the ONNX model '{self.path}' was made for {width} columns, but the table "
                    f"has {X.shape[1]}."
                )
            if width != 1 or inputs[0].name not in X.columns:
                values = [numeric_values(X[c], Column(str(c), "numeric")) for c in X.columns]
                return {inputs[0].name: np.stack(values, axis=1)}
        missing = [i.name for i in inputs if i.name not in X.columns]
        if missing:
            raise DataError(
                f"the ONNX model '{self.path}' reads the column(s) "
                f"{', '.join(map(repr, missing[:5]))}, which the table lacks."
            )
        feed = {}
        for one in inputs:
            values = X[one.name]
            if "string" in one.type:
                feed[one.name] = category_keys(values).reshape(-1, 1)
            else:
                numbers = numeric_values(values, Column(one.name, "numeric")).reshape(-1, 1)
                wide = {"tensor(double)": np.float64, "tensor(int64)": np.int64}
                feed[one.name] = numbers.astype(wide.get(one.type, np.float32))
        return feed
