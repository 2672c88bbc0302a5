"""Models that are no bundle's, behind hashes that are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from fuzz.zips import MANIFEST, MODEL, flipped, members, sealed
from onnx import TensorProto, helper, numpy_helper

__all__ = ["external", "forged_flips", "graphs", "operators", "versions"]


def _with_model(bundle: bytes, model: bytes) -> bytes:
    return sealed({**members(bundle), MODEL: model})


def _graph(bundle: bytes) -> onnx.ModelProto:
    return onnx.load_model_from_string(members(bundle)[MODEL])


_FOREIGN = [
    ("", "Loop"), ("", "If"), ("", "Scan"), ("", "Range"), ("", "ConstantOfShape"), ("", "Tile"),
    ("", "Expand"), ("", "RandomNormal"), ("", "SequenceMap"), ("", "Resize"), ("", "NonZero"),
    ("", "Einsum"), ("com.microsoft", "FusedGemm"), ("com.microsoft", "QAttention"),
    ("ai.onnx.contrib", "PyOp"), ("my.domain", "Custom"), ("ai.onnx.ml", "ZipMap"), ("", ""),
    ("", "\xff\xfe"), ("ai.onnx.training", "Adam"), ("com.microsoft.nchwc", "ReorderInput"),
]  # fmt: skip


def operators(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Operators that no bundle has: loops, generators, domains of others."""
    model = _graph(bundles[which])
    domain, kind = _FOREIGN[int(rng.integers(len(_FOREIGN)))]
    nodes = model.graph.node
    if rng.random() < 0.5:
        node = nodes[int(rng.integers(len(nodes)))]
        node.op_type, node.domain = kind, domain
    else:
        source = nodes[0].output[0] if kind != "Loop" else ""
        node = helper.make_node(kind, [source], ["strange"], domain=domain)
        if kind in ("Loop", "If", "Scan"):
            body = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "body", [], [])
            node.attribute.append(helper.make_attribute("body", body))
        nodes.append(node)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    if rng.random() < 0.1:
        model.functions.append(
            helper.make_function("f", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 20)])
        )
    return _with_model(bundles[which], model.SerializeToString())


def external(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Weights that are said to lie in another file."""
    model = _graph(bundles[which])
    held = model.graph.initializer
    tensor = held[int(rng.integers(len(held)))] if len(held) else held.add(name="weights")
    tensor.ClearField("raw_data")
    tensor.ClearField("string_data")
    tensor.data_location = TensorProto.EXTERNAL
    where = str(rng.choice(["weights.bin", "../weights.bin", "/etc/hostname", "file:///x", ""]))
    told = {"location": where, "offset": "0", "length": str(rng.choice([8, 4096, 2**40]))}
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)
    if rng.random() < 0.3:
        tensor.data_location = TensorProto.DEFAULT
    return _with_model(bundles[which], model.SerializeToString())


def versions(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Files from the future, or from nowhere."""
    parts = members(bundles[which])
    kind = int(rng.integers(3))
    if kind == 0:
        manifest = json.loads(parts[MANIFEST])
        odd: list[Any] = [2, 99, 0, -1, 1.0, "1", None, True, 2**63, [1], {}]
        manifest["format_version"] = odd[int(rng.integers(len(odd)))]
        return sealed(parts, manifest)
    model = _graph(bundles[which])
    if kind == 1:
        model.ir_version = int(rng.choice([-1, 0, 1, 99, 2**31]))
    else:
        model.opset_import[int(rng.integers(len(model.opset_import)))].version = int(
            rng.choice([-1, 0, 1, 99, 2**31])
        )
    return _with_model(bundles[which], model.SerializeToString())


def forged_flips(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Damage inside of a model whose hash is right all the same."""
    model = members(bundles[which])[MODEL]
    kind = int(rng.integers(3))
    if kind == 0:
        cut = int(rng.integers(len(model)))
        return _with_model(bundles[which], model[:cut])
    if kind == 1:
        at = int(rng.integers(len(model)))
        return _with_model(bundles[which], model[:at] + rng.bytes(8) + model[at + 8 :])
    return _with_model(bundles[which], flipped(rng, model, 20))


def graphs(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """A model of which single numbers, names, shapes or types were changed; its hash is right."""
    model = _graph(bundles[which])
    for _ in range(int(rng.integers(1, 4))):
        _GRAPH_CHANGES[int(rng.integers(len(_GRAPH_CHANGES)))](rng, model.graph)
    return _with_model(bundles[which], model.SerializeToString())


def _number(rng: np.random.Generator) -> int:
    odd = [-1, 0, 1, 2, 7, 63, 1000, 2**31 - 1, 2**31, -(2**31), 2**40, 2**63 - 1, -(2**63)]
    return int(odd[int(rng.integers(len(odd)))])


def _change_attribute(rng: np.random.Generator, graph: Any) -> None:
    with_any = [n for n in graph.node if len(n.attribute)]
    if not with_any:
        return
    node = with_any[int(rng.integers(len(with_any)))]
    attribute = node.attribute[int(rng.integers(len(node.attribute)))]
    if len(attribute.ints):
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(attribute.ints)))
            small = int(rng.integers(0, len(attribute.ints)))
            attribute.ints[at] = small if rng.random() < 0.5 else _number(rng)
        if rng.random() < 0.2:
            del attribute.ints[int(rng.integers(len(attribute.ints))) :]
    elif len(attribute.floats):
        at = int(rng.integers(len(attribute.floats)))
        attribute.floats[at] = float(rng.choice([np.nan, np.inf, -np.inf, 1e38, 0.0]))
        if rng.random() < 0.3:
            del attribute.floats[at:]
    elif len(attribute.strings):
        at = int(rng.integers(len(attribute.strings)))
        odd = [b"", b"LEAF", b"BRANCH_LEQ", b"BRANCH_NEQ", b"BRANCH_MEMBER", b"odd", b"\xff", b"\0"]
        attribute.strings[at] = odd[int(rng.integers(len(odd)))]
        if rng.random() < 0.3:
            del attribute.strings[at:]
    elif rng.random() < 0.3:
        node.attribute.remove(attribute)
    else:
        attribute.i = _number(rng)


def _change_constant(rng: np.random.Generator, graph: Any) -> None:
    if not len(graph.initializer):
        return
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    kind = int(rng.integers(4))
    if kind == 0 and len(tensor.dims):
        tensor.dims[int(rng.integers(len(tensor.dims)))] = _number(rng)
    elif kind == 1:
        tensor.data_type = int(rng.integers(0, 26))
    elif kind == 2:
        tensor.dims.append(_number(rng))
    elif tensor.data_type != TensorProto.STRING:
        values = numpy_helper.to_array(tensor).copy()
        if values.size:
            values.ravel()[int(rng.integers(values.size))] = (
                np.nan if values.dtype.kind == "f" else _number(rng) % 2**62
            )
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _change_names(rng: np.random.Generator, graph: Any) -> None:
    node = graph.node[int(rng.integers(len(graph.node)))]
    known = [o for n in graph.node for o in n.output] + [t.name for t in graph.initializer]
    side = node.input if rng.random() < 0.7 else node.output
    if len(side):
        side[int(rng.integers(len(side)))] = str(rng.choice([*known, "", "nothing"]))


def _change_operator(rng: np.random.Generator, graph: Any) -> None:
    node = graph.node[int(rng.integers(len(graph.node)))]
    odd = [
        "Reshape",
        "Gather",
        "Concat",
        "MatMul",
        "Pad",
        "OneHot",
        "Cast",
        "TopK",
        "Slice",
        "Conv",
    ]
    node.op_type, node.domain = str(rng.choice(odd)), ""


def _change_nodes(rng: np.random.Generator, graph: Any) -> None:
    at = int(rng.integers(len(graph.node)))
    if rng.random() < 0.5:
        del graph.node[at]
    else:
        graph.node.append(graph.node[at])


def _change_ends(rng: np.random.Generator, graph: Any) -> None:
    ends = [*graph.input, *graph.output]
    end = ends[int(rng.integers(len(ends)))]
    if rng.random() < 0.5:
        end.name = str(rng.choice(["numeric", "categorical", "output", "odd"]))
    else:
        end.type.tensor_type.elem_type = int(rng.integers(0, 20))


_GRAPH_CHANGES: list[Callable[[np.random.Generator, Any], None]] = [
    _change_attribute, _change_attribute, _change_attribute, _change_constant, _change_names,
    _change_operator, _change_nodes, _change_ends,
]  # fmt: skip
