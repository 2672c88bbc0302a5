"""The splits of CatBoost's trees, for student encoders.

CatBoost keeps no gains. A split's gain here is how much the leaves on its two sides differ:
``w0 * w1 / (w0 + w1) * (v0 - v1)^2`` with their weights and values, summed over the pairs of leaves
that differ in that split alone, as in CatBoost's own importance PredictionValuesChange. In
asymmetric trees v0 and v1 are the weighted means of the two branches.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcore.structure import SplitTree, TeacherStructure, structure_from_trees

__all__ = ["structure_of_model"]


def structure_of_model(model: Any, names: Sequence[str]) -> TeacherStructure | None:
    """Thresholds and pairs of a model's trees; None where no tree has a split.

    A split on statistics of a categorical column counts for pairs; one on a combination of
    columns pairs these with each other too.

    Parameters
    ----------
    model : catboost.CatBoost
    names : sequence of str
        The raw columns in the order of training.
    """
    with tempfile.TemporaryDirectory(prefix="kdcore-") as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        told = json.loads(path.read_text(encoding="utf-8"))
    columns = _Columns(told["features_info"])
    if "oblivious_trees" in told:
        trees = [_oblivious(tree, columns) for tree in told["oblivious_trees"]]
    else:
        trees = [_asymmetric(tree, columns) for tree in told["trees"]]
    return structure_from_trees(trees, names)


class _Columns:
    """From splits to positions of raw columns."""

    def __init__(self, info: dict[str, Any]) -> None:
        floats, cats = info.get("float_features") or [], info.get("categorical_features") or []
        self.floats = {c["feature_index"]: c["flat_feature_index"] for c in floats}
        self.cats = {c["feature_index"]: c["flat_feature_index"] for c in cats}
        # Splits are numbered: borders of numbers, one-hot values, then borders of statistics.
        self.first = sum(len(c.get("borders") or ()) for c in floats)
        self.first += sum(len(c.get("values") or ()) for c in cats)
        self.combined = [
            ctr["elements"] for ctr in info.get("ctrs") or [] for _ in ctr.get("borders") or ()
        ]

    def of(self, split: dict[str, Any]) -> tuple[list[int], float]:
        """The raw columns of a split (none where unknown), and its threshold, NaN without one."""
        kind = split["split_type"]
        if kind == "FloatFeature":
            return [self.floats[split["float_feature_index"]]], float(split["border"])
        if kind == "OneHotFeature":
            return [self.cats[split["cat_feature_index"]]], np.nan
        number = split["split_index"] - self.first
        found = []
        for element in self.combined[number] if 0 <= number < len(self.combined) else ():
            if "cat_feature_index" in element:
                found.append(self.cats[element["cat_feature_index"]])
            elif "float_feature_index" in element:
                found.append(self.floats[element["float_feature_index"]])
        return list(dict.fromkeys(found)), np.nan


def _oblivious(tree: dict[str, Any], columns: _Columns) -> SplitTree:
    """One node a level, each the only child of the one above."""
    splits = tree.get("splits") or []
    depth = len(splits)
    values = np.array(tree["leaf_values"], dtype=float).reshape(2**depth, -1)
    weights = np.array(tree.get("leaf_weights") or np.ones(2**depth), dtype=float)
    feature, threshold, gain = [], [], []
    for level, split in enumerate(splits):
        # The answer at a level is that bit of a leaf's number.
        low = np.flatnonzero(np.arange(2**depth) >> level & 1 == 0)
        high = low + (1 << level)
        mass = weights[low] + weights[high]
        share = weights[low] * weights[high] / np.where(mass > 0, mass, 1.0)
        improvement = float(share @ ((values[low] - values[high]) ** 2).sum(axis=1))
        found, border = columns.of(split)
        for column in found:
            feature.append(column)
            threshold.append(border)
            gain.append(improvement)
    n = len(feature)
    return SplitTree(
        feature=np.array(feature, dtype=int),
        threshold=np.array(threshold, dtype=float),
        gain=np.array(gain, dtype=float),
        left=np.where(np.arange(n) < n - 1, np.arange(n) + 1, -1),
        right=np.full(n, -1),
    )


def _asymmetric(root: dict[str, Any], columns: _Columns) -> SplitTree:
    rows: list[tuple[int, float, float, int, int]] = []

    def add(node: dict[str, Any]) -> tuple[int, float, np.ndarray]:
        here = len(rows)
        rows.append((-1, np.nan, 0.0, -1, -1))
        if "split" not in node:
            return here, float(node["weight"]), np.atleast_1d(np.array(node["value"], dtype=float))
        left, w0, v0 = add(node["left"])
        right, w1, v1 = add(node["right"])
        mass = w0 + w1
        found, border = columns.of(node["split"])
        gain = w0 * w1 / mass * float(((v0 - v1) ** 2).sum()) if mass > 0 else 0.0
        if found:
            rows[here] = (found[0], border, gain, left, right)
        return here, mass, (w0 * v0 + w1 * v1) / mass if mass > 0 else v0

    add(root)
    feature, threshold, gain, left, right = zip(*rows, strict=True)
    return SplitTree(
        feature=np.array(feature),
        threshold=np.array(threshold),
        gain=np.array(gain),
        left=np.array(left),
        right=np.array(right),
    )
