"""Selectors that rank columns by gates trained once, on all columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch

from kdcore.parameters import Rule, number, require, whole
from kdcore.selection.filters import ordered
from kdcore_torch.gated import Pace
from kdcore_torch.gates import Gates, HardConcreteGates, SigmoidGates, StochasticGates
from kdcore_torch.selecting import EmbeddedSelector, whole_number

if TYPE_CHECKING:
    from kdcore.selection import SelectionTask
    from kdcore.selection.filters import Ranking

__all__ = ["HardConcrete", "SigmoidL1", "SparseGates", "StochasticGatesSelector"]

#: What gates add to the loss, and what is called with them after each step, if anything.
Pricing: TypeAlias = tuple[Callable[[Gates], torch.Tensor], Callable[[Gates], None] | None]

#: "auto" epochs are more where a table has few rows, so that there are so many steps.
_FEWEST_STEPS = 300


@dataclass(eq=False, kw_only=True)
class SparseGates(EmbeddedSelector):
    """Base: gates are trained with the network, then the columns are ranked by them.

    No threshold decides: the columns of the highest gates are kept, as many as the budget allows,
    and a student without gates is fitted to them. A subclass says which gates: ``make_gates``.

    Parameters
    ----------
    l1_lambda : float, default=1e-3
        Price of an open gate, beside the mean loss of a row.
    epochs : int or "auto", default="auto"
        "auto" is ``usual_epochs``, and more on tables of few rows.
    gate_rate : float, default=0.02
        Learning rate of the gates (Adam).
    fit_steps : int, default=1000
        Most gradient steps of the students that sizes are compared by.
    max_rows : int, default=20000
        Most training rows that are looked at.
    """

    l1_lambda: float = 1e-3
    epochs: int | str = "auto"
    gate_rate: float = 0.02
    fit_steps: int = 1000
    max_rows: int = 20_000

    usual_epochs: ClassVar[int] = 100
    #: Whether the gates of the best epoch on held-out rows count, not those of the last: on few
    #: rows gates come to follow noise in the end.
    best_epoch: ClassVar[bool] = True
    #: Rules of the parameters that a subclass adds.
    rules: ClassVar[Mapping[str, Rule]] = {}

    def __post_init__(self) -> None:
        whole_number(self, "epochs", "fit_steps", "max_rows")
        require(
            self,
            l1_lambda=number(least=0),
            epochs=whole(1, also=("auto",)),
            gate_rate=number(above=0),
            fit_steps=whole(1),
            max_rows=whole(50),
            **self.rules,
        )

    def make_gates(self, n: int, owners: torch.Tensor, partners: torch.Tensor) -> Gates:
        """The gates of n columns; see `Gates`."""
        raise TypeError(f"{type(self).__name__} must define make_gates(n, owners, partners)")

    def pricing(self, task: SelectionTask) -> Pricing:
        """``l1_lambda`` for each open gate."""
        return (lambda gates: self.l1_lambda * gates.n_open()), None

    def rankings(self, task: SelectionTask) -> Mapping[str, Ranking]:
        """By gate; of gates that are equal, that of the column whose weight is larger."""
        student = self.gated(task, self.make_gates, Pace(gate_rate=self.gate_rate))
        batches = -(-len(self.rows_of(task)) // student.pace.batch)
        epochs = max(self.usual_epochs, -(-_FEWEST_STEPS // batches))
        if not isinstance(self.epochs, str):
            epochs = self.epochs
        price, each = self.pricing(task)
        student.train(epochs, price, each=each, look=True)
        # Gates are cut at 0 and 1; what they are made of still tells columns there apart.
        weight = (student.best_weight if self.best_epoch else student.gates.weight).tolist()
        kept = set(task.keep)
        order = ordered(dict(zip(student.active, weight, strict=True)), student.active)
        order.sort(key=lambda column: column not in kept)
        return {**self.lattices(task, order), "gates": order}


@dataclass(eq=False, kw_only=True)
class SigmoidL1(SparseGates):
    """A sigmoid mask with an L1 penalty, cut to the budget by rank, and the student fitted anew.

    The mask ``sigmoid(m / factor_temperature)`` multiplies the inputs, and ``l1_lambda`` times its
    sum is added to the loss: the lasso's penalty (Tibshirani 1996) on a gate. A threshold on such
    masks keeps no budget, since all shrink together while weights make up for it; their ranking
    does.

    Parameters
    ----------
    factor_temperature : float, default=1.0
        Slope of the mask; the smaller, the quicker its values part.
    l1_lambda, epochs, gate_rate, fit_steps, max_rows
        As in `SparseGates`; "auto" is 60 epochs.
    """

    factor_temperature: float = 1.0

    usual_epochs = 60
    rules: ClassVar[Mapping[str, Rule]] = {"factor_temperature": number(above=0)}

    def make_gates(self, n: int, owners: torch.Tensor, partners: torch.Tensor) -> Gates:
        return SigmoidGates(n, owners, partners, temperature=self.factor_temperature)


@dataclass(eq=False, kw_only=True)
class HardConcrete(SparseGates):
    """Random gates that close fully, with a Lagrange multiplier that drives them to the budget.

    Papers: Louizos, Welling, Kingma 2018 (learning sparse neural networks through L0
    regularization), arXiv:1712.01312; the multiplier on the expected number of open gates, reset
    whenever the budget is kept: Gallego-Posada et al. 2022 (controlled sparsity via constrained
    optimization), arXiv:2208.04425. An expected number is no promise, so the highest gates within
    the budget are kept in the end.

    Parameters
    ----------
    factor_temperature : float, default=2/3
        Of the concrete distribution; the smaller, the nearer gates are to 0 or 1.
    multiplier_rate : float, default=0.01
        What the multiplier grows by in a step in which every gate is open.
    l1_lambda : float, default=1e-3
        The multiplier's first value.
    epochs, gate_rate, fit_steps, max_rows
        As in `SparseGates`; "auto" is 100 epochs.
    """

    factor_temperature: float = 2 / 3
    multiplier_rate: float = 0.01

    # Before the last epoch too many gates are open.
    best_epoch = False
    rules: ClassVar[Mapping[str, Rule]] = {
        "factor_temperature": number(above=0),
        "multiplier_rate": number(least=0),
    }

    def make_gates(self, n: int, owners: torch.Tensor, partners: torch.Tensor) -> Gates:
        return HardConcreteGates(n, owners, partners, temperature=self.factor_temperature)

    def pricing(self, task: SelectionTask) -> Pricing:
        """The multiplier for each open gate; it follows their number after each step."""
        n = len(task.candidates)
        multiplier = self.l1_lambda

        def each(gates: Gates) -> None:
            nonlocal multiplier
            with torch.no_grad():
                over = float(gates.n_open()) - task.most
            multiplier = multiplier + self.multiplier_rate * over / n if over > 0 else 0.0

        return (lambda gates: multiplier * gates.n_open()), each


@dataclass(eq=False, kw_only=True)
class StochasticGatesSelector(SparseGates):
    """Gates with normal noise, and a price on the probability that they are open.

    Paper: Yamada, Lindenbaum, Negahban, Kluger 2020 (feature selection using stochastic gates),
    arXiv:1810.04247; the price is that of the mean over the columns, as in the authors' code.

    Parameters
    ----------
    sigma : float, default=0.5
        Standard deviation of the noise.
    l1_lambda : float, default=0.1
        Price of all gates together.
    epochs, gate_rate, fit_steps, max_rows
        As in `SparseGates`; "auto" is 100 epochs.
    """

    sigma: float = 0.5
    l1_lambda: float = 0.1

    rules: ClassVar[Mapping[str, Rule]] = {"sigma": number(above=0)}

    def make_gates(self, n: int, owners: torch.Tensor, partners: torch.Tensor) -> Gates:
        return StochasticGates(n, owners, partners, sigma=self.sigma)

    def pricing(self, task: SelectionTask) -> Pricing:
        """``l1_lambda`` for the share of open gates."""
        return (lambda gates: self.l1_lambda * gates.n_open() / len(gates.weight)), None
