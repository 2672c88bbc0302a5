"""What the LightGBM plugin provides; LightGBM itself is imported only when a model is built."""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import StudentSpec, TeacherSpec, hookimpl

__all__ = ["kd_students", "kd_teachers"]

_TASKS = ("binary", "multiclass", "regression")


@hookimpl
def kd_teachers() -> Iterable[TeacherSpec]:
    """Provide the teacher ``lightgbm``."""
    yield TeacherSpec(
        name="lightgbm",
        summary="Gradient boosted trees (LightGBM).",
        factory="kdcore_lightgbm.teacher:make",
        tasks=_TASKS,
        handles_missing=True,
        handles_categorical=True,
        loader="kdcore_lightgbm.loading:load",
        suffixes=(".txt",),
    )


@hookimpl
def kd_students() -> Iterable[StudentSpec]:
    """Provide the student ``lightgbm``."""
    yield StudentSpec(
        name="lightgbm",
        summary="A few small boosted trees (LightGBM), fitted to any loss.",
        factory="kdcore_lightgbm.student:make",
        restore="kdcore_lightgbm.student:restore",
        tasks=_TASKS,
        uses_gradient=True,
        encoder="ordinal",
        exports=("onnx", "c", "torchscript", "treelite"),
    )
