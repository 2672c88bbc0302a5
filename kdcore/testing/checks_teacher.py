"""Checks of teachers, beside those in `kdcore.testing.checks_model`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from kdcore.schema import TableSchema
from kdcore.specs import TeacherSpec
from kdcore.testing.cases import ModelCase
from kdcore.testing.checks import Violation
from kdcore.testing.checks_structure import check_contributions, check_structure

__all__ = ["teacher_checks"]


def teacher_checks(case: ModelCase) -> Iterator[Callable[[ModelCase], None]]:
    """The checks that apply to a teacher in one task, by what its spec claims."""
    assert isinstance(case.spec, TeacherSpec)
    yield check_has_a_random_state
    yield check_one_thread_is_accepted
    yield check_claims_match_tags
    yield check_structure
    yield check_contributions
    if case.spec.handles_missing and case.spec.input == "table":
        yield check_missing_values
    if case.spec.handles_categorical and case.spec.input == "table":
        yield check_categories


def check_has_a_random_state(case: ModelCase) -> None:
    """A teacher has the parameter random_state, by which kdcore seeds it."""
    if "random_state" not in case.make().get_params():
        raise Violation(
            f"parameters {', '.join(case.make().get_params()) or '(none)'}",
            "add random_state=0 to the constructor, even where nothing is random",
        )


def check_one_thread_is_accepted(case: ModelCase) -> None:
    """A teacher with the parameter n_jobs can be fitted with n_jobs=1 and keeps it: kdcore runs
    the fits of folds side by side, each on one core."""
    if "n_jobs" not in case.make().get_params():
        return
    model = case.make(n_jobs=1).fit(case.data.X, case.data.y)
    if model.get_params()["n_jobs"] != 1:
        raise Violation(
            f"n_jobs={model.get_params()['n_jobs']!r} after the fit", "leave n_jobs at 1"
        )
    case.output(model, case.fresh.X)


def check_claims_match_tags(case: ModelCase) -> None:
    """handles_missing and handles_categorical of the spec are what the estimator's scikit-learn
    tags say; where they say no, kdcore encodes the table for it."""
    assert isinstance(case.spec, TeacherSpec)
    tags = get_tags(case.make()).input_tags
    for claim, tag in (("handles_missing", "allow_nan"), ("handles_categorical", "categorical")):
        if getattr(case.spec, claim) != getattr(tags, tag):
            raise Violation(
                f"{claim}={getattr(case.spec, claim)} in the spec and "
                f"input_tags.{tag}={getattr(tags, tag)}",
                f"correct {claim}, or set the tag in __sklearn_tags__",
            )


def check_missing_values(case: ModelCase) -> None:
    """A teacher that claims handles_missing fits and predicts numbers with NaN among them."""
    train, fresh = (
        data.X.mask(np.random.default_rng(0).random(data.X.shape) < 0.1)
        for data in (case.data, case.fresh)
    )
    _require_valid(case, train, case.data.y, fresh)


def check_categories(case: ModelCase) -> None:
    """A teacher that claims handles_categorical fits and predicts pandas ``category`` columns,
    also where a category has no training row."""
    assert isinstance(case.spec, TeacherSpec)
    train, fresh = (case.draw(content="mixed", seed=seed) for seed in (0, 1))
    # Missing numbers have a check of their own.
    columns = ["amount"] if case.spec.handles_missing else list(train.X)
    train, fresh = (data.take(data.X[columns].notna().all(axis=1)) for data in (train, fresh))
    schema = TableSchema.fit(train.X)
    some = train.take(train.X["city"] != "Lima")
    _require_valid(case, schema.canonical(some.X), some.y, schema.canonical(fresh.X))


def _require_valid(case: ModelCase, X: Any, y: np.ndarray, fresh: Any) -> None:
    got = case.output(case.make().fit(X, y), fresh)
    if len(got) != len(fresh) or not np.isfinite(got).all():
        raise Violation(
            f"{int((~np.isfinite(got)).sum())} values that are not finite, in {len(got)} rows of "
            f"{len(fresh)}",
            "read such columns, or set the claim to False so that kdcore encodes them",
        )
