"""`BudgetedElimination`: the columns of a network by elimination, beside the teacher's opinion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.parameters import number, one_of, require, whole
from kdcore.selection.filters import ordered
from kdcore.selection.redundancy import mrmr_order
from kdcore.selection.task import shares, sizes
from kdcore_torch.gated import GatedStudent, Pace
from kdcore_torch.gates import SigmoidGates
from kdcore_torch.selecting import EmbeddedSelector, whole_number
from kdcore_torch.worth import missed

if TYPE_CHECKING:
    from kdcore.selection import SelectionTask
    from kdcore.selection.filters import Ranking

__all__ = ["BudgetedElimination"]

#: More encoded cells than this, and sizes are compared without fits of their own.
_MANY_CELLS = 20_000_000
#: With fewer held-out rows than this the student's own score is mostly chance.
_FEW_ROWS = 100
#: Shares of the student's score: columns left out, and gates.
_LEFT_OUT, _GATE = 0.5, 0.5


class BudgetedElimination(EmbeddedSelector):
    """Delete the worst columns of a gated student round by round, and compare sizes.

    A gate ``sigmoid(m / factor_temperature)`` on each raw column is trained with the network. It is
    never cut at a threshold. After a warm-up on all columns, each round trains further, scores each
    column by the teacher's opinion, by what the student misses without it on held-out rows, and by
    its gate, and deletes the worst, first layer and data included. Sizes at and below
    the budget are compared on held-out rows along three rankings, this path, the teacher's
    opinion and mRMR; for pictures regular lattices of pixels compete too.

    It joins recursive elimination (Guyon et al. 2002) with learned gates (Louizos et al. 2018;
    Yamada et al. 2020) and the teacher's importances.

    Parameters
    ----------
    factor_temperature : float, default=1.0
        Slope of the gates; the smaller, the quicker they part.
    l1_lambda : float, default=1e-3
        Price of an open gate, beside the mean loss of a row.
    keep_rate : float, default=0.7
        Share of the columns that a round leaves.
    prior_weight : float or "auto", default="auto"
        Share of the teacher's opinion in the score. "auto" is 0.5, and more with fewer than 100
        held-out rows.
    warm_up, round_epochs : int, default=15, 5
        Epochs before the first round, and of each round.
    fast : bool or "auto", default="auto"
        Whether sizes are compared by the losses seen on the path instead of by a fresh
        student for each. "auto" does so on large tables.
    fit_steps : int, default=1000
        Most gradient steps of these students.
    max_rows : int, default=20000
        Most training rows that are looked at.
    """

    def __init__(
        self,
        *,
        factor_temperature: float = 1.0,
        l1_lambda: float = 1e-3,
        keep_rate: float = 0.7,
        prior_weight: float | str = "auto",
        warm_up: int = 15,
        round_epochs: int = 5,
        fast: bool | str = "auto",
        fit_steps: int = 1000,
        max_rows: int = 20_000,
    ) -> None:
        self.factor_temperature = factor_temperature
        self.l1_lambda = l1_lambda
        self.keep_rate = keep_rate
        self.prior_weight = prior_weight
        self.warm_up = warm_up
        self.round_epochs = round_epochs
        self.fast = {"true": True, "false": False, 1.0: True, 0.0: False}.get(fast, fast)
        self.fit_steps = fit_steps
        self.max_rows = max_rows
        whole_number(self, "warm_up", "round_epochs", "fit_steps", "max_rows")
        require(
            self,
            factor_temperature=number(above=0),
            l1_lambda=number(least=0),
            keep_rate=number(above=0, below=1),
            prior_weight=number(least=0, most=1, also=("auto",)),
            warm_up=whole(0),
            round_epochs=whole(1),
            fast=one_of(True, False, "auto"),
            fit_steps=whole(1),
            max_rows=whole(50),
        )

    def rankings(self, task: SelectionTask) -> Mapping[str, Ranking]:
        """The teacher's opinion, mRMR, lattices of pixels if any, and the path of elimination.

        mRMR costs next to nothing. Where most columns carry signal and say the same, as pixels do,
        the trees' opinion leads the path as well, and both hold columns that repeat each other.
        """
        prior = ordered(task.prior(), task.candidates)
        path = self._path(task)
        if self._is_fast(task):
            return {"path": path}
        lattices = self.lattices(task, path)
        return {"prior": prior, "mrmr": mrmr_order(task), **lattices, "path": path}

    def losses(self, task: SelectionTask, columns: list[str]) -> np.ndarray:
        """Loss (m,) on held-out rows: seen on the path in fast mode, else of a fresh student."""
        seen: dict[frozenset[str], np.ndarray] = task.once("seen", dict)
        if self._is_fast(task) and frozenset(columns) in seen:
            return seen[frozenset(columns)]
        return super().losses(task, columns)

    def _is_fast(self, task: SelectionTask) -> bool:
        if self.fast != "auto":
            return bool(self.fast)
        return min(len(task.X), self.max_rows) * len(task.candidates) > _MANY_CELLS

    def _path(self, task: SelectionTask) -> list[str]:
        """Candidates in the order of their elimination, those that stayed longest first."""
        gates = partial(SigmoidGates, temperature=self.factor_temperature)
        student = self.gated(task, gates, Pace())
        seen: dict[frozenset[str], np.ndarray] = task.once("seen", dict)
        keep = [c for c in task.candidates if c in set(task.keep)]
        gone: list[str] = []

        def price(gates: Any) -> Any:
            return self.l1_lambda * gates.n_open()

        n = len(task.candidates)
        most = max(1, min(task.most, n))
        steps = [*sizes(n, self.keep_rate, most)[1:], *sizes(most, self.keep_rate)[1:]]
        if self.warm_up:
            student.train(self.warm_up, price)
        for size in [s for s in steps if s >= len(keep)] + [None]:
            found = student.train(self.round_epochs, price, look=True)
            assert found is not None
            seen[frozenset(student.active)] = found
            order = [*keep, *self._order(task, student)]
            if size is None:
                break
            gone = order[size:] + gone
            student.keep(order[:size])
        return order + gone

    def _order(self, task: SelectionTask, student: GatedStudent) -> list[str]:
        """Active columns that need not be kept, the best first."""
        names, prior = student.active, task.prior()
        rows = task.judged
        lost = shares(dict(zip(names, missed(student, rows), strict=True)))
        gate = shares(dict(zip(names, student.gate_values(), strict=True)))
        opinion = shares({c: prior[c] for c in names})
        weight = self._prior_weight(len(rows))
        score = {
            c: weight * opinion[c] + (1 - weight) * (_LEFT_OUT * lost[c] + _GATE * gate[c])
            for c in names
        }
        kept = set(task.keep)
        return ordered(score, [c for c in names if c not in kept])

    def _prior_weight(self, n_rows: int) -> float:
        if not isinstance(self.prior_weight, str):
            return float(self.prior_weight)
        return 1 - 0.5 * min(1.0, n_rows / _FEW_ROWS)
