"""An ONNX graph of kdcore as a PyTorch module, operator by operator.

Texts have no place in a tensor: columns of categories come as codes, and every table of texts in
the graph becomes a table of codes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore.columns import MISSING
from kdcore.encoder_graphs import CATEGORICAL, NUMERIC
from kdcore.errors import KDError
from kdcore.torch_operators import OPERATORS, PLAIN, Step, called
from kdcore.torch_trees import Trees
from kdcore.tree_nodes import tree_nodes

__all__ = ["GraphModule"]


@dataclass
class _Texts:
    """Columns of categories: a mark before the texts of each."""

    marks: tuple[str, ...]


class GraphModule(nn.Module):
    """The operators of a graph, in their order.

    Parameters
    ----------
    model : onnx.ModelProto
        As from `kdcore.graph.build_graph`.
    categories : sequence of sequence of str
        Of each categorical column, the texts that its codes stand for.
    numeric : bool
        Whether there are numeric columns.

    Raises
    ------
    KDError
        When it has an operator, or a form of one, that is not known here; the message names it.
    """

    def __init__(self, model: Any, categories: Sequence[Sequence[str]], *, numeric: bool) -> None:
        super().__init__()
        from onnx import numpy_helper

        self.categories = categories
        self._known: dict[str, np.ndarray] = {}
        self._held: dict[str, str] = {}
        self._steps: list[tuple[str, Step]] = []
        self._numbers = itertools.count()
        self._inputs = ([NUMERIC] if numeric else []) + ([CATEGORICAL] if categories else [])
        self._texts = {CATEGORICAL: _Texts(("",) * len(categories))}
        for held in model.graph.initializer:
            values = numpy_helper.to_array(held)
            self._known[held.name] = values
            if values.dtype.kind in "fiub":
                self._held[held.name] = self.hold(values)
        for node in model.graph.node:
            self._add(node)
        self._output = model.graph.output[0].name

    def hold(self, values: np.ndarray) -> str:
        """Keep an array as a part of the module; returns the name of the attribute."""
        name = f"c{next(self._numbers)}"
        self.register_buffer(name, torch.from_numpy(np.array(values)))
        return name

    def constant(self, name: str) -> np.ndarray | None:
        """A constant of the graph, or None where the name is of no constant."""
        return self._known.get(name)

    def known(self, name: str) -> np.ndarray:
        """A constant of the graph that has to be one."""
        if name not in self._known:
            raise KDError(
                "a graph that computes its own axes or tables cannot be written as torchscript."
            )
        return self._known[name]

    def texts(self, name: str) -> _Texts:
        """The texts that an operator reads."""
        if name not in self._texts:
            raise KDError("a graph that computes texts cannot be written as torchscript.")
        return self._texts[name]

    def table(self, marks: _Texts, given: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """What a LabelEncoder gives for each code of all columns, and where a column begins.

        A column has its missing value first, then its categories, then what was never seen.
        """
        kind = "int64" if "values_int64s" in given else "float"
        default = given.get(f"default_{kind}", -1 if kind == "int64" else 0.0)
        values = given[f"values_{kind}s"]
        known = dict(zip((k.decode() for k in given["keys_strings"]), values, strict=True))
        table: list[Any] = []
        starts = []
        for mark, categories in zip(marks.marks, self.categories, strict=True):
            starts.append(len(table))
            table += [known.get(mark + c, default) for c in (MISSING, *categories)]
            table.append(default)
        dtype = np.int64 if kind == "int64" else np.float32
        return np.array(table, dtype=dtype), np.array(starts, dtype=np.int64)

    def _add(self, node: Any) -> None:
        from onnx import helper

        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "StringConcat":
            marks, source = self.known(node.input[0]).ravel(), self.texts(node.input[1])
            decoded = [m.decode() if isinstance(m, bytes) else str(m) for m in marks.tolist()]
            joined = (m + t for m, t in zip(decoded, source.marks, strict=True))
            self._texts[node.output[0]] = _Texts(tuple(joined))
            return
        if node.op_type in PLAIN and not given:
            step = called(PLAIN[node.op_type], list(node.input))
        elif node.op_type in OPERATORS:
            step = OPERATORS[node.op_type](self, list(node.input), given)
        elif node.op_type == "TreeEnsembleRegressor":
            trees = Trees(tree_nodes(node, "torchscript"))
            self.add_module(f"trees{next(self._numbers)}", trees)
            step = called(trees, list(node.input))
        else:
            raise KDError(
                f"a model with the ONNX operator {node.op_type} cannot be written as torchscript; "
                "export it as onnx."
            )
        self._steps.append((node.output[0], step))

    def forward(self, *inputs: Any) -> Any:
        """Predictions (N, K) of the inputs ``numeric`` and ``categorical`` that there are."""
        values = dict(zip(self._inputs, inputs, strict=True))
        for name, kind in ((NUMERIC, torch.float32), (CATEGORICAL, torch.int64)):
            if name in values:
                values[name] = values[name].to(kind)
        values.update({name: getattr(self, held) for name, held in self._held.items()})
        for name, step in self._steps:
            values[name] = step(values)
        return values[self._output]
