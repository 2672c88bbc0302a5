"""Tree ensembles of ONNX as arrays and a loop in C."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.c_values import array, literal
from kdcore.tree_nodes import tree_nodes

__all__ = ["tree_function"]

#: Modes are those of `kdcore.tree_nodes.MODES`, with 4 added where a missing number goes to "yes".
_LOOP = """
static void {p}(const float *x, float *out) {{
  double sum[{k}] = {{{base}}};
  int tree, j;
  for (tree = 0; tree < {trees}; tree++) {{
    int n = {p}_root[tree];
    while ({p}_mode[n] & 3) {{
      const float v = x[{p}_feature[n]], at = {p}_value[n];
      const int mode = {p}_mode[n] & 3;
      int yes = mode == 1 ? v <= at : mode == 2 ? v < at : v == at;
      if (v != v) yes = {p}_mode[n] >> 2;
      n = yes ? {p}_yes[n] : {p}_no[n];
    }}
    n = {p}_yes[n];
    for (j = {p}_start[n]; j < {p}_start[n + 1]; j++) sum[{p}_output[j]] += {p}_weight[j];
  }}
  for (j = 0; j < {k}; j++) out[j] = (float)sum[j];
}}"""


def tree_function(node: Any, name: str) -> tuple[str, int]:
    """The C text of a ``TreeEnsembleRegressor``, ``name(x, out)``, and its number of outputs.

    Raises
    ------
    KDError
        When it has a kind of node, or a way to add up, that kdcore does not write.
    """
    nodes = tree_nodes(node, "C")
    number = {n: i for i, n in enumerate(nodes.leaves)}
    yes, no = [], []
    for i, mode in enumerate(nodes.modes):
        # A leaf's number; one that adds nothing shares the empty range at the end.
        yes.append(nodes.yes[i] if mode else number.get(i, len(number)))
        no.append(nodes.no[i] if mode else 0)
    ends = np.cumsum([0, *(len(pairs) for pairs in nodes.leaves.values())])
    pairs = [pair for found in nodes.leaves.values() for pair in found]
    k = len(nodes.base)
    base = ", ".join(literal(b, "d") for b in nodes.base)
    flags = [mode + 4 * at for mode, at in zip(nodes.modes, nodes.missing, strict=True)]
    parts = [
        array(f"{name}_root", nodes.roots, "l"),
        array(f"{name}_mode", flags, "l"),
        array(f"{name}_feature", nodes.feature, "l"),
        array(f"{name}_value", nodes.threshold, "f"),
        array(f"{name}_yes", yes, "l"),
        array(f"{name}_no", no, "l"),
        array(f"{name}_start", [*ends, ends[-1]], "l"),
        array(f"{name}_output", [p[0] for p in pairs], "l"),
        array(f"{name}_weight", [p[1] for p in pairs], "f"),
        _LOOP.format(p=name, k=k, trees=len(nodes.roots), base=base),
    ]
    return "\n".join(parts), k
