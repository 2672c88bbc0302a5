"""What the forest plugin provides; scikit-learn's forest is imported only when it is built."""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import TeacherSpec, hookimpl

__all__ = ["kd_teachers"]


@hookimpl
def kd_teachers() -> Iterable[TeacherSpec]:
    """Provide the teacher ``random_forest``."""
    yield TeacherSpec(
        name="random_forest",
        summary="Random forest (scikit-learn).",
        factory="kdcore_forest.teacher:make",
        tasks=("binary", "multiclass", "regression"),
        handles_missing=True,
        handles_categorical=True,
    )
