"""`kdcore.search`: from a table to the best settings and a judged student; ``kd search``.

The teacher is asked once for each part of the rows, before the first trial.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kdcore
from kdcore.distill_result import OUTPUT_NAMES
from kdcore.errors import FitError, KDError, ParameterError
from kdcore.experiment import Progress
from kdcore.files import prepare_folder
from kdcore.hpo.refit import refitted
from kdcore.hpo.result import SearchResult, require_pick, trial_rows
from kdcore.hpo.space import Range, Setting, Space
from kdcore.hpo.study import Objective, finished, make_study, quiet, require_optuna
from kdcore.hpo.trial import Judge, rank_columns
from kdcore.label_cache import fingerprint
from kdcore.labeller import Labeller
from kdcore.nested import can_be_nested, nested_lessons
from kdcore.pair_store import model_key
from kdcore.recipe_fit import Lesson
from kdcore.resolve import resolve_student
from kdcore.selection import ColumnWishes
from kdcore.selectors import budget
from kdcore.sources import resolve_source
from kdcore.splits import Data, prepare
from kdcore.wishes import Deadline

if TYPE_CHECKING:
    from kdcore.label_cache import LabelCache

__all__ = ["search"]


def search(
    data: Any,
    *,
    target: str,
    teacher: Any = "xgboost",
    student: str | Sequence[str] = "logistic_regression",
    trials: int = 50,
    timeout: float | None = None,
    pick: str | int = "best",
    parts: int = 3,
    vary: Mapping[str, Range | Sequence[Any]] | None = None,
    max_features: int | float | None = None,
    selector: Any = "teacher_prior",
    test: Any = None,
    test_size: float = 0.25,
    split: str = "random",
    time_column: str | None = None,
    task: str = "auto",
    teacher_params: Mapping[str, Any] | None = None,
    student_params: Mapping[str, Any] | None = None,
    fitted: str = "in-sample",
    unlabeled: Any = None,
    folds: int | str = "auto",
    alpha: float | None = None,
    loss: Any = None,
    encoder: str | None = None,
    augment: int | None = None,
    sample_weight: str | None = None,
    storage: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    output: str | Path | None = None,
    force: bool = False,
    cache: LabelCache | None = None,
    on_progress: Progress | None = None,
) -> SearchResult:
    """Search the settings of a student over score, latency and number of columns at once.

    Varied are: whether the student learns from soft labels or from labels alone, how many columns
    it reads, alpha, temperature, encoder, synthetic rows, and the parameters that its recipe
    names. Trials are judged on parts of the training rows that the teachers, whose labels they
    use, have not seen; these teachers are fitted once. A trial is stopped after the first parts
    where another is better in all three respects by more than chance. The one that is picked is
    fitted to all training rows, and judged on held-out rows that the search never saw, beside the
    best student of labels alone that the search found for as many columns.

    Parameters
    ----------
    data, target, test, test_size, split, time_column, task, sample_weight, unlabeled, folds
    random_state, n_jobs
        As in `kdcore.distill`.
    teacher, teacher_params, fitted
        As in `kdcore.distill`; a teacher that can be fitted here, or one fitted on other rows.
    student : str or sequence of str, default="logistic_regression"
        Registered names.
    trials : int, default=50
        Number of trials in all, those of earlier calls with the same storage among them.
    timeout : float, optional
        Seconds after which no trial is started.
    pick : {"best", "one_se"} or int, default="best"
        See `SearchResult.pick`.
    parts : int, default=3
        Parts of the training rows, at most 5, that judge a trial; each needs teachers of its own.
    vary : mapping, optional
        Parameters of the students that are searched too, beside those that their recipes name:
        a sequence of values, or a `kdcore.hpo.space.Range`.
    max_features : int or float, optional
        Most columns, see `kdcore.selectors.budget`; all if None.
    selector : str or Selector, default="teacher_prior"
        Ranks the columns, once for each part; a trial reads the first of them.
    student_params : mapping, optional
        Set for all trials.
    alpha, loss, encoder, augment : optional
        Set for all trials instead of being varied.
    storage : str, optional
        Where trials are kept: a file (SQLite), or a URL as Optuna takes it. The same call goes on
        with them, also after a kill, and several processes may share them. In memory if None.
    output, force, cache, on_progress
        As in `kdcore.distill`.

    Returns
    -------
    SearchResult

    Raises
    ------
    KDError
        When Optuna is not installed, or the input, a parameter or the output cannot be used.
    """
    require_optuna()
    _check(trials, parts, pick)
    deadline = Deadline(timeout)
    if output is not None:
        prepare_folder(output, force=force, names=OUTPUT_NAMES)
    step = on_progress or (lambda stage, done, total: None)
    step("read", 0, 1)
    rows = prepare(
        data,
        target=target,
        test=test,
        test_size=test_size,
        split_by=split,
        time_column=time_column,
        task=task,
        sample_weight=sample_weight,
        extra=unlabeled,
        random_state=random_state,
    )
    source = resolve_source(
        teacher, rows.table, params=teacher_params, fitted=fitted, random_state=random_state
    )
    names = [student] if isinstance(student, str) else list(student)
    if not names:
        raise ParameterError("student: name at least one.")
    classes = rows.train.classes
    students = {
        name: resolve_student(
            name,
            task=rows.train.task,
            n_classes=rows.train.n_classes,
            params=student_params,
            recipe={"alpha": alpha, "loss": loss},
            columns=rows.train.names,
        )
        for name in names
    }
    ranker = ColumnWishes(max_features=1, selector=selector).made()
    labeller = Labeller(source, rows, folds, random_state, n_jobs, cache)
    run = labeller.run(on_step=lambda done, total: step("teacher", done, total))
    if not can_be_nested(run):
        raise ParameterError(
            f"the labels of the teacher {run.name} are {run.labels.provenance}: they know the rows "
            "that trials are judged by. Use a teacher that kdcore can fit, or fitted='held-out'."
        )
    lessons = nested_lessons(
        source,
        rows,
        count=parts,
        on_part=lambda done, total: step("nested", done, total),
        random_state=random_state,
        n_jobs=n_jobs,
        cache=cache,
    )
    most = (
        len(rows.train.names)
        if max_features is None
        else budget(max_features, len(rows.train.names))
    )
    step("select", 0, 1)
    rankings = [rank_columns(lesson, ranker, most, random_state) for lesson in lessons]
    space = Space(
        students,
        most=most,
        vary=vary or {},
        softens=classes is not None
        and loss in (None, "kl")
        and "temperature" not in (student_params or {}),
        fixed={"alpha": alpha, "encoder": encoder, "augment": augment},
        augments=(run.labels.teacher is not None or run.refit is not None) and rows.extra is None,
    )
    judge = Judge(lessons, rankings, student_params or {}, loss)
    key = [teacher, teacher_params, names, student_params, vary, most, selector, fitted, folds]
    key += [alpha, loss, encoder, augment, parts, random_state]
    name = _study_name(rows, key)
    objective = Objective(space, judge, root=classes is None, seed=random_state)
    with quiet():
        study = make_study(storage, name)
        step("trials", len(finished(study)), trials)
        while len(finished(study)) < trials and deadline.left() > 0:
            study.optimize(objective, n_trials=1, catch=(KDError,))
            step("trials", len(finished(study)), trials)
        kept = finished(study)
    result = SearchResult(
        metric="rmse" if classes is None else "log_loss",
        trials=trial_rows(kept),
        storage=storage,
        study=name,
    )
    errors = [t["error"] for t in result.trials if t["error"]]
    if errors and len(errors) == len(result.trials):
        raise FitError(f"all {len(errors)} trials failed; the last one: {errors[-1]}")
    result.chosen = result.pick(pick)
    if result.chosen is None:
        result.notes.append("no trial with soft labels is complete; allow more trials or time.")
        return result
    settings = {t.number: _setting(space, t) for t in kept if t.state.name == "COMPLETE"}
    step("students", 0, 1)
    result.distilled = refitted(
        result, settings, judge, Lesson(rows, run, random_state, measure=True), random_state
    )
    if output is not None:
        result.distilled.save(output, force=force)
    return result


def _check(trials: int, parts: int, pick: str | int) -> None:
    for name, value, most in (("trials", trials, 10**9), ("parts", parts, 5)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            upper = f" and at most {most}" if name == "parts" else ""
            raise ParameterError(f"{name}={value!r} must be a whole number of at least 1{upper}.")
    require_pick(pick)


def _study_name(rows: Data, key: list[Any]) -> str:
    """The same for the same rows and settings, so that only such a search is gone on with."""
    tables = [t for t in (rows.train, rows.extra) if t is not None]
    content = [kdcore.__version__, *(fingerprint(t) for t in tables), repr(key[1:])]
    content.append(model_key(key[0], None) or repr(key[0]))
    return "kdcore-" + hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _setting(space: Space, trial: Any) -> Setting:
    """The setting of a finished trial: drawing from it gives back what was drawn."""
    from optuna.trial import FixedTrial

    return space.draw(FixedTrial(trial.params))
