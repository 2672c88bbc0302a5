"""Networks that users bring: a module, its class, a function that makes it, or the name of one."""

from __future__ import annotations

import copy
import inspect
import pkgutil
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore.errors import ParameterError

__all__ = ["ARCHITECTURE", "check_outputs", "own_module", "refuse_unused"]

#: Parameters of kdcore's own networks, which mean nothing to another.
ARCHITECTURE = (
    "channels", "hidden_layer_sizes", "activation", "batch_norm", "dropout", "embedding",
)  # fmt: skip


def refuse_unused(estimator: Any, names: Collection[str], reason: str) -> None:
    """Refuse parameters that would go unused, where they are not at their defaults.

    Raises
    ------
    ParameterError
        Naming the first of them, with the reason.
    """
    for name, parameter in inspect.signature(type(estimator).__init__).parameters.items():
        value: Any = getattr(estimator, name, None)
        if name in names and not np.array_equal(value, parameter.default):
            raise ParameterError(f"{name}={value!r} {reason}")


def own_module(module: Any, inputs: Any, n_outputs: int) -> nn.Module:
    """A new network from what a user gave as ``module``.

    Parameters
    ----------
    module : torch.nn.Module, callable or str
        A network, which is copied with its weights; or ``module(inputs, n_outputs)``, such as a
        class; or ``"package.module:attribute"`` of one of these.
    inputs : int or tuple of int
        Encoded columns, or (C, H, W).
    n_outputs : int

    Raises
    ------
    ParameterError
        When it is none of these, cannot be made, or has nothing to train.
    """
    if isinstance(module, str):
        try:
            module = pkgutil.resolve_name(module)
        except (ValueError, ImportError, AttributeError) as error:
            raise ParameterError(
                f"module={module!r} cannot be imported ({_line(error)}); write "
                "'package.module:name'."
            ) from error
    if isinstance(module, nn.Module):
        made: Any = copy.deepcopy(module)
    elif callable(module):
        try:
            made = module(inputs, n_outputs)
        except Exception as error:
            name = getattr(module, "__name__", type(module).__name__)
            raise ParameterError(
                f"module: {name}({inputs}, {n_outputs}) failed: {_line(error)}; it is called with "
                "the size of the input and the number of outputs."
            ) from error
    else:
        made = None
    if not isinstance(made, nn.Module):
        raise ParameterError(
            f"module={module!r} must be a torch.nn.Module, or something to call with the size of "
            "the input and the number of outputs that returns one."
        )
    made = made.float()
    if not any(p.requires_grad for p in made.parameters()):
        raise ParameterError(f"module: {type(made).__name__} has no parameter to train.")
    return made


def check_outputs(module: nn.Module, x: torch.Tensor, widths: tuple[int, ...]) -> int:
    """The width of a network's output, tried on a few encoded rows.

    Raises
    ------
    ParameterError
        When the network fails on such rows, or its output is none of ``widths`` wide.
    """
    name = type(module).__name__
    module.eval()
    try:
        with torch.no_grad():
            output = module(x)
    except Exception as error:
        raise ParameterError(
            f"module: {name} failed on an input of shape {tuple(x.shape)}: {_line(error)}; it must "
            "read encoded columns (the student's `encoder`)."
        ) from error
    finally:
        module.train()
    shape = getattr(output, "shape", None)
    width = None if shape is None else 1 if len(shape) == 1 else shape[-1]
    if shape is None or shape[0] != len(x) or len(shape) > 2 or width not in widths:
        seen = type(output).__name__ if shape is None else f"an output of shape {tuple(shape)}"
        raise ParameterError(
            f"module: {name} gave {seen} for {len(x)} rows; it must give ({len(x)}, "
            f"{' or '.join(map(str, widths))}): one logit for each class, or one value."
        )
    return int(width)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")
