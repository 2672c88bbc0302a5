"""Fitted students as safetensors: arrays and JSON, nothing that runs when it is read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from kdcore.columns import Column
from kdcore.encoders import ENCODERS
from kdcore.errors import BundleError, first_line
from kdcore.schema import TableSchema
from kdcore_torch.links import Link

__all__ = ["MEMBER", "restore", "state_bytes"]

#: Name of the file in a bundle.
MEMBER = "state.safetensors"
_FORMAT = 1
_KINDS = ("TorchMLPClassifier", "TorchMLPRegressor", "TorchCNNClassifier", "TorchCNNRegressor")
_ENCODERS = {kind.__name__: kind for kind in ENCODERS.values()}


def state_bytes(student: Any) -> bytes:
    """All of a fitted student but code: weights, encoder, parameters.

    Functions among the parameters (a loss, ``on_step``) are left out, and so are networks and
    encoders of the user, whose code `restore` then asks for.
    """
    tensors = {
        f"model/{name}": value.contiguous().clone()
        for name, value in student.model_.state_dict().items()
    }
    packer = _Packer(tensors)
    told = {
        "format": _FORMAT,
        "kind": type(student).__name__,
        "own_module": student.module is not None,
        "params": {k: v for k, v in _params(student).items() if k != "module"},
        "link": vars(student.link_),
        "encoder": packer.encoder(student.encoder_),
        "selected": student.selected_features_,
        "columns": student._all_features,
        "named": hasattr(student, "feature_names_in_"),
        "picture": list(getattr(student, "_picture", ())),
        "steps": student.n_iter_,
        "values": student.loss_curve_,
        "threads": student.n_threads_,
        "importances": packer.pack(student._importances),
    }
    return save(tensors, {"kdcore": json.dumps(told)})


def restore(manifest: dict[str, Any], data: bytes, *, module: nn.Module | None = None) -> Any:
    """A fitted student from the manifest of its bundle and what `state_bytes` wrote.

    Parameters
    ----------
    manifest : dict
        Of the bundle; the classes are read from it.
    data : bytes
    module : torch.nn.Module, optional
        The network, where it was the user's own; it is filled with the weights.

    Raises
    ------
    BundleError
        When the data are damaged, of another kind, or of a network or an encoder whose code is
        not at hand.
    """
    try:
        tensors, told = load(data), _metadata(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        line = first_line(error)
        raise BundleError(
            f"holds a {MEMBER} that cannot be read ({line}); save the bundle again, or load it for "
            "prediction only."
        ) from error
    if told.get("format") != _FORMAT or told.get("kind") not in _KINDS:
        raise BundleError(
            f"holds a {MEMBER} of the format {told.get('format')!r} and the kind "
            f"{told.get('kind')!r}, which this kdcore-torch does not know; update it."
        )
    try:
        return _restored(manifest, tensors, told, module)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        if isinstance(error, BundleError):
            raise
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise BundleError(
            f"holds a {MEMBER} that does not fit together ({line}); save the bundle again, or load "
            "it for prediction only."
        ) from error


def _restored(
    manifest: dict[str, Any], tensors: dict[str, torch.Tensor], told: dict[str, Any], module: Any
) -> Any:
    from kdcore_torch import cnn, mlp

    kind = told["kind"]
    student = getattr(cnn if "CNN" in kind else mlp, kind)()
    unpacker = _Unpacker(tensors)
    encoder = unpacker.encoder(told["encoder"])
    params = {name: _tupled(value) for name, value in told["params"].items()}
    if "encoder" not in params:
        params["encoder"] = type(encoder)(**encoder.get_params())
    student.set_params(**params)
    student.encoder_, student.link_ = encoder, Link(**told["link"])
    student.selected_features_, student._all_features = told["selected"], told["columns"]
    student.n_features_in_ = len(told["columns"])
    if told["named"]:
        student.feature_names_in_ = np.array(told["columns"], dtype=object)
    if manifest.get("classes") is not None:
        student.classes_ = np.asarray(manifest["classes"])
    student.n_iter_, student.loss_curve_ = told["steps"], told["values"]
    student.n_threads_ = told["threads"]
    student._importances = unpacker.unpack(told["importances"])
    weights = {
        name.removeprefix("model/"): value
        for name, value in tensors.items()
        if name.startswith("model/")
    }
    if told["own_module"] and module is None:
        raise BundleError(
            "holds a student that was made with a network of your own (module=), whose code no "
            "bundle holds; pass it: kdcore_torch.restore(manifest, data, module=network)."
        )
    student.module = module if told["own_module"] else None
    shape: Any = tuple(told["picture"]) or len(encoder.owners_)
    student._check()
    student.model_ = student._rebuilt(shape, weights, module if told["own_module"] else None)
    return student


def _params(student: Any) -> dict[str, Any]:
    """Constructor parameters that JSON can hold."""
    return {k: v for k, v in student.get_params(deep=False).items() if _is_json(v)}


def _is_json(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_json(v) for v in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _metadata(data: bytes) -> dict[str, Any]:
    # The header's length, and then the header as JSON: see the format of safetensors.
    size = int.from_bytes(data[:8], "little")
    told: dict[str, Any] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["kdcore"])
    return told


class _Packer:
    """Fitted encoders as JSON, their arrays among the tensors."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def encoder(self, encoder: Any) -> dict[str, Any]:
        named = _ENCODERS.get(type(encoder).__name__) is type(encoder)
        if not named:
            return {"kind": None, "name": type(encoder).__name__}
        fitted = {k: v for k, v in vars(encoder).items() if k not in encoder.get_params()}
        return {
            "kind": type(encoder).__name__,
            "params": encoder.get_params(),
            "fitted": {name: self.pack(value) for name, value in fitted.items()},
        }

    def pack(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "OUS":
                return {"text": value.tolist()}
            name = f"array/{len(self.tensors)}"
            self.tensors[name] = torch.from_numpy(np.array(value, order="C"))
            return {"array": name}
        if isinstance(value, TableSchema):
            return {"schema": [[c.name, c.kind, list(c.categories)] for c in value.columns]}
        if isinstance(value, (list, tuple)):
            return {type(value).__name__: [self.pack(v) for v in value]}
        if isinstance(value, np.generic):
            return value.item()
        return value


class _Unpacker:
    """The way back."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def encoder(self, told: dict[str, Any]) -> Any:
        if told["kind"] not in _ENCODERS:
            raise BundleError(
                f"holds a student that reads through the encoder {told.get('name')!r} of your own, "
                "whose code no bundle holds; load it for prediction only."
            )
        encoder: Any = _ENCODERS[told["kind"]](**told["params"])
        for name, value in told["fitted"].items():
            setattr(encoder, name, self.unpack(value))
        return encoder

    def unpack(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        [(kind, held)] = value.items()
        if kind == "array":
            return self.tensors[held].numpy()
        if kind == "text":
            return np.array(held, dtype=object)
        if kind == "schema":
            return TableSchema([Column(n, k, tuple(c)) for n, k, c in held])
        if kind in ("list", "tuple"):
            items = [self.unpack(v) for v in held]
            return items if kind == "list" else tuple(items)
        raise ValueError(f"unknown kind {kind!r}")
