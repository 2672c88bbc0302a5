"""The splits of XGBoost's trees, for student encoders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kdcore.structure import SplitTree, TeacherStructure, structure_from_trees

__all__ = ["structure_of_booster"]


def structure_of_booster(booster: Any, names: Sequence[str]) -> TeacherStructure | None:
    """Thresholds and pairs of a booster's trees; None where it has none (``gblinear``).

    Parameters
    ----------
    booster : xgboost.Booster
    names : sequence of str
        The raw columns in the order of training: XGBoost may know them by other names.
    """
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    # DART keeps its trees one level deeper.
    trees = model.get("gbtree", model).get("model", {}).get("trees")
    if trees is None:
        return None
    return structure_from_trees(map(_splits, trees), names, less_or_equal=False)


def _splits(tree: dict[str, Any]) -> SplitTree:
    left = np.array(tree["left_children"])
    inner = left >= 0
    between_categories = np.array(tree["split_type"]) == 1
    return SplitTree(
        feature=np.where(inner, np.array(tree["split_indices"]), -1),
        threshold=np.where(
            inner & ~between_categories, np.array(tree["split_conditions"], dtype=float), np.nan
        ),
        gain=np.array(tree["loss_changes"], dtype=float),
        left=left,
        right=np.array(tree["right_children"]),
    )
