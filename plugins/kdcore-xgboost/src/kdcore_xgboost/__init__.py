"""What the XGBoost plugin provides; XGBoost itself is imported only when a model is built."""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import StudentSpec, TeacherSpec, hookimpl

__all__ = ["kd_students", "kd_teachers"]

_TASKS = ("binary", "multiclass", "regression")


@hookimpl
def kd_teachers() -> Iterable[TeacherSpec]:
    """Provide the teacher ``xgboost``."""
    yield TeacherSpec(
        name="xgboost",
        summary="Gradient boosted trees (XGBoost).",
        factory="kdcore_xgboost.teacher:make",
        tasks=_TASKS,
        handles_missing=True,
        handles_categorical=True,
        loader="kdcore_xgboost.loading:load",
        suffixes=(".ubj", ".json"),
    )


@hookimpl
def kd_students() -> Iterable[StudentSpec]:
    """Provide the student ``xgboost``."""
    yield StudentSpec(
        name="xgboost",
        summary="A few small boosted trees (XGBoost), fitted to any loss.",
        factory="kdcore_xgboost.student:make",
        restore="kdcore_xgboost.student:restore",
        tasks=_TASKS,
        uses_gradient=True,
        encoder="ordinal",
        exports=("onnx", "c", "torchscript", "treelite"),
    )
