"""The built-in selectors: the teacher's opinion, the student's, both, and mRMR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kdcore.errors import ParameterError
from kdcore.parameters import number, require
from kdcore.selection.elimination import eliminated
from kdcore.selection.redundancy import mrmr_order
from kdcore.selection.task import task_of
from kdcore.selectors import Selector

if TYPE_CHECKING:
    from kdcore.selection.task import SelectionTask
    from kdcore.targets import SoftTargets

__all__ = [
    "MRMR",
    "PriorBackward",
    "RankingSelector",
    "StudentBackward",
    "TeacherContributions",
    "TeacherGain",
    "TeacherPermutation",
    "TeacherPrior",
]


#: Columns, the best first; or the same as a function of the size.
Ranking = list[str] | Callable[[int], list[str]]


class RankingSelector(Selector):
    """A selector that ranks columns, so that the best number of them can be found.

    A subclass writes ``rankings``.
    """

    def rankings(self, task: SelectionTask) -> Mapping[str, Ranking]:
        """Orders of candidates, the best first, by a name for reports.

        Each holds ``task.most`` columns at least, or all candidates. Several may be given: each
        size of each is tried, and the best on held-out rows wins. Where the best sets of two sizes
        are not one inside the other, an order may be a function of the size.
        """
        raise TypeError(f"{type(self).__name__} must define rankings(task)")

    def select(
        self, X: Any, targets: SoftTargets, *, max_features: int | float, random_state: int = 0
    ) -> list[str]:
        """The best columns by the last ranking, where there is neither teacher nor student.

        A boosted model of the targets stands in for both. See `kdcore.selectors.Selector`.
        """
        task = task_of(X, targets, max_features, random_state)
        *_, ranking = self.rankings(task).values()
        return (ranking(task.most) if callable(ranking) else ranking)[: task.most]


class TeacherGain(RankingSelector):
    """By the gain of the teacher's splits on each raw column."""

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        return {"gain": ordered(task.gain(), task.candidates)}


class TeacherPermutation(RankingSelector):
    """By what the teacher's loss on held-out rows gains when a raw column is shuffled."""

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        return {"permutation": ordered(task.permutation(), task.candidates)}


class TeacherContributions(RankingSelector):
    """By the mean size of each raw column's contributions to the teacher's output (TreeSHAP)."""

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        told = task.contributions()
        if told is None and task.teacher is not None:
            raise ParameterError(
                f"the teacher {type(task.teacher).__name__} does not tell contributions of columns "
                "(TreeSHAP); use the selector 'teacher_prior', which takes what a teacher tells."
            )
        # Without a teacher the gain of the stand-in is the nearest thing.
        return {"contributions": ordered(told or task.gain(), task.candidates)}


class TeacherPrior(RankingSelector):
    """By the teacher's shares of gain, permutation and contributions together."""

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        return {"prior": ordered(task.prior(), task.candidates)}


class MRMR(RankingSelector):
    """Maximum relevance, minimum redundancy: neither a teacher's trees nor a student is needed."""

    uses_teacher = False

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        return {"mrmr": mrmr_order(task)}


class StudentBackward(RankingSelector):
    """Recursive elimination of the columns whose shuffling costs the student least.

    Parameters
    ----------
    keep_rate : float, default=0.7
        Share of the columns that each round leaves.
    """

    uses_teacher = False

    def __init__(self, *, keep_rate: float = 0.7) -> None:
        self.keep_rate = keep_rate
        require(self, keep_rate=number(above=0, below=1))

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        return {"backward": eliminated(task, task.candidates, keep_rate=self.keep_rate)}


class PriorBackward(RankingSelector):
    """Elimination by the teacher's opinion and the student's, beside the teacher's alone.

    It starts from the ``start`` times ``most`` columns that the teacher thinks best.

    Parameters
    ----------
    prior_weight : float, default=0.5
        Share of the teacher's opinion.
    keep_rate : float, default=0.7
    start : float, default=4.0
    """

    def __init__(
        self, *, prior_weight: float = 0.5, keep_rate: float = 0.7, start: float = 4.0
    ) -> None:
        self.prior_weight = prior_weight
        self.keep_rate = keep_rate
        self.start = start
        require(
            self,
            prior_weight=number(least=0, most=1),
            keep_rate=number(above=0, below=1),
            start=number(least=1),
        )

    def rankings(self, task: SelectionTask) -> dict[str, list[str]]:
        prior = task.prior()
        order = ordered(prior, task.candidates)
        first = order[: max(task.most, int(self.start * task.most))]
        path = eliminated(
            task, first, prior=prior, prior_weight=self.prior_weight, keep_rate=self.keep_rate
        )
        return {"prior": order, "path": path + order[len(first) :]}


def ordered(scores: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """Names by score, the highest first; equal ones as in the table."""
    return sorted(names, key=lambda name: -scores[name])
