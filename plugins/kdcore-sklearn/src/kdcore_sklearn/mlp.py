"""Neural network students: scikit-learn's perceptrons, fitted to soft targets by any loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer
from threadpoolctl import threadpool_limits

from kdcore import ClassifierStudent, RegressorStudent
from kdcore.parameters import number, one_of, require, seed, whole
from kdcore.short_weights import shortened
from kdcore_sklearn.network import ACTIVATIONS, Network, Training, train
from kdcore_sklearn.rows import distinct_rows
from kdcore_sklearn.state import StateMixin

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["MLPStudentClassifier", "MLPStudentRegressor", "make"]

#: Below so many rows there is too little to hold out; the steps are limited instead.
_FEWEST_HELD, _STEPS_A_ROW = 10, 20
#: Rows that are predicted at a time.
_PART = 8192
#: Rows on which the importances are taken.
_PROBED = 1000


class _MLPStudent(StateMixin):
    """Constructor, training and export that both students share.

    scikit-learn's own ``fit`` takes labels only. Here the same network is trained by Adam on any
    loss; what results is a genuine scikit-learn model.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(64, 32)
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
    learning_rate_init : float, default=0.008
        It falls to 0 along a cosine. Of all parameters this one matters most.
    batch_size : int or "auto", default="auto"
        Rows of a gradient step. "auto" is 128, or a 256th of the table where that is more.
    max_iter : int, default=5000
        Most gradient steps (scikit-learn counts passes over the table), and the length of the
        cosine.
    l2 : float, default=0.2
        Weight decay, decoupled from the gradient (AdamW): a weight shrinks by ``l2`` times the
        learning rate in each step.
    early_stopping : bool, default=True
        Hold out some rows, stop when their loss no longer falls, and keep the weights that were
        best for them. Tables of under 10 held-out rows are trained on as a whole.
    validation_fraction : float, default=0.1
        Share of the held-out rows.
    random_state : int, default=0
    alpha, temperature, loss, encoder, features
        See `kdcore.ClassifierStudent`.

    Attributes
    ----------
    model_ : sklearn.neural_network.{model}
        The fitted network of the encoded columns, usable on its own.
    coefs_, intercepts_ : lists of arrays
        Those of ``model_``.
    n_iter_ : int
        Gradient steps done.
    loss_curve_ : list of float
        The loss on held-out rows, at up to 50 moments of the training.

    Papers: Kingma, Ba 2015 (Adam), arXiv:1412.6980; Loshchilov, Hutter 2019 (decoupled weight
    decay), arXiv:1711.05101; Polyak, Juditsky 1992 (averaging).
    """

    uses_gradient = True
    uses_steps = True

    encoder_: Any
    model_: MLPClassifier | MLPRegressor

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (64, 32),
        activation: str = "relu",
        learning_rate_init: float = 0.008,
        batch_size: int | str = "auto",
        max_iter: int = 5000,
        l2: float = 0.2,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        random_state: Any = 0,
        alpha: float = 0.7,
        temperature: float = 1.0,
        loss: Any = None,
        encoder: Any = "standard",
        features: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.l2 = l2
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.alpha = alpha
        self.temperature = temperature
        self.loss = loss
        self.encoder = encoder
        self.features = features

    def _train(
        self,
        Z: np.ndarray,
        rows: np.ndarray,
        targets: SoftTargets,
        loss: Loss,
        n_outputs: int,
        logits: Any,
    ) -> Network:
        """A network fitted to those rows of Z, which are not copied, and their targets."""
        hidden = np.atleast_1d(self.hidden_layer_sizes).tolist()
        rng = np.random.default_rng(_seed(self.random_state))
        network = Network([Z.shape[1], *hidden, n_outputs], self.activation, rng)
        held = int(self.validation_fraction * len(rows)) if self.early_stopping else 0
        held = 0 if held < _FEWEST_HELD else held
        batch = max(128, len(rows) // 256) if self.batch_size == "auto" else int(self.batch_size)
        plan = Training(
            steps=self.max_iter if held else min(self.max_iter, _STEPS_A_ROW * len(rows)),
            batch=batch,
            learning_rate=self.learning_rate_init,
            l2=self.l2,
            held=held,
        )
        # One thread is faster for matrices as small as these, and gives the same bits everywhere.
        with threadpool_limits(1, user_api="blas"):
            self.n_iter_, self.loss_curve_ = train(
                network, Z, rows, targets, loss, logits, plan, rng
            )
            for weights in network.weights:
                weights[:] = shortened(weights)
            probe = Z[rows[:: -(-len(rows) // _PROBED)]]
            # A column at a time: over the whole table it would take another copy.
            spread = np.array([np.std(column[rows], dtype=float) for column in Z.T])
            self._importances = (network.sensitivity(probe) * spread).astype(np.float32)
        return network

    def check_params(self) -> None:
        require(
            self,
            hidden_layer_sizes=_layers,
            activation=one_of(*ACTIVATIONS),
            learning_rate_init=number(above=0),
            batch_size=whole(1, also=("auto",)),
            max_iter=whole(1),
            l2=number(least=0),
            validation_fraction=number(above=0, below=1),
            random_state=seed,
        )

    def _fill(self, model: Any, network: Network, scale: float = 1.0, shift: float = 0.0) -> None:
        """Make a scikit-learn model of a network whose output is to be scaled and shifted."""
        model.coefs_ = [w.copy() for w in network.weights]
        model.intercepts_ = [b.copy() for b in network.biases]
        if (scale, shift) != (1.0, 0.0):
            model.coefs_[-1] = model.coefs_[-1].astype(np.float64) * scale
            model.intercepts_[-1] = model.intercepts_[-1].astype(np.float64) * scale + shift
        model.n_layers_ = len(network.weights) + 1
        model.n_outputs_ = network.weights[-1].shape[1]
        model.n_features_in_ = network.weights[0].shape[0]
        model.n_iter_ = self.n_iter_
        model.loss_curve_ = self.loss_curve_
        model.loss_ = self.loss_curve_[-1]
        model.best_loss_ = min(self.loss_curve_)
        self.model_ = model

    def _own(self) -> dict[str, Any]:
        """Parameters of the scikit-learn model that have the same meaning there."""
        names = ("hidden_layer_sizes", "activation", "learning_rate_init", "random_state")
        return {name: getattr(self, name) for name in names}

    def encoded_importances(self) -> np.ndarray:
        """How far the outputs move with one standard deviation of each encoded column."""
        return self._importances.astype(float)

    @property
    def coefs_(self) -> list[np.ndarray]:
        return list(self.model_.coefs_)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        return list(self.model_.intercepts_)

    def to_onnx(self) -> Any:
        """ONNX model from encoded rows to class probabilities, or to values."""
        from kdcore.graph import perceptron

        model = self.model_
        return perceptron(
            model.coefs_,
            model.intercepts_,
            activation=model.activation,
            link=model.out_activation_,
        )


class MLPStudentClassifier(_MLPStudent, ClassifierStudent):
    __doc__ = f"A small neural network that classifies.\n{_MLPStudent.__doc__}".replace(
        "{model}", "MLPClassifier"
    )

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        rows, targets = distinct_rows(Z, targets, loss.alpha)
        binary = targets.n_classes == 2
        logits = (_both, _margin) if binary else (_same, _same)
        network = self._train(Z, rows, targets, loss, 1 if binary else targets.n_classes, logits)
        model = MLPClassifier(**self._own())
        model.out_activation_ = "logistic" if binary else "softmax"
        model.classes_ = np.asarray(targets.classes)
        model._label_binarizer = LabelBinarizer().fit(model.classes_)
        self._fill(model, network)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return _in_double(self.model_.predict_proba, Z)


class MLPStudentRegressor(_MLPStudent, RegressorStudent):
    __doc__ = (
        "A small neural network that predicts numbers; it scales them itself.\n"
        f"{_MLPStudent.__doc__}".replace("{model}", "MLPRegressor")
    )

    def fit_encoded(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        rows, targets = distinct_rows(Z, targets, loss.alpha)
        values, weight = targets.blended(loss.alpha), targets.sample_weight
        shift = float(np.average(values, weights=weight))
        scale = float(np.sqrt(np.average((values - shift) ** 2, weights=weight))) or 1.0

        def to_values(output: np.ndarray) -> np.ndarray:
            return output[:, 0].astype(np.float64) * scale + shift

        network = self._train(Z, rows, targets, loss, 1, (to_values, lambda grad: grad[:, None]))
        model = MLPRegressor(**self._own())
        model.out_activation_ = "identity"
        self._fill(model, network, scale, shift)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        return _in_double(self.model_.predict, Z)


def _in_double(ask: Callable[[np.ndarray], np.ndarray], Z: np.ndarray) -> np.ndarray:
    """Predictions that do not depend on what other rows they are made with, part by part."""
    parts = [ask(Z[i : i + _PART].astype(np.float64)) for i in range(0, max(len(Z), 1), _PART)]
    return np.concatenate(parts)


def _layers(sizes: Any) -> str | None:
    """A rule; without a hidden layer the network would be a linear model, badly fitted."""
    hidden = np.atleast_1d(np.asarray(sizes, dtype=object)).tolist()
    fine = len(hidden) > 0 and all(whole(1)(h) is None for h in hidden)
    return None if fine else "be whole numbers of at least 1, such as (64, 32)"


def _both(output: np.ndarray) -> np.ndarray:
    """The logits -z/2 and z/2 of a single output z."""
    return np.hstack([output, output]) * np.array([-0.5, 0.5], dtype=output.dtype)


def _margin(grad: np.ndarray) -> np.ndarray:
    return (grad[:, 1:] - grad[:, :1]) / 2


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _seed(random_state: Any) -> Any:
    if hasattr(random_state, "randint"):
        return int(random_state.randint(2**31 - 1))
    return random_state


def make(task: str) -> MLPStudentClassifier | MLPStudentRegressor:
    """Factory of the spec ``sklearn_mlp``."""
    return MLPStudentRegressor() if task == "regression" else MLPStudentClassifier()
