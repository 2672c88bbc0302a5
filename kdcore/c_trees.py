"""Tree ensembles of ONNX as arrays and a loop in C."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.c_values import array, literal
from kdcore.errors import KDError

__all__ = ["tree_function"]

_MODES = {"LEAF": 0, "BRANCH_LEQ": 1, "BRANCH_LT": 2, "BRANCH_EQ": 3}

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
    from onnx import helper

    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    modes = [m.decode() for m in given["nodes_modes"]]
    odd = sorted(set(modes) - set(_MODES))
    if odd or given.get("aggregate_function", b"SUM") != b"SUM":
        raise KDError(f"trees with {', '.join(odd) or 'another sum'} cannot be written as C.")
    if given.get("post_transform", b"NONE") != b"NONE":
        raise KDError("trees with a transformed output cannot be written as C.")
    keys = list(zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True))
    place = {key: i for i, key in enumerate(keys)}
    missing = given.get("nodes_missing_value_tracks_true") or [0] * len(keys)
    leaves: dict[int, list[tuple[int, float]]] = {}
    targets = (given[f"target_{n}"] for n in ("treeids", "nodeids", "ids", "weights"))
    for tree, leaf, output, weight in zip(*targets, strict=True):
        leaves.setdefault(place[tree, leaf], []).append((output, weight))
    number = {n: i for i, n in enumerate(leaves)}
    yes, no = [], []
    roots: dict[int, int] = {}
    for i, (tree, _) in enumerate(keys):
        # A tree's first node is its root.
        roots.setdefault(tree, i)
        if modes[i] == "LEAF":
            # A leaf's number; one that adds nothing shares the empty range at the end.
            yes.append(number.get(i, len(number)))
            no.append(0)
        else:
            yes.append(place[tree, given["nodes_truenodeids"][i]])
            no.append(place[tree, given["nodes_falsenodeids"][i]])
    ends = np.cumsum([0, *(len(pairs) for pairs in leaves.values())])
    pairs = [pair for found in leaves.values() for pair in found]
    k = given["n_targets"]
    base = list(given.get("base_values") or [0.0] * k)
    flags = [_MODES[m] + 4 * bool(at) for m, at in zip(modes, missing, strict=True)]
    parts = [
        array(f"{name}_root", roots.values(), "l"),
        array(f"{name}_mode", flags, "l"),
        array(f"{name}_feature", given["nodes_featureids"], "l"),
        array(f"{name}_value", given["nodes_values"], "f"),
        array(f"{name}_yes", yes, "l"),
        array(f"{name}_no", no, "l"),
        array(f"{name}_start", [*ends, ends[-1]], "l"),
        array(f"{name}_output", [p[0] for p in pairs], "l"),
        array(f"{name}_weight", [p[1] for p in pairs], "f"),
        _LOOP.format(p=name, k=k, trees=len(roots), base=", ".join(literal(b, "d") for b in base)),
    ]
    return "\n".join(parts), k
