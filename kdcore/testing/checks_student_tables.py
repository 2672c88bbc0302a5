"""Checks of the tables that students read, of the columns they choose, and of their exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kdcore.specs import StudentSpec
from kdcore.testing.cases import ModelCase, far_apart
from kdcore.testing.checks import Violation
from kdcore.testing.checks_model import CLOSE
from kdcore.testing.data import TinyData, tiny_targets

__all__ = ["student_table_checks"]


def student_table_checks(case: ModelCase) -> Iterator[Callable[[ModelCase], None]]:
    """The checks of tables that apply to a student in one task, by what its spec claims."""
    assert isinstance(case.spec, StudentSpec)
    if case.spec.input == "table":
        yield check_mixed_tables
        yield check_unseen_categories
    yield check_columns_are_matched_by_name
    yield check_a_missing_column_is_named
    yield check_selection_is_told
    yield check_reads_selected_columns_only
    if "onnx" in case.spec.exports:
        yield check_onnx_predicts_alike


def check_mixed_tables(case: ModelCase) -> None:
    """A student learns from a raw table of numbers, truth values, categories and texts with
    missing values, and is then clearly nearer to the truth than a constant."""
    data, fresh = (case.draw(content="mixed", seed=seed) for seed in (0, 1))
    model = case.make().fit(data.X, tiny_targets(data))
    got = case.output(model, fresh.X)
    constant = data.teacher.mean(axis=0, keepdims=True)
    error, bound = case.error(got, fresh), case.error(constant, fresh)
    if not error < 0.9 * bound:
        raise Violation(
            f"an error of {error:.3g}, where a constant has {bound:.3g}",
            "compute with the encoded rows that fit_encoded and predict_encoded get",
        )


def check_unseen_categories(case: ModelCase) -> None:
    """A category that was not there in training is no error at predict time, and gives a valid
    prediction."""
    data, fresh = (_without_gaps(case, seed) for seed in (0, 1))
    known = data.X["city"] != "Lima"
    data = data.take(known)
    got = case.output(case.make().fit(data.X, tiny_targets(data)), fresh.X)
    if got.shape != fresh.teacher.shape or not np.isfinite(got).all():
        raise Violation(
            "predictions that are not finite", "encode such values by the student's encoder"
        )


def check_columns_are_matched_by_name(case: ModelCase) -> None:
    """At predict time columns may stand in another order, with others between them."""
    X = case.fresh.X
    other = X[X.columns[::-1]].copy()
    other.insert(1, "one column more", "text")
    got = case.output(case.fitted, other)
    difference = far_apart(got, case.output(case.fitted, X))
    if not difference <= CLOSE:
        raise Violation(
            f"predictions that differ by {difference:.3g}",
            "look columns up by name, as the base class does",
        )


def check_a_missing_column_is_named(case: ModelCase) -> None:
    """A column that is missing at predict time is a ValueError that names it."""
    name = case.fresh.X.columns[-1]
    short = case.fresh.X.drop(columns=name).assign(other=0.0)
    try:
        case.output(case.fitted, short)
    except ValueError as error:
        if repr(str(name)) in str(error):
            return
        raise Violation(f"the message {error}", f"name the column {name!r}") from None
    raise Violation("a prediction", "leave predict to the base class, which refuses such tables")


def check_selection_is_told(case: ModelCase) -> None:
    """selected_features_, get_support() and feature_importances_ tell which raw columns are read;
    importances sum to 1 over them."""
    names = list(case.data.X.columns)
    for chosen in (names, names[1:3]):
        features = None if chosen is names else chosen[::-1]
        model = case.make(features=features).fit(case.data.X, case.data.y)
        mask = np.array([name in chosen for name in names])
        told: dict[str, Any] = {
            "selected_features_": list(model.selected_features_) == chosen,
            "get_selected_features()": list(model.get_selected_features()) == chosen,
            "get_support()": np.array_equal(model.get_support(), mask),
        }
        if hasattr(model, "feature_importances_"):
            values = np.asarray(model.feature_importances_)
            told["feature_importances_"] = (
                values.shape == mask.shape
                and bool((values >= 0).all() and (values[~mask] == 0).all())
                and abs(values.sum() - 1) <= CLOSE
            )
        wrong = [name for name, right in told.items() if not right]
        if wrong:
            raise Violation(
                f"{wrong[0]} is wrong after a fit with features={features}",
                "leave these to the base class, and write encoded_importances()",
            )


def check_reads_selected_columns_only(case: ModelCase) -> None:
    """A student with features=[...] predicts the same from a table that holds nothing else, and
    whatever the other columns hold."""
    chosen = list(case.data.X.columns[1:3])
    model = case.make(features=chosen).fit(case.data.X, case.data.y)
    X = case.fresh.X
    wanted = case.output(model, X)
    tables = {
        "from the chosen columns alone": X[chosen],
        "with other values in the other columns": X.assign(
            **{name: -1e6 for name in X.columns if name not in chosen}
        ),
    }
    for what, table in tables.items():
        difference = far_apart(case.output(model, table), wanted)
        if difference > 0:
            raise Violation(
                f"predictions {what} that differ by {difference:.3g}",
                "compute with the encoded rows that predict_encoded gets, and nothing else",
            )


def check_onnx_predicts_alike(case: ModelCase) -> None:
    """A student that claims the export "onnx" predicts the same from its ONNX graph, within 1e-5
    and without a changed decision, on mixed tables with missing values and unseen categories (a
    student of pictures on pictures)."""
    from kdcore.bundle import pack

    content = "mixed" if case.spec.input == "table" else "image"
    data, fresh = (case.draw(content=content, seed=seed, labels="text") for seed in (0, 1))
    if content == "mixed":
        data = data.take(data.X["city"] != "Lima")
    model = case.make().fit(data.X, tiny_targets(data))
    found = pack(model, fresh.X, name=case.spec.name).bundle.manifest["parity"]
    if found["flipped"]:
        raise Violation(
            f"{found['flipped']} changed decisions in {found['rows']} rows",
            "compute ties in the graph as in predict_encoded",
        )


def _without_gaps(case: ModelCase, seed: int) -> TinyData:
    data = case.draw(content="mixed", seed=seed)
    return data.take(data.X.notna().all(axis=1))
