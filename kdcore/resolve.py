"""From what a user names to estimators: teachers and students by name, class or instance."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from kdcore.encoders import make_encoder
from kdcore.errors import ParameterError, suggest
from kdcore.loss_choice import make_loss
from kdcore.notes import Note, note
from kdcore.registry import default_registry
from kdcore.specs import StudentRecipe, StudentSpec
from kdcore.students import Student

__all__ = [
    "Resolved",
    "apply_params",
    "is_fitted",
    "named_estimator",
    "resolve_student",
    "resolve_teacher",
]


@dataclass(frozen=True)
class Resolved:
    """An unfitted estimator, the name to show for it, and what the user should be told.

    ``plain`` is the student that learns from labels alone, where it is not ``estimator`` itself: a
    baseline's loss already does, so it is compared with the default loss. ``recipe`` is how a
    student of this kind learns best, where that is known, and ``given`` are the parameters that the
    user has set, which no recipe touches. ``embedded`` tells whether selectors can train inside the
    student, and ``selector`` names the one that suits it, where its spec does.
    """

    name: str
    estimator: Any
    note: Note | None = None
    plain: Any = None
    recipe: StudentRecipe | None = None
    given: frozenset[str] = frozenset()
    embedded: bool = False
    selector: str | None = None


def named_estimator(role: str, name: str, task: str) -> Any:
    """An unfitted teacher or student from its registered name.

    ``task`` is one of binary, multiclass, regression.
    """
    kind = "regression" if task == "regression" else "classification"
    return default_registry().create(role, name, task=kind)


def apply_params(estimator: Any, params: Mapping[str, Any] | None, role: str, name: str) -> Any:
    """Set parameters on an estimator, refusing those it does not have.

    Raises
    ------
    ParameterError
        Naming the parameter and the nearest that exists.
    """
    if not params:
        return estimator
    known = estimator.get_params()
    for key in params:
        if key not in known:
            raise ParameterError(
                f"the {role} {name} has no parameter {key!r}."
                + (suggest(key, known) or f" It has: {', '.join(sorted(known))}.")
            )
    return estimator.set_params(**params)


def resolve_teacher(
    teacher: Any,
    *,
    task: str,
    params: Mapping[str, Any] | None = None,
    random_state: int,
) -> Resolved:
    """The unfitted teacher for a task.

    Parameters
    ----------
    teacher : str or estimator
        A registered name, or an unfitted scikit-learn estimator (which is cloned).
    task : {"binary", "multiclass", "regression"}
    params : mapping, optional
    random_state : int
        Given to the teacher, and to the parts of a pipeline, unless they have one of their own.

    Raises
    ------
    UnknownNameError, ParameterError, PluginError
        When there is no such teacher, it cannot do the task, has no such parameter, or is
        fitted already.
    """
    if isinstance(teacher, str):
        spec = default_registry().get("teacher", teacher)
        if task not in spec.tasks:
            raise ParameterError(
                f"the teacher {teacher!r} does {', '.join(spec.tasks)}, not {task}; "
                f"use one of {_able('teacher', task)}."
            )
        estimator = named_estimator("teacher", teacher, task)
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=random_state)
        apply_params(estimator, params, "teacher", teacher)
        _check(teacher, estimator, "teacher")
        return Resolved(teacher, estimator)
    name = type(teacher).__name__
    if not hasattr(teacher, "fit") or isinstance(teacher, type):
        raise ParameterError(
            f"teacher={teacher!r} is neither a name nor an estimator; see `kd plugins` for names."
        )
    if not hasattr(teacher, "get_params") or not hasattr(teacher, "__sklearn_tags__"):
        raise ParameterError(
            f"the teacher {name} cannot be cloned and asked for its abilities; derive it from "
            "sklearn.base.BaseEstimator."
        )
    if is_fitted(teacher):
        raise ParameterError(
            f"the teacher {name} is fitted already, and kdcore never refits a model in silence; "
            "pass sklearn.base.clone(teacher) to have it fitted anew."
        )
    if task == "regression" and is_classifier(teacher):
        raise ParameterError(f"the teacher {name} is a classifier, but the task is regression.")
    if task != "regression" and not _gives_probabilities(teacher):
        raise ParameterError(
            f"the teacher {name} has no predict_proba, so it gives no soft labels; use a "
            "probabilistic model, or calibrate it (CalibratedClassifierCV)."
        )
    estimator = clone(teacher)
    unset = [
        key
        for key, value in estimator.get_params().items()
        if (key == "random_state" or key.endswith("__random_state")) and value is None
    ]
    estimator.set_params(**dict.fromkeys(unset, random_state))
    apply_params(estimator, params, "teacher", name)
    _check(name, estimator, "teacher")
    return Resolved(name, estimator)


def resolve_student(
    student: Any,
    *,
    task: str,
    n_classes: int,
    params: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> Resolved:
    """The unfitted student for a task, its loss, encoder and columns checked before long work.

    Parameters
    ----------
    student : str or Student
        A registered name, or an unfitted student (which is cloned).
    task : {"binary", "multiclass", "regression"}
    n_classes : int
        0 in regression.
    params : mapping, optional
        Parameters of the student.
    recipe : mapping, optional
        ``alpha``, ``temperature``, ``loss``; None leaves the student's own value.
    columns : sequence of str, optional
        Raw columns of the table, among which the student's ``features`` must be.

    Raises
    ------
    UnknownNameError, ParameterError, PluginError
        When there is no such student, it cannot do the task, or cannot use a parameter.
    """
    told: Note | None = None
    own = frozenset[str]()
    spec: StudentSpec | None
    if isinstance(student, str):
        name, told = _able_student(student, task)
        estimator = named_estimator("student", name, task)
        spec = default_registry().get("student", name)
    else:
        name = type(student).__name__
        if not isinstance(student, Student):
            raise ParameterError(
                f"student={student!r} is neither a name nor a student; see `kd plugins` for names, "
                "or derive from kdcore.ClassifierStudent or kdcore.RegressorStudent."
            )
        if is_classifier(student) != (task != "regression"):
            raise ParameterError(f"the student {name} cannot do the task {task}.")
        estimator = clone(student)
        spec, own = _known_spec(estimator, task), _set_by_hand(estimator)
    given = {k: v for k, v in (recipe or {}).items() if v is not None}
    apply_params(estimator, params, "student", name)
    apply_params(estimator, given, "student", name)
    loss = make_loss(
        estimator.loss,
        alpha=estimator.alpha,
        temperature=estimator.temperature,
        task=task,
        n_classes=n_classes,
        gradient=estimator.uses_gradient,
        curvature=estimator.uses_curvature,
        steps=estimator.uses_steps,
        student=name,
    )
    make_encoder(estimator.encoder)
    if columns is not None:
        _check_features(estimator, list(columns))
    _check(name, estimator, "student")
    plain = None
    if not getattr(loss, "uses_teacher", True):
        plain = clone(estimator).set_params(loss=None, temperature=1.0)
        says = note("loss_ignores_teacher", loss=type(loss).__name__)
        told = says if told is None else note("both", first=told, second=says)
    own |= {*(params or {}), *given}
    return Resolved(
        name,
        estimator,
        told,
        plain,
        None if spec is None else spec.recipe,
        own,
        embedded=spec is not None and spec.embedded_selection,
        selector=None if spec is None else spec.selector,
    )


def _known_spec(student: Student, task: str) -> StudentSpec | None:
    """The spec of a student given as an object: that of the registered student of its class."""
    for name, spec in default_registry().specs("student").items():
        same_module = spec.factory.partition(":")[0] == type(student).__module__
        if not (same_module and task in spec.tasks):
            continue
        if type(named_estimator("student", name, task)) is type(student):
            return spec
    return None


def _set_by_hand(student: Student) -> frozenset[str]:
    """The parameters that are not what the constructor sets."""
    usual = inspect.signature(type(student).__init__).parameters
    params = student.get_params(deep=False)
    return frozenset(k for k, v in params.items() if repr(v) != repr(usual[k].default))


def _check(name: str, estimator: Any, role: str) -> None:
    """Refuse parameters that cannot be used, as far as a model can tell before it is fitted."""
    check = getattr(estimator, "check_params", None)
    if check is not None:
        try:
            check()
        except ParameterError as error:
            raise ParameterError(f"the {role} {name}: {error}") from error


def _check_features(student: Student, columns: list[str]) -> None:
    features = student.features
    if features is not None and not isinstance(features, (list, tuple)):
        raise ParameterError(f"features={features!r} must be a list of columns, or None.")
    student._chosen(columns)


def _able_student(name: str, task: str) -> tuple[str, Note | None]:
    """The student itself, or the counterpart that stands in for it in this task."""
    registry = default_registry()
    spec = registry.get("student", name)
    if task in spec.tasks:
        return name, None
    other = spec.counterpart
    if other is not None and task in registry.get("student", other).tasks:
        return other, note("counterpart", student=name, task=task, other=other)
    raise ParameterError(
        f"the student {name!r} does {', '.join(spec.tasks)}, not {task}; "
        f"use one of {_able('student', task)}."
    )


def _able(role: str, task: str) -> str:
    specs: Mapping[str, Any] = default_registry().specs(role)
    return ", ".join(name for name, spec in specs.items() if task in spec.tasks)


def _gives_probabilities(teacher: Any) -> bool:
    # An ensemble such as StackingClassifier cannot tell before it is fitted.
    unsure = hasattr(type(teacher), "predict_proba") and hasattr(teacher, "estimators")
    return unsure or hasattr(teacher, "predict_proba")


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator was fitted before it was handed over."""
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError):
        return False
    return bool(getattr(estimator, "__sklearn_is_fitted__", None)) or any(
        v.endswith("_") and not v.startswith("__") for v in vars(estimator)
    )
