"""The splits of LightGBM's trees, for student encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kdcore.structure import SplitTree, TeacherStructure, structure_from_trees

__all__ = ["structure_of_booster"]

_WANTED = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")


def structure_of_booster(booster: Any, names: Sequence[str]) -> TeacherStructure | None:
    """Thresholds and pairs of a booster's trees; None where no tree has a split.

    Parameters
    ----------
    booster : lightgbm.Booster
    names : sequence of str
        The raw columns in the order of training: LightGBM may know them by other names.
    """
    # The text form holds arrays; the nodes of dump_model() take many times as long to read.
    return structure_from_trees(_trees(booster.model_to_string()), names)


def _trees(text: str) -> Iterator[SplitTree]:
    body = text.partition("\nend of trees")[0]
    for block in body.split("\nTree=")[1:]:
        lines = (line.partition("=") for line in block.split("\n"))
        told = {key: value.split() for key, _, value in lines if key in _WANTED}
        if not told.get("split_feature"):
            continue
        # The lowest bit marks a split between categories.
        categorical = np.array(told["decision_type"], dtype=int) % 2 == 1
        threshold = np.array(told["threshold"], dtype=float)
        yield SplitTree(
            feature=np.array(told["split_feature"], dtype=int),
            threshold=np.where(categorical, np.nan, threshold),
            gain=np.array(told["split_gain"], dtype=float),
            left=np.array(told["left_child"], dtype=int),
            right=np.array(told["right_child"], dtype=int),
        )
