"""What the PyTorch plugin provides; PyTorch itself is imported only when a model is built."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from kdcore import StudentRecipe, StudentSpec, TeacherSpec, hookimpl

if TYPE_CHECKING:
    from kdcore_torch.losses import adapt_autograd as adapt_autograd
    from kdcore_torch.saved import restore as restore
    from kdcore_torch.states import load_teacher as load_teacher

__all__ = ["adapt_autograd", "kd_students", "kd_teachers", "load_teacher", "restore"]

_TASKS = ("binary", "multiclass", "regression")
# A core that does not give back Python students has no such field.
_RESTORE: dict[str, Any] = (
    {"restore": "kdcore_torch.saved:restore"}
    if "restore" in {field.name for field in fields(StudentSpec)}
    else {}
)
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
        encoder="standard",
        exports=("onnx", "onnx-int8", "c"),
        recipe=StudentRecipe(encoder="teacher_bins", augment=10, params={"early_stopping": False}),
        **_RESTORE,
    )
    yield StudentSpec(
        name="pytorch_cnn",
        summary="A small convolutional network of images (PyTorch), fitted to any loss.",
        factory="kdcore_torch.cnn:make",
        tasks=_TASKS,
        uses_gradient=True,
        encoder="ordinal",
        exports=("onnx", "onnx-int8"),
        input="image",
        recipe=StudentRecipe(augment=5, params={"early_stopping": False}),
        **_RESTORE,
    )


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kdcore_torch' has no attribute {name!r}")
