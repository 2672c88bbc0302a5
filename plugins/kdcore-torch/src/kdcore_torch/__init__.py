"""What the PyTorch plugin provides; PyTorch itself is imported only when a model is built."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kdcore import SelectorSpec, StudentRecipe, StudentSpec, TeacherSpec, hookimpl

if TYPE_CHECKING:
    from kdcore_torch.losses import adapt_autograd as adapt_autograd
    from kdcore_torch.saved import restore as restore
    from kdcore_torch.states import load_teacher as load_teacher

__all__ = [
    "adapt_autograd",
    "kd_selectors",
    "kd_students",
    "kd_teachers",
    "load_teacher",
    "restore",
]

_TASKS = ("binary", "multiclass", "regression")
_LAZY = {
    "adapt_autograd": "kdcore_torch.losses",
    "load_teacher": "kdcore_torch.states",
    "restore": "kdcore_torch.saved",
}


@hookimpl
def kd_teachers() -> Iterable[TeacherSpec]:
    """Provide the teachers ``pytorch_mlp`` and ``pytorch_cnn``."""
    yield TeacherSpec(
        name="pytorch_mlp",
        summary="A wide neural network (PyTorch).",
        factory="kdcore_torch.teachers:make_mlp",
        tasks=_TASKS,
        handles_missing=True,
        handles_categorical=True,
    )
    yield TeacherSpec(
        name="pytorch_cnn",
        summary="A convolutional network of small images (PyTorch).",
        factory="kdcore_torch.teachers:make_cnn",
        tasks=_TASKS,
        handles_missing=True,
        handles_categorical=True,
        input="image",
    )


@hookimpl
def kd_students() -> Iterable[StudentSpec]:
    """Provide the students ``pytorch_mlp`` and ``pytorch_cnn``."""
    yield StudentSpec(
        name="pytorch_mlp",
        summary="A small neural network (PyTorch), or one of your own, fitted to any loss.",
        factory="kdcore_torch.mlp:make",
        tasks=_TASKS,
        uses_gradient=True,
        embedded_selection=True,
        selector="budgeted_elimination",
        encoder="standard",
        exports=("onnx", "onnx-int8", "c", "torchscript"),
        recipe=StudentRecipe(
            encoder="teacher_bins",
            augment=10,
            method="cart+munge",
            params={"early_stopping": False},
        ),
        restore="kdcore_torch.saved:restore",
    )
    yield StudentSpec(
        name="pytorch_cnn",
        summary="A small convolutional network of images (PyTorch), fitted to any loss.",
        factory="kdcore_torch.cnn:make",
        tasks=_TASKS,
        uses_gradient=True,
        embedded_selection=True,
        selector="budgeted_elimination",
        encoder="ordinal",
        exports=("onnx", "onnx-int8", "torchscript"),
        input="image",
        recipe=StudentRecipe(augment=5, params={"early_stopping": False}),
        restore="kdcore_torch.saved:restore",
    )


@hookimpl
def kd_selectors() -> Iterable[SelectorSpec]:
    """Provide selectors that train inside ``pytorch_mlp`` and ``pytorch_cnn``."""
    yield SelectorSpec(
        name="budgeted_elimination",
        summary="A network loses its worst columns round by round; sizes compared (PyTorch).",
        factory="kdcore_torch.elimination:BudgetedElimination",
        kind="embedded",
        reference="Recursive elimination (Guyon et al. 2002) of a gated student, teacher's prior",
    )
    yield SelectorSpec(
        name="sigmoid_l1",
        summary="A sigmoid mask with an L1 penalty, cut to the budget by rank (PyTorch).",
        factory="kdcore_torch.sparse_gates:SigmoidL1",
        kind="embedded",
        reference="Tibshirani 1996 (lasso), on a mask of a network's inputs",
    )
    yield SelectorSpec(
        name="hard_concrete",
        summary="Random gates that close fully, driven to the budget by a multiplier (PyTorch).",
        factory="kdcore_torch.sparse_gates:HardConcrete",
        kind="embedded",
        reference="Louizos et al. 2018, arXiv:1712.01312; Gallego-Posada 2022, arXiv:2208.04425",
    )
    yield SelectorSpec(
        name="stochastic_gates",
        summary="Gates with normal noise and a price on their being open (PyTorch).",
        factory="kdcore_torch.sparse_gates:StochasticGatesSelector",
        kind="embedded",
        reference="Yamada et al. 2020, Feature selection using stochastic gates, arXiv:1810.04247",
    )


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kdcore_torch' has no attribute {name!r}")
