"""Checks that teachers and students share: what is true of every model that kdcore fits."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from kdcore.testing.cases import ModelCase, SpecCase, far_apart
from kdcore.testing.checks import Violation
from kdcore.testing.data import LABELS
from kdcore.testing.isolation import run_python
from kdcore.testing.output import captured

__all__ = ["model_checks", "spec_checks"]

#: Two fits that should agree may differ by this much, since sums run in another order.
CLOSE = 1e-6

_IN_A_NEW_PROCESS = """
import sys
import joblib
pairs = joblib.load(sys.argv[1])
results = [getattr(m, "predict_proba" if k else "predict")(X) for m, X, k in pairs]
joblib.dump(results, sys.argv[2])
"""


def model_checks(case: ModelCase) -> Iterator[Callable[[ModelCase], None]]:
    """The checks that apply to a teacher or student in one task."""
    yield check_factory
    yield check_output_is_valid
    if case.classifies:
        yield check_rows_sum_to_one
        yield check_columns_follow_sorted_classes
        yield check_predict_is_the_most_probable_class
        yield check_labels_of_any_type
    yield check_beats_a_constant
    yield check_weights_change_the_fit
    yield check_same_seed_same_output
    yield check_frame_and_array_agree
    yield check_inputs_are_left_alone
    yield check_parameters_are_kept
    yield check_copies_predict_alike
    yield check_is_quiet


def spec_checks() -> Iterator[Callable[[SpecCase], None]]:
    """The checks that run once for all tasks of a teacher or student."""
    yield check_predicts_in_a_new_process


def check_factory(case: ModelCase) -> None:
    """The factory takes ``task`` and returns an unfitted scikit-learn estimator that does it: a
    classifier with predict_proba for "classification", a regressor for "regression"."""
    model = case.make()
    right = is_classifier(model) if case.classifies else is_regressor(model)
    if not right or (case.classifies and not hasattr(model, "predict_proba")):
        raise Violation(
            f"{type(model).__name__} for {case.task}",
            "return a model made for the task that the factory is given",
        )
    try:
        check_is_fitted(model)
    except NotFittedError:
        return
    raise Violation(f"a fitted {type(model).__name__}", "return a new, unfitted model every time")


def check_output_is_valid(case: ModelCase) -> None:
    """predict_proba returns one finite number in [0, 1] for each row and class, and a regressor's
    predict one finite number for each row, as a floating-point array."""
    got = case.output(case.fitted, case.fresh.X)
    shape = case.fresh.teacher.shape
    if got.shape != shape or got.dtype.kind != "f":
        raise Violation(
            f"shape {got.shape} and dtype {got.dtype} for {len(case.fresh)} rows",
            f"return floating-point numbers of shape {shape}",
        )
    if not np.isfinite(got).all():
        raise Violation("NaN or infinite values", "find out where they come from")
    if case.classifies and not (got.min() >= 0 and got.max() <= 1 + CLOSE):
        raise Violation(
            f"values from {got.min():.3g} to {got.max():.3g}",
            "return probabilities: softmax of logits, or clip and divide by the sum",
        )


def check_rows_sum_to_one(case: ModelCase) -> None:
    """The probabilities of each row sum to 1."""
    total = case.output(case.fitted, case.fresh.X).sum(axis=1)
    worst = total[np.abs(total - 1).argmax()]
    if not abs(worst - 1) <= 1e-5:
        raise Violation(f"a row that sums to {worst:.6g}", "divide each row by its sum")


def check_columns_follow_sorted_classes(case: ModelCase) -> None:
    """classes_ holds the sorted labels, and column k of predict_proba belongs to classes_[k]."""
    model, wanted = case.fitted, np.unique(case.data.y)
    own = np.asarray(getattr(model, "classes_", ()))
    if not np.array_equal(own, wanted):
        raise Violation(f"classes_ = {own.tolist()}", f"set classes_ to {wanted.tolist()}")
    proba = case.output(model, case.data.X)
    means = np.array([proba[case.data.y == label].mean(axis=0) for label in wanted])
    if not np.array_equal(means.argmax(axis=0), np.arange(len(wanted))):
        raise Violation(
            f"training rows of the classes {own.tolist()} have, in this order, the mean "
            f"probabilities {np.round(means, 2).tolist()}",
            "put the columns into the order of classes_",
        )


def check_predict_is_the_most_probable_class(case: ModelCase) -> None:
    """predict returns the most probable class of each row, as a label."""
    model = case.fitted
    best = np.asarray(model.classes_)[np.asarray(model.predict_proba(case.fresh.X)).argmax(axis=1)]
    got = np.asarray(model.predict(case.fresh.X))
    if got.shape != best.shape or not (got == best).all():
        seen = f"{(got != best).sum()} other labels" if got.shape == best.shape else got.shape
        raise Violation(f"{seen} in {len(best)} rows", "return classes_[proba.argmax(axis=1)]")


def check_labels_of_any_type(case: ModelCase) -> None:
    """Labels may be texts, or numbers with gaps between them; the result is the same, whatever
    the classes are called."""
    wanted = case.output(case.fitted, case.fresh.X)
    for kind in ("gaps", "text"):
        data = case.draw(labels=kind)
        model = case.make().fit(data.X, data.y)
        difference = far_apart(case.output(model, case.fresh.X), wanted)
        if not difference <= CLOSE:
            raise Violation(
                f"probabilities that differ by {difference:.3g} with the labels "
                f"{LABELS[kind][: wanted.shape[1]]}",
                "turn labels into positions in fit, and back in predict",
            )
        strange = set(np.asarray(model.predict(case.fresh.X)).tolist()) - set(data.y.tolist())
        if strange:
            raise Violation(
                f"predict returned {strange.pop()!r}, which is no label",
                "turn positions back into labels in predict",
            )


def check_beats_a_constant(case: ModelCase) -> None:
    """On rows it has not seen, a fitted model is clearly nearer to the truth than a constant."""
    error = case.error(case.output(case.fitted, case.fresh.X), case.fresh)
    constant = case.constant_error(case.fresh)
    if not error < 0.8 * constant:
        raise Violation(
            f"an error of {error:.3g}, where a constant has {constant:.3g}, after fitting to "
            f"{len(case.data)} rows",
            "look for wrong rows or columns in fit or predict, or choose stronger defaults",
        )


def check_weights_change_the_fit(case: ModelCase) -> None:
    """fit takes sample_weight, and rows of more weight count for more."""
    weight = np.where(case.data.X.iloc[:, 0] > case.data.X.iloc[:, 0].median(), 5.0, 0.2)
    model = case.make().fit(case.data.X, case.data.y, sample_weight=weight)
    other = case.output(model, case.fresh.X)
    if not far_apart(other, case.output(case.fitted, case.fresh.X)) > CLOSE:
        raise Violation(
            "the same model with and without weights",
            "pass sample_weight on to the library, or to the loss",
        )


def check_same_seed_same_output(case: ModelCase) -> None:
    """The same rows and the same seed give the same bits."""
    seed = {"random_state": 0} if "random_state" in case.make().get_params() else {}
    one, other = (
        case.output(case.make(**seed).fit(case.data.X, case.data.y), case.fresh.X) for _ in range(2)
    )
    if not np.array_equal(one, other, equal_nan=True):
        raise Violation(
            f"two fits that differ by {far_apart(one, other):.3g}",
            "seed every random choice by random_state, and use one thread where sums depend on it",
        )


def check_frame_and_array_agree(case: ModelCase) -> None:
    """A table and a bare array of the same numbers give the same model."""
    array = case.data.X.to_numpy()
    model = case.make().fit(array, case.data.y)
    got = case.output(model, case.fresh.X.to_numpy())
    difference = far_apart(got, case.output(case.fitted, case.fresh.X))
    if not difference <= CLOSE:
        raise Violation(
            f"predictions that differ by {difference:.3g}",
            "read arrays column by column, in their order",
        )


def check_inputs_are_left_alone(case: ModelCase) -> None:
    """fit and predict change neither the table nor labels nor weights."""
    X, y = case.data.X.copy(deep=True), case.data.y.copy()
    weight = np.linspace(0.5, 2.0, len(y))
    array, before = X.to_numpy(copy=True), weight.copy()
    case.output(case.make().fit(X, y, sample_weight=weight), X)
    case.output(case.make().fit(array, y), array)
    changed = [
        name
        for name, same in (
            ("the table", X.equals(case.data.X) and list(X) == list(case.data.X)),
            ("the array", np.array_equal(array, case.data.X.to_numpy())),
            ("the labels", np.array_equal(y, case.data.y)),
            ("the weights", np.array_equal(weight, before)),
        )
        if not same
    ]
    if changed:
        raise Violation(f"changes in {' and '.join(changed)}", "work on a copy")


def check_parameters_are_kept(case: ModelCase) -> None:
    """Constructor and fit leave parameters as they are given, so that sklearn.base.clone makes an
    unfitted twin."""
    model = case.make()
    before = model.get_params(deep=False)
    twin = clone(model.fit(case.data.X, case.data.y))
    after, copied = model.get_params(deep=False), twin.get_params(deep=False)
    for name, value in before.items():
        if not repr(after.get(name)) == repr(copied.get(name)) == repr(value):
            raise Violation(
                f"{name}={value!r} became {after.get(name)!r} by fit and {copied.get(name)!r} in "
                "the clone",
                "store parameters untouched, and what fit derives from them under other names",
            )


def check_copies_predict_alike(case: ModelCase) -> None:
    """copy.deepcopy of a fitted model predicts the same."""
    got = case.output(copy.deepcopy(case.fitted), case.fresh.X)
    difference = far_apart(got, case.output(case.fitted, case.fresh.X))
    if difference > 0:
        raise Violation(
            f"predictions that differ by {difference:.3g}",
            "keep all fitted state in attributes that can be copied",
        )


def check_is_quiet(case: ModelCase) -> None:
    """fit and predict print nothing, neither from Python nor from compiled code."""
    with captured() as printed:
        case.output(case.make().fit(case.data.X, case.data.y), case.fresh.X)
    if printed[0].strip():
        raise Violation(
            f"{printed[0].strip()[:200]!r}", "set the library's verbosity to silent by default"
        )


def check_predicts_in_a_new_process(case: SpecCase) -> None:
    """A fitted model that joblib has saved predicts the same in a new process."""
    pairs = [(c.fitted, c.fresh.X, c.classifies) for c in case.cases]
    with tempfile.TemporaryDirectory(prefix="kdcore-check-") as name:
        saved, results = Path(name, "models"), Path(name, "results")
        joblib.dump(pairs, saved)
        code = f"import sys\nsys.argv[1:] = {[str(saved), str(results)]!r}\n{_IN_A_NEW_PROCESS}"
        path = os.pathsep.join(filter(None, sys.path))
        done = run_python(code, env={"PYTHONPATH": path})
        if done.returncode:
            raise Violation(
                (done.stderr.strip().splitlines() or ["the process died"])[-1],
                "keep all fitted state in attributes that can be pickled, and the class in a "
                "module that can be imported",
            )
        outputs = joblib.load(results)
    for model_case, (model, X, classifies), got in zip(case.cases, pairs, outputs, strict=True):
        wanted = model.predict_proba(X) if classifies else model.predict(X)
        difference = far_apart(np.asarray(got), np.asarray(wanted))
        if difference > 0:
            raise Violation(
                f"{model_case.task} predictions that differ by {difference:.3g}",
                "keep all fitted state in attributes that can be pickled",
            )
