"""Teachers from saved native model files: through plugins' loaders, and ONNX models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdcore.candidates import describe_error
from kdcore.columns import Column, category_keys, numeric_values
from kdcore.errors import DataError, FitError, KDError, first_line
from kdcore.own_teachers import FittedTeacher
from kdcore.registry import default_registry

__all__ = ["OnnxTeacher", "load_model_file"]

_FLOATS = ("tensor(float", "tensor(double")

#: Types that an ONNX model may read.
_NUMPY: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(bool)": np.dtype(np.bool_),
}


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
        except Exception as error:
            reasons.append(
                f"the model file '{path}' cannot be read as one of {name}: {describe_error(error)}."
            )
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

    It may have one input (n, p) for all columns in the order of the table, or one input (n, 1)
    for each column, matched by name. Probabilities may be a matrix, one column for the second of
    two classes, or mappings from class to probability (ZipMap).

    Parameters
    ----------
    path : str or Path
    classes : array of shape (K,) or None

    Raises
    ------
    FitError
        When the file is no ONNX model, or holds a model for another task.
    """

    def __init__(self, path: str | Path, classes: np.ndarray | None) -> None:
        import onnxruntime

        self.path = Path(path)
        self._classes = classes
        if classes is not None:
            self.classes_ = classes
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            line = first_line(error)
            raise FitError(f"the model file '{path}' is not a usable ONNX model: {line}") from error
        self._inputs = self._session.get_inputs()
        self._check_task()

    def _check_task(self) -> None:
        outputs = self._session.get_outputs()
        labels = [o for o in outputs if not o.type.startswith(_FLOATS)]
        if self._classes is None and labels:
            raise FitError(
                f"the model file '{self.path}' holds a classifier, but the task is regression."
            )
        widths = {o.shape[-1] if len(o.shape) == 2 else 1 for o in outputs}
        if self._classes is not None and not labels and widths == {1} and len(self._classes) > 2:
            raise FitError(
                f"the model file '{self.path}' holds a regression model, but the task is "
                "classification."
            )

    def model_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K)."""
        assert self._classes is not None
        n_classes, widths = len(self._classes), []
        for output in self._session.run(None, self._feed(X)):
            if isinstance(output, list) and output and isinstance(output[0], dict):
                return self._by_class(output)
            array = np.asarray(output)
            if array.dtype.kind != "f":
                continue
            array = array.reshape(len(X), -1).astype(float)
            if array.shape[1] == 1 and n_classes == 2:
                array = np.hstack([1 - array, array])
            if array.shape[1] == n_classes:
                return self._distributions(array)
            widths.append(array.shape[1])
        gives = f"probabilities of {widths[0]} class(es)" if widths else "no probabilities"
        raise FitError(
            f"the ONNX model '{self.path}' gives {gives}, but the table has {n_classes} classes "
            f"({', '.join(map(str, self._classes[:10].tolist()))})."
        )

    def _by_class(self, rows: list[dict[Any, float]]) -> np.ndarray:
        """Probabilities from skl2onnx's ZipMap: one mapping from class to probability a row."""
        assert self._classes is not None
        keys = {str(k): k for k in rows[0]}
        wanted = [str(c) for c in self._classes.tolist()]
        if list(rows[0]) == list(range(len(wanted))):
            keys = dict(zip(wanted, rows[0], strict=True))
        unknown = [k for k in keys if k not in wanted]
        if unknown:
            raise FitError(
                f"the ONNX model '{self.path}' predicts the class {unknown[0]!r}, which the table "
                "does not have; use a teacher fitted on the same classes."
            )
        return np.array([[row[keys[w]] if w in keys else 0.0 for w in wanted] for row in rows])

    def _distributions(self, proba: np.ndarray) -> np.ndarray:
        total = proba.sum(axis=1)
        off = ~(np.abs(total - 1) <= 1e-2) | (proba < 0).any(axis=1)
        if off.any():
            row = int(np.flatnonzero(off)[0])
            raise FitError(
                f"the ONNX model '{self.path}' gives no probabilities: its output for row {row} "
                f"is {', '.join(f'{p:.4g}' for p in proba[row][:5])}."
            )
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Classes, or values (n,)."""
        if self._classes is not None:
            return np.asarray(self._classes[self.predict_proba(X).argmax(axis=1)])
        output = np.asarray(self._session.run(None, self._feed(X))[0], dtype=float)
        if output.size != len(X):
            raise FitError(
                f"the ONNX model '{self.path}' gives {output.size // max(len(X), 1)} values for "
                "each row, but a regression has one."
            )
        return output.reshape(len(X))

    def _feed(self, X: Any) -> dict[str, np.ndarray]:
        names = [i.name for i in self._inputs]
        missing = [n for n in names if n not in X.columns]
        if missing and len(names) == 1:
            return {names[0]: self._matrix(X)}
        if missing:
            raise DataError(
                f"the ONNX model '{self.path}' reads the column(s) "
                f"{', '.join(map(repr, missing[:5]))}, which the table lacks."
            )
        return {i.name: self._values(X[i.name], i.type).reshape(-1, 1) for i in self._inputs}

    def _matrix(self, X: Any) -> np.ndarray:
        only = self._inputs[0]
        width = only.shape[-1] if len(only.shape) == 2 else None
        if isinstance(width, int) and width != X.shape[1]:
            raise DataError(
                f"the ONNX model '{self.path}' was made for {width} columns, but the table has "
                f"{X.shape[1]}: {', '.join(map(str, X.columns[:10]))}."
            )
        return np.stack([self._values(X[c], only.type) for c in X.columns], axis=1)

    def _values(self, values: Any, kind: str) -> np.ndarray:
        """A column in the type that the model reads."""
        if kind == "tensor(string)":
            return category_keys(values)
        column = Column(str(values.name), "boolean" if kind == "tensor(bool)" else "numeric")
        numbers = numeric_values(values, column)
        dtype = _NUMPY.get(kind)
        if dtype is None:
            raise FitError(f"the ONNX model '{self.path}' reads {kind}, which no column can be.")
        if dtype.kind != "f" and np.isnan(numbers).any():
            raise DataError(
                f"the ONNX model '{self.path}' reads whole numbers, but values of the column "
                f"{values.name!r} are missing."
            )
        # float32 would cost a model of doubles or long integers some digits.
        exact = getattr(values.dtype, "kind", "O") in "iufb" and isinstance(values.dtype, np.dtype)
        return np.asarray(values if exact else numbers).astype(dtype)
