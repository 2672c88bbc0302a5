"""`kdcore.load`: predicting with a bundle, which needs numpy and onnxruntime only.

Nothing in a bundle is executed as Python, and no pickle is read: a manifest is parsed as JSON and
the model is an ONNX graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from kdcore.archive import MANIFEST, MODEL, read_archive, read_members
from kdcore.columns import MISSING, Column, category_key, category_keys, numeric_values
from kdcore.errors import BundleError, DataError, ParameterError, listed, shown, suggest
from kdcore.manifest import FORMAT_VERSION, check_graph, check_manifest
from kdcore.onnx_guard import check_model
from kdcore.onnx_session import Session

__all__ = ["FORMAT_VERSION", "MANIFEST", "MODEL", "Bundle", "load", "open_bundle"]

_MAX_NUMBER = float(np.finfo(np.float32).max)
#: Rows that go through the graph at a time; one-hot columns of more would cost memory.
_CHUNK = 8192


@overload
def load(path: str | Path, *, threads: int = 1, native: Literal[False] = False) -> Bundle: ...


@overload
def load(path: str | Path, *, threads: int = 1, native: Literal[True]) -> Any: ...


def load(path: str | Path, *, threads: int = 1, native: bool = False) -> Any:
    """Open a bundle for prediction, or for further work in Python.

    Parameters
    ----------
    path : str or Path
        A ``*.kd`` file.
    threads : int, default=1
        Threads of ONNX Runtime for one call; small models are fastest with one.
    native : bool, default=False
        Give back the Python student that the bundle was made of, fitted as it was, instead of the
        graph. It takes the student's plugin, and the versions of its libraries that the manifest
        names; no pickle is read.

    Returns
    -------
    Bundle
        Safe to share between threads, and with forked processes. With ``native`` a fitted student.

    Raises
    ------
    BundleError
        When the file is missing, damaged, changed after it was written, or made by a newer
        kdcore.
    """
    path = Path(path)
    if native:
        if threads != 1:
            raise ParameterError("threads is for the graph's predictions; leave it with native.")
        from kdcore.native import restored

        manifest, members = read_members(path)
        try:
            return restored(manifest, members)
        except BundleError as error:
            raise BundleError(f"'{path}' {error}") from error
    manifest, model = read_archive(path)
    try:
        return open_bundle(manifest, model, threads=threads)
    except BundleError as error:
        raise BundleError(f"'{path}' {error}") from error


class Bundle:
    """A deployable student; made by `load`.

    Parameters
    ----------
    manifest : dict
        What ``manifest.json`` holds.
    session : kdcore.onnx_session.Session

    Attributes
    ----------
    task : {"binary", "multiclass", "regression"}
    classes : array of shape (K,) or None
    columns : list of Column
    features : list of str
        The raw columns that a table must have; others are ignored.
    """

    def __init__(self, manifest: dict[str, Any], session: Session) -> None:
        self.manifest = manifest
        self.task: str = manifest["task"]
        classes = manifest["classes"]
        self.classes = None if classes is None else np.array(classes)
        columns = [
            Column(c["name"], c["kind"], tuple(c.get("categories", ())))
            for c in manifest["columns"]
        ]
        self.columns = columns
        self.features = [c.name for c in columns]
        self._numeric = [c for c in columns if c.kind != "categorical"]
        self._categorical = [c for c in columns if c.kind == "categorical"]
        self._session = session
        self._output = [session.get_outputs()[0].name]
        self._width = 1 if classes is None else len(classes)

    def __repr__(self) -> str:
        return (
            f"Bundle(student={self.manifest.get('student')!r}, task={self.task!r}, "
            f"features={len(self.features)})"
        )

    def predict_proba(self, table: Any) -> np.ndarray:
        """Class probabilities (n, K), columns in the order of ``classes``.

        Parameters
        ----------
        table : frame (pandas, polars, Arrow), mapping of columns, or array (n, p)
            Columns are matched by name; a bare array has exactly the columns ``features``.

        Raises
        ------
        DataError
            When a column is missing or holds a value of the wrong type, or in regression.
        """
        if self.classes is None:
            raise DataError("this bundle is a regression; use predict.")
        return self._run(table)

    def predict(self, table: Any) -> np.ndarray:
        """The most probable class, or the predicted value, of each row, (n,).

        Parameters
        ----------
        table
            As in `predict_proba`.

        Raises
        ------
        DataError
            When a column is missing or holds a value of the wrong type.
        """
        output = self._run(table)
        if self.classes is None:
            return output
        return np.asarray(self.classes[output.argmax(axis=1)])

    def predict_proba_one(self, row: Mapping[str, Any]) -> dict[Any, float]:
        """Probability of each class for one row given as ``{column: value}``."""
        if self.classes is None:
            raise DataError("this bundle is a regression; use predict_one.")
        return dict(zip(self.classes.tolist(), self._run_one(row)[0].tolist(), strict=True))

    def predict_one(self, row: Mapping[str, Any]) -> Any:
        """The class or value of one row given as ``{column: value}``.

        Raises
        ------
        DataError
            When a column is missing or holds a value of the wrong type.
        """
        output = self._run_one(row)
        if self.classes is None:
            return float(output[0, 0])
        return self.classes[int(output[0].argmax())].item()

    def unseen(self, table: Any) -> dict[str, int]:
        """Number of values in each categorical column that were not there in training."""
        columns = self._columns(table)
        counts = {}
        for column in self._categorical:
            known = {*column.categories, MISSING}
            new = sum(k not in known for k in category_keys(columns[column.name]))
            if new:
                counts[column.name] = new
        return counts

    def _run(self, table: Any) -> np.ndarray:
        columns = self._columns(table)
        numbers = [numeric_values(columns[c.name], c) for c in self._numeric]
        keys = [category_keys(columns[c.name]) for c in self._categorical]
        lengths = sorted({len(c) for c in (*numbers, *keys)})
        if len(lengths) > 1:
            raise DataError(f"the columns have different lengths, {lengths[0]} to {lengths[-1]}.")
        n = lengths[0]
        parts = []
        for start in range(0, n, _CHUNK):
            feed: dict[str, Any] = {}
            stop = start + _CHUNK
            if numbers:
                feed["numeric"] = np.stack([c[start:stop] for c in numbers], axis=1)
            if keys:
                feed["categorical"] = np.stack([c[start:stop] for c in keys], axis=1)
            parts.append(self._ask(feed))
        output = np.concatenate(parts) if parts else np.empty((0, self._width), dtype=np.float32)
        return output.reshape(n) if self.classes is None else output

    def _run_one(self, row: Mapping[str, Any]) -> np.ndarray:
        if type(row) is not dict and not (
            isinstance(row, Mapping) or (hasattr(row, "items") and hasattr(row, "index"))
        ):
            raise DataError(
                f"got {shown(row)}; give one row as a mapping of columns to values, such as "
                "{'age': 41}, or a table to predict or predict_proba."
            )
        missing = [name for name in self.features if name not in row]
        if missing:
            row = {str(k): v for k, v in row.items()}
            missing = [name for name in self.features if name not in row]
        if missing:
            raise self._lacks(missing, list(row))
        feed: dict[str, Any] = {}
        if self._numeric:
            values = np.empty((1, len(self._numeric)), dtype=np.float32)
            for j, column in enumerate(self._numeric):
                value = row[column.name]
                plain = type(value) is float or type(value) is int
                if plain and not abs(value) > _MAX_NUMBER:
                    values[0, j] = value
                else:
                    values[0, j] = numeric_values([value], column)[0]
            feed["numeric"] = values
        if self._categorical:
            keys = [category_key(row[c.name]) for c in self._categorical]
            feed["categorical"] = np.array([keys], dtype=object)
        return self._ask(feed)

    def _ask(self, feed: dict[str, Any]) -> np.ndarray:
        try:
            output = self._session.run(self._output, feed)[0]
        except UnicodeEncodeError as error:
            column = next(
                c.name
                for c, keys in zip(self._categorical, feed["categorical"].T, strict=True)
                if any(key.encode("utf-8", "ignore").decode() != key for key in keys)
            )
            raise DataError(f"column {column!r} holds a text that is not valid Unicode.") from error
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"the model of the bundle cannot be run: {reason}") from error
        rows = len(next(iter(feed.values())))
        if getattr(output, "shape", None) != (rows, self._width) or output.dtype != np.float32:
            raise BundleError("the bundle is damaged: its model does not give what it should.")
        return np.asarray(output)

    def _columns(self, table: Any) -> Any:
        """Something that maps each column name to its values."""
        if type(table).__module__.startswith("polars") and hasattr(table, "collect"):
            table = table.collect()
        if hasattr(table, "column_names") and hasattr(table, "column"):
            table = {name: table.column(name) for name in table.column_names}
        if isinstance(table, Mapping) or hasattr(table, "columns"):
            names = list(table) if isinstance(table, Mapping) else list(table.columns)
            if not all(isinstance(name, str) for name in names):
                # Training turned other names into text too.
                table = {str(name): table[name] for name in names}
                names = list(table)
            # A million other columns are not searched one by one.
            there = table if isinstance(table, Mapping) else set(names)
            missing = [name for name in self.features if name not in there]
            if missing:
                raise self._lacks(missing, names)
            if isinstance(table, Mapping):
                for name in self.features:
                    if isinstance(table[name], (str, bytes)) or not hasattr(
                        table[name], "__iter__"
                    ):
                        raise DataError(
                            f"column {name!r} is a single value; use predict_one or "
                            "predict_proba_one for one row."
                        )
            return table
        try:
            array = np.asarray(table)
        except ValueError:
            # Rows of different lengths.
            array = np.empty(0)
        if array.ndim != 2 or array.shape[1] != len(self.features):
            raise DataError(
                f"got an array of shape {array.shape}; give a table with named columns, or an "
                f"array with the {len(self.features)} columns of `features`."
            )
        return {name: array[:, j] for j, name in enumerate(self.features)}

    def _lacks(self, missing: list[str], there: list[str]) -> DataError:
        known = set(self.features)
        return DataError(
            f"the table lacks {len(missing)} column(s) that the student reads: {listed(missing)}."
            + suggest(missing[0], [n for n in there if n not in known])
        )


def open_bundle(manifest: dict[str, Any], model: bytes, *, threads: int = 1) -> Bundle:
    """A bundle from its two parts.

    Raises
    ------
    BundleError
        When ONNX Runtime refuses the model, or it does not fit the manifest.
    """
    check_manifest(manifest)
    check_model(model)
    session = Session(model, threads)
    check_graph(manifest, session)
    return Bundle(manifest, session)
