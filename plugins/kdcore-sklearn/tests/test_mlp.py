"""Network students: genuine scikit-learn models, trained on soft targets by any loss."""

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from kdcore.annealing_loss import Annealing
from kdcore.bundle import pack
from kdcore.errors import ParameterError
from kdcore.losses import KL
from kdcore.short_weights import shortened
from kdcore.targets import SoftTargets, softmax
from kdcore.testing import tiny_data, tiny_targets
from kdcore_sklearn.mlp import MLPStudentClassifier, MLPStudentRegressor
from kdcore_sklearn.network import ACTIVATIONS, Network
from kdcore_sklearn.rows import merge_rows

KINDS = {
    "binary": MLPStudentClassifier,
    "multiclass": MLPStudentClassifier,
    "regression": MLPStudentRegressor,
}
every_task = pytest.mark.parametrize("task", KINDS)


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def distance(model, fresh):
    """Root mean squared error from the truth, relative to that of a constant."""
    error = np.mean((output(model, fresh.X) - fresh.teacher) ** 2)
    return np.sqrt(error / np.mean((fresh.teacher.mean(axis=0) - fresh.teacher) ** 2))


@every_task
def test_the_teacher_makes_a_better_student_than_labels(task):
    """Labels are noisy; who has a teacher must not pay for it."""
    data, fresh = tiny_data(task, n_rows=250), tiny_data(task, n_rows=600, seed=1)
    if task == "regression":
        data.y[:] += 3 * np.random.default_rng(0).standard_normal(len(data))
    taught = KINDS[task](alpha=1.0).fit(data.X, tiny_targets(data))
    plain = KINDS[task]().fit(data.X, data.y)
    assert distance(taught, fresh) < 0.9 * distance(plain, fresh)


@pytest.mark.parametrize(
    "params",
    [{"loss": "kl"}, {"loss": "kl", "temperature": 2.0}, {"loss": "logit_mse"}, {"loss": "brier"}],
    ids=str,
)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_any_loss_is_minimised(task, params):
    data, fresh = tiny_data(task, n_rows=400), tiny_data(task, seed=1)
    student = MLPStudentClassifier(alpha=1.0, **params).fit(data.X, tiny_targets(data))
    assert distance(student, fresh) < 0.4


@pytest.mark.parametrize("loss", ["dkd", "dist", "logit_standardization", "annealing"])
def test_losses_for_many_classes_teach_a_network(loss):
    data, fresh = tiny_data("multiclass", n_rows=300), tiny_data("multiclass", seed=1)
    student = MLPStudentClassifier(alpha=0.8, loss=loss, max_iter=1000)
    student.fit(data.X, tiny_targets(data))
    assert distance(student, fresh) < 0.45


@every_task
def test_an_annealed_network_goes_through_both_phases(task):
    """It stops early where a loss stands still; a loss that changes is followed to its end."""
    data = tiny_data(task, n_rows=250)
    seen = []

    class Watched(Annealing):
        def at(self, progress):
            seen.append(progress)
            return super().at(progress)

    student = KINDS[task](loss=Watched, alpha=0.6, max_iter=500, learning_rate_init=0.05)
    student.fit(data.X, tiny_targets(data))
    assert student.n_iter_ == 500
    assert {0.0, 1.0} < set(seen)
    assert 30 < len(set(seen)) < 70


@every_task
def test_the_fitted_model_is_a_genuine_one_that_works_on_its_own(task):
    data = tiny_data(task, labels="text")
    student = KINDS[task](max_iter=300).fit(data.X, tiny_targets(data))
    own, Z = student.model_, student.encoder_.transform(data.X)
    assert type(own) is (MLPRegressor if task == "regression" else MLPClassifier)
    assert [w.shape for w in own.coefs_[1:-1]] == [(64, 32)]
    assert (own.predict(Z.astype(float)) == student.predict(data.X)).all()
    np.testing.assert_allclose(output(own, Z), output(student, data.X), atol=1e-6)


def test_weights_have_a_last_byte_of_zero_and_are_as_good():
    rng = np.random.default_rng(0)
    given = np.concatenate([rng.normal(size=500), 10.0 ** rng.uniform(-30, 30, 500), [0.0, -1.0]])
    given = given.astype(np.float32)
    kept = shortened(given)
    np.testing.assert_allclose(kept, given, rtol=2.0**-16)
    assert (kept.view(np.uint32) & 255 == 0).all()
    assert (shortened(kept) == kept).all()
    data = tiny_data("binary")
    student = KINDS["binary"](max_iter=100).fit(data.X, tiny_targets(data))
    assert all((w.view(np.uint32) & 255 == 0).all() for w in student.coefs_)


@every_task
def test_weights_are_repeated_rows_and_the_order_of_rows_does_not_matter(task):
    """Mini-batches are drawn by chance; the same data must not give another model."""
    data = tiny_data(task, n_rows=400)
    counts = np.random.default_rng(0).integers(1, 4, len(data))
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(data)), counts))
    copied = data.take(rows)
    weighted = KINDS[task](max_iter=400).fit(data.X, tiny_targets(data, weight=counts))
    repeated = KINDS[task](max_iter=400).fit(copied.X, tiny_targets(copied))
    np.testing.assert_allclose(output(weighted, data.X), output(repeated, data.X), atol=1e-5)


def test_equal_rows_become_one_and_others_stay_apart():
    Z = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0], [2.0, 1.0]], dtype=np.float32)
    targets = SoftTargets(labels=np.array([0, 0, 1, 0]), classes=np.arange(2))
    merged, left = merge_rows(Z, targets)
    assert sorted(zip(merged[:, 0], left.labels, left.sample_weight, strict=True)) == [
        (0.0, 0, 2.0),
        (0.0, 1, 1.0),
        (2.0, 0, 1.0),
    ]


@every_task
def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(task):
    data = tiny_data(task)
    one, two, other = (
        KINDS[task](max_iter=300, random_state=seed).fit(data.X, tiny_targets(data))
        for seed in (0, 0, 1)
    )
    for a, b in zip(one.coefs_, two.coefs_, strict=True):
        assert (a == b).all()
    assert (one.coefs_[0] != other.coefs_[0]).any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@every_task
def test_the_bundle_predicts_alike_with_gaps_and_unseen_categories(task, activation):
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    student = KINDS[task](activation=activation, hidden_layer_sizes=(20, 10, 5), max_iter=300)
    student.fit(data.X, tiny_targets(data))
    fresh.X.loc[:20, "amount"] = np.nan
    fresh.X["city"] = fresh.X["city"].astype(object)
    fresh.X.loc[50:60, "city"] = "Paris"
    found = pack(student, fresh.X).bundle.manifest["parity"]
    assert found["rows"] == len(fresh)
    assert found["flipped"] == 0


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_values_in_any_unit_are_learned_alike(scale):
    """House prices in dollars and rates in millionths need no scaling by the user."""
    data, fresh = tiny_data("regression", n_rows=400), tiny_data("regression", seed=1)
    student = MLPStudentRegressor().fit(data.X, 1000 * scale + data.y * scale)
    error = np.std(student.predict(fresh.X) / scale - 1000 - fresh.teacher)
    assert error < 0.25 * fresh.teacher.std()


def test_early_stopping_saves_a_student_of_noisy_labels():
    """Trained to the end, a network learns noisy labels by heart, and its log loss explodes."""
    data, fresh = tiny_data("binary", n_rows=500), tiny_data("binary", n_rows=500, seed=1)
    stopped, whole = (
        MLPStudentClassifier(early_stopping=s).fit(data.X, data.y) for s in (True, False)
    )
    assert stopped.n_iter_ < whole.n_iter_ == 5000
    assert distance(stopped, fresh) < 0.8 * distance(whole, fresh)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_the_loss(activation):
    rng = np.random.default_rng(0)
    network = Network([5, 4, 3], activation, rng)
    Z = rng.standard_normal((30, 5)).astype(np.float32)
    targets = SoftTargets(
        labels=np.full(30, -1), teacher=softmax(rng.standard_normal((30, 3))), classes=np.arange(3)
    )

    def value(flat):
        network.flat[:] = flat
        return float(KL(alpha=1.0).value_and_grad(network.forward(Z)[-1].astype(float), targets)[0])

    at = network.flat.copy()
    layers = network.forward(Z)
    _, grad = KL(alpha=1.0).value_and_grad(layers[-1], targets)
    told = network.backward(layers, grad).copy()
    for i in range(0, len(at), 3):
        step = np.zeros_like(at)
        step[i] = 1e-2
        seen = (value(at + step) - value(at - step)) / 2e-2
        assert told[i] == pytest.approx(seen, abs=2e-3)


def test_importances_find_the_columns_that_matter():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((500, 4)) * [1, 100, 1, 1], columns=list("abcd"))
    y = (table["a"] + table["b"] / 100 > 0).astype(int)
    told = MLPStudentClassifier(max_iter=1000).fit(table, y).get_feature_importance()
    assert set(list(told)[:2]) == {"a", "b"}
    assert told["a"] + told["b"] > 0.75


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes"),
        ({"activation": "sin"}, "activation='sin' must be one of relu"),
        ({"learning_rate_init": 0}, "learning_rate_init=0 must be a number above 0"),
        ({"batch_size": "big"}, "batch_size='big' must be 'auto' or a whole number of at least 1"),
        ({"max_iter": 0}, "max_iter=0 must be a whole number of at least 1"),
        ({"l2": -1}, "l2=-1 must be a number of at least 0"),
        (
            {"validation_fraction": 1.0},
            "=1.0 must be a number above 0 and below 1",
        ),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_by_its_name(params, message):
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match=message):
        MLPStudentClassifier(**params).fit(data.X, data.y)


def test_losses_of_regression_do_in_a_student_what_they_promise():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.uniform(-2, 2, 1500), "b": rng.standard_normal(1500)})
    truth = 100 * table["a"].to_numpy()
    noise = rng.exponential(30, 1500)
    high = MLPStudentRegressor(loss="quantile:q=0.9").fit(table, truth + noise)
    assert (truth + noise < high.predict(table)).mean() == pytest.approx(0.9, abs=0.04)
    wild = truth + np.where(rng.random(1500) < 0.1, 5000.0, 0.0)
    robust = MLPStudentRegressor(loss="huber").fit(table, wild)
    squared = MLPStudentRegressor().fit(table, wild)
    assert np.abs(robust.predict(table) - truth).mean() < 20
    assert np.abs(squared.predict(table) - truth).mean() > 100


def test_damping_protects_a_student_from_labels_that_its_teacher_does_not_believe():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.uniform(-2, 2, 800)})
    truth = 100 * table["a"].to_numpy()
    wild = truth + np.where(rng.random(800) < 0.1, 5000.0, 0.0)
    errors = {}
    for loss in ("blend", "damped_blend"):
        student = MLPStudentRegressor(loss=loss, alpha=0.5)
        student.fit(table, wild, teacher_output=truth + rng.standard_normal(800))
        errors[loss] = np.abs(student.predict(table) - truth).mean()
    assert errors["damped_blend"] < 0.1 * errors["blend"]
