"""The four frozen specs by which plugins describe what they provide, without importing it."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from kdcore.errors import SpecError

__all__ = [
    "ROLES",
    "TASKS",
    "LossSpec",
    "SelectorSpec",
    "Spec",
    "StudentRecipe",
    "StudentSpec",
    "TeacherSpec",
]

TASKS = ("binary", "multiclass", "regression")

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every spec holds.

    Parameters
    ----------
    name : str
        Lower-case slug, unique among the specs of one kind, for instance ``"xgboost"``.
    summary : str
        One line, shown in listings.
    factory : str
        ``"package.module:attribute"`` of a callable. It is imported only on use, so that
        listing plugins stays fast.

    Raises
    ------
    SpecError
        When a field breaks its rule; the message names the field.
    """

    role: ClassVar[str] = ""

    name: str
    summary: str
    factory: str

    def __post_init__(self) -> None:
        for own in fields(self):
            if isinstance(getattr(self, own.name), list):
                object.__setattr__(self, own.name, tuple(getattr(self, own.name)))
        self._require(
            isinstance(self.name, str) and bool(_NAME.match(self.name)),
            "name",
            "use a lower-case slug such as 'my_model'",
        )
        self._require(
            isinstance(self.summary, str)
            and bool(self.summary.strip())
            and "\n" not in self.summary,
            "summary",
            "use one non-empty line",
        )
        self._require(
            isinstance(self.factory, str) and bool(_FACTORY.match(self.factory)),
            "factory",
            "use 'package.module:attribute'",
        )
        self._validate()

    def _validate(self) -> None:
        """Check the fields that only one kind of spec has."""

    def _require(self, ok: bool, field: str, rule: str) -> None:
        if not ok:
            raise SpecError(
                f"{type(self).__name__} {self.name!r}: {field}={getattr(self, field)!r} "
                f"is not valid; {rule}."
            )

    def _require_tasks(self, tasks: Any) -> None:
        self._require(
            isinstance(tasks, tuple) and bool(tasks) and set(tasks) <= set(TASKS),
            "tasks",
            f"use one or more of {', '.join(TASKS)}",
        )

    def _require_flags(self, *names: str) -> None:
        for name in names:
            self._require(isinstance(getattr(self, name), bool), name, "use True or False")

    def _require_text_or_none(self, name: str, pattern: re.Pattern[str], what: str) -> None:
        value = getattr(self, name)
        ok = value is None or (isinstance(value, str) and bool(pattern.match(value)))
        self._require(ok, name, f"use {what} or None")

    def resolve(self) -> Any:
        """Import and return the factory.

        Raises
        ------
        Exception
            Whatever importing the module raises; the registry turns it into a `PluginError`.
        """
        return pkgutil.resolve_name(self.factory)


@dataclass(frozen=True, kw_only=True)
class TeacherSpec(Spec):
    """A teacher: ``factory(task)`` returns an unfitted scikit-learn estimator.

    ``task`` is ``"classification"`` or ``"regression"``. The estimator has ``random_state``
    and ``n_jobs`` and honours ``sample_weight``.

    Parameters
    ----------
    tasks : tuple of {"binary", "multiclass", "regression"}
    handles_missing, handles_categorical : bool, default=False
        Whether ``fit`` takes NaN, and pandas ``category`` columns, as they are. Where it does
        not, the core encodes the table for it.
    input : {"table", "image"}, default="table"
    loader : str, optional
        ``"package.module:function"`` that turns a saved native model file into a fitted teacher.
    suffixes : tuple of str, default=()
        File endings that ``loader`` reads, for instance ``(".ubj", ".json")``.
    """

    role: ClassVar[str] = "teacher"

    tasks: tuple[str, ...]
    handles_missing: bool = False
    handles_categorical: bool = False
    input: str = "table"
    loader: str | None = None
    suffixes: tuple[str, ...] = ()

    def _validate(self) -> None:
        self._require_tasks(self.tasks)
        self._require_flags("handles_missing", "handles_categorical")
        self._require(self.input in ("table", "image"), "input", "use 'table' or 'image'")
        self._require_text_or_none("loader", _FACTORY, "'package.module:function'")
        self._require(
            isinstance(self.suffixes, tuple)
            and all(isinstance(s, str) and s.startswith(".") for s in self.suffixes),
            "suffixes",
            "use file endings such as '.json'",
        )
        self._require(
            bool(self.suffixes) == (self.loader is not None),
            "suffixes",
            "give loader and suffixes together, or neither",
        )


@dataclass(frozen=True, kw_only=True)
class StudentRecipe:
    """How a kind of student learns best from a teacher, as its author measured it.

    Parameters
    ----------
    encoder : str, optional
        Encoder of the distilled student, such as ``"teacher_bins:pairs=20"``; None leaves the
        student's own.
    augment : int, default=0
        Synthetic rows for each training row.
    method : str, default="cart"
        How they are made where the table has few columns and classes, such as ``"cart+munge"``;
        see `kdcore.transfer.default_method`.
    params : mapping, default={}
        Parameters of a student that learns from synthetic or unlabeled rows too.
    tune : mapping of str to tuple, default={}
        Values of the student's parameters that are tried on held-out training rows, for the
        plain and the distilled student alike.
    """

    encoder: str | None = None
    augment: int = 0
    method: str = "cart"
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tune: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, hash=False)

    def is_valid(self) -> bool:
        """Whether every field has the right type."""
        return (
            (self.encoder is None or isinstance(self.encoder, str))
            and isinstance(self.augment, int)
            and self.augment >= 0
            and isinstance(self.method, str)
            and isinstance(self.params, Mapping)
            and isinstance(self.tune, Mapping)
            and all(isinstance(v, (tuple, list)) and len(v) > 0 for v in self.tune.values())
        )


@dataclass(frozen=True, kw_only=True)
class StudentSpec(Spec):
    """A student: ``factory(task)`` returns an unfitted `ClassifierStudent` or `RegressorStudent`.

    Parameters
    ----------
    tasks : tuple of {"binary", "multiclass", "regression"}
    uses_gradient : bool, default=False
        True if the student minimises any loss through ``value_and_grad``; False if it is fitted
        to plain targets (``Loss.blend``) only.
    embedded_selection : bool, default=False
        Whether selectors of kind ``"embedded"`` can train inside this student.
    selector : str, optional
        The selector that chooses its columns within a budget where the user names none; None
        leaves it to the core.
    encoder : str, default="standard"
        Name of the encoder that turns raw columns into the student's input.
    exports : tuple of str, default=()
        Formats besides Python that ``kd export`` can write the student to: ``"onnx"``;
        ``"onnx-int8"`` where it has matrices of weights; ``"c"`` where `kdcore.c_graph` knows all
        its operators; ``"torchscript"`` where `kdcore.torch_operators` does; ``"treelite"`` for
        sums of trees; ``"sklearn"`` where it defines ``to_sklearn()``: the bytes of a file, and
        an estimator that predicts what the file does.
    input : {"table", "image"}, default="table"
        With ``"image"`` the columns must be the pixels of pictures.
    counterpart : str, optional
        Name of the student that stands in for tasks this one lacks, as ``ridge`` does for
        ``logistic_regression`` in regression.
    recipe : StudentRecipe, optional
        How it learns best from a teacher. Without one it learns from soft labels of the training
        rows, behind its own encoder.
    restore : str, optional
        ``"package.module:function"`` that makes a fitted student of a bundle's manifest and the
        bytes that the student's ``state()`` wrote; see `kdcore.native`.
    """

    role: ClassVar[str] = "student"

    tasks: tuple[str, ...]
    uses_gradient: bool = False
    embedded_selection: bool = False
    selector: str | None = None
    encoder: str = "standard"
    exports: tuple[str, ...] = ()
    input: str = "table"
    counterpart: str | None = None
    recipe: StudentRecipe | None = None
    restore: str | None = None

    def _validate(self) -> None:
        self._require_tasks(self.tasks)
        self._require_flags("uses_gradient", "embedded_selection")
        self._require_text_or_none("restore", _FACTORY, "'package.module:function'")
        self._require_text_or_none("selector", _NAME, "the name of a selector")
        self._require(
            self.recipe is None
            or (isinstance(self.recipe, StudentRecipe) and self.recipe.is_valid()),
            "recipe",
            "use a StudentRecipe with the types of its documentation, or None",
        )
        self._require(
            isinstance(self.encoder, str) and bool(_NAME.match(self.encoder)),
            "encoder",
            "use the name of an encoder such as 'standard'",
        )
        self._require(
            isinstance(self.exports, tuple) and all(isinstance(e, str) for e in self.exports),
            "exports",
            "use a tuple of format names such as ('onnx',)",
        )
        self._require(self.input in ("table", "image"), "input", "use 'table' or 'image'")
        self._require_text_or_none("counterpart", _NAME, "the name of another student")

    def resolve_restore(self) -> Any:
        """Import and return the function that ``restore`` names; None where there is none."""
        return None if self.restore is None else pkgutil.resolve_name(self.restore)


@dataclass(frozen=True, kw_only=True)
class LossSpec(Spec):
    """A loss: ``factory(alpha=..., temperature=..., **params)`` returns a `Loss`.

    Parameters
    ----------
    tasks : tuple of {"binary", "multiclass", "regression"}
    min_classes : int, default=2
        Fewest classes for which the loss does not degenerate.
    target_only : bool, default=False
        Whether the loss also gives ``blend(targets)``, so that students without gradients can
        use it.
    teacher : bool, default=True
        False for a baseline that learns from labels alone and ignores the teacher.
    curvature : bool, default=True
        Whether the loss gives ``hessian_bound``, so that boosters can step by it.
    progress : bool, default=False
        Whether the loss changes in the course of the training (`Loss.at`), so that only students
        that train step by step can use it.
    reference : str, default=""
        The paper, or where the formula comes from.
    """

    role: ClassVar[str] = "loss"

    tasks: tuple[str, ...]
    min_classes: int = 2
    target_only: bool = False
    teacher: bool = True
    curvature: bool = True
    progress: bool = False
    reference: str = ""

    def _validate(self) -> None:
        self._require_tasks(self.tasks)
        self._require_flags("target_only", "teacher", "curvature", "progress")
        self._require(
            not (self.progress and self.target_only),
            "target_only",
            "plain targets cannot change in the course of the training; leave it at False",
        )
        self._require(
            isinstance(self.min_classes, int) and self.min_classes >= 2,
            "min_classes",
            "use an integer of at least 2",
        )
        self._require(isinstance(self.reference, str), "reference", "use text")


@dataclass(frozen=True, kw_only=True)
class SelectorSpec(Spec):
    """A selector: ``factory(**params)`` returns an object with ``select`` (see `kdcore.selectors`).

    Parameters
    ----------
    kind : {"filter", "embedded"}
        ``"filter"`` works with every student, ``"embedded"`` trains inside one: it is offered to
        students whose spec has ``embedded_selection``.
    reference : str, default=""
        The paper, or where the method comes from.
    """

    role: ClassVar[str] = "selector"

    kind: str = "filter"
    reference: str = ""

    def _validate(self) -> None:
        self._require(self.kind in ("filter", "embedded"), "kind", "use 'filter' or 'embedded'")
        self._require(isinstance(self.reference, str), "reference", "use text")


#: What a plugin can provide.
ROLES = tuple(kind.role for kind in (TeacherSpec, StudentSpec, LossSpec, SelectorSpec))
