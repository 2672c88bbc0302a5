"""kdcore: distill a strong model for tables and small images into a small one.

Importing this package is light: names below are loaded on first use, and no machine-learning
library is imported before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kdcore.errors import KDError
from kdcore.hookspecs import hookimpl
from kdcore.specs import LossSpec, SelectorSpec, StudentRecipe, StudentSpec, TeacherSpec

if TYPE_CHECKING:
    from kdcore.comparing import compare as compare
    from kdcore.distiller import DistillationClassifier as DistillationClassifier
    from kdcore.distiller import DistillationRegressor as DistillationRegressor
    from kdcore.experiment import distill as distill
    from kdcore.factor_selector import FactorSelector as FactorSelector
    from kdcore.given import GivenLabels as GivenLabels
    from kdcore.hpo import search as search
    from kdcore.losses import Loss as Loss
    from kdcore.registry import register as register
    from kdcore.runtime import load as load
    from kdcore.students import ClassifierStudent as ClassifierStudent
    from kdcore.students import RegressorStudent as RegressorStudent
    from kdcore.targets import SoftTargets as SoftTargets
    from kdcore.teachers import ClassifierTeacher as ClassifierTeacher
    from kdcore.teachers import RegressorTeacher as RegressorTeacher

__version__ = "0.1.0"

_LAZY = {
    "ClassifierStudent": "kdcore.students",
    "ClassifierTeacher": "kdcore.teachers",
    "DistillationClassifier": "kdcore.distiller",
    "DistillationRegressor": "kdcore.distiller",
    "FactorSelector": "kdcore.factor_selector",
    "Loss": "kdcore.losses",
    "RegressorStudent": "kdcore.students",
    "RegressorTeacher": "kdcore.teachers",
    "SoftTargets": "kdcore.targets",
    "GivenLabels": "kdcore.given",
    "compare": "kdcore.comparing",
    "distill": "kdcore.experiment",
    "load": "kdcore.runtime",
    "register": "kdcore.registry",
    "search": "kdcore.hpo",
}

__all__ = [
    "ClassifierStudent",
    "ClassifierTeacher",
    "DistillationClassifier",
    "DistillationRegressor",
    "FactorSelector",
    "GivenLabels",
    "KDError",
    "Loss",
    "LossSpec",
    "RegressorStudent",
    "RegressorTeacher",
    "SelectorSpec",
    "SoftTargets",
    "StudentRecipe",
    "StudentSpec",
    "TeacherSpec",
    "__version__",
    "compare",
    "distill",
    "hookimpl",
    "load",
    "register",
    "search",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kdcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
