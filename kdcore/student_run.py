"""Teaching a student and judging all its versions on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kdcore.bundle import pack
from kdcore.compiled import compile_instead
from kdcore.distill_result import DistillResult
from kdcore.evaluation import fidelity, metrics
from kdcore.labels import teacher_output
from kdcore.latency import bundle_latency, model_latency
from kdcore.notes import note
from kdcore.pictures import collect_or_say
from kdcore.report import DistillReport
from kdcore.teaching import plain_student, teach
from kdcore.verdict import verdict
from kdcore.versions import library_versions

if TYPE_CHECKING:
    from kdcore.bundle import Packed
    from kdcore.clock import Clock
    from kdcore.labeller import Labeller
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved
    from kdcore.splits import Data
    from kdcore.teacher_run import TeacherRun
    from kdcore.teaching import Taught
    from kdcore.verdict import Verdict
    from kdcore.wishes import Wishes

__all__ = ["DistillResult", "run_student"]


def run_student(
    student: Resolved,
    lesson: Lesson,
    wishes: Wishes,
    *,
    clock: Clock,
    random_state: int,
    nested: Callable[[], list[Lesson]] | None = None,
    labeller: Labeller | None = None,
    step: Callable[[str, int, int], None] = lambda stage, done, total: None,
    pictures: bool = True,
) -> DistillResult:
    """Teach the student, fit it to labels alone as well, and judge all versions.

    Parameters
    ----------
    student : Resolved
    lesson : Lesson
        The rows, and what the teacher said of them.
    wishes : Wishes
    clock : Clock
    random_state : int
        Of holding out training rows, and of the verdict's bootstrap.
    nested : callable, optional
    labeller : Labeller, optional
        See `kdcore.teaching.teach`.
    step : callable
        ``step(stage, done, total)``.
    pictures : bool, default=True
        Whether the report holds the data of its pictures.
    """
    taught = teach(
        student,
        lesson,
        wishes,
        nested=nested,
        labeller=labeller,
        clock=clock,
        random_state=random_state,
        step=step,
    )
    step("students", 1, 2)
    models = {"student": taught.student, "plain": plain_student(student, taught)}
    clock.lap("fit_plain")
    if taught.recipe.encoder is not None:
        models["plain_encoded"] = plain_student(student, taught, taught.recipe.encoder)
        clock.lap("fit_plain_encoded")
    step("evaluate", 0, 1)
    return _judged(student, lesson, taught, models, clock, random_state, pictures)


def _judged(
    student: Resolved,
    lesson: Lesson,
    taught: Taught,
    models: dict[str, Any],
    clock: Clock,
    seed: int,
    pictures: bool,
) -> DistillResult:
    data, run = lesson.data, lesson.run
    train, held = data.train, data.held
    classes, weight = train.classes, held.sample_weight
    outputs = {name: teacher_output(model, held.X, classes) for name, model in models.items()}
    judged = verdict(
        held.y,
        teacher=run.held,
        plain=outputs["plain"],
        distilled=outputs["student"],
        plain_encoded=outputs.get("plain_encoded"),
        classes=classes,
        sample_weight=weight,
        ordered=train.ordered,
        random_state=seed,
    )
    versions: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        output = outputs[name]
        versions[name] = {
            "name": student.name,
            "metrics": metrics(output, held.y, classes, weight),
            "fidelity": None if run.held is None else fidelity(output, run.held, weight),
        }
        # One student in two roles was fitted once.
        stage = "fit" if model is taught.student else f"fit_{name}"
        versions[name]["fit_seconds"] = clock.seconds[stage]
    versions["student"]["features"] = taught.student.get_selected_features()
    recipe = _recipe(taught)
    known = outputs if run.held is None else {"teacher": run.held, **outputs}
    clock.lap("evaluate")
    notes = _notes(student, data, run) + taught.notes
    drawn = None
    if pictures:
        drawn, failed = collect_or_say(data, known, models)
        notes += failed
    if taught.selection is not None and taught.selection.selector is not None:
        notes.append(
            note(
                "same_columns",
                n=len(taught.selection.columns),
                p=len(train.names),
                budget=taught.selection.budget,
            )
        )
    packed, preferred = _bundles(student, lesson, taught, models, versions, recipe, judged)
    if packed is None:
        notes.append(note("no_bundle", student=student.name))
    clock.lap("bundle")
    ask = taught.student.predict if classes is None else taught.student.predict_proba
    own = model_latency(ask, held.X) if packed is None else bundle_latency(packed.bundle, held.X)
    compiled = dict(run.compiled or {})
    compiled_bytes = compiled.pop("bytes", None)
    latency = {
        "teacher": run.latency,
        "student": own,
        "compiled_teacher": compiled or None,
        "plain": None,
        "plain_encoded": None,
    }
    sizes = {
        "teacher": run.size,
        "student": None if packed is None else len(packed.data),
        "compiled_teacher": compiled_bytes,
        "plain": None,
        "plain_encoded": None,
    }
    chosen = "student" if judged.choice == "distilled" else judged.choice
    # One student in two roles costs the same in both.
    cost = own if preferred is None else bundle_latency(preferred.bundle, held.X)
    latency[chosen] = cost
    sizes[chosen] = sizes["student"] if preferred is None else len(preferred.data)
    clock.lap("latency")
    instead = compile_instead(run, held, outputs[chosen], cost["single"], random_state=seed)
    notes += [said for said in (run.compiled_note, instead) if said]
    report = DistillReport(
        task=train.task,
        classes=None if classes is None else classes.tolist(),
        rows={
            "train": len(train),
            "test": len(held),
            "augmented": taught.augmented,
            "unlabeled": 0 if data.extra is None else len(data.extra),
        },
        split="ordered" if train.ordered else "random",
        columns=len(train.names),
        teacher={
            "name": run.name,
            "metrics": None if run.held is None else metrics(run.held, held.y, classes, weight),
            "fit_seconds": run.labels.fit_seconds,
            "labels": run.labels.provenance,
            "cached": run.cached,
            "weights": None if run.labels.shares is None else run.labels.shares.tolist(),
        },
        plain=versions["plain"],
        plain_encoded=versions.get("plain_encoded"),
        student=versions["student"],
        recipe=recipe,
        verdict={**judged.to_dict(), "compile_teacher": bool(instead)},
        latency_us=latency,
        size_bytes=sizes,
        seconds={**clock.seconds, "total": clock.total()},
        selection=taught.selection_dict(),
        parity=None if packed is None else packed.bundle.manifest["parity"],
        seed=seed,
        notes=notes,
        pictures=drawn,
    )
    return DistillResult(
        report=report,
        teacher=run.labels.teacher,
        student=taught.student,
        plain=models["plain"],
        packed=packed,
        plain_encoded=models.get("plain_encoded"),
        preferred=preferred,
    )


def _bundles(
    student: Resolved,
    lesson: Lesson,
    taught: Taught,
    models: dict[str, Any],
    versions: dict[str, dict[str, Any]],
    recipe: dict[str, Any],
    judged: Verdict,
) -> tuple[Packed | None, Packed | None]:
    """The distilled student's bundle, and that of the version that the verdict prefers to it.

    None where the student cannot be written as ONNX, or the verdict prefers no other.
    """
    if not hasattr(taught.student, "to_onnx"):
        return None, None
    held, run = lesson.data.held, lesson.run
    info = {
        "target": lesson.data.train.target,
        "teacher": run.name,
        "recipe": recipe,
        "labels": run.labels.provenance,
        "relabelled": bool(taught.relabelling and taught.relabelling.used == "new"),
        "metrics": versions["student"]["metrics"],
        "verdict": judged.to_dict(),
    }
    # A teacher whose labels came from the cache is known by its name alone.
    used = [("teacher", name) for name in run.name.split(" + ")]
    used += [("loss", recipe["loss"]), ("selector", recipe["selector"])]
    info["versions"] = library_versions([taught.student, run.labels.teacher], used)
    packed = pack(taught.student, held.X, name=student.name, info=info)
    other = models.get(judged.choice, taught.student)
    if other is taught.student:
        return packed, None
    # What the verdict says to deploy is handed over too.
    info |= {"recipe": {"name": judged.choice}, "labels": "none", "relabelled": False}
    info["metrics"] = versions[judged.choice]["metrics"]
    return packed, pack(other, held.X, name=student.name, info=info)


def _notes(student: Resolved, data: Data, run: TeacherRun) -> list[str]:
    """What a reader of the numbers must know."""
    notes: list[str] = [student.note] if student.note else []
    if run.cached:
        notes.append(note("labels_cached", teacher=run.name))
    if run.labels.provenance == "in-sample":
        notes.append(note("labels_in_sample", teacher=run.name))
    elif run.asked_before and data.held.source is data.train.source:
        notes.append(note("labels_asked_before"))
    return notes


def _recipe(taught: Taught) -> dict[str, Any]:
    lesson = taught.lesson
    student, labels, used = taught.student, lesson.run.labels, taught.recipe
    selection = taught.selection
    loss, encoder = student.loss, student.encoder
    if loss is None:
        loss = "blend" if not hasattr(student, "classes_") else "kl"
    calibrated = used.teacher and used.calibrate
    return {
        "name": used.name,
        "folds": labels.folds or None,
        "temperature": student.temperature,
        "alpha": student.alpha if used.teacher else 0.0,
        "loss": loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__),
        "calibration": lesson.calibration.temperature if calibrated else 1.0,
        "label_correction": lesson.correction(used),
        "augment": taught.augmented or None,
        "rows": _method(lesson.method(used)) if taught.augmented else None,
        "rows_quality": lesson.quality(used),
        "encoder": encoder if isinstance(encoder, str) else type(encoder).__name__,
        "structure": _structure(student.encoder_),
        "params": dict(taught.params),
        "trials": taught.choice.trials,
        "selector": None if selection is None else selection.selector,
        "max_features": None if selection is None else selection.max_features,
    }


def _method(method: Any) -> str:
    return method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)


def _structure(encoder: Any) -> str | None:
    """Whose trees an encoder has borrowed from."""
    source = getattr(encoder, "source_", "none")
    return None if source == "none" else str(source)
