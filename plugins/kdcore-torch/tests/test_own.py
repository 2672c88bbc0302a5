"""What users bring: networks, losses, and the weights of networks that are trained already."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.base import clone
from torch import nn

import kdcore
from kdcore import SoftTargets
from kdcore.bundle import pack
from kdcore.errors import FitError, KDError, ParameterError
from kdcore.losses import KL, Blend, LogitMSE
from kdcore.registry import default_registry
from kdcore.targets import softmax
from kdcore.testing import tiny_data, tiny_targets
from kdcore_torch import adapt_autograd, load_teacher
from kdcore_torch.cnn import TorchCNNClassifier
from kdcore_torch.mlp import TorchMLPClassifier, TorchMLPRegressor
from kdcore_torch.teachers import TorchMLPTeacherClassifier

FAST = {"max_iter": 200}


class Residual(nn.Module):
    """No Sequential, so that it cannot be written layer by layer."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.inner = nn.Linear(n_inputs, n_inputs)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(n_inputs, n_outputs)

    def forward(self, x):
        return self.last(self.drop(x + torch.relu(self.inner(x))))


def small(n_inputs, n_outputs):
    return nn.Sequential(
        nn.BatchNorm1d(n_inputs), nn.Linear(n_inputs, 12), nn.GELU(), nn.Linear(12, n_outputs)
    )


def score(model, data):
    return model.score(data.X, data.y)


@pytest.fixture
def data():
    return tiny_data("multiclass", content="numbers", n_rows=300)


@pytest.mark.parametrize(
    "module", [small, Residual, "kdcore_torch.layers:nn.Linear"], ids=["function", "class", "text"]
)
def test_a_users_network_learns_from_a_teacher(data, module):
    fresh = tiny_data("multiclass", content="numbers", seed=1)
    student = clone(TorchMLPClassifier(module=module, **FAST)).fit(data.X, tiny_targets(data))
    assert score(student, fresh) > 0.7
    teacher = TorchMLPTeacherClassifier(module=module, **FAST).fit(data.X, data.y)
    assert score(teacher, fresh) > 0.6


def test_a_module_is_copied_with_its_weights_and_left_alone(data):
    """Whoever passes a network to be fine-tuned still owns it."""
    module = small(4, 3)
    before = copy.deepcopy(module.state_dict())
    start = TorchMLPClassifier(module=module, max_iter=1, learning_rate_init=1e-12)
    start.fit(data.X, data.y)
    fitted = TorchMLPClassifier(module=module, **FAST).fit(data.X, data.y)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    torch.testing.assert_close(start.model_.state_dict()["1.weight"], before["1.weight"])
    assert score(fitted, data) > score(start, data)


def test_the_same_seed_gives_the_same_bits_and_global_random_state_is_put_back(data):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, two, other = (
        TorchMLPClassifier(module=Residual, random_state=seed, max_iter=60)
        .fit(data.X, data.y)
        .predict_proba(data.X)
        for seed in (0, 0, 1)
    )
    assert (one == two).all()
    assert (one != other).any()
    assert (torch.random.get_rng_state() == before).all()


def test_a_sequential_is_written_as_onnx_and_another_network_is_refused_by_its_name(data):
    student = TorchMLPClassifier(module=small, max_iter=60).fit(data.X, data.y)
    assert pack(student, data.X).bundle.manifest["parity"]["flipped"] == 0
    student = TorchMLPClassifier(module=Residual, max_iter=60).fit(data.X, data.y)
    with pytest.raises(KDError, match="the layer Residual cannot be written as ONNX"):
        pack(student, data.X)


def test_a_users_network_of_pictures_gets_their_shape_and_is_written_as_onnx():
    data = tiny_data("binary", content="image")

    def network(shape, n_outputs):
        return nn.Sequential(
            nn.Conv2d(shape[0], 6, 3, stride=2, bias=False), nn.BatchNorm2d(6), nn.SiLU(),
            nn.AvgPool2d(2, stride=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(6, n_outputs),
        )  # fmt: skip

    student = TorchCNNClassifier(module=network, max_iter=120).fit(data.X, data.y)
    assert pack(student, data.X).bundle.manifest["parity"]["flipped"] == 0


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda d, k: nn.Linear(d, k + 2), r"gave an output of shape \(2, 5\) .* must give \(2, 3"),
        (nn.Linear(7, 3), r"Linear failed on an input of shape \(2, 4\)"),
        (lambda d, k: nn.Flatten(), "Flatten has no parameter to train"),
        (lambda d: nn.Linear(d, 3), r"\(4, 3\) failed"),
        (3, "module=3 must be a torch.nn.Module"),
        (lambda d, k: "net", "must be a torch.nn.Module"),
        ("no.such:thing", "module='no.such:thing' cannot be imported"),
    ],
    ids=["width", "input", "empty", "call", "number", "text", "name"],
)
def test_a_network_that_does_not_fit_is_refused_in_one_line(data, module, message):
    with pytest.raises(ParameterError, match=message) as caught:
        TorchMLPClassifier(module=module, **FAST).fit(data.X, data.y)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "params", [{"embedding": 3}, {"hidden_layer_sizes": (8,)}, {"dropout": 0.5}], ids=str
)
def test_parameters_of_a_network_that_is_not_used_are_refused(data, params):
    (name,) = params
    with pytest.raises(ParameterError, match=f"{name}=.* is of kdcore's own network"):
        TorchMLPClassifier(module=nn.Linear, **params, **FAST).fit(data.X, data.y)
    usual = TorchMLPClassifier().get_params()[name]
    TorchMLPClassifier(module=nn.Linear, **{name: usual}, **FAST).fit(data.X, data.y)


def test_parameters_of_hidden_layers_that_are_not_there_are_refused(data):
    told = "is of hidden layers, but hidden_layer_sizes="
    with pytest.raises(ParameterError, match=f"activation='tanh' {told}"):
        TorchMLPClassifier(hidden_layer_sizes=(), activation="tanh", **FAST).fit(data.X, data.y)
    TorchMLPClassifier(hidden_layer_sizes=(), **FAST).fit(data.X, data.y)
    pictures = tiny_data("multiclass", content="image")
    with pytest.raises(ParameterError, match=f"dropout=0.5 {told}"):
        TorchCNNClassifier(dropout=0.5, **FAST).fit(pictures.X, pictures.y)


def cross_entropy(logits, targets):
    log_p = torch.log_softmax(logits, dim=1)
    hard = torch.nn.functional.one_hot(targets.labels.clamp_min(0), logits.shape[1])
    alpha = targets.alpha[:, None]
    mix = (1 - alpha) * hard
    if targets.teacher is not None:
        mix = mix + alpha * targets.teacher
    return -(mix * log_p).sum(dim=1)


@pytest.mark.parametrize("known", [torch.tensor, np.asarray], ids=["torch", "numpy"])
def test_a_users_loss_has_the_gradient_of_the_same_loss_of_the_core(known):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 50)
    labels[:10] = -1
    targets = SoftTargets(
        labels=labels,
        teacher=softmax(rng.standard_normal((50, 3))),
        sample_weight=rng.random(50) + 0.1,
        classes=np.arange(3),
    )
    logits = known(rng.standard_normal((50, 3)))
    _, wanted = KL(alpha=0.6).value_and_grad(logits, targets)
    _, got = adapt_autograd(cross_entropy)(alpha=0.6).value_and_grad(logits, targets)
    assert type(got) is type(logits)
    np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), atol=1e-9)


def test_a_student_minimises_a_users_loss(data):
    loss = adapt_autograd(cross_entropy)
    own = clone(TorchMLPClassifier(loss=loss, **FAST)).fit(data.X, tiny_targets(data))
    core = TorchMLPClassifier(loss="kl", **FAST).fit(data.X, tiny_targets(data))
    np.testing.assert_allclose(own.predict_proba(data.X), core.predict_proba(data.X), atol=1e-3)

    def absolute(values, targets):
        return (values - targets.labels).abs().mean()

    table = tiny_data("regression", n_rows=300)
    model = TorchMLPRegressor(loss=adapt_autograd(absolute), **FAST).fit(table.X, table.y)
    assert model.score(table.X, table.y) > 0.8


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda z, t: z.detach().sum(), "does not depend on the logits"),
        (lambda z, t: z, r"returned \(\d+, 3\) for \d+ rows"),
        (lambda z, t: 1.0, "returned float"),
    ],
)
def test_a_loss_that_cannot_be_trained_on_is_refused(data, function, message):
    with pytest.raises(ParameterError, match=message):
        TorchMLPClassifier(loss=adapt_autograd(function), **FAST).fit(data.X, data.y)


class OverRows(LogitMSE):
    """What it prepares of a row depends on the other rows of the batch."""

    def _constants(self, targets):
        hard, share, z_t = super()._constants(targets)
        return hard, share, None if z_t is None else z_t - z_t.mean(axis=0)


@pytest.mark.parametrize("kind", [KL, LogitMSE, OverRows])
def test_preparing_a_loss_once_changes_no_bit(data, kind, monkeypatch):
    from kdcore_torch.batches import BatchTargets

    def fit():
        student = TorchMLPClassifier(loss=kind, max_iter=40).fit(data.X, tiny_targets(data))
        return student.predict_proba(data.X)

    fast = fit()
    monkeypatch.setattr(BatchTargets, "prepare", lambda *args: None)
    assert (fit() == fast).all()


def test_a_regression_prepared_once_changes_no_bit(monkeypatch):
    from kdcore_torch.batches import BatchTargets

    data = tiny_data("regression")

    def fit():
        student = TorchMLPRegressor(loss=Blend, max_iter=40).fit(data.X, tiny_targets(data))
        return student.predict(data.X)

    fast = fit()
    monkeypatch.setattr(BatchTargets, "prepare", lambda *args: None)
    assert (fit() == fast).all()


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_losses_stay_on_the_device_of_the_logits(task):
    """On a GPU a target that is left on the CPU ends the training; "meta" stands in for one."""
    targets = tiny_targets(tiny_data(task))
    specs = default_registry().specs("loss").values()
    for spec in specs:
        if task in spec.tasks:
            logits = torch.zeros(*targets.teacher.shape, device="meta")
            loss = default_registry().create("loss", spec.name, alpha=0.5, temperature=1.0)
            _, grad = loss.value_and_grad(logits, targets)
            assert (grad.device.type, grad.shape) == ("meta", logits.shape), spec.name


@pytest.fixture
def trained(tmp_path, data):
    fitted = TorchMLPClassifier(module=small, encoder="ordinal", **FAST).fit(data.X, data.y)
    path = tmp_path / "teacher.safetensors"
    save_file(fitted.model_.state_dict(), path)
    return path, fitted


def test_weights_from_a_file_and_code_of_the_user_make_a_teacher(data, trained):
    path, fitted = trained
    teacher = load_teacher(path, lambda: small(4, 3), classes=[0, 1, 2])
    np.testing.assert_allclose(
        teacher.predict_proba(data.X), fitted.predict_proba(data.X), atol=1e-6
    )
    result = kdcore.distill(
        data.X.assign(target=data.y),
        target="target",
        teacher=teacher,
        fitted="held-out",
        student=TorchMLPClassifier(**FAST),
    ).report.to_dict()
    assert result["teacher"]["labels"] == "held-out"
    assert result["student"]["fidelity"]["agreement"] > 0.8


def test_a_teacher_of_values_from_a_file_has_their_unit(tmp_path):
    data = tiny_data("regression", content="numbers")
    fitted = TorchMLPRegressor(module=small, encoder="ordinal", **FAST).fit(data.X, data.y)
    path = tmp_path / "teacher.safetensors"
    save_file(fitted.model_.state_dict(), path)
    unit = {"scale": fitted.link_.scale, "shift": fitted.link_.shift}
    teacher = load_teacher(path, small(4, 1), **unit, prepare=lambda X: X.to_numpy())
    np.testing.assert_allclose(teacher.predict(data.X), fitted.predict(data.X), rtol=1e-4)


def test_files_that_are_no_teacher_are_refused_in_one_line(tmp_path, trained):
    path, _ = trained
    pickled = tmp_path / "pickled.safetensors"
    torch.save(small(4, 3), pickled)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-10])
    for file, module, message in (
        (tmp_path / "none", lambda: small(4, 3), "there is no file"),
        (pickled, lambda: small(4, 3), "not in the format safetensors"),
        (cut, lambda: small(4, 3), "not in the format safetensors"),
        (path, lambda: small(5, 3), r"'0.weight' has the shape \(4,\), not \(5,\)"),
        (path, lambda: nn.Linear(4, 3), "lacks 'bias'"),
    ):
        with pytest.raises(FitError, match=message) as caught:
            load_teacher(file, module, classes=[0, 1, 2])
        assert "\n" not in str(caught.value)
    with pytest.raises(ParameterError, match="sorted"):
        load_teacher(path, lambda: small(4, 3), classes=["b", "a", "c"])
    with pytest.raises(ParameterError, match=r"must be a torch\.nn\.Module"):
        load_teacher(path, 3, classes=[0, 1, 2])
    with pytest.raises(FitError, match=r"outputs of shape \(5, 3\), but there are 2 classes"):
        load_teacher(path, small(4, 3), classes=[0, 1]).predict_proba(np.zeros((5, 4)))
