"""What the scikit-learn plugin provides; a model's module is imported only when it is built."""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import StudentRecipe, StudentSpec, hookimpl

__all__ = ["kd_students"]


@hookimpl
def kd_students() -> Iterable[StudentSpec]:
    """Provide linear models, support vector machines, trees and small networks."""
    yield StudentSpec(
        name="logistic_regression",
        summary="Softmax regression, fitted to any loss.",
        factory="kdcore_sklearn.linear:make_logistic_regression",
        restore="kdcore_sklearn.state:restore",
        tasks=("binary", "multiclass"),
        uses_gradient=True,
        encoder="standard",
        exports=("onnx", "onnx-int8", "c", "sklearn", "torchscript"),
        counterpart="ridge",
        recipe=StudentRecipe(
            encoder="teacher_bins:pairs=20",
            augment=5,
            method="cart+munge",
            params={"C": 1.0, "max_iter": 150},
            tune={"C": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)},
        ),
    )
    yield StudentSpec(
        name="ridge",
        summary="Linear regression with an L2 penalty.",
        factory="kdcore_sklearn.linear:make_ridge",
        restore="kdcore_sklearn.state:restore",
        tasks=("regression",),
        encoder="standard",
        exports=("onnx", "onnx-int8", "c", "sklearn", "torchscript"),
        counterpart="logistic_regression",
        recipe=StudentRecipe(
            encoder="teacher_bins:pairs=20",
            augment=5,
            method="cart+munge",
            params={"l2": 1.0},
            tune={"l2": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)},
        ),
    )
    yield StudentSpec(
        name="decision_tree",
        summary="One decision tree, fitted to blended soft labels.",
        factory="kdcore_sklearn.tree:make",
        restore="kdcore_sklearn.state:restore",
        tasks=("binary", "multiclass", "regression"),
        encoder="ordinal",
        exports=("onnx", "c", "sklearn", "torchscript", "treelite"),
        recipe=StudentRecipe(
            augment=10,
            params={"shrinkage": 5.0},
            tune={"min_samples_leaf": (5, 10, 20)},
        ),
    )
    yield StudentSpec(
        name="sklearn_mlp",
        summary="A small neural network (scikit-learn), fitted to any loss.",
        factory="kdcore_sklearn.mlp:make",
        restore="kdcore_sklearn.state:restore",
        tasks=("binary", "multiclass", "regression"),
        uses_gradient=True,
        encoder="standard",
        exports=("onnx", "onnx-int8", "c", "sklearn", "torchscript"),
        recipe=StudentRecipe(
            encoder="teacher_bins",
            augment=10,
            method="cart+munge",
            params={"early_stopping": False},
        ),
    )
    yield StudentSpec(
        name="svm",
        summary="Least-squares support vector machine (RBF or linear), calibrated.",
        factory="kdcore_sklearn.svm:make",
        restore="kdcore_sklearn.state:restore",
        tasks=("binary", "multiclass", "regression"),
        encoder="standard",
        exports=("onnx", "onnx-int8", "c", "torchscript"),
    )
