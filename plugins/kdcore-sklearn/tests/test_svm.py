"""Support vector students: closed-form machines on soft labels, calibrated on left-out rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from kdcore.bundle import pack
from kdcore.errors import KDWarning, ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_sklearn.least_squares import COSTS, best_cost, rbf, solve_dual, solve_primal
from kdcore_sklearn.svm import SVMStudentClassifier, SVMStudentRegressor

KINDS = {
    "binary": SVMStudentClassifier,
    "multiclass": SVMStudentClassifier,
    "regression": SVMStudentRegressor,
}
every_task = pytest.mark.parametrize("task", KINDS)
every_machine = pytest.mark.parametrize("machine", ["rbf", "linear", "nystroem"])


def make(task, machine, **params):
    if machine == "nystroem":
        return KINDS[task](max_kernel_rows=50, n_landmarks=60, **params)
    return KINDS[task](kernel=machine, **params)


def fit(model, X, y):
    if model.max_kernel_rows < len(X) and model.kernel == "rbf":
        with pytest.warns(KDWarning, match="max_kernel_rows"):
            return model.fit(X, y)
    return model.fit(X, y)


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def distance(model, fresh):
    """Root mean squared error from the truth, relative to that of a constant."""
    error = np.mean((output(model, fresh.X) - fresh.teacher) ** 2)
    return np.sqrt(error / np.mean((fresh.teacher.mean(axis=0) - fresh.teacher) ** 2))


@every_machine
@every_task
def test_the_teacher_makes_a_better_student_than_labels(task, machine):
    """Labels are noisy; who has a teacher must not pay for it."""
    data, fresh = tiny_data(task, n_rows=300), tiny_data(task, n_rows=600, seed=1)
    if task == "regression":
        data.y[:] += 3 * np.random.default_rng(0).standard_normal(len(data))
    taught = fit(make(task, machine, alpha=1.0), data.X, tiny_targets(data))
    plain = fit(make(task, machine), data.X, data.y)
    assert distance(taught, fresh) < 0.95 * distance(plain, fresh)


def test_probabilities_are_as_good_as_those_of_a_calibrated_svc():
    """A user who knows SVC must lose nothing by the squared error."""
    data, fresh = (tiny_data("multiclass", n_rows=500, seed=seed) for seed in (0, 1))
    student = SVMStudentClassifier().fit(data.X, data.y)
    hinge = SVC().fit(student.encoder_.transform(data.X), data.y)
    hits = (hinge.predict(student.encoder_.transform(fresh.X)) == fresh.y).mean()
    assert student.score(fresh.X, fresh.y) > hits - 0.02
    assert distance(student, fresh) < 0.5


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@every_machine
def test_probabilities_are_calibrated_on_rows_it_has_not_seen(task, machine):
    """Margins of training rows are too far apart: calibrated on them, a machine is too sure."""
    data, fresh = tiny_data(task, n_rows=300), tiny_data(task, n_rows=2000, seed=1)
    proba = fit(make(task, machine), data.X, data.y).predict_proba(fresh.X)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-12
    sure = proba.max(axis=1)
    assert abs(sure.mean() - (proba.argmax(axis=1) == fresh.y).mean()) < 0.05


@pytest.mark.parametrize("solver", ["dual", "primal"])
def test_predictions_for_left_out_rows_are_those_of_a_fit_without_them(solver):
    """The formula spares n fits; were it wrong, every probability would be."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((40, 3))
    Y, weight = rng.standard_normal((40, 2)), rng.uniform(0.5, 2, 40)

    def solve(rows):
        if solver == "dual":
            coef, left_out = solve_dual(rbf(Z[rows], Z[rows], 0.3), Y[rows], weight[rows], 2.0)
            return (lambda X: rbf(X, Z[rows], 0.3) @ coef), left_out
        coef, left_out = solve_primal(lambda F: F, Z[rows], Y[rows], weight[rows], 2.0)
        return (lambda X: X @ coef), left_out

    told = solve(np.arange(40))[1]
    for row in range(0, 40, 7):
        function = solve(np.delete(np.arange(40), row))[0]
        np.testing.assert_allclose(told[[row]], function(Z[[row]]), atol=1e-9)


def test_the_chosen_cost_is_the_best_of_all_for_left_out_rows():
    rng = np.random.default_rng(0)
    Z, weight = rng.standard_normal((60, 2)), rng.uniform(0.5, 2, 60)
    Y = np.sin(2 * Z[:, :1]) + 0.3 * rng.standard_normal((60, 1))
    errors = []
    for cost in COSTS:
        left_out = solve_dual(rbf(Z, Z, 0.5), Y, weight, cost)[1]
        errors.append(float((weight[:, None] * (Y - left_out) ** 2).sum()))
    error, cost = best_cost(rbf(Z, Z, 0.5), Y, weight)
    assert cost == COSTS[int(np.argmin(errors))]
    assert error == pytest.approx(min(errors))


@every_task
def test_the_fitted_model_is_a_genuine_one_that_works_on_its_own(task):
    data = tiny_data(task)
    kinds = {"rbf": KernelRidge, "linear": Ridge, "nystroem": Pipeline}
    for machine, kind in kinds.items():
        student = fit(make(task, machine), data.X, tiny_targets(data))
        assert type(student.model_) is kind
        Z = student.encoder_.transform(data.X)
        margins = np.asarray(student.model_.predict(Z)).reshape(len(Z), -1) + student.offset_
        np.testing.assert_allclose(margins, student._margins(Z), atol=2e-5)


@every_machine
@every_task
def test_weights_are_repeated_rows_and_the_order_of_rows_does_not_matter(task, machine):
    data = tiny_data(task)
    counts = np.random.default_rng(0).integers(1, 4, len(data))
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(data)), counts))
    copied = data.take(rows)
    weighted = fit(make(task, machine), data.X, tiny_targets(data, weight=counts))
    repeated = fit(make(task, machine), copied.X, tiny_targets(copied))
    np.testing.assert_allclose(output(weighted, data.X), output(repeated, data.X), atol=1e-6)


@every_machine
@every_task
def test_the_bundle_predicts_alike_with_gaps_and_unseen_and_huge_values(task, machine):
    """Squared distances in float32 would lose the digits by which a decision is made."""
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    student = fit(make(task, machine), data.X, tiny_targets(data))
    fresh.X.loc[:20, "amount"] = np.nan
    fresh.X.loc[30:40, "amount"] = 1e4
    fresh.X["city"] = fresh.X["city"].astype(object)
    fresh.X.loc[50:60, "city"] = "Paris"
    found = pack(student, fresh.X).bundle.manifest["parity"]
    assert found["flipped"] == 0
    assert found["max_difference"] < found["tolerance"]


def test_many_rows_give_one_warning_that_says_what_to_do_and_a_small_student():
    data, fresh = tiny_data("binary", n_rows=900), tiny_data("binary", n_rows=900, seed=1)
    exact = SVMStudentClassifier().fit(data.X, data.y)
    with pytest.warns(KDWarning) as seen:
        small = SVMStudentClassifier(max_kernel_rows=800, n_landmarks=100).fit(data.X, data.y)
    assert [str(w.message) for w in seen] == [
        "900 rows are more than max_kernel_rows=800, so the RBF kernel of the student svm is "
        "approximated by 100 of them (Nystroem); raise max_kernel_rows for the exact kernel, or "
        "use kernel='linear'."
    ]
    assert distance(small, fresh) < 1.1 * distance(exact, fresh)
    graphs = [pack(s, fresh.X).without_state().data for s in (small, exact)]
    assert len(graphs[0]) < len(graphs[1]) / 2


def test_importances_are_told_by_the_linear_kernel_only():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((300, 3)) * [1, 100, 1], columns=list("abc"))
    y = (table["a"] + table["b"] / 100 > 0).astype(int)
    told = SVMStudentClassifier(kernel="linear").fit(table, y).get_feature_importance()
    assert told["a"] + told["b"] > 0.9
    with pytest.raises(AttributeError, match="does not tell importances"):
        _ = SVMStudentClassifier().fit(table, y).feature_importances_


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_values_in_any_unit_are_learned_alike(scale):
    data, fresh = tiny_data("regression", n_rows=300), tiny_data("regression", seed=1)
    student = SVMStudentRegressor().fit(data.X, (1000 + data.y) * scale)
    error = np.std(student.predict(fresh.X) / scale - 1000 - fresh.teacher)
    assert error < 0.25 * fresh.teacher.std()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel": "poly"}, "kernel='poly' must be one of rbf, linear"),
        ({"C": 0}, "C=0 must be 'auto' or a number above 0"),
        ({"C": "best"}, "C='best' must be 'auto' or a number above 0"),
        ({"gamma": -1.0}, "gamma=-1.0 must be 'auto', 'scale' or a number above 0"),
        ({"max_kernel_rows": -1}, "max_kernel_rows=-1 must be a whole number of at least 0"),
        ({"n_landmarks": 0}, "n_landmarks=0 must be a whole number of at least 1"),
        ({"loss": "logit_mse"}, "loss='logit_mse' .*use one of brier, kl"),
        ({"temperature": 2.0}, "temperature=2 cannot be used"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_by_its_name(params, message):
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match=message):
        SVMStudentClassifier(**params).fit(data.X, data.y)
