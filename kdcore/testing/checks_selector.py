"""Checks of selectors: what they choose, and the budget that they promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.selectors import budget
from kdcore.specs import SelectorSpec
from kdcore.targets import SoftTargets
from kdcore.testing.checks import Violation
from kdcore.testing.data import TinyData, tiny_data, tiny_targets

__all__ = ["SelectorCase", "selector_checks"]


class SelectorCase:
    """One selector and one kind of targets.

    Parameters
    ----------
    spec : SelectorSpec
    task : {"binary", "multiclass", "regression"}
    params : mapping, optional
        Parameters of the factory.
    """

    def __init__(
        self, spec: SelectorSpec, task: str, params: Mapping[str, Any] | None = None
    ) -> None:
        self.spec = spec
        self.task = task
        self.params = dict(params or {})
        self._data = _with_noise(tiny_data(task, content="numbers", n_rows=240))

    @property
    def data(self) -> TinyData:
        """Rows with ten columns; a copy, since a broken selector may write into it."""
        return self._data.copy()

    @property
    def names(self) -> list[str]:
        """Columns of the table: a, b, c and d, of which the first matters most, and noise."""
        return list(self._data.X.columns)

    def choose(
        self, X: Any, targets: SoftTargets, max_features: int | float, random_state: int = 0
    ) -> Any:
        """What a new selector returns."""
        selector = self.spec.resolve()(**self.params)
        return selector.select(X, targets, max_features=max_features, random_state=random_state)


def selector_checks(case: SelectorCase) -> Iterator[Callable[[SelectorCase], None]]:
    """The checks that apply to a selector in one task."""
    yield check_returns_names_of_columns
    yield check_no_column_twice
    yield check_budget_is_kept
    yield check_wrong_budgets_are_refused
    yield check_finds_the_column_that_matters
    yield check_labels_or_teacher_are_enough
    yield check_rows_of_weight_zero_have_no_say
    yield check_same_seed_same_columns
    yield check_mixed_tables
    yield check_arguments_are_left_alone


def check_returns_names_of_columns(case: SelectorCase) -> None:
    """select returns a list of column names of the table, at least one."""
    got = case.choose(case.data.X, tiny_targets(case.data), 3)
    if not isinstance(got, list) or not got or not set(got) <= set(case.names):
        raise Violation(f"{got!r}", f"return some of {case.names}")


def check_no_column_twice(case: SelectorCase) -> None:
    """No column is chosen twice."""
    got = list(case.choose(case.data.X, tiny_targets(case.data), 6))
    if len(set(got)) < len(got):
        raise Violation(f"{got!r}", "count a raw column once, however many inputs come from it")


def check_budget_is_kept(case: SelectorCase) -> None:
    """At most max_features columns are chosen: a number of them, or a ratio of all columns,
    rounded down but at least one. More than there are means all."""
    for max_features in (1, 3, 100, 0.01, 0.3, 0.5, 1.0):
        got = case.choose(case.data.X, tiny_targets(case.data), max_features)
        most = budget(max_features, len(case.names))
        if len(set(got)) > most:
            raise Violation(
                f"{len(set(got))} columns with max_features={max_features}, which allows {most} "
                f"of {len(case.names)}",
                "cut the list at kdcore.selectors.budget(max_features, n_columns)",
            )


def check_wrong_budgets_are_refused(case: SelectorCase) -> None:
    """A budget of 0, a negative one, and a ratio above 1 are a ParameterError."""
    for wrong in (0, -1, 0.0, -0.5, 1.5, float("nan")):
        try:
            got = case.choose(case.data.X, tiny_targets(case.data), wrong)
        except ParameterError:
            continue
        raise Violation(
            f"{got!r} with max_features={wrong}",
            "use kdcore.selectors.budget, which refuses them",
        )


def check_finds_the_column_that_matters(case: SelectorCase) -> None:
    """Where one column matters most, it is among those chosen."""
    got = case.choose(case.data.X, tiny_targets(case.data), 3)
    if not _useful(case) & set(got):
        raise Violation(f"{got!r}", f"look for {_useful(case)}, which the labels depend on")


def check_labels_or_teacher_are_enough(case: SelectorCase) -> None:
    """A selector works with labels and no teacher, and with a teacher and no labels."""
    for what, targets in {
        "labels alone": tiny_targets(case.data, teacher=False),
        "a teacher alone": tiny_targets(case.data, unlabeled=np.ones(len(case.data), bool)),
    }.items():
        got = case.choose(case.data.X, targets, 3)
        if not _useful(case) & set(got):
            raise Violation(
                f"{got!r} from {what}, which lacks {_useful(case)}",
                "use targets.blended(1.0), which takes the teacher where there is one",
            )


def check_rows_of_weight_zero_have_no_say(case: SelectorCase) -> None:
    """Rows of weight 0 have no say in what is chosen."""
    data, n = case.data, len(case.data)
    # In the misleading rows what matters stands in the columns of noise.
    X, y = data.X.to_numpy(), np.concatenate([data.y] * 4)
    swapped = X[:, ::-1]
    rows = np.vstack([X, swapped, swapped, swapped])
    table = type(data.X)(rows, columns=case.names)
    teacher = np.concatenate([data.teacher] * 4)
    targets = tiny_targets(
        TinyData(case.task, table, y, teacher),
        weight=np.repeat([1.0, 0.0], [n, 3 * n]),
    )
    got = case.choose(table, targets, 2)
    if not _useful(case) & set(got):
        raise Violation(
            f"{got!r}, which matter in those rows only",
            "drop such rows first, or weigh rows by targets.sample_weight",
        )


def check_same_seed_same_columns(case: SelectorCase) -> None:
    """The same table and the same random_state give the same columns in the same order."""
    one, other = (case.choose(case.data.X, tiny_targets(case.data), 4) for _ in range(2))
    if list(one) != list(other):
        raise Violation(f"{one!r} and {other!r}", "seed every random choice by random_state")


def check_mixed_tables(case: SelectorCase) -> None:
    """Truth values, categories and texts with missing values can be chosen like numbers."""
    data = tiny_data(case.task, content="mixed")
    got = case.choose(data.X, tiny_targets(data), 2)
    if not got or not set(got) <= set(data.X.columns):
        raise Violation(f"{got!r}", f"encode columns first, and return some of {list(data.X)}")


def check_arguments_are_left_alone(case: SelectorCase) -> None:
    """select changes neither the table nor the targets."""
    X, targets = case.data.X.copy(deep=True), tiny_targets(case.data)
    case.choose(X, targets, 3)
    fresh = tiny_targets(case.data)
    if not X.equals(case.data.X) or not all(
        np.array_equal(getattr(targets, name), getattr(fresh, name), equal_nan=True)
        for name in ("labels", "teacher", "sample_weight")
    ):
        raise Violation("other values after the call", "work on a copy")


def _useful(case: SelectorCase) -> set[str]:
    return {"a", "b", "c"} if case.task == "multiclass" else {"a"}


def _with_noise(data: TinyData) -> TinyData:
    """The same rows with six columns that do not matter, so that there are ten."""
    noise = np.random.default_rng(5).standard_normal((len(data), 6))
    X = data.X.assign(**{f"noise_{j}": noise[:, j] for j in range(6)})
    return TinyData(data.task, X, data.y, data.teacher)
