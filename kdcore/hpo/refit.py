"""The trial that was picked, fitted to all training rows and judged on unseen ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from kdcore.clock import Clock
from kdcore.hpo.trial import mean_ranking
from kdcore.notes import note
from kdcore.student_run import run_student
from kdcore.wishes import Wishes

if TYPE_CHECKING:
    from kdcore.distill_result import DistillResult
    from kdcore.hpo.result import SearchResult
    from kdcore.hpo.space import Setting
    from kdcore.hpo.trial import Judge
    from kdcore.recipe_fit import Lesson

__all__ = ["refitted"]


def refitted(
    result: SearchResult,
    settings: Mapping[int, Setting],
    judge: Judge,
    lesson: Lesson,
    random_state: int,
) -> DistillResult:
    """Fit and judge ``result.chosen`` beside the best of labels alone that the search found.

    Parameters
    ----------
    result : SearchResult
    settings : mapping
        Of every complete trial by its number.
    judge : Judge
    lesson : Lesson
        All training rows, and the held-out ones.
    random_state : int
    """
    assert result.chosen is not None
    chosen = settings[result.chosen]
    names, ranking = lesson.data.train.names, mean_ranking(judge.rankings)
    learner = judge.learner(chosen, names, ranking)
    rivals = [
        t
        for t in result.trials
        if t["state"] == "complete"
        and t["learns_from"] == "labels"
        and t["student"] == chosen.student
        and t["columns"] <= chosen.columns
    ]
    told = {"trial": result.chosen, "trials": len(result.trials), "columns": chosen.columns}
    if rivals:
        best = min(rivals, key=lambda t: t["score"])["number"]
        plain = judge.learner(settings[best], names, ranking).estimator
        if settings[best].encoder is not None:
            plain.set_params(encoder=settings[best].encoder)
        learner = replace(learner, plain=plain)
        said = note("trial_beside_labels", best=best, **told)
    else:
        said = note("trial_alone", **told)
    found = run_student(
        learner,
        lesson,
        Wishes(mode="fast", augment=chosen.augment, encoder=chosen.encoder),
        clock=Clock(),
        random_state=random_state,
    )
    found.report.notes.append(said)
    return found
