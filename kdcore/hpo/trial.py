"""One trial: a student fitted to parts of the training rows, judged by the rest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.latency import bundle_latency, model_latency
from kdcore.recipe import default_recipe, plain_recipe
from kdcore.recipe_fit import fit_student, soft_targets
from kdcore.resolve import resolve_student
from kdcore.selection.task import SelectionTask, varying
from kdcore.tuning import held_losses

if TYPE_CHECKING:
    from kdcore.hpo.space import Setting
    from kdcore.recipe_fit import Lesson
    from kdcore.resolve import Resolved

__all__ = ["Judge", "Judged", "mean_ranking", "rank_columns", "together"]


@dataclass(frozen=True)
class Judged:
    """What the held-out rows of one lesson say of a student.

    Parameters
    ----------
    loss, variance : float
        Weighted mean loss, and the variance of that mean.
    weight : float
        Weight of the rows.
    """

    loss: float
    variance: float
    weight: float


class Judge:
    """Fits and judges the students of trials.

    Parameters
    ----------
    lessons : sequence of Lesson
        Parts of the training rows whose held-out rows no teacher has seen.
    rankings : sequence of list of str
        For each lesson all columns, the best first.
    student_params : mapping
        What the user has set.
    loss : str or None
    """

    def __init__(
        self,
        lessons: Sequence[Lesson],
        rankings: Sequence[list[str]],
        student_params: Mapping[str, Any],
        loss: Any,
    ) -> None:
        self.lessons, self.rankings = lessons, rankings
        self.student_params, self.loss = student_params, loss

    def learner(self, setting: Setting, names: Sequence[str], ranking: list[str]) -> Resolved:
        """The student of a setting, which reads the first columns of a ranking."""
        train = self.lessons[0].data.train
        given = {"alpha": setting.alpha, "temperature": setting.temperature, "loss": self.loss}
        return resolve_student(
            setting.student,
            task=train.task,
            n_classes=train.n_classes,
            params={
                **self.student_params,
                **setting.params,
                "features": ranking[: setting.columns],
            },
            recipe=given if setting.teacher else {},
            columns=names,
        )

    def fit(self, setting: Setting, number: int) -> Any:
        """The student of a setting, fitted to a lesson."""
        lesson = self.lessons[number]
        names = lesson.data.train.names
        learner = self.learner(setting, names, self.rankings[number])
        own = str(learner.estimator.encoder)
        encoder = None if setting.encoder == own else setting.encoder
        if not setting.teacher:
            return fit_student(learner, lesson, plain_recipe(encoder))
        run = lesson.run
        recipe = default_recipe(
            learner,
            mode="fast",
            n_columns=len(names),
            can_be_asked=run.labels.teacher is not None or run.refit is not None,
            unlabeled=lesson.data.extra is not None,
            augment=setting.augment,
            encoder=setting.encoder,
        )
        return fit_student(learner, lesson, recipe)

    def judge(self, model: Any, number: int) -> Judged:
        """The loss of a fitted student on the held-out rows of a lesson."""
        lesson = self.lessons[number]
        losses, weight = held_losses(model, lesson), lesson.data.held.weight
        share = weight / weight.sum()
        mean = float(share @ losses)
        return Judged(mean, float(share**2 @ (losses - mean) ** 2), float(weight.sum()))

    def latency(self, model: Any) -> float:
        """Microseconds for one row of the deployed student, in two digits: a clock has no more."""
        held = self.lessons[0].data.held
        if hasattr(model, "to_onnx"):
            found = bundle_latency(pack(model, held.X).bundle, held.X)
        else:
            found = model_latency(model.predict, held.X)
        return float(f"{found['single']:.2g}")


def rank_columns(lesson: Lesson, selector: Any, most: int, random_state: int) -> list[str]:
    """Columns of a table, the best first, as a selector ranks them by a lesson alone.

    Raises
    ------
    ParameterError
        When the selector does not rank columns.
    """
    data, run = lesson.data, lesson.run
    names = list(data.train.names)
    if not hasattr(selector, "rankings"):
        raise ParameterError(
            f"the selector {type(selector).__name__} chooses columns for one budget and does not "
            "rank them, which a search over their number needs; use teacher_prior."
        )
    teacher = lesson.teacher
    candidates = varying(data.train.column, names)
    task = SelectionTask(
        X=data.train.X,
        targets=soft_targets(data.train, run.labels.values, run.labels.provenance),
        held_X=data.held.X,
        held_targets=soft_targets(data.held, run.held, run.labels.provenance),
        candidates=candidates,
        keep=[],
        most=min(most, len(candidates)),
        random_state=random_state,
        teacher=teacher,
        ask=None if teacher is None else lesson.ask,
        structure=lesson.structure,
    )
    *_, ranking = selector.rankings(task).values()
    rest = [name for name in names if name not in set(ranking)]
    return [*ranking, *rest]


def mean_ranking(rankings: Sequence[list[str]]) -> list[str]:
    """Columns in the order of their mean place in several rankings."""
    places = dict.fromkeys(rankings[0], 0)
    for ranking in rankings:
        for place, name in enumerate(ranking):
            places[name] += place
    return sorted(places, key=lambda name: places[name])


def together(parts: Sequence[Judged]) -> tuple[float, float]:
    """Mean loss over all rows that were judged, and its variance."""
    weight = np.array([part.weight for part in parts])
    share = weight / weight.sum()
    loss = float(share @ [part.loss for part in parts])
    return loss, float(share**2 @ [part.variance for part in parts])
