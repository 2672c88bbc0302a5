"""Linear students are scikit-learn's own models, without its detour over copied rows."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import kdcore
from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.losses import KL, LogitMSE
from kdcore.targets import SoftTargets, softmax
from kdcore.testing import tiny_data, tiny_targets
from kdcore_sklearn.linear import LogisticRegressionStudent, RidgeStudent

TASKS = ("binary", "multiclass")


def encoded(student, data):
    return student.encoder_.transform(data.X).astype(float)


@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("task", TASKS)
def test_without_a_teacher_it_is_scikit_learns_logistic_regression(task, C):
    """A user who compares with a plain student must not see a difference between optimisers."""
    data = tiny_data(task, n_rows=300)
    student = LogisticRegressionStudent(C=C, tol=1e-8, max_iter=5000).fit(data.X, data.y)
    plain = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(encoded(student, data), data.y)
    np.testing.assert_allclose(student.coef_, plain.coef_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(student.intercept_, plain.intercept_, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("task", TASKS)
def test_soft_labels_are_fitted_exactly_as_by_weighted_copies_of_rows(task, alpha):
    data = tiny_data(task, n_rows=300)
    targets = tiny_targets(data, weight=np.linspace(0.5, 2.0, len(data)))
    student = LogisticRegressionStudent(alpha=alpha, tol=1e-8, max_iter=5000)
    student.fit(data.X, targets)
    Z, K = encoded(student, data), targets.n_classes
    copies = np.repeat(Z, K, axis=0)
    weight = (targets.blended(alpha) * targets.sample_weight[:, None]).ravel()
    kept = weight > 0
    plain = LogisticRegression(tol=1e-8, max_iter=5000).fit(
        copies[kept], np.tile(np.arange(K), len(Z))[kept], sample_weight=weight[kept]
    )
    np.testing.assert_allclose(student.coef_, plain.coef_, rtol=1e-3, atol=1e-5)


def test_many_classes_do_not_multiply_the_rows_in_memory():
    """Copies of rows would need n * K * d doubles: 8 GB for a million rows of 100 columns."""
    n, d, K = 20_000, 40, 10
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((n, d)).astype(np.float32)
    targets = SoftTargets(
        labels=rng.integers(0, K, n),
        teacher=softmax(rng.standard_normal((n, K))),
        classes=np.arange(K),
        provenance="given",
    )
    student = LogisticRegressionStudent(max_iter=5)
    tracemalloc.start()
    try:
        student.fit_encoded(Z, targets, KL(alpha=0.7))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 4 * (n * d + n * K)
    assert peak < 8 * n * K * d / 2


def test_the_fitted_model_is_a_genuine_one_that_works_on_its_own():
    data = tiny_data("multiclass", labels="text")
    student = LogisticRegressionStudent().fit(data.X, tiny_targets(data))
    assert type(student.model_) is LogisticRegression
    Z = encoded(student, data)
    np.testing.assert_allclose(student.model_.predict_proba(Z), student.predict_proba(data.X))
    assert (student.model_.predict(Z) == student.predict(data.X)).all()
    assert student.coef_.shape == (3, len(student.encoder_.get_feature_names_out()))


@pytest.mark.parametrize(
    "params",
    [{"loss": "kl", "temperature": 2.0}, {"loss": "logit_mse"}, {"loss": "brier"}],
    ids=str,
)
@pytest.mark.parametrize("task", TASKS)
def test_any_loss_is_minimised(task, params):
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    student = LogisticRegressionStudent(alpha=1.0, **params).fit(data.X, tiny_targets(data))
    error = np.sqrt(np.mean((student.predict_proba(fresh.X) - fresh.teacher) ** 2))
    constant = np.sqrt(np.mean((data.teacher.mean(axis=0) - fresh.teacher) ** 2))
    assert error < 0.4 * constant


@pytest.mark.parametrize("loss", ["dkd", "dist", "logit_standardization"])
def test_losses_for_many_classes_do_not_stick_at_the_start(loss):
    """All logits are equal there, where a standardised row has no direction to move in."""
    data, fresh = tiny_data("multiclass"), tiny_data("multiclass", seed=1)
    student = LogisticRegressionStudent(alpha=0.7, loss=loss).fit(data.X, tiny_targets(data))
    error = np.sqrt(np.mean((student.predict_proba(fresh.X) - fresh.teacher) ** 2))
    constant = np.sqrt(np.mean((data.teacher.mean(axis=0) - fresh.teacher) ** 2))
    assert error < 0.45 * constant


def test_the_minimum_is_a_minimum():
    """The gradient of the whole objective, penalty included, is zero at the solution."""
    data = tiny_data("multiclass")
    targets = tiny_targets(data)
    student = LogisticRegressionStudent(loss="logit_mse", tol=1e-9, max_iter=5000)
    student.fit(data.X, targets)
    Z = encoded(student, data)
    grad = LogitMSE(alpha=0.7).value_and_grad(Z @ student.coef_.T + student.intercept_, targets)[1]
    assert np.abs(grad.T @ Z + student.coef_ / len(data)).max() < 1e-6
    assert np.abs(grad.sum(axis=0)).max() < 1e-6


def test_without_an_intercept_there_is_none():
    data = tiny_data("binary")
    student = LogisticRegressionStudent(fit_intercept=False).fit(data.X, data.y)
    assert student.intercept_.tolist() == [0.0]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_ridge_is_scikit_learns_on_the_blended_target(alpha):
    data = tiny_data("regression")
    weight = np.linspace(0.5, 2.0, len(data))
    targets = tiny_targets(data, weight=weight)
    student = RidgeStudent(l2=3.0, alpha=alpha).fit(data.X, targets)
    mix = alpha * data.teacher + (1 - alpha) * data.y
    plain = Ridge(alpha=3.0).fit(encoded(student, data), mix, sample_weight=weight)
    assert type(student.model_) is Ridge
    np.testing.assert_allclose(student.coef_, plain.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(student.predict(data.X), plain.predict(encoded(student, data)))


def test_a_wrong_penalty_is_refused_by_its_name():
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match="C=0 must be a number above 0"):
        LogisticRegressionStudent(C=0).fit(data.X, data.y)
    with pytest.raises(ParameterError, match="l2=-1 must be a number of at least 0"):
        RidgeStudent(l2=-1).fit(data.X, data.y.astype(float))


@pytest.mark.parametrize("model", [LogisticRegressionStudent(), RidgeStudent()], ids=repr)
def test_the_bundle_predicts_alike_where_values_are_missing_or_huge(model):
    task = "regression" if isinstance(model, RidgeStudent) else "multiclass"
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    model.fit(data.X, tiny_targets(data))
    fresh.X.loc[:20, "amount"] = np.nan
    fresh.X.loc[30:40, "amount"] = 1e6
    fresh.X["city"] = fresh.X["city"].astype(object)
    fresh.X.loc[50:60, "city"] = "Paris"
    found = pack(model, fresh.X).bundle.manifest["parity"]
    assert found["rows"] == len(fresh)
    assert found["flipped"] == 0


@pytest.mark.parametrize("encoder", ["quantile", "ple", "spline", "teacher_bins:pairs=3"])
def test_a_student_with_wide_encoding_is_deployed_as_it_is(tmp_path, encoder):
    data = tiny_data("binary", content="mixed")
    student = LogisticRegressionStudent(encoder=encoder).fit(data.X, tiny_targets(data))
    path = tmp_path / "student.kd"
    path.write_bytes(pack(student, data.X).data)
    np.testing.assert_allclose(
        kdcore.load(path).predict_proba(data.X), student.predict_proba(data.X), atol=1e-5
    )
    np.testing.assert_allclose(student.feature_importances_.sum(), 1)


def test_pairs_let_a_linear_student_see_an_interaction():
    """Without them no linear model of the columns can tell the two classes apart."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(1200, 3)), columns=list("abc"))
    y = ((X["a"] > 0) ^ (X["b"] > 0)).to_numpy().astype(int)
    rows = slice(0, 800)
    scores = {}
    for encoder in ("standard", "teacher_bins", "teacher_bins:pairs=1"):
        student = LogisticRegressionStudent(encoder=encoder).fit(X[rows], y[rows])
        scores[encoder] = student.score(X[800:], y[800:])
    assert scores["standard"] < 0.6
    assert scores["teacher_bins"] < 0.6
    assert scores["teacher_bins:pairs=1"] > 0.95
