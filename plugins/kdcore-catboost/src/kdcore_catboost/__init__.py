"""What the CatBoost plugin provides; CatBoost itself is imported only when a model is built."""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import StudentSpec, TeacherSpec, hookimpl

__all__ = ["kd_students", "kd_teachers"]

_TASKS = ("binary", "multiclass", "regression")


@hookimpl
def kd_teachers() -> Iterable[TeacherSpec]:
    """Provide the teacher ``catboost``."""
    yield TeacherSpec(
        name="catboost",
        summary="Gradient boosted trees (CatBoost).",
        factory="kdcore_catboost.teacher:make",
        tasks=_TASKS,
        handles_missing=True,
        handles_categorical=True,
        loader="kdcore_catboost.loading:load",
        suffixes=(".cbm",),
    )


@hookimpl
def kd_students() -> Iterable[StudentSpec]:
    """Provide the student ``catboost``."""
    yield StudentSpec(
        name="catboost",
        summary="A few small boosted oblivious trees (CatBoost).",
        factory="kdcore_catboost.student:make",
        restore="kdcore_catboost.student:restore",
        tasks=_TASKS,
        uses_gradient=False,
        encoder="ordinal",
        exports=("onnx", "c", "torchscript", "treelite"),
    )
