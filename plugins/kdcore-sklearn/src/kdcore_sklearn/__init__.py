"""What the scikit-learn plugin provides; a model's module is imported only when it is built."""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import StudentSpec, hookimpl

__all__ = ["kd_students"]


@hookimpl
def kd_students() -> Iterable[StudentSpec]:
    """Provide the students ``logistic_regression``, ``ridge`` and ``decision_tree``."""
    yield StudentSpec(
        name="logistic_regression",
        summary="Softmax regression, fitted to any loss.",
        factory="kdcore_sklearn.linear:make_logistic_regression",
        tasks=("binary", "multiclass"),
        uses_gradient=True,
        encoder="standard",
        exports=("onnx",),
        counterpart="ridge",
    )
    yield StudentSpec(
        name="ridge",
        summary="Linear regression with an L2 penalty.",
        factory="kdcore_sklearn.linear:make_ridge",
        tasks=("regression",),
        encoder="standard",
        exports=("onnx",),
        counterpart="logistic_regression",
    )
    yield StudentSpec(
        name="decision_tree",
        summary="One decision tree, fitted to blended soft labels.",
        factory="kdcore_sklearn.tree:make",
        tasks=("binary", "multiclass", "regression"),
        encoder="ordinal",
        exports=("onnx",),
    )
