"""A bundle as a TorchScript archive: encoder and student as operators of PyTorch."""

from __future__ import annotations

import io
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.columns import MISSING, Column, category_keys, numeric_values
from kdcore.errors import KDError

if TYPE_CHECKING:
    from kdcore.runtime import Bundle

__all__ = ["EXTRA", "predictions", "to_torchscript"]

#: The file within the archive that tells of its inputs and outputs, as JSON.
EXTRA = "kdcore.json"

_UNSEEN_CODE = -2
#: Rows that are predicted at a time.
_PART = 8192


def to_torchscript(model: Any, manifest: dict[str, Any]) -> bytes:
    """The bytes of a file that ``torch.jit.load`` reads.

    The module is called with one tensor for each kind of columns that there is: ``numeric``
    float32 (N, p), NaN where missing, and ``categorical`` int64 (N, c), the position of each text
    in the list of its column, -1 where missing, -2 (or any other number) where it was not there in
    training. It gives probabilities float32 (N, K), or values (N, 1). The file ``kdcore.json``
    within the archive (``_extra_files`` of ``torch.jit.load``) holds all this: ``inputs``, with
    the columns of each, ``task``, ``classes`` and ``student``.

    Parameters
    ----------
    model : onnx.ModelProto
        The bundle's graph.
    manifest : dict

    Raises
    ------
    KDError
        When PyTorch is not installed, or the graph has an operator that is not written so; the
        message names it.
    """
    try:
        import torch
    except ImportError:
        raise KDError("PyTorch is not installed; `pip install torch` for this format.") from None
    from kdcore.torch_graph import GraphModule

    columns = manifest["columns"]
    numbers = [c["name"] for c in columns if c["kind"] != "categorical"]
    texts = [c for c in columns if c["kind"] == "categorical"]
    categories = [c.get("categories", []) for c in texts]
    module = GraphModule(model, categories, numeric=bool(numbers)).eval()
    inputs: list[dict[str, Any]] = []
    # Two rows, as shapes of one would be taken for those of all.
    example = []
    if numbers:
        inputs.append({"name": "numeric", "dtype": "float32", "missing": "NaN", "columns": numbers})
        example.append(torch.zeros(2, len(numbers)))
    if texts:
        listed = [{"name": c["name"], "categories": c.get("categories", [])} for c in texts]
        codes = {"missing": -1, "unseen": _UNSEEN_CODE}
        inputs.append({"name": "categorical", "dtype": "int64", **codes, "columns": listed})
        example.append(torch.zeros(2, len(texts), dtype=torch.int64))
    told = {key: manifest.get(key) for key in ("student", "task", "classes")}
    text = json.dumps({**told, "inputs": inputs}, ensure_ascii=False, indent=1)
    buffer = io.BytesIO()
    jit: Any = torch.jit
    with warnings.catch_warnings(), torch.no_grad():
        # That torch.jit is deprecated is for the reader of the documentation.
        warnings.simplefilter("ignore")
        traced = jit.trace(module, tuple(example), check_trace=False)
        jit.save(traced, buffer, _extra_files={EXTRA: text})
    return buffer.getvalue()


def predictions(data: bytes, bundle: Bundle, table: Any) -> np.ndarray:
    """What such a file predicts of the rows of a table, float32 (n, K)."""
    import torch

    jit: Any = torch.jit
    numbers = [c for c in bundle.columns if c.kind != "categorical"]
    texts = [c for c in bundle.columns if c.kind == "categorical"]
    inputs = []
    if numbers:
        values = np.stack([numeric_values(table[c.name], c) for c in numbers], axis=1)
        inputs.append(torch.from_numpy(values))
    if texts:
        codes = np.stack([_codes(table[c.name], c) for c in texts], axis=1)
        inputs.append(torch.from_numpy(codes))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module = jit.load(io.BytesIO(data))
        split = [torch.split(t, _PART) for t in inputs]
        parts = [module(*part) for part in zip(*split, strict=True)]
        return np.asarray(torch.cat(parts))


def _codes(values: Any, column: Column) -> np.ndarray:
    # A missing value is no category, even where the list has an empty text.
    known = {**{text: i for i, text in enumerate(column.categories)}, MISSING: -1}
    codes = [known.get(key, _UNSEEN_CODE) for key in category_keys(values)]
    return np.array(codes, dtype=np.int64)
