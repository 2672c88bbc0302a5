"""`kdcore.distill`: the whole way from a table to a judged, deployable student; ``kd distill``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.clock import Clock
from kdcore.distill_result import BUNDLE_NAME, OUTPUT_NAMES, DistillResult
from kdcore.errors import ParameterError
from kdcore.files import prepare_folder
from kdcore.given import GivenLabels
from kdcore.labeller import Labeller
from kdcore.origin import call_text, origin
from kdcore.recipe_fit import Lesson
from kdcore.relabelling import check_relabel
from kdcore.resolve import resolve_student
from kdcore.saved_results import RESULT_NAME
from kdcore.selection import ColumnWishes, either_budget
from kdcore.sources import resolve_source
from kdcore.splits import prepare
from kdcore.student_run import run_student
from kdcore.wishes import Deadline, Wishes

if TYPE_CHECKING:
    from kdcore.label_cache import LabelCache

__all__ = ["BUNDLE_NAME", "RESULT_NAME", "DistillResult", "chosen_teacher", "distill"]

#: Told of each stage's progress: name of the stage, steps done, steps in all.
Progress = Callable[[str, int, int], None]


def distill(
    data: Any,
    *,
    target: str,
    teacher: Any = None,
    student: Any = "logistic_regression",
    test: Any = None,
    test_size: float = 0.25,
    split: str = "random",
    time_column: str | None = None,
    task: str = "auto",
    teacher_params: Mapping[str, Any] | None = None,
    teacher_proba: Any = None,
    teacher_logits: Any = None,
    teacher_model: str | Path | None = None,
    teacher_weights: Sequence[float] | str | None = None,
    fitted: str = "in-sample",
    student_params: Mapping[str, Any] | None = None,
    unlabeled: Any = None,
    folds: int | str = "auto",
    recipe: str = "auto",
    alpha: float | None = None,
    temperature: float | None = None,
    loss: Any = None,
    encoder: Any = None,
    augment: Any = None,
    label_correction: Any = None,
    max_features: int | float | None = None,
    max_factor_ratio: float | None = None,
    selector: Any = None,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    costs: Mapping[str, float] | None = None,
    max_cost: float | None = None,
    tolerance: float | str = 0.002,
    relabel: str = "auto",
    stability: int = 0,
    time_limit: float | None = None,
    sample_weight: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    output: str | Path | None = None,
    force: bool = False,
    state: bool = True,
    cache: LabelCache | None = None,
    on_progress: Progress | None = None,
) -> DistillResult:
    """Distill a teacher into a student and judge it on held-out rows.

    Parameters
    ----------
    data : str, Path or table
        See `kdcore.table.read_table`.
    target : str
        Column to predict.
    teacher : default "xgboost"
        A registered name (see ``kd plugins``), an unfitted estimator, a fitted estimator or
        pipeline, the path of a native model file, a function of a raw frame, or a list of these
        (averaged). See `kdcore.sources.resolve_source`.
    student : str or Student, default="logistic_regression"
    test : str, Path or table, optional
        Held-out rows; by default a share ``test_size`` of ``data``, stratified by class.
    test_size : float, default=0.25
    split : {"random", "ordered"}, default="random"
        ``"ordered"`` is for rows in order of time: the last ones are held out, nothing is shuffled,
        and folds are blocks of the training rows.
    time_column : str, optional
        Column that tells the order; rows are sorted by it, and split as ``"ordered"``. It is no
        input.
    task : {"auto", "classification", "binary", "multiclass", "regression"}
    teacher_params, student_params : mapping, optional
    teacher_proba, teacher_logits : array, frame or path, optional
        Instead of ``teacher``: its probabilities (or regression output), or its logits, one row
        for each row of ``data``.
    teacher_model : str or Path, optional
        Instead of ``teacher``: a native model file.
    teacher_weights : sequence of float or "auto", optional
        Weights of the teachers in a list; "auto" finds those with the smallest loss on rows that
        they have not seen. Equal ones if None.
    fitted : {"in-sample", "held-out", "refit"}, default="in-sample"
        What a fitted teacher was fitted on: these rows, or others; "refit" allows to fit clones
        of it. It is never refitted otherwise.
    unlabeled : str, Path or table, optional
        Rows without labels: the teacher labels them, the student learns from them.
    folds : int or "auto", default="auto"
        See `kdcore.folds.fold_plan`.
    recipe : {"auto", "fast", "plain"}, default="auto"
        ``"auto"`` starts from the recipe that was measured to be best for this kind of student,
        and leaves it only for one that is better by more than a standard error on held-out
        training rows, which no teacher has seen (nested out-of-fold). ``"fast"`` uses it without
        that comparison. ``"plain"`` is textbook distillation: soft labels and nothing else.
    alpha, temperature, loss : optional
        Override the student's own.
    encoder : str or Encoder, optional
        Overrides the recipe's; see `kdcore.encoders.make_encoder`.
    augment : int, str or callable, optional
        Synthetic rows for each training row (0 for none), how they are made, or both as in
        ``"munge:5"``; overrides the recipe's. See `kdcore.transfer.make_augmenter`.
    label_correction : str or DaoCorrection, optional
        ``"dao"`` moves each of the teacher's labels towards the true one, as far as the teacher's
        error asks for; for a weak or biased teacher. See `kdcore.label_correction`.
    max_features : int or float, optional
        Most raw columns that the student reads: a number, or a ratio of all (rounded down, at
        least one). A ceiling: fewer are read where held-out training rows say so. None allows all.
    max_factor_ratio : float, optional
        Another name of ``max_features`` for ratios.
    selector : str or Selector, optional
        How columns are chosen; ``"prior_backward"`` where there is a budget. See ``kd plugins``.
    keep, drop : sequence of str, optional
        Columns that the student reads in any case, and never. The teacher reads all.
    costs : mapping of str to float, optional
        What columns cost, 1 unless given; with ``max_cost``, the most that they cost together.
    max_cost : float, optional
    tolerance : float or "one_se", default=0.002
        Fewer columns are taken for so much more loss on held-out training rows, relatively; or
        where the loss is not larger by more than a standard error. 0 takes the lowest loss.
    relabel : {"auto", "always", "never"}, default="auto"
        Once columns are chosen, the teacher is fitted anew on them alone and labels the rows again,
        out of fold; ``"auto"`` uses these labels where the student does better with them on
        held-out training rows. Only teachers that are fitted here can do that.
    stability : int, default=0
        Bootstrap samples of the training rows on which columns are chosen again, at the size that
        was chosen: how often each column is, and how alike the sets are. Each fits a teacher.
    time_limit : float, optional
        Seconds after which no optional work is started: comparing recipes, tuning, synthetic
        rows. The teacher's labels and the student itself are always made.
    sample_weight : str, optional
        Column of row weights, used in fitting and in scoring.
    random_state : int, default=0
    n_jobs : int, optional
        Teacher fits at a time; -1 for one on each core. It does not change the result.
    output : str or Path, optional
        Folder for ``student.kd``, the version that the verdict prefers where that is another,
        ``result.json`` and ``report.html``; checked before the work starts.
    force : bool, default=False
        Whether existing files may be replaced.
    state : bool, default=True
        Whether bundles hold the Python student too, for ``kdcore.load(path, native=True)``.
    cache : LabelCache, optional
        Where labels of teachers given by name are kept and found again.
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
    call = call_text(distill, locals(), "kdcore.distill")
    clock = Clock()
    columns = ColumnWishes(
        max_features=either_budget(max_features, max_factor_ratio),
        selector=selector,
        keep=keep,
        drop=drop,
        costs=costs,
        max_cost=max_cost,
        tolerance=tolerance,
        relabel=relabel,
        stability=stability,
    )
    wishes = Wishes(
        mode=recipe,
        augment=augment,
        encoder=encoder,
        label_correction=label_correction,
        deadline=Deadline(time_limit),
        columns=columns,
    )
    step = on_progress or (lambda stage, done, total: None)
    if output is not None:
        prepare_folder(output, force=force, names=OUTPUT_NAMES)
    chosen = chosen_teacher(teacher, teacher_proba, teacher_logits, teacher_model)
    step("read", 0, 1)
    rows = prepare(
        data,
        target=target,
        test=test,
        test_size=test_size,
        task=task,
        sample_weight=sample_weight,
        extra=unlabeled,
        split_by=split,
        time_column=time_column,
        random_state=random_state,
    )
    source = resolve_source(
        chosen,
        rows.table,
        params=teacher_params,
        weights=teacher_weights,
        fitted=fitted,
        random_state=random_state,
    )
    if fitted != "in-sample" and not source.was_fitted:
        raise ParameterError(
            f"fitted={fitted!r} (--fitted) is for a teacher that comes fitted, which {source.name} "
            "does not; leave it out."
        )
    check_relabel(columns, source)
    learner = resolve_student(
        student,
        task=rows.train.task,
        n_classes=rows.train.n_classes,
        params=student_params,
        recipe={"alpha": alpha, "temperature": temperature, "loss": loss},
        columns=rows.train.names,
    )
    columns.suited(learner).limits(rows.train.names, learner.estimator.features)
    wishes.require_use(learner)
    clock.lap("read")
    labeller = Labeller(source, rows, folds, random_state, n_jobs, cache)
    run = labeller.run(on_step=lambda done, total: step("teacher", done, total))
    clock.lap("label")
    result = run_student(
        learner,
        Lesson(rows, run, random_state, measure=True),
        wishes,
        clock=clock,
        random_state=random_state,
        nested=labeller.nested,
        labeller=labeller,
        step=step,
    )
    # A teacher whose labels came from the cache is known by its name alone.
    named = [("teacher", name) for name in run.name.split(" + ")]
    result.report.origin = origin(call, [result.teacher, result.student], named)
    if output is not None:
        result.report.seconds["total"] = clock.total()
        result.save(output, force=force, state=state)
    return result


def chosen_teacher(teacher: Any, proba: Any, logits: Any, model: Any) -> Any:
    """The one teacher that was named, in whichever way; ``"xgboost"`` when none was.

    Raises
    ------
    ParameterError
        When more than one was named.
    """
    ways = {
        "teacher": teacher,
        "teacher_proba": None if proba is None else GivenLabels(proba),
        "teacher_logits": None if logits is None else GivenLabels(logits, logits=True),
        "teacher_model": None if model is None else Path(model),
    }
    named = {k: v for k, v in ways.items() if v is not None}
    if len(named) > 1:
        raise ParameterError(f"{' and '.join(named)} were given; name the teacher in one way only.")
    return next(iter(named.values()), "xgboost")
