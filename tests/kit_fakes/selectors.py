"""A healthy fake selector, and for each check one that breaks its rule alone."""

from __future__ import annotations

import itertools

import numpy as np

from kdcore.errors import ParameterError
from kdcore.schema import TableSchema
from kdcore.selectors import Selector, budget


class HealthySelector(Selector):
    """Columns by their correlation with what is to be predicted."""

    role = "selector"

    def select(self, X, targets, *, max_features, random_state=0):
        scores = self.scores(X, self.goal(targets), self.weight(targets))
        return self.best(scores, self.size(max_features, len(scores)))

    def size(self, max_features, n_columns):
        return budget(max_features, n_columns)

    def goal(self, targets):
        goal = targets.blended(1.0)
        return goal if goal.ndim == 2 else goal[:, None]

    def weight(self, targets):
        return targets.sample_weight

    def scores(self, X, goal, weight):
        schema = TableSchema.fit(X)
        frame = schema.canonical(X)
        scores = {}
        for name in schema.names:
            values = frame[name]
            codes = values.cat.codes if str(values.dtype) == "category" else values.fillna(0.0)
            centred = codes.to_numpy(float) - np.average(codes.to_numpy(float), weights=weight)
            shared = (weight * centred) @ (goal - np.average(goal, axis=0, weights=weight))
            spread = np.sqrt(weight @ centred**2) + 1e-12
            scores[name] = float(np.abs(shared).max() / spread)
        return scores

    def best(self, scores, size):
        return sorted(scores, key=scores.get, reverse=True)[:size]


HEALTHY = [HealthySelector]


class ReturnsATuple(HealthySelector):
    breaks = "check_returns_names_of_columns"

    def best(self, scores, size):
        return tuple(super().best(scores, size))


class RepeatsItself(HealthySelector):
    breaks = "check_no_column_twice"

    def best(self, scores, size):
        best = super().best(scores, size)
        return [*best[:-1], best[0]] if size > 5 else best


class TakesOneMore(HealthySelector):
    breaks = "check_budget_is_kept"

    def best(self, scores, size):
        return super().best(scores, size + 1 if size >= 5 else size)


class TakesAnyBudget(HealthySelector):
    breaks = "check_wrong_budgets_are_refused"

    def size(self, max_features, n_columns):
        try:
            return super().size(max_features, n_columns)
        except ParameterError:
            return 1


class PrefersNoise(HealthySelector):
    """Only where labels and a teacher are there, and all rows weigh the same."""

    breaks = "check_finds_the_column_that_matters"

    def select(self, X, targets, **options):
        self.upside_down = (
            targets.teacher is not None
            and not targets.unlabeled.any()
            and np.ptp(targets.sample_weight) == 0
        )
        return super().select(X, targets, **options)

    def best(self, scores, size):
        return sorted(scores, key=scores.get, reverse=not self.upside_down)[:size]


class NeedsATeacher(HealthySelector):
    breaks = "check_labels_or_teacher_are_enough"

    def goal(self, targets):
        return super().goal(targets) * (targets.teacher is not None)

    def best(self, scores, size):
        return super().best(dict(reversed(scores.items())), size)


class IgnoresWeights(HealthySelector):
    breaks = "check_rows_of_weight_zero_have_no_say"

    def weight(self, targets):
        return np.ones(len(targets))


class ChangesItsMind(HealthySelector):
    breaks = "check_same_seed_same_columns"
    turns = itertools.count()

    def best(self, scores, size):
        best = super().best(scores, size)
        return best[::-1] if next(self.turns) % 2 else best


class NumbersOnly(HealthySelector):
    breaks = "check_mixed_tables"

    def scores(self, X, goal, weight):
        X.to_numpy(dtype=float)
        return super().scores(X, goal, weight)


class WritesIntoTheTable(HealthySelector):
    breaks = "check_arguments_are_left_alone"

    def scores(self, X, goal, weight):
        scores = super().scores(X, goal, weight)
        X.iloc[0, 0] = 0.0
        return scores


BROKEN = [
    ReturnsATuple,
    RepeatsItself,
    TakesOneMore,
    TakesAnyBudget,
    PrefersNoise,
    NeedsATeacher,
    IgnoresWeights,
    ChangesItsMind,
    NumbersOnly,
    WritesIntoTheTable,
]
