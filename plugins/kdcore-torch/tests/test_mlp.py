"""Perceptron students: what they learn, how they are trained, and what they are written to."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch

from kdcore.bundle import pack
from kdcore.encoders import OrdinalEncoder
from kdcore.errors import FitError, ParameterError
from kdcore.testing import tiny_data, tiny_targets
from kdcore_torch.layers import ACTIVATIONS
from kdcore_torch.mlp import TorchMLPClassifier, TorchMLPRegressor

KINDS = {
    "binary": TorchMLPClassifier,
    "multiclass": TorchMLPClassifier,
    "regression": TorchMLPRegressor,
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
    data, fresh = tiny_data(task, n_rows=250), tiny_data(task, n_rows=600, seed=1)
    if task == "regression":
        data.y[:] += 3 * np.random.default_rng(0).standard_normal(len(data))
    taught = KINDS[task](alpha=1.0, max_iter=800).fit(data.X, tiny_targets(data))
    plain = KINDS[task](max_iter=800).fit(data.X, data.y)
    assert distance(taught, fresh) < 0.9 * distance(plain, fresh)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "kl", "temperature": 2.0},
        {"loss": "logit_mse"},
        {"loss": "brier"},
        {"batch_norm": True, "dropout": 0.1},
        {"schedule": "one_cycle"},
        {"schedule": "constant", "averaging": 0.9},
        {"averaging": 0.0, "clip": None},
        {"precision": "bfloat16"},
        {"encoder": OrdinalEncoder(), "batch_norm": True},
    ],
    ids=str,
)
def test_a_student_learns_with_every_option(params):
    data = tiny_data("multiclass", content="numbers", n_rows=400)
    fresh = tiny_data("multiclass", content="numbers", seed=1)
    student = TorchMLPClassifier(alpha=1.0, max_iter=500, **params)
    assert distance(student.fit(data.X, tiny_targets(data)), fresh) < 0.4


@every_task
def test_weights_are_repeated_rows_and_the_order_of_rows_does_not_matter(task):
    """Mini-batches are drawn by chance; the same data must not give another model."""
    data = tiny_data(task, n_rows=300)
    counts = np.random.default_rng(0).integers(1, 4, len(data))
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(data)), counts))
    copied = data.take(rows)
    weighted = KINDS[task](max_iter=100).fit(data.X, tiny_targets(data, weight=counts))
    repeated = KINDS[task](max_iter=100).fit(copied.X, tiny_targets(copied))
    np.testing.assert_allclose(output(weighted, data.X), output(repeated, data.X), atol=1e-5)


def test_the_same_seed_gives_the_same_bits_in_threads_side_by_side_and_whatever_n_jobs():
    """Folds are fitted in threads; random state that they share would make each run another."""
    data = tiny_data("multiclass")

    def fit(**params):
        model = TorchMLPClassifier(max_iter=60, dropout=0.2, batch_norm=True, **params)
        return model.fit(data.X, data.y).predict_proba(data.X)

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    wanted, found = fit(), {}
    workers = [threading.Thread(target=lambda i=i: found.update({i: fit()})) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((found[i] == wanted).all() for i in range(3))
    assert (fit(n_jobs=-1) == wanted).all()
    assert (fit(n_jobs=2) == wanted).all()
    assert (fit(random_state=1) != wanted).any()
    assert (torch.random.get_rng_state() == before).all()


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    data = tiny_data("binary")
    TorchMLPClassifier(max_iter=20, n_jobs=2).fit(data.X, data.y).predict(data.X)
    assert torch.get_num_threads() == before


@every_task
def test_a_table_on_disk_gives_the_same_model(task):
    """Beyond ``memory_limit`` rows are read from a file; nobody should see it in the result."""
    data = tiny_data(task, n_rows=300)
    inside, outside = (
        KINDS[task](max_iter=60, memory_limit=limit).fit(data.X, tiny_targets(data))
        for limit in (1e9, 0)
    )
    assert isinstance(outside._encode(data.X), np.memmap)
    assert not isinstance(inside._encode(data.X), np.memmap)
    assert (output(inside, data.X) == output(outside, data.X)).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@every_task
def test_the_bundle_predicts_alike_with_gaps_and_unseen_categories(task, activation):
    data, fresh = tiny_data(task), tiny_data(task, seed=1)
    student = KINDS[task](
        activation=activation, hidden_layer_sizes=(20, 10), batch_norm=True, max_iter=80
    )
    student.fit(data.X, tiny_targets(data))
    fresh.X.loc[:20, "amount"] = np.nan
    fresh.X["city"] = fresh.X["city"].astype(object)
    fresh.X.loc[50:60, "city"] = "Paris"
    packed = pack(student, fresh.X)
    assert packed.bundle.manifest["parity"]["rows"] == len(fresh)
    assert packed.bundle.manifest["parity"]["flipped"] == 0


def test_batch_norm_costs_nothing_when_deployed():
    data = tiny_data("binary")
    student = TorchMLPClassifier(batch_norm=True, max_iter=50).fit(data.X, data.y)
    kinds = {node.op_type for node in student.to_onnx().graph.node}
    assert kinds == {"Gemm", "Relu", "MatMul", "Softmax"}


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_values_in_any_unit_are_learned_alike(scale):
    """House prices in dollars and rates in millionths need no scaling by the user."""
    data, fresh = tiny_data("regression", n_rows=400), tiny_data("regression", seed=1)
    student = TorchMLPRegressor(max_iter=1000).fit(data.X, 1000 * scale + data.y * scale)
    error = np.std(student.predict(fresh.X) / scale - 1000 - fresh.teacher)
    assert error < 0.25 * fresh.teacher.std()


def test_early_stopping_saves_a_student_of_noisy_labels():
    """Trained to the end, a network learns noisy labels by heart, and its log loss explodes."""
    data, fresh = tiny_data("binary", n_rows=500), tiny_data("binary", n_rows=500, seed=1)
    stopped, whole = (
        TorchMLPClassifier(early_stopping=s, max_iter=2000).fit(data.X, data.y)
        for s in ("auto", False)
    )
    assert stopped.n_iter_ < whole.n_iter_ == 2000
    assert distance(stopped, fresh) < 0.8 * distance(whole, fresh)


def test_labels_of_a_teacher_that_saw_the_rows_do_not_decide_when_to_stop():
    """Such labels are over-confident also in held-out rows: the loss falls and falls."""
    data = tiny_data("binary", n_rows=300)
    targets = tiny_targets(data)
    steps = {}
    for provenance in ("given", "in-sample"):
        object.__setattr__(targets, "provenance", provenance)
        rows = []
        model = TorchMLPClassifier(max_iter=100, on_step=lambda *seen, rows=rows: rows.append(seen))
        model.fit(data.X, targets)
        steps[provenance] = model._plan(targets, torch.device("cpu"), 0).held
        assert rows[-1][:2] == (model.n_iter_, 100)
        assert [seen[2] for seen in rows] == model.loss_curve_
    assert steps == {"given": 30, "in-sample": 0}


def test_importances_find_the_columns_that_matter():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((500, 4)) * [1, 100, 1, 1], columns=list("abcd"))
    y = (table["a"] + table["b"] / 100 > 0).astype(int)
    told = TorchMLPClassifier(max_iter=500).fit(table, y).get_feature_importance()
    assert set(list(told)[:2]) == {"a", "b"}
    assert told["a"] + told["b"] > 0.75


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"activation": "sin"}, "activation='sin' must be one of relu"),
        ({"schedule": "steps"}, "schedule='steps' must be one of cosine"),
        ({"precision": "int8"}, "precision='int8' must be one of float32"),
        ({"dropout": 1.0}, r"dropout=1.0 must lie in \[0, 1\)"),
        ({"learning_rate_init": 0}, "learning_rate_init=0 must be above 0"),
        ({"batch_size": "big"}, "batch_size='big' must be 'auto' or at least 1"),
        ({"max_iter": 0}, "max_iter=0 must be at least 1"),
        ({"l2": -1}, "l2=-1 must not be negative"),
        ({"clip": 0}, "clip=0 must be above 0, or None"),
        ({"averaging": 1}, r"averaging=1 must lie in \[0, 1\)"),
        ({"early_stopping": "soon"}, "early_stopping='soon' must be True, False or 'auto'"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0 must lie between"),
        ({"on_step": 3}, "on_step=3 must be callable"),
        ({"n_jobs": 0}, "n_jobs=0 must be a whole number other than 0"),
        ({"device": "abacus"}, "device='abacus' is not available here; use one of auto"),
        ({"batch_size": 500}, r"batch_size=500 is larger than the \d+ different rows to train on"),
        ({"batch_size": 1, "batch_norm": True}, "batch_norm needs two rows in each batch, but"),
        ({"keep_on_interrupt": "yes"}, "keep_on_interrupt='yes' must be True or False"),
        ({"device": "cuda:99"}, "device='cuda:99' is not available here"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_by_its_name(params, message):
    data = tiny_data("binary")
    with pytest.raises(ParameterError, match=message):
        TorchMLPClassifier(**params).fit(data.X, data.y)


def test_a_training_that_explodes_says_where_and_what_to_lower():
    data = tiny_data("regression", content="numbers")
    told = r"the loss is (nan|inf) at step \d+ of 50; lower learning_rate_init \(now 1e\+30\)"
    with pytest.raises(FitError, match=told) as caught:
        TorchMLPRegressor(learning_rate_init=1e30, max_iter=50, l2=0.0).fit(data.X, data.y)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused_in_one_line(device):
    data = tiny_data("binary")
    told = f"device='{device}' is not available here; use one of auto, "
    with pytest.raises(ParameterError, match=told) as caught:
        TorchMLPClassifier(device=device).fit(data.X, data.y)
    assert "\n" not in str(caught.value)


def test_a_loss_that_changes_on_the_way_trains_a_network():
    """Annealing is made for networks: first the teacher, then the labels."""
    data, fresh = tiny_data("multiclass", n_rows=300), tiny_data("multiclass", seed=1)
    student = TorchMLPClassifier(loss="annealing", max_iter=600)
    student.fit(data.X, tiny_targets(data))
    assert student.score(fresh.X, fresh.y) > 0.7


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_labels_that_are_not_finite_are_refused(bad):
    data = tiny_data("regression")
    y = data.y.copy()
    y[3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        TorchMLPRegressor().fit(data.X, y)
