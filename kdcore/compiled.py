"""The compiled teacher: a teacher of trees as a bundle, which ONNX Runtime runs.

Often it is fast enough, and then there is no need for a student.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcore.candidates import describe_error
from kdcore.errors import BundleError, KDError
from kdcore.evaluation import row_losses
from kdcore.notes import figure, note
from kdcore.verdict import paired_interval

if TYPE_CHECKING:
    import numpy as np

    from kdcore.bundle import Packed
    from kdcore.table import LabeledTable
    from kdcore.teacher_run import TeacherRun

__all__ = ["SIZE_LIMIT", "TOLERANCE", "compile_instead", "compile_teacher", "compiled_latency"]

#: Bytes of a teacher's own model beyond which a distillation does not compile it: writing the
#: graph would take longer than it is worth.
SIZE_LIMIT = 32_000_000

#: Largest difference allowed between a compiled teacher and the teacher: of a probability, or of
#: a value relative to the largest one. Wider than for students, since hundreds of trees are added
#: up in another order.
TOLERANCE = 1e-4

_ROWS = 2000
#: A compiled teacher that takes at most so many times the student's time is fast enough.
_FAST_ENOUGH = 2.0


def compile_teacher(teacher: Any, table: Any, *, name: str = "") -> Packed:
    """Turn a fitted teacher into a bundle, which `kdcore.load` opens like a student's.

    Parameters
    ----------
    teacher : fitted teacher
        With ``to_onnx()``; see `kdcore.teachers.Teacher`.
    table : table
        Held-out rows, on which the graph is compared with the teacher.
    name : str, default=""
        The teacher's name.

    Raises
    ------
    BundleError
        When graph and teacher disagree by more than `TOLERANCE`.
    KDError
        When the teacher cannot be written as ONNX.
    """
    from kdcore.bundle import pack_graph

    if not hasattr(teacher, "to_onnx"):
        raise KDError(
            f"{type(teacher).__name__} cannot be written as ONNX; its plugin must define to_onnx()."
        )
    return pack_graph(
        teacher,
        teacher.to_onnx(),
        teacher.schema_.columns,
        table,
        name=name,
        tolerance=TOLERANCE,
        info={"role": "teacher"},
    )


def compiled_latency(teacher: Any, table: Any, *, size: int | None) -> tuple[Any, str]:
    """Time of a compiled teacher, and why there is none.

    Parameters
    ----------
    teacher : fitted teacher or None
    table : pandas.DataFrame
        Held-out rows.
    size : int or None
        Bytes of the teacher's own model.

    Returns
    -------
    latency : dict or None
        Microseconds ``single`` and ``batch_per_row``, and the ``bytes`` of its bundle.
    note : str
        Empty where there is a latency, or where the kind of teacher is never compiled.
    """
    from kdcore.latency import bundle_latency

    if teacher is None or not hasattr(teacher, "to_onnx"):
        return None, ""
    if size is not None and size > SIZE_LIMIT:
        return None, note("compiled_too_large", size=size / 1e6, most=SIZE_LIMIT / 1e6)
    try:
        packed = compile_teacher(teacher, table.head(_ROWS))
        return {**bundle_latency(packed.bundle, table), "bytes": len(packed.data)}, ""
    except BundleError as error:
        return None, note("compiled_differs", error=error)
    except KDError as error:
        return None, note("compiled_not", error=error)
    except Exception as error:
        # A side measurement of somebody else's plugin must not end the distillation.
        return None, note("compiled_failed", error=describe_error(error))


def compile_instead(
    run: TeacherRun,
    held: LabeledTable,
    student: np.ndarray,
    student_time: float,
    *,
    random_state: int,
) -> str:
    """The advice to deploy the compiled teacher rather than a student; empty where it is none.

    It is given where one row takes the compiled teacher at most twice as long as the student, and
    the teacher is clearly better on the held-out rows (the 95 % bootstrap interval of the
    difference lies on its side). Not where it may have been fitted on those rows.

    Parameters
    ----------
    run : TeacherRun
    held : LabeledTable
    student : array of shape (m, K) or (m,)
        Output of the version of the student that the verdict would deploy.
    student_time : float
        Microseconds for one row.
    random_state : int
        Of the bootstrap.
    """
    if run.compiled is None or run.held is None or run.labels.provenance != "out-of-fold":
        return ""
    if run.compiled["single"] > _FAST_ENOUGH * student_time:
        return ""
    gain, (low, high) = paired_interval(
        row_losses(student, held.y, held.classes),
        row_losses(run.held, held.y, held.classes),
        weight=held.sample_weight,
        root=held.classes is None,
        random_state=random_state,
    )
    if low <= 0:
        return ""
    return note(
        "compile_instead_rmse" if held.classes is None else "compile_instead_log_loss",
        teacher=run.compiled["single"],
        student=student_time,
        gain=figure(gain, 3),
        low=figure(low, 3, "+"),
        high=figure(high, 3, "+"),
    )
