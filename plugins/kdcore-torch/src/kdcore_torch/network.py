"""What students and teachers share: parameters, training, prediction and importances."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from kdcore.errors import ParameterError
from kdcore_torch.devices import PRECISIONS, device_of, global_seed, most_threads, threads
from kdcore_torch.engine import outputs, train
from kdcore_torch.layers import ACTIVATIONS
from kdcore_torch.links import Link, link_of
from kdcore_torch.modules import ARCHITECTURE, check_outputs, own_module, refuse_unused
from kdcore_torch.plan import SCHEDULES, Training
from kdcore_torch.rows import chunks, distinct, mapped

if TYPE_CHECKING:
    from kdcore import Loss, SoftTargets

__all__ = ["TorchNetwork", "is_count", "widths_of"]

#: Below so many rows there is too little to hold out; the steps are limited instead.
_FEWEST_HELD, _STEPS_A_ROW = 10, 20
_MOST_HELD = 20_000
#: Rows, times outputs, on which the importances are taken.
_PROBED = 2000


class TorchNetwork:
    """Mixin of all estimators here. A subclass has the parameters that `_plan` reads, and writes
    ``_shape`` and ``_build``.
    """

    model_: nn.Module
    link_: Link
    encoder_: Any
    #: Parameters that only hidden layers read.
    _of_hidden: ClassVar[tuple[str, ...]] = ("activation", "batch_norm", "dropout")

    hidden_layer_sizes: Any
    activation: str
    batch_norm: bool
    dropout: float
    module: Any
    learning_rate_init: float
    schedule: str
    batch_size: Any
    max_iter: int
    l2: float
    clip: float | None
    averaging: float
    early_stopping: Any
    validation_fraction: float
    device: str
    precision: str
    n_jobs: int | None
    memory_limit: float
    on_step: Any
    keep_on_interrupt: bool
    random_state: Any

    def _shape(self, Z: np.ndarray) -> Any:
        """Size of the network's input: d, or (C, H, W)."""
        return Z.shape[1]

    def _front(self, Z: np.ndarray, shape: Any, weight: np.ndarray, rows: np.ndarray) -> Any:
        """A layer before the network, from encoded columns to its input, and layers that only
        work in training; none by default.
        """
        return []

    def _build(self, shape: Any, n_outputs: int, generator: torch.Generator) -> nn.Module:
        raise TypeError(f"{type(self).__name__} must define _build")

    def _fit_network(self, Z: np.ndarray, targets: SoftTargets, loss: Loss) -> None:
        """Train a new network on encoded rows; sets ``model_``, ``link_`` and the history."""
        self._check()
        device, seed = device_of(self.device), self._seed()
        rows, targets = distinct(Z, targets, loss.alpha)
        shape = self._shape(Z)
        widths = widths_of(targets)
        # Only networks of users draw from the global random state.
        own = self.module is not None
        with global_seed(seed, device) if own else contextlib.nullcontext():
            if own:
                network = own_module(self.module, shape, widths[0])
            else:
                network = self._build(shape, widths[0], torch.Generator().manual_seed(seed))
            front = self._front(Z, shape, targets.sample_weight, rows)
            network = nn.Sequential(*front, network) if front else network
            width = check_outputs(network, torch.from_numpy(Z[rows[:2]]), widths)
            self.link_ = link_of(targets, loss, width)
            plan = self._plan(targets, device, seed)
            self._check_batches(len(rows) - plan.held, plan.batch, network)
            history = train(network, Z, rows, targets, loss, self.link_, plan)
        self._finish(network)
        self.model_ = network
        self.n_iter_, self.loss_curve_ = history.steps, history.values
        self.n_threads_ = history.threads
        self._importances = self._sensitivity(Z[rows[:: -(-len(rows) * widths[0] // _PROBED)]])

    def _finish(self, network: nn.Module) -> None:
        """What is done to a trained network; nothing by default."""

    def _rebuilt(
        self, shape: Any, weights: dict[str, torch.Tensor], own: nn.Module | None
    ) -> nn.Module:
        """The fitted network from its weights; ``own``: a user's network to be filled."""
        n_classes = len(getattr(self, "classes_", ()))
        width = n_classes if n_classes > 2 else 1
        network = self._build(shape, width, torch.Generator()) if own is None else own
        front = self._saved_front(shape, weights)
        network = nn.Sequential(*front, network) if front else network
        network.load_state_dict(weights)
        return network.float().eval()

    def _saved_front(self, shape: Any, weights: dict[str, torch.Tensor]) -> list[nn.Module]:
        """What `_front` made, from the weights of the whole network."""
        return []

    def _plan(self, targets: SoftTargets, device: torch.device, seed: int) -> Training:
        n = len(targets)
        held = int(self.validation_fraction * n) if self._stops_early(targets) else 0
        held = 0 if held < _FEWEST_HELD else min(held, _MOST_HELD)
        return Training(
            steps=self.max_iter if held else min(self.max_iter, _STEPS_A_ROW * n),
            batch=max(128, n // 256) if self.batch_size == "auto" else int(self.batch_size),
            learning_rate=self.learning_rate_init,
            schedule=self.schedule,
            l2=self.l2,
            clip=self.clip,
            averaging=self.averaging,
            held=held,
            patience=0.3,
            device=device,
            precision=self.precision,
            threads=most_threads(self.n_jobs),
            seed=seed,
            on_step=self.on_step,
            keep_on_interrupt=self.keep_on_interrupt,
        )

    def _check_batches(self, n: int, batch: int, network: nn.Module) -> None:
        """Refuse batches that n rows to train on, or batch norm, cannot do with."""
        if self.batch_size != "auto" and batch > n:
            raise ParameterError(
                f"batch_size={self.batch_size!r} is larger than the {n} different rows to train "
                f"on; use 'auto' or at most {n}."
            )
        norm = nn.modules.batchnorm._BatchNorm
        normed = any(isinstance(part, norm) for part in network.modules())
        if normed and n // -(-n // batch) < 2:
            what = "the table has one sample to train on" if n < 2 else f"batch_size={batch}"
            raise ParameterError(
                f"batch_norm needs two rows in each batch, but {what}; give more rows, or use "
                "batch_norm=False."
            )

    def _stops_early(self, targets: SoftTargets) -> bool:
        if self.early_stopping != "auto":
            return bool(self.early_stopping)
        # A teacher's labels of rows that it has seen, or of synthetic ones, are no judge: a
        # student that follows them ever closer looks ever better.
        return targets.provenance != "in-sample" and float(np.mean(targets.unlabeled)) <= 0.5

    def _predict_network(self, Z: np.ndarray) -> np.ndarray:
        # In double precision a prediction does not depend on what other rows it is made with.
        # Networks of users may not be able to.
        return self.link_.predict(outputs(self.model_, Z, double=self.module is None))

    def _encoded(self, frame: Any) -> np.ndarray:
        """Encoded rows; on disk where they are larger than ``memory_limit``."""

        def encode(part: slice) -> np.ndarray:
            whole = part.start == 0 and part.stop == len(frame)
            return np.asarray(self.encoder_.transform(frame if whole else frame.iloc[part]))

        width = len(self.encoder_.owners_)
        return np.asanyarray(mapped(encode, len(frame), width, float(self.memory_limit)))

    def _by_parts(self, frame: Any, predict: Any) -> np.ndarray:
        """``predict`` of a frame, part by part."""
        return np.concatenate([predict(frame.iloc[part]) for part in chunks(len(frame))])

    def _sensitivity(self, Z: np.ndarray) -> np.ndarray:
        """How far the outputs move with one standard deviation of each encoded column, (d,).

        Root mean square of the derivative at the rows ``Z``, times the deviation. Outputs are
        centred over each other, since a softmax is blind to what they share.
        Paper: Ruck, Rogers, Kabrisky 1990 (feature selection using a multilayer perceptron).
        """
        x = torch.from_numpy(np.ascontiguousarray(Z))
        spread = torch.nan_to_num(x.double()).std(dim=0, correction=0)
        x.requires_grad_()
        total = torch.zeros(Z.shape[1], dtype=torch.float64)
        with threads(1), torch.enable_grad():
            output = self.model_(x).reshape(len(x), -1)
            if output.shape[1] > 1:
                output = output - output.mean(dim=1, keepdim=True)
            for k in range(output.shape[1]):
                (grad,) = torch.autograd.grad(output[:, k].sum(), x, retain_graph=True)
                total += torch.nan_to_num(grad).double().square().mean(dim=0)
        return np.asarray(total.sqrt() * spread, dtype=np.float32)

    def _seed(self) -> int:
        state = self.random_state
        if hasattr(state, "randint"):
            return int(state.randint(2**31 - 1))
        if state is None:
            return int(np.random.default_rng().integers(2**31 - 1))
        return int(state)

    def _check(self) -> None:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        if not all(is_count(h) for h in hidden):
            raise ParameterError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} must be whole numbers above 0, "
                "such as (64, 32)."
            )
        self._hidden: list[int] = [int(h) for h in hidden]
        choices: dict[str, Any] = {
            "activation": ACTIVATIONS,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"{name}={getattr(self, name)!r} must be one of {', '.join(known)}."
                )
        rules = {
            "dropout": (0 <= self.dropout < 1, "lie in [0, 1)"),
            "learning_rate_init": (self.learning_rate_init > 0, "be above 0"),
            "batch_size": (
                self.batch_size == "auto"
                or (not isinstance(self.batch_size, str) and self.batch_size >= 1),
                "be 'auto' or at least 1",
            ),
            "max_iter": (self.max_iter >= 1, "be at least 1"),
            "l2": (self.l2 >= 0, "not be negative"),
            "clip": (self.clip is None or self.clip > 0, "be above 0, or None"),
            "averaging": (0 <= self.averaging < 1, "lie in [0, 1)"),
            "early_stopping": (self.early_stopping in (True, False, "auto"),
                               "be True, False or 'auto'"),
            "validation_fraction": (0 < self.validation_fraction < 1, "lie between 0 and 1"),
            "memory_limit": (self.memory_limit >= 0, "not be negative"),
            "keep_on_interrupt": (self.keep_on_interrupt in (True, False), "be True or False"),
            "on_step": (self.on_step is None or callable(self.on_step), "be callable, or None"),
        }  # fmt: skip
        for name, (ok, rule) in rules.items():
            if not ok:
                raise ParameterError(f"{name}={getattr(self, name)!r} must {rule}.")
        if self.module is not None:
            refuse_unused(
                self,
                ARCHITECTURE,
                "is of kdcore's own network, but module= brings another; leave one of them out.",
            )
        elif not self._hidden:
            refuse_unused(
                self,
                self._of_hidden,
                "is of hidden layers, but hidden_layer_sizes=() has none; leave it out.",
            )


def widths_of(targets: SoftTargets) -> tuple[int, ...]:
    """Numbers of outputs that a network may have; the first is what kdcore's own have."""
    if targets.task == "multiclass":
        return (targets.n_classes,)
    return (1, 2) if targets.task == "binary" else (1,)


def is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0)
