"""Fitted scikit-learn models as skops files, which hold data and names of types, no pickle."""

from __future__ import annotations

import importlib
import io
import json
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kdcore.errors import BundleError, listed

__all__ = ["MEMBER", "StateMixin", "dump", "load", "restore"]

MEMBER = "state.skops"

#: Types that skops does not trust by itself, and that the models of our students hold.
_TRUSTED = ["sklearn.tree._tree.Tree"]


class StateMixin:
    """A student whose one attribute beyond plain data is ``model_``, a scikit-learn estimator."""

    model_: Any

    def state(self) -> tuple[str, bytes]:
        """Name and bytes of the member that holds ``model_`` in a bundle; see `kdcore.native`."""
        return MEMBER, dump(self.model_)

    def to_sklearn(self) -> tuple[bytes, Any]:
        """A skops file of a Pipeline from raw columns, and that Pipeline."""
        from sklearn.pipeline import Pipeline

        student: Any = self
        pipeline = Pipeline([("encoder", student.encoder_), ("model", self._plain_model())])
        return dump(pipeline, zipfile.ZIP_DEFLATED), pipeline

    def _plain_model(self) -> Any:
        """A scikit-learn model of encoded rows that predicts what the student does."""
        return self.model_


def _skops() -> Any:
    """``skops.io``, imported without PyTorch, which takes seconds and hundreds of MB.

    On import it asks scikit-learn for all its estimators, and the walk through its packages would
    import scikit-learn's bridge to PyTorch too, wherever that is installed.
    """
    bridge = "sklearn.externals.array_api_compat.torch"
    if "skops.io" not in sys.modules and "torch" not in sys.modules and bridge not in sys.modules:
        sys.modules[bridge] = types.ModuleType(bridge)
        try:
            importlib.import_module("skops.io")
        finally:
            sys.modules.pop(bridge, None)
    import skops.io

    return skops.io


def dump(model: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A skops file of a fitted estimator; equal models give equal bytes.

    A bundle compresses its members itself.
    """
    written = _skops().dumps(model, compression=zipfile.ZIP_STORED)
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        schema = json.loads(archive.read("schema.json"))
        arrays = {name: archive.read(name) for name in archive.namelist() if name[0].isdigit()}
    # skops numbers objects by their addresses, which differ from run to run.
    numbers: dict[int, int] = {}
    for node in _nodes(schema):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
    names: dict[str, str] = {}
    for node in _nodes(schema):
        if node.get("file") in arrays:
            node["file"] = names.setdefault(node["file"], f"{len(names)}.npy")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        told = json.dumps(schema, separators=(",", ":")).encode()
        for name, data in {
            **{new: arrays[old] for old, new in names.items()},
            "schema.json": told,
        }.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
    return buffer.getvalue()


def load(data: bytes) -> Any:
    """The estimator of a skops file, if it holds only types of scikit-learn, numpy and SciPy.

    Raises
    ------
    BundleError
        When it holds others; they are named, and none is made.
    """
    skops = _skops()
    strange = sorted(set(skops.get_untrusted_types(data=data)) - set(_TRUSTED))
    if strange:
        raise BundleError(
            f"holds a Python student with the type(s) {listed(strange)}, which are not trusted, "
            "so it is not restored."
        )
    model = skops.loads(data, trusted=_TRUSTED)
    for part in (model, *getattr(model, "named_steps", {}).values()):
        if hasattr(part, "tree_"):
            _check_tree(part.tree_)
    return model


def _check_tree(tree: Any) -> None:
    """Refuse a tree that leads out of its arrays, where compiled code would follow it."""
    left, right, n = tree.children_left, tree.children_right, tree.node_count
    inner = left >= 0
    here = np.arange(n)
    # Children come after their parents, so there is no way round in circles.
    fine = (left[inner] > here[inner]) & (right[inner] > here[inner])
    fine &= (left[inner] < n) & (right[inner] < n)
    fine &= (tree.feature[inner] >= 0) & (tree.feature[inner] < tree.n_features)
    if not n or len(left) != n or not fine.all() or (right[~inner] >= 0).any():
        raise BundleError("is damaged: its tree leads out of itself.")


def restore(manifest: Mapping[str, Any], data: bytes) -> Any:
    """A student with its ``model_``; `kdcore.native` adds the rest.

    Raises
    ------
    BundleError
        When the bundle holds another kind of student, or types that are not trusted.
    """
    from kdcore_sklearn import linear, mlp, svm, tree

    known = [
        linear.LogisticRegressionStudent,
        linear.RidgeStudent,
        mlp.MLPStudentClassifier,
        mlp.MLPStudentRegressor,
        svm.SVMStudentClassifier,
        svm.SVMStudentRegressor,
        tree.DecisionTreeStudentClassifier,
        tree.DecisionTreeStudentRegressor,
    ]
    wanted = manifest["native"]["class"]
    student = next((kind() for kind in known if kind.__name__ == wanted), None)
    if student is None:
        raise BundleError(f"holds a Python student of the class {wanted!r}, which is not known.")
    student.model_ = load(data)
    return student


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary in a tree of them, in the order of the file."""
    if isinstance(tree, dict):
        yield tree
        for part in tree.values():
            yield from _nodes(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)
