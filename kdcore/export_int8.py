"""A bundle's graph with weights of one byte: matrices and filters, each output on its scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcore.errors import KDError

__all__ = ["with_int8_weights"]

#: Entries of a matrix that is worth it; a scale takes four bytes for each of its columns.
_LEAST = 8
#: Which axis of the second input counts outputs.
_AXES = {"Gemm": 1, "MatMul": 1, "Conv": 0}


def with_int8_weights(model: Any) -> tuple[Any, int]:
    """The same graph with int8 weights, which ``DequantizeLinear`` turns back at its start.

    Weights alone are rounded (symmetric, to 127 steps on either side of 0 for each output), not
    what flows between layers, so there is no calibration; sums stay float32. ONNX Runtime widens
    the weights once, when it loads the graph: the file is smaller, a prediction takes as long.

    Parameters
    ----------
    model : onnx.ModelProto

    Returns
    -------
    model : onnx.ModelProto
    count : int
        Matrices and filters that were rounded.

    Raises
    ------
    KDError
        When there is none of a size that is worth it, as in trees.
    """
    import onnx
    from onnx import helper, numpy_helper

    out = onnx.ModelProto()
    out.CopyFrom(model)
    held = {t.name: t for t in out.graph.initializer}
    matrices = {t.name for t in out.graph.initializer if len(t.dims) == 2}
    found: dict[str, int] = {}
    for node in out.graph.node:
        if node.op_type in _AXES and len(node.input) > 1 and node.input[1] in held:
            axis = _AXES[node.op_type]
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            found[node.input[1]] = 1 - axis if turned else axis
        elif node.op_type == "Cast" and node.input[0] in matrices:
            # The centres of a kernel, one in each column.
            found[node.input[0]] = 1
    front = []
    for name, axis in found.items():
        weights = numpy_helper.to_array(held[name])
        if weights.dtype != np.float32 or weights.size < _LEAST:
            continue
        others = tuple(i for i in range(weights.ndim) if i != axis)
        largest = np.abs(weights).max(axis=others)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        wide = scale.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
        rounded = np.clip(np.round(weights / wide), -127, 127).astype(np.int8)
        out.graph.initializer.remove(held[name])
        out.graph.initializer.extend(
            [
                numpy_helper.from_array(rounded, f"{name}/int8"),
                numpy_helper.from_array(scale, f"{name}/scale"),
            ]
        )
        sources = [f"{name}/int8", f"{name}/scale"]
        front.append(helper.make_node("DequantizeLinear", sources, [name], axis=axis))
    if not front:
        raise KDError(
            "this student has no matrix of weights that bytes would make smaller (trees have "
            "none); export it as onnx."
        )
    nodes = [*front, *out.graph.node]
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    onnx.checker.check_model(out)
    return out, len(front)
