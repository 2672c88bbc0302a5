"""Where soft labels come from: a teacher to fit, one that is fitted, given labels, or several."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import FitError, KDError, KDWarning, ParameterError
from kdcore.given import GivenLabels, input_for
from kdcore.labels import TeacherLabels, fit_teacher, out_of_fold, teacher_output
from kdcore.own_teachers import CallableTeacher, FittedTeacher
from kdcore.registry import default_registry
from kdcore.resolve import is_fitted, resolve_teacher
from kdcore.several_teachers import averaged
from kdcore.teacher_source import Source

if TYPE_CHECKING:
    from kdcore.table import LabeledTable

__all__ = ["FITTED", "Source", "resolve_source"]

#: What a user can say of a fitted teacher.
FITTED = ("in-sample", "held-out", "refit")


def resolve_source(
    teacher: Any,
    table: LabeledTable,
    *,
    params: Mapping[str, Any] | None = None,
    weights: Sequence[float] | str | None = None,
    fitted: str = "in-sample",
    random_state: int = 0,
) -> Source:
    """Find out what kind of teacher this is, and refuse early what cannot be used.

    Parameters
    ----------
    teacher
        A registered name; an unfitted estimator; a fitted estimator or pipeline, or any object
        with ``predict_proba`` (or ``predict``) and no ``fit``; the path of a native model file;
        `GivenLabels`, or an array or frame of probabilities (or values) of all rows of the table;
        a function of a raw frame; or a list of these.
    table : LabeledTable
        Gives the task and the classes.
    params : mapping, optional
        Parameters of a teacher that is to be fitted.
    weights : sequence of float or "auto", optional
        Of the teachers in a list; equal if None. See `kdcore.several_teachers.averaged`.
    fitted : {"in-sample", "held-out", "refit"}, default="in-sample"
        What a fitted teacher was fitted on: rows of this table; other rows; or "refit" to allow
        that clones of it are fitted, for out-of-fold labels.
    random_state : int, default=0

    Raises
    ------
    KDError
        When the teacher cannot be used for this task or table.
    """
    if fitted not in FITTED:
        raise ParameterError(f"fitted={fitted!r} is not known; use one of {', '.join(FITTED)}.")
    if isinstance(teacher, (list, tuple)):
        if len(teacher) > 1:
            _no_params(params, "a list of teachers")
        members = [
            resolve_source(t, table, params=params, fitted=fitted, random_state=random_state)
            for t in teacher
        ]
        return averaged(members, weights)
    if weights is not None:
        raise ParameterError("teacher_weights are for several teachers; give a list of them.")
    if isinstance(teacher, Path) or (isinstance(teacher, str) and _looks_like_file(teacher)):
        from kdcore.model_files import load_model_file

        _no_params(params, f"the model file '{teacher}'")
        if fitted == "refit":
            raise ParameterError(
                f"the model file '{teacher}' cannot be fitted anew; say fitted='in-sample' or "
                "'held-out' (--fitted)."
            )
        return _from_fitted(
            load_model_file(teacher, table.classes), str(Path(teacher).name), fitted
        )
    if isinstance(teacher, GivenLabels) or hasattr(teacher, "__array__") or _is_frame(teacher):
        _no_params(params, "given labels")
        given = teacher if isinstance(teacher, GivenLabels) else GivenLabels(teacher)
        return _from_given(given, table)
    asked = not isinstance(teacher, (str, type))
    done = asked and hasattr(teacher, "predict") and not hasattr(teacher, "fit")
    if callable(teacher) and asked and not done and not hasattr(teacher, "fit"):
        _no_params(params, "a callable")
        name = getattr(teacher, "__name__", type(teacher).__name__)
        return _from_fitted(CallableTeacher(teacher, table.classes), name, "given")
    was_fitted = done or (asked and hasattr(teacher, "predict") and is_fitted(teacher))
    if was_fitted:
        if fitted == "refit" and not done:
            from sklearn.base import clone

            teacher = clone(_unfrozen(teacher))
        else:
            _no_params(params, "a fitted teacher")
            _check_kind(teacher, table)
            model = FittedTeacher(_unfrozen(teacher), table.classes)
            name = type(_unfrozen(teacher)).__name__
            if fitted == "refit":
                raise ParameterError(
                    f"the teacher {name} has no fit, so no clone of it can be fitted; say "
                    "fitted='in-sample' or 'held-out'."
                )
            return _from_fitted(model, name, fitted)
    found = resolve_teacher(teacher, task=table.task, params=params, random_state=random_state)

    def label(train: LabeledTable, **options: Any) -> TeacherLabels:
        return out_of_fold(
            found.estimator,
            train.whole,
            train.y,
            rows=train.part,
            classes=train.classes,
            sample_weight=train.sample_weight,
            ordered=train.ordered,
            **options,
        )

    def refit(train: LabeledTable) -> Any:
        return fit_teacher(found.estimator, train.X, train.y, train.sample_weight)

    if not isinstance(teacher, str):
        return Source(found.name, label, was_fitted=was_fitted, refit=refit)
    identity = {
        "class": _path(found.estimator),
        "params": repr(sorted(found.estimator.get_params().items())),
        "distribution": default_registry().provider("teacher", teacher).distribution,
    }
    return Source(found.name, label, identity, refit=refit)


def _from_fitted(model: Any, name: str, provenance: str) -> Source:
    def label(
        train: LabeledTable,
        *,
        folds: Any = None,
        random_state: int = 0,
        n_jobs: int | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> TeacherLabels:
        start = time.perf_counter()
        values = teacher_output(model, input_for(model, train), train.classes)
        if provenance == "in-sample":
            warnings.warn(
                f"the teacher {name} is taken to be fitted on these very rows, so its labels are "
                "in-sample: they are near to the true labels and teach little. Say "
                "fitted='held-out' (--fitted held-out) if it was fitted on other rows, or "
                "fitted='refit' to have clones of it fitted out of fold",
                KDWarning,
                stacklevel=3,
            )
        if on_step is not None:
            on_step(1, 1)
        return TeacherLabels(
            values=values,
            teacher=model,
            provenance=provenance,
            folds=0,
            fit_seconds=0.0,
            seconds=time.perf_counter() - start,
        )

    return Source(name, label, was_fitted=provenance != "given")


def _from_given(given: GivenLabels, table: LabeledTable) -> Source:
    # Read now: wrong labels are refused before any work.
    everything = given.read(len(table.source), table.classes, table.rows)

    def label(train: LabeledTable, **options: Any) -> TeacherLabels:
        return TeacherLabels(
            values=everything[train.rows],
            teacher=None,
            provenance=given.provenance,
            folds=0,
            fit_seconds=0.0,
            seconds=0.0,
            given=everything,
        )

    return Source("given labels", label, can_be_asked=False)


def _looks_like_file(text: str) -> bool:
    """Whether a text names a model file; a registered name is never taken for one."""
    if text in default_registry().specs("teacher"):
        return False
    return Path(text).suffix != "" or "/" in text or "\\" in text or Path(text).is_file()


def _is_frame(teacher: Any) -> bool:
    return hasattr(teacher, "columns") and hasattr(teacher, "shape")


def _no_params(params: Mapping[str, Any] | None, what: str) -> None:
    if params:
        raise ParameterError(
            f"teacher parameters ({', '.join(params)}) cannot be used with {what}, which is not "
            "fitted here; leave them out."
        )


def _unfrozen(teacher: Any) -> Any:
    from sklearn.frozen import FrozenEstimator

    return teacher.estimator if isinstance(teacher, FrozenEstimator) else teacher


def _check_kind(teacher: Any, table: LabeledTable) -> None:
    from sklearn.base import is_classifier

    name = type(teacher).__name__
    try:
        classifier = is_classifier(teacher)
    except (AttributeError, TypeError, KDError):
        classifier = hasattr(teacher, "predict_proba")
    if table.classes is None and classifier:
        raise ParameterError(f"the teacher {name} is a classifier, but the task is regression.")
    if table.classes is None:
        return
    if not hasattr(teacher, "predict_proba"):
        raise ParameterError(
            f"the teacher {name} has no predict_proba, so it gives no soft labels; use a "
            "probabilistic model, or calibrate it (CalibratedClassifierCV)."
        )
    own = np.asarray(getattr(teacher, "classes_", table.classes))
    unknown = own[~np.isin(own, table.classes)]
    if len(unknown):
        raise FitError(
            f"the teacher {name} predicts the class {str(unknown[0])!r}, which the table does not "
            "have; use a teacher fitted on the same classes."
        )


def _path(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"
