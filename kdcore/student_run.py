"""Fitting a student with and without its teacher, and judging both on held-out rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.bundle import Packed, pack
from kdcore.errors import FitError, KDError
from kdcore.evaluation import fidelity, metrics
from kdcore.files import atomic_path, prepare_folder
from kdcore.labels import teacher_output
from kdcore.latency import bundle_latency, model_latency
from kdcore.report import DistillReport
from kdcore.table import stacked
from kdcore.targets import SoftTargets, encode_labels
from kdcore.verdict import Verdict, verdict

if TYPE_CHECKING:
    from kdcore.resolve import Resolved
    from kdcore.runtime import Bundle
    from kdcore.splits import Data
    from kdcore.teacher_run import TeacherRun

__all__ = ["BUNDLE_NAME", "RESULT_NAME", "Clock", "DistillResult", "run_student", "soft_targets"]

BUNDLE_NAME, RESULT_NAME = "student.kd", "result.json"


@dataclass
class DistillResult:
    """What `kdcore.distill` returns.

    Parameters
    ----------
    report : DistillReport
        All numbers, as ``kd distill --json`` prints them.
    teacher : fitted teacher or None
        None when labels were given, or came from the cache.
    student, plain : fitted students
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


class Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now

    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start


def soft_targets(data: Data, run: TeacherRun) -> tuple[Any, SoftTargets]:
    """The transfer set: training rows with labels and teacher, then unlabeled ones with teacher."""
    train, classes = data.train, data.train.classes
    labels = train.y if classes is None else encode_labels(train.y, classes)
    X, teacher, weight = train.X, run.labels.values, train.sample_weight
    if data.extra is not None and run.unlabeled is not None:
        n = len(data.extra)
        X = stacked(X, data.extra.X)
        unknown = np.full(n, np.nan) if classes is None else np.full(n, -1)
        labels = np.concatenate([labels, unknown])
        teacher = np.concatenate([teacher, run.unlabeled])
        if weight is not None:
            # A row without a weight of its own counts like an average one.
            weight = np.concatenate([weight, np.full(n, weight.mean())])
    targets = SoftTargets(
        labels=labels,
        teacher=teacher,
        sample_weight=weight,
        classes=classes,
        provenance=run.labels.provenance,
    )
    return X, targets


def run_student(
    student: Resolved,
    data: Data,
    run: TeacherRun,
    teacher: Any = None,
    *,
    clock: Clock,
    random_state: int,
    step: Callable[[str, int, int], None],
) -> DistillResult:
    """Fit the student to the teacher and to labels alone, and judge both.

    Parameters
    ----------
    student : Resolved
    data : Data
    run : TeacherRun
    teacher : fitted teacher, optional
        Handed through to the result.
    clock : Clock
    random_state : int
        Of the verdict's bootstrap.
    step : callable
        ``step(stage, done, total)``.
    """
    X, targets = soft_targets(data, run)
    step("students", 0, 2)
    distilled = _fit(student, student.estimator, X, targets)
    clock.lap("fit")
    step("students", 1, 2)
    labels = targets.take(np.arange(len(data.train))).plain()
    usual = student.estimator if student.plain is None else student.plain
    plain = _fit(student, usual, data.train.X, labels)
    clock.lap("fit_plain")
    step("evaluate", 0, 1)
    return _judged(student, data, run, teacher, distilled, plain, clock, random_state)


def _fit(student: Resolved, estimator: Any, X: Any, targets: SoftTargets) -> Any:
    from sklearn.base import clone

    try:
        return clone(estimator).fit(X, targets)
    except KDError:
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FitError(f"the student {student.name} failed to fit: {line}") from error


def _judged(
    student: Resolved,
    data: Data,
    run: TeacherRun,
    teacher: Any,
    distilled: Any,
    plain: Any,
    clock: Clock,
    seed: int,
) -> DistillResult:
    train, held = data.train, data.held
    classes, weight = train.classes, held.sample_weight
    outputs = {"plain": teacher_output(plain, held.X, classes)}
    outputs["student"] = teacher_output(distilled, held.X, classes)
    scores = {name: metrics(out, held.y, classes, weight) for name, out in outputs.items()}
    judged = verdict(
        held.y,
        teacher=run.held,
        plain=outputs["plain"],
        distilled=outputs["student"],
        classes=classes,
        sample_weight=weight,
        random_state=seed,
    )
    likeness: dict[str, Any] = dict.fromkeys(outputs)
    if run.held is not None:
        likeness = {name: fidelity(out, run.held, weight) for name, out in outputs.items()}
    recipe = _recipe(distilled, run)
    clock.lap("evaluate")
    notes = _notes(student, data, run)
    packed = _packed(student, distilled, data, run, recipe, scores["student"], judged, notes)
    clock.lap("bundle")
    ask = distilled.predict if classes is None else distilled.predict_proba
    latency = {
        "teacher": run.latency,
        "student": model_latency(ask, held.X)
        if packed is None
        else bundle_latency(packed.bundle, held.X),
        "compiled_teacher": None,
    }
    clock.lap("latency")
    report = DistillReport(
        task=train.task,
        classes=None if classes is None else classes.tolist(),
        rows={
            "train": len(train),
            "test": len(held),
            "augmented": 0,
            "unlabeled": 0 if data.extra is None else len(data.extra),
        },
        columns=train.X.shape[1],
        teacher={
            "name": run.name,
            "metrics": None if run.held is None else metrics(run.held, held.y, classes, weight),
            "fit_seconds": run.labels.fit_seconds,
            "labels": run.labels.provenance,
            "cached": run.cached,
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
        size_bytes={"teacher": run.size, "student": None if packed is None else len(packed.data)},
        seconds={**clock.seconds, "total": clock.total()},
        parity=None if packed is None else packed.bundle.manifest["parity"],
        seed=seed,
        notes=notes,
    )
    return DistillResult(report, teacher, distilled, plain, packed)


def _notes(student: Resolved, data: Data, run: TeacherRun) -> list[str]:
    """What a reader of the numbers must know."""
    notes = [student.note] if student.note else []
    if run.cached:
        notes.append(
            f"the labels of the teacher {run.name} came from the cache; --no-cache makes them anew."
        )
    if run.labels.provenance == "in-sample":
        notes.append(
            f"the labels of the teacher {run.name} are in-sample; if it was fitted on held-out "
            "rows too, its own scores and the gap to it are flattered."
        )
    elif run.asked_before and data.held.source is data.train.source:
        notes.append(
            "the teacher's labels were made before rows were held out; if it has seen their "
            "targets, the verdict is flattered. Rows of --test FILE that it never saw are safe."
        )
    return notes


def _recipe(distilled: Any, run: TeacherRun) -> dict[str, Any]:
    loss, encoder = distilled.loss, distilled.encoder
    if loss is None:
        loss = "blend" if not hasattr(distilled, "classes_") else "kl"
    return {
        "folds": run.labels.folds or None,
        "temperature": distilled.temperature,
        "alpha": distilled.alpha,
        "loss": loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__),
        "augment": None,
        "encoder": encoder if isinstance(encoder, str) else type(encoder).__name__,
        "selector": None,
        "max_features": None,
    }


def _packed(
    student: Resolved,
    distilled: Any,
    data: Data,
    run: TeacherRun,
    recipe: dict[str, Any],
    scores: dict[str, float | None],
    judged: Verdict,
    notes: list[str],
) -> Packed | None:
    if not hasattr(distilled, "to_onnx"):
        notes.append(f"the student {student.name!r} cannot be written as ONNX: no bundle.")
        return None
    info = {
        "target": data.train.target,
        "teacher": run.name,
        "recipe": recipe,
        "labels": run.labels.provenance,
        "metrics": scores,
        "verdict": judged.to_dict(),
    }
    return pack(distilled, data.held.X, name=student.name, info=info)
