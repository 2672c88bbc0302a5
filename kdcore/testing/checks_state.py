"""Checks of the optional state of a student, by which a bundle gives it back for further work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kdcore.errors import KDError
from kdcore.specs import StudentSpec
from kdcore.testing.cases import ModelCase
from kdcore.testing.checks import Violation
from kdcore.testing.data import tiny_targets

__all__ = ["state_checks"]


def state_checks(case: ModelCase) -> Iterator[Callable[[Any], None]]:
    """The checks of a student whose spec names a ``restore``."""
    if isinstance(case.spec, StudentSpec) and case.spec.restore is not None:
        yield check_state_comes_back
        yield check_state_repeats


def check_state_comes_back(case: ModelCase) -> None:
    """A student comes back from its state as it was: the same predictions, bit for bit, the same
    attributes, and fit to be fitted again."""
    model = _fitted(case)
    again = _restored(case, model)
    X = case.fresh.X
    if not np.array_equal(case.output(again, X), case.output(model, X), equal_nan=True):
        raise Violation("other predictions", "write all that predict_encoded reads")
    lost = sorted(set(vars(model)) - set(vars(again)))
    if lost:
        raise Violation(
            f"no attribute {lost[0]}",
            "restore all attributes that are no plain data; kdcore adds the others",
        )
    if type(again) is not type(model):
        raise Violation(f"a {type(again).__name__}", "make a student of the same class")
    again.fit(case.data.X, tiny_targets(case.data))


def check_state_repeats(case: ModelCase) -> None:
    """Two equal students have the same state, so that the same seed gives the same bundle."""
    first, second = (_fitted(case).state() for _ in range(2))
    if first != second:
        raise Violation(
            "states that differ",
            "leave out times, addresses and whatever else changes between runs",
        )


def _fitted(case: ModelCase) -> Any:
    return case.make().fit(case.data.X, tiny_targets(case.data))


def _restored(case: ModelCase, model: Any) -> Any:
    from kdcore.native import native_members, restored

    entry, members = native_members(model)
    if "reason" in entry:
        raise Violation(f"none: {entry['reason']}", "define state(), and name restore in the spec")
    columns = [
        {"name": c.name, "kind": c.kind, "categories": list(c.categories)}
        for c in model.encoder_.schema_.columns
    ]
    manifest = {
        "student": case.spec.name,
        "task": case.task,
        "classes": getattr(model, "classes_", np.zeros(0)).tolist() or None,
        "columns": columns,
        "native": entry,
    }
    assert isinstance(case.spec, StudentSpec)
    try:
        return restored(manifest, members, case.spec)
    except KDError as error:
        raise Violation(
            f"that it {error}", "make `restore` return a student with what state() wrote"
        ) from error
