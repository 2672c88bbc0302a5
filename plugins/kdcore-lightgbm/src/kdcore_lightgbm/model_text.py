"""Whether a text is a whole LightGBM model, found out without LightGBM.

LightGBM ends the process on some damaged files, so this looks at everything it relies on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcore.errors import FitError

__all__ = ["check_text"]

_NEEDED = ("num_class", "num_tree_per_iteration", "max_feature_idx", "feature_names", "tree_sizes")
#: Arrays over inner nodes; ``leaf_value`` has one entry more.
_INNER: dict[str, Callable[[str], Any]] = {
    "split_feature": int,
    "threshold": float,
    "decision_type": int,
    "left_child": int,
    "right_child": int,
}


def check_text(text: str, path: Path) -> dict[str, str]:
    """The header of a LightGBM model in text.

    Parameters
    ----------
    text : str
    path : Path
        For messages.

    Raises
    ------
    FitError
        When the text is something else, or is cut off or damaged; the message says where.
    """
    if not text.startswith("tree\n"):
        raise FitError(
            f"the model file '{path}' is not a LightGBM model; give a text file that "
            "Booster.save_model wrote."
        )
    head, *trees = re.split(r"^Tree=\d+\n", text, flags=re.MULTILINE)
    header = _fields(head)
    sizes = header.get("tree_sizes", "").split()
    if any(key not in header for key in _NEEDED) or not sizes:
        raise _damaged(path, "its header is incomplete")
    if len(trees) != len(sizes) or "\nend of trees\n" not in trees[-1]:
        raise _damaged(path, f"it should hold {len(sizes)} trees and ends before")
    numbers = [header[key] for key in ("num_class", "max_feature_idx", "num_tree_per_iteration")]
    if not all(number.isdecimal() for number in numbers):
        raise _damaged(path, "its header is incomplete")
    n_features = int(header["max_feature_idx"]) + 1
    if len(header["feature_names"].split(" ")) != n_features:
        raise _damaged(path, f"it does not name its {n_features} columns")
    for number, tree in enumerate(trees):
        try:
            _check_tree(_fields(tree.split("\nend of trees\n")[0]), n_features)
        except (KeyError, ValueError) as error:
            raise _damaged(path, f"its tree {number} is incomplete") from error
    rest = trees[-1]
    if "\nparameters:" in rest and "\nend of parameters" not in rest:
        raise _damaged(path, "its parameters are incomplete")
    if not text.endswith("\n"):
        raise _damaged(path, "its last line is incomplete")
    return header


def _check_tree(fields: dict[str, str], n_features: int) -> None:
    """Raise KeyError or ValueError where a tree lacks something or leads nowhere."""
    n = int(fields["num_leaves"])
    if n < 1 or len([float(v) for v in fields["leaf_value"].split()]) != n:
        raise ValueError("leaf_value")
    inner = {}
    for key, kind in _INNER.items() if n > 1 else ():
        inner[key] = [kind(v) for v in fields[key].split()]
        if len(inner[key]) != n - 1:
            raise ValueError(key)
    for child in (*inner.get("left_child", ()), *inner.get("right_child", ())):
        if not -n <= child < n - 1:
            raise ValueError("child")
    if not all(0 <= j < n_features for j in inner.get("split_feature", ())):
        raise ValueError("split_feature")
    if n_cat := int(fields["num_cat"]):
        bounds = [int(v) for v in fields["cat_boundaries"].split()]
        words = [int(v) for v in fields["cat_threshold"].split()]
        if len(bounds) != n_cat + 1 or bounds[-1] != len(words):
            raise ValueError("cat_threshold")


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in block.split("\n"))
    return {key: value for key, sign, value in pairs if sign}


def _damaged(path: Path, why: str) -> FitError:
    return FitError(f"the model file '{path}' is damaged: {why}; save the model again.")
