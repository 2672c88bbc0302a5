"""From the name of a loss, with or without parameters, to a loss that suits task and student."""

from __future__ import annotations

import inspect
from typing import Any

from kdcore.errors import ParameterError
from kdcore.losses import Loss
from kdcore.named_params import require_known, split_name

__all__ = ["make_loss"]


def make_loss(
    loss: str | Any | None,
    *,
    alpha: float,
    temperature: float,
    task: str,
    n_classes: int = 0,
    gradient: bool = True,
    curvature: bool = False,
    steps: bool = False,
    student: str = "this student",
) -> Loss:
    """The loss of a student, refused early if it does not suit the task or the student.

    Parameters
    ----------
    loss : str or callable or None
        A registered name, which parameters may follow as in ``"huber:delta=2"``, or
        ``loss(alpha=..., temperature=...)``. None: ``"kl"``, or ``"blend"`` in regression.
    alpha, temperature : float
    task : {"binary", "multiclass", "regression"}
    n_classes : int
    gradient : bool, default=True
        Whether the student minimises the loss itself; else it needs plain targets.
    curvature : bool, default=False
        Whether the student divides by ``hessian_bound``, as boosters do.
    steps : bool, default=False
        Whether the student tells the loss how far the training is (``Loss.at``).
    student : str, default="this student"
        How an error calls the student.

    Raises
    ------
    ParameterError
        When the loss is for another task, degenerates for so few classes, cannot be given as
        plain targets, or lacks the curvature or needs the steps of the training; the message names
        losses that work.
    UnknownNameError
        When no loss has that name.
    """
    if loss is not None and not isinstance(loss, str):
        if not callable(loss):
            raise ParameterError(
                f"loss={loss!r} must be a name, or something to call with alpha and temperature, "
                "such as the class of a loss."
            )
        return _checked(
            loss(alpha=alpha, temperature=temperature), gradient, curvature, steps, student
        )

    from kdcore.registry import default_registry

    registry = default_registry()
    default = "blend" if task == "regression" else "kl"
    name, params = split_name(default if loss is None else loss, "loss", "huber:delta=2")
    spec = registry.get("loss", name)

    def suits(s: Any) -> bool:
        return (
            task in s.tasks
            and (task == "regression" or n_classes >= s.min_classes)
            and (gradient or s.target_only)
            and (s.curvature or not curvature)
            and (steps or not s.progress)
        )

    if not suits(spec):
        usable = sorted(n for n, s in registry.specs("loss").items() if suits(s))
        if task not in spec.tasks:
            why = f"is not for {task} tasks"
        elif task != "regression" and n_classes < spec.min_classes:
            why = f"degenerates below {spec.min_classes} classes, and there are {n_classes}"
        elif not gradient and not spec.target_only:
            why = f"cannot be given as plain targets, which {student} needs"
        elif curvature and not spec.curvature:
            why = _no_curvature(student)
        else:
            why = _no_steps(student)
        raise ParameterError(f"loss={name!r} {why}; use one of {', '.join(usable)}.")
    if params:
        own = inspect.signature(spec.resolve()).parameters
        known = [key for key in own if key not in ("alpha", "temperature")]
        require_known(params, known, f"the loss {name!r}")
    made = registry.create("loss", name, alpha=alpha, temperature=temperature, **params)
    return _checked(made, gradient, curvature, steps, student)


def _no_curvature(student: str) -> str:
    return f"has no bound of its curvature, by which {student} steps"


def _no_steps(student: str) -> str:
    return f"changes in the course of the training, and {student} does not train step by step"


def _checked(loss: Loss, gradient: bool, curvature: bool, steps: bool, student: str) -> Loss:
    kind = type(loss)
    if gradient and getattr(kind, "value_and_grad", None) is Loss.value_and_grad:
        raise ParameterError(
            f"the loss {kind.__name__} has no gradient, which {student} needs; implement "
            "value_and_grad."
        )
    if not gradient and getattr(kind, "blend", None) is Loss.blend:
        raise ParameterError(
            f"the loss {kind.__name__} cannot be given as plain targets, which {student} needs; "
            "implement blend."
        )
    if curvature and not getattr(kind, "has_curvature", True):
        raise ParameterError(
            f"the loss {kind.__name__} {_no_curvature(student)}; use another loss."
        )
    if not steps and getattr(kind, "uses_progress", False):
        raise ParameterError(f"the loss {kind.__name__} {_no_steps(student)}; use another loss.")
    if not gradient and loss.temperature != 1:
        raise ParameterError(
            f"temperature={loss.temperature:g} cannot be used by {student}: it is fitted to plain "
            "targets and cannot soften its own side; leave temperature at 1."
        )
    return loss
