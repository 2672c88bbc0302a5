"""`kdcore.distill`: the whole way from a table to a judged, deployable student; ``kd distill``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.bundle import Packed, pack
from kdcore.errors import DataError, FitError, KDError, ParameterError
from kdcore.evaluation import fidelity, metrics
from kdcore.files import atomic_path, prepare_folder
from kdcore.labels import TeacherLabels, out_of_fold, teacher_output
from kdcore.latency import bundle_latency, model_latency
from kdcore.report import DistillReport
from kdcore.resolve import Resolved, resolve_student, resolve_teacher
from kdcore.table import LabeledTable, labeled, read_table
from kdcore.targets import SoftTargets, encode_labels
from kdcore.verdict import verdict

if TYPE_CHECKING:
    from kdcore.runtime import Bundle

__all__ = ["BUNDLE_NAME", "RESULT_NAME", "DistillResult", "distill", "split"]

BUNDLE_NAME, RESULT_NAME = "student.kd", "result.json"

#: Told of each stage's progress: name of the stage, steps done, steps in all.
Progress = Callable[[str, int, int], None]


@dataclass
class DistillResult:
    """What `distill` returns.

    Parameters
    ----------
    report : DistillReport
        All numbers, as ``kd distill --json`` prints them.
    teacher, student, plain : fitted estimators
        ``student`` is the distilled one.
    packed : Packed or None
        The student's bundle; None if the student cannot be written as ONNX.
    """

    report: DistillReport
    teacher: Any
    student: Any
    plain: Any
    packed: Packed | None

    @property
    def bundle(self) -> Bundle | None:
        """The distilled student as it is deployed."""
        return None if self.packed is None else self.packed.bundle

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write ``student.kd`` and ``result.json`` into a folder.

        Raises
        ------
        KDError
            When they exist and not ``force``, or the folder cannot be written to.
        """
        folder = prepare_folder(folder, force=force, names=(BUNDLE_NAME, RESULT_NAME))
        folder.mkdir(parents=True, exist_ok=True)
        if self.packed is not None:
            self.packed.save(folder / BUNDLE_NAME)
            self.report.bundle = str(folder / BUNDLE_NAME)
        with atomic_path(folder / RESULT_NAME) as temporary:
            text = json.dumps(self.report.to_dict(), indent=1, ensure_ascii=False)
            temporary.write_text(text, encoding="utf-8")
        return folder


def distill(
    data: Any,
    *,
    target: str,
    teacher: Any = "xgboost",
    student: Any = "logistic_regression",
    test: Any = None,
    test_size: float = 0.25,
    task: str = "auto",
    teacher_params: Mapping[str, Any] | None = None,
    student_params: Mapping[str, Any] | None = None,
    folds: int | str = "auto",
    alpha: float | None = None,
    temperature: float | None = None,
    loss: Any = None,
    sample_weight: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    output: str | Path | None = None,
    force: bool = False,
    on_progress: Progress | None = None,
) -> DistillResult:
    """Distill a teacher into a student and judge it on held-out rows.

    Parameters
    ----------
    data : str, Path or table
        See `kdcore.table.read_table`.
    target : str
        Column to predict.
    teacher, student : str or estimator
        Registered names (see ``kd plugins``), or unfitted estimators.
    test : str, Path or table, optional
        Held-out rows; by default a share ``test_size`` of ``data``, stratified by class.
    test_size : float, default=0.25
    task : {"auto", "classification", "binary", "multiclass", "regression"}
    teacher_params, student_params : mapping, optional
    folds : int or "auto", default="auto"
        See `kdcore.labels.fold_plan`.
    alpha, temperature, loss : optional
        Override the student's own.
    sample_weight : str, optional
        Column of row weights, used in fitting and in scoring.
    random_state : int, default=0
    n_jobs : int, optional
        Teacher fits at a time; -1 for one on each core. It does not change the result.
    output : str or Path, optional
        Folder for ``student.kd`` and ``result.json``; checked before the work starts.
    force : bool, default=False
        Whether existing files may be replaced.
    on_progress : callable, optional
        Called as ``on_progress(stage, done, total)``.

    Returns
    -------
    DistillResult

    Raises
    ------
    KDError
        Whenever the input, a parameter, a plugin or the output cannot be used.
    """
    clock = _Clock()
    step = on_progress or (lambda stage, done, total: None)
    if output is not None:
        prepare_folder(output, force=force, names=(BUNDLE_NAME, RESULT_NAME))
    step("read", 0, 1)
    table = labeled(read_table(data), target, task=task, sample_weight=sample_weight)
    if test is None:
        train, held = split(table, test_size=test_size, random_state=random_state)
    else:
        train = table
        held = labeled(read_table(test), target, sample_weight=sample_weight, like=table)
    classes = train.classes
    teacher_model = resolve_teacher(
        teacher, task=train.task, params=teacher_params, random_state=random_state
    )
    student_model = resolve_student(
        student,
        task=train.task,
        n_classes=0 if classes is None else len(classes),
        params=student_params,
        recipe={"alpha": alpha, "temperature": temperature, "loss": loss},
    )
    clock.lap("read")
    labels = out_of_fold(
        teacher_model.estimator,
        train.X,
        train.y,
        classes=classes,
        folds=folds,
        sample_weight=train.sample_weight,
        random_state=random_state,
        n_jobs=n_jobs,
        on_step=lambda done, total: step("teacher", done, total),
    )
    clock.lap("label")
    targets = SoftTargets(
        labels=train.y if classes is None else encode_labels(train.y, classes),
        teacher=labels.values,
        sample_weight=train.sample_weight,
        classes=classes,
        provenance=labels.provenance,
    )
    step("students", 0, 2)
    distilled = _fit(student_model, train, targets)
    clock.lap("fit")
    step("students", 1, 2)
    plain = _fit(student_model, train, targets.plain())
    clock.lap("fit_plain")
    step("evaluate", 0, 1)
    result = _judged(
        train, held, labels, teacher_model, student_model, distilled, plain, clock, random_state
    )
    if output is not None:
        result.report.seconds["total"] = clock.total()
        result.save(output, force=force)
    return result


def split(
    table: LabeledTable, *, test_size: float, random_state: int
) -> tuple[LabeledTable, LabeledTable]:
    """Training and held-out rows, stratified by class.

    Raises
    ------
    ParameterError
        When ``test_size`` is not a share, or leaves too few rows on a side.
    DataError
        When a class has a single row.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < test_size < 1:
        raise ParameterError(f"test_size={test_size!r} must lie between 0 and 1.")
    if table.classes is not None:
        labels, counts = np.unique(table.y, return_counts=True)
        if counts.min() < 2:
            raise DataError(
                f"the class {str(labels[counts.argmin()])!r} of the target column "
                f"{table.target!r} has one row, too few to learn and to test; add rows of it, "
                "merge it with another class, or drop it."
            )
    try:
        train, held = train_test_split(
            np.arange(len(table)),
            test_size=test_size,
            random_state=random_state,
            stratify=None if table.classes is None else table.y,
        )
    except ValueError as error:
        raise ParameterError(
            f"test_size={test_size:g} of {len(table)} rows leaves too few rows to train or to "
            f"test: {error}"
        ) from error
    return table.take(np.sort(train)), table.take(np.sort(held))


def _fit(student: Resolved, train: LabeledTable, targets: SoftTargets) -> Any:
    from sklearn.base import clone

    try:
        return clone(student.estimator).fit(train.X, targets)
    except KDError:
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FitError(f"the student {student.name} failed to fit: {line}") from error


def _judged(
    train: LabeledTable,
    held: LabeledTable,
    labels: TeacherLabels,
    teacher: Resolved,
    student: Resolved,
    distilled: Any,
    plain: Any,
    clock: _Clock,
    seed: int,
) -> DistillResult:
    classes, weight = train.classes, held.sample_weight
    outputs = {
        name: teacher_output(model, held.X, classes)
        for name, model in (("teacher", labels.teacher), ("plain", plain), ("student", distilled))
    }
    scores = {name: metrics(out, held.y, classes, weight) for name, out in outputs.items()}
    judged = verdict(
        held.y,
        teacher=outputs["teacher"],
        plain=outputs["plain"],
        distilled=outputs["student"],
        classes=classes,
        sample_weight=weight,
        random_state=seed,
    )
    likeness = {
        name: fidelity(outputs[name], outputs["teacher"], weight) for name in ("plain", "student")
    }
    recipe = {
        "folds": labels.folds,
        "temperature": distilled.temperature,
        "alpha": distilled.alpha,
        "loss": distilled.loss or ("blend" if classes is None else "kl"),
        "augment": None,
        "encoder": distilled.encoder
        if isinstance(distilled.encoder, str)
        else type(distilled.encoder).__name__,
        "selector": None,
        "max_features": None,
    }
    clock.lap("evaluate")
    notes = [student.note] if student.note else []
    packed = None
    if hasattr(distilled, "to_onnx"):
        packed = pack(
            distilled,
            held.X,
            name=student.name,
            info={
                "target": train.target,
                "teacher": teacher.name,
                "recipe": recipe,
                "labels": labels.provenance,
                "metrics": scores["student"],
                "verdict": judged.to_dict(),
            },
        )
    else:
        notes.append(f"the student {student.name!r} cannot be written as ONNX: no bundle.")
    clock.lap("bundle")
    ask = (lambda X: labels.teacher.predict(X)) if classes is None else labels.teacher.predict_proba
    own = distilled.predict if classes is None else distilled.predict_proba
    latency = {
        "teacher": model_latency(ask, held.X),
        "student": model_latency(own, held.X)
        if packed is None
        else bundle_latency(packed.bundle, held.X),
        "compiled_teacher": None,
    }
    clock.lap("latency")
    size = getattr(labels.teacher, "model_bytes", None)
    report = DistillReport(
        task=train.task,
        classes=None if classes is None else classes.tolist(),
        rows={"train": len(train), "test": len(held), "augmented": 0, "unlabeled": 0},
        columns=train.X.shape[1],
        teacher={
            "name": teacher.name,
            "metrics": scores["teacher"],
            "fit_seconds": labels.fit_seconds,
            "labels": labels.provenance,
        },
        plain={
            "name": student.name,
            "metrics": scores["plain"],
            "fidelity": likeness["plain"],
            "fit_seconds": clock.seconds["fit_plain"],
        },
        student={
            "name": student.name,
            "metrics": scores["student"],
            "fidelity": likeness["student"],
            "features": distilled.get_selected_features(),
            "fit_seconds": clock.seconds["fit"],
        },
        recipe=recipe,
        verdict=judged.to_dict(),
        latency_us=latency,
        size_bytes={
            "teacher": size() if size is not None else None,
            "student": None if packed is None else len(packed.data),
        },
        seconds={**clock.seconds, "total": clock.total()},
        parity=None if packed is None else packed.bundle.manifest["parity"],
        seed=seed,
        notes=notes,
    )
    return DistillResult(report, labels.teacher, distilled, plain, packed)


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now

    def total(self) -> float:
        return time.perf_counter() - self.start
