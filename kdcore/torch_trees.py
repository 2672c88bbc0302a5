"""Decision trees in PyTorch: all trees of a model go down by one level at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from kdcore.errors import KDError
from kdcore.tree_nodes import MODES, TreeNodes

__all__ = ["Trees"]

#: Levels that are written out, one after the other.
_MOST_LEVELS = 1000


class Trees(nn.Module):
    """The sum of decision trees.

    Parameters
    ----------
    nodes : TreeNodes

    Raises
    ------
    KDError
        When a tree is too deep to be written out.
    """

    roots: Any
    modes: Any
    missing: Any
    feature: Any
    threshold: Any
    yes: Any
    no: Any
    base: Any
    number: Any
    outputs: Any
    weights: Any

    def __init__(self, nodes: TreeNodes) -> None:
        super().__init__()
        self._depth = nodes.depth()
        if self._depth > _MOST_LEVELS:
            raise KDError(
                f"trees of {self._depth} levels cannot be written as torchscript, which has at "
                f"most {_MOST_LEVELS}; export them as onnx."
            )
        modes = np.array(nodes.modes)
        self._modes = sorted(set(nodes.modes) - {0})
        k = len(nodes.base)
        self._hold("roots", np.array([nodes.roots], dtype=np.int32))
        if len(self._modes) > 1:
            self._hold("modes", modes)
        self._hold("missing", np.array(nodes.missing))
        self._hold("feature", np.array(nodes.feature, dtype=np.int32))
        self._hold("threshold", np.array(nodes.threshold, dtype=np.float32))
        self._hold("yes", np.array(nodes.yes, dtype=np.int32))
        self._hold("no", np.array(nodes.no, dtype=np.int32))
        self._hold("base", np.array([nodes.base]))
        tree = np.array(nodes.tree)
        pairs = [(leaf, *pair) for leaf, found in nodes.leaves.items() for pair in found]
        leaf, output, weight = (np.array(part) for part in zip(*pairs, strict=True))
        own = np.full(len(nodes.roots), -1)
        own[tree[leaf]] = output
        self._single = bool((own[tree[leaf]] == output).all())
        if self._single:
            # Each tree feeds one output: weights of leaves, then a sum for each output.
            weights = np.zeros(len(modes), dtype=np.float32)
            np.add.at(weights, leaf, weight)
            self._hold("outputs", (own[:, None] == np.arange(k)).astype(np.float64))
        else:
            # A row of weights for each leaf; row 0 is that of leaves that add nothing.
            number = np.zeros(len(modes), dtype=np.int32)
            number[list(nodes.leaves)] = np.arange(1, len(nodes.leaves) + 1)
            self._hold("number", number)
            weights = np.zeros((len(nodes.leaves) + 1, k), dtype=np.float32)
            np.add.at(weights, (number[leaf], output), weight)
        self._hold("weights", weights)

    def _hold(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(values))

    def forward(self, x: Any) -> Any:
        """Sums (N, K) of encoded rows (N, d)."""
        at = self.roots + torch.zeros_like(x[:, :1], dtype=torch.int32)
        for _ in range(self._depth):
            value = torch.gather(x, 1, self.feature[at].to(torch.int64))
            go = self._answer(value, at)
            go = torch.where(torch.isnan(value), self.missing[at], go)
            # A leaf leads to itself.
            at = torch.where(go, self.yes[at], self.no[at])
        if self._single:
            sums = torch.matmul(self.weights[at].to(torch.float64), self.outputs)
        else:
            sums = F.embedding_bag(self.number[at], self.weights, mode="sum").to(torch.float64)
        return (sums + self.base).to(torch.float32)

    def _answer(self, value: Any, at: Any) -> Any:
        threshold = self.threshold[at]
        asked = {
            MODES["BRANCH_LEQ"]: torch.le,
            MODES["BRANCH_LT"]: torch.lt,
            MODES["BRANCH_EQ"]: torch.eq,
        }
        if not self._modes:
            return torch.zeros_like(value, dtype=torch.bool)
        first, *others = self._modes
        go = asked[first](value, threshold)
        for mode in others:
            go = torch.where(self.modes[at] == mode, asked[mode](value, threshold), go)
        return go
