"""Selectors that train inside a network: what they find, that gates mean what they say, pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from torch import nn

import kdcore
from kdcore import SoftTargets
from kdcore.errors import ParameterError
from kdcore.registry import default_registry
from kdcore.selection.task import task_of
from kdcore_torch.cnn import TorchCNNClassifier
from kdcore_torch.elimination import BudgetedElimination
from kdcore_torch.gated import GatedStudent, Pace
from kdcore_torch.gates import SigmoidGates
from kdcore_torch.lattice import lattice
from kdcore_torch.mlp import TorchMLPClassifier
from kdcore_torch.sparse_gates import HardConcrete, SigmoidL1, StochasticGatesSelector
from kdcore_torch.worth import missed

QUICK = {"warm_up": 4, "round_epochs": 2, "fit_steps": 60}
SELECTORS: dict[str, Any] = {
    "budgeted_elimination": partial(BudgetedElimination, **QUICK),
    "sigmoid_l1": partial(SigmoidL1, epochs=20, fit_steps=60),
    "hard_concrete": partial(HardConcrete, epochs=40, fit_steps=60),
    "stochastic_gates": partial(StochasticGatesSelector, epochs=40, fit_steps=60),
}


def table(n: int = 600, noise: int = 12, seed: int = 0) -> pd.DataFrame:
    """Two numbers and a text that matter, the rest noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, noise)), columns=[f"noise_{j}" for j in range(noise)])
    frame.insert(3, "a", rng.normal(size=n))
    frame.insert(7, "b", rng.normal(size=n))
    frame["city"] = rng.choice(["Ulm", "Bonn", "Kiel"], n)
    score = 2 * frame["a"] + 2 * frame["b"] + 2 * (frame["city"] == "Ulm")
    frame["label"] = np.where(score + rng.logistic(size=n) > 0.6, "yes", "no")
    return frame


def task(most: int = 3, estimator: Any = None, frame: pd.DataFrame | None = None) -> Any:
    data = table() if frame is None else frame
    classes, labels = np.unique(data["label"], return_inverse=True)
    made = task_of(data.drop(columns="label"), SoftTargets(labels=labels, classes=classes), most, 0)
    made.estimator = estimator
    return made


def gated(made: Any, estimator: Any = None, temperature: float = 1.0) -> GatedStudent:
    own = TorchMLPClassifier(hidden_layer_sizes=(16, 8)) if estimator is None else estimator
    rows = np.arange(len(made.X))
    return GatedStudent(made, own, partial(SigmoidGates, temperature=temperature), Pace(), rows)


def digits() -> pd.DataFrame:
    X, y = load_digits(return_X_y=True, as_frame=True)
    return X.assign(label=y).head(300)


class TestChoice:
    @pytest.mark.parametrize("name", SELECTORS)
    def test_what_matters_is_found_among_noise(self, name: str) -> None:
        made = task()
        rankings = SELECTORS[name]().rankings(made)
        *_, last = rankings.values()
        assert len({"a", "b", "city"} & set(last[:4])) >= 2
        assert sorted(last) == sorted(made.candidates)

    def test_a_network_gets_its_own_selector_where_none_is_named(self) -> None:
        result = kdcore.distill(
            table(300),
            target="label",
            teacher=RandomForestClassifier(10, random_state=0),
            student=TorchMLPClassifier(hidden_layer_sizes=(8,), max_iter=60),
            folds=2,
            recipe="fast",
            augment=0,
            max_features=4,
            keep=["noise_0"],
            drop=["city"],
        )
        told = result.report.selection
        assert told["selector"] == "budgeted_elimination"
        assert {p["ranking"] for p in told["path"]} <= {"prior", "mrmr", "path"}
        assert max(p["n_columns"] for p in told["path"]) == 4
        assert result.student.selection_path_ == told["path"]
        read = result.student.get_selected_features()
        assert "noise_0" in read
        assert "city" not in read
        assert len(read) <= 4

    def test_the_same_seed_gives_the_same_order(self) -> None:
        one, other = (BudgetedElimination(**QUICK).rankings(task())["path"] for _ in range(2))
        assert one == other

    def test_columns_to_keep_come_first_and_stay(self) -> None:
        made = task()
        made.keep = ["noise_5"]
        for make in SELECTORS.values():
            *_, last = make().rankings(made).values()
            assert last[0] == "noise_5"

    def test_fast_mode_compares_sizes_without_fits(self, monkeypatch: Any) -> None:
        def never(*args: Any, **kwargs: Any) -> Any:
            raise AssertionError("a student was fitted")

        monkeypatch.setattr(TorchMLPClassifier, "fit", never)
        made = task(8)
        selector = BudgetedElimination(fast=True, **QUICK)
        path = selector.rankings(made)["path"]
        for size in (8, 6, 4, 3, len(path)):
            assert selector.losses(made, path[:size]).shape == (len(made.held_X),)

    def test_large_tables_take_the_fast_mode_by_themselves(self, monkeypatch: Any) -> None:
        assert not BudgetedElimination()._is_fast(task())
        monkeypatch.setattr("kdcore_torch.elimination._MANY_CELLS", 100)
        assert BudgetedElimination()._is_fast(task())
        assert not BudgetedElimination(fast=False)._is_fast(task())

    def test_a_network_of_the_users_own_is_gated_too(self) -> None:
        def make(d: int, k: int) -> nn.Module:
            return nn.Sequential(nn.Linear(d, 8), nn.Tanh(), nn.Linear(8, k))

        made = task(estimator=TorchMLPClassifier(module=make))
        path = BudgetedElimination(**QUICK).rankings(made)["path"]
        assert {"a", "b"} <= set(path[:4])

    @pytest.mark.parametrize(
        ("name", "params", "words"),
        [
            ("budgeted_elimination", {"keep_rate": 1.0}, "keep_rate=1.0 must"),
            ("budgeted_elimination", {"fast": "yes"}, "fast='yes' must"),
            ("sigmoid_l1", {"l1_lambda": -1}, "l1_lambda=-1 must"),
            ("sigmoid_l1", {"factor_temperature": 0}, "factor_temperature=0 must"),
            ("hard_concrete", {"epochs": 2.5}, "epochs=2.5 must"),
            ("stochastic_gates", {"sigma": 0}, "sigma=0 must"),
        ],
    )
    def test_parameters_that_cannot_be_used_are_refused(
        self, name: str, params: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ParameterError, match=words):
            default_registry().create("selector", name, **params)

    def test_whole_numbers_may_be_written_as_the_command_line_gives_them(self) -> None:
        assert BudgetedElimination(warm_up=5.0).warm_up == 5  # type: ignore[arg-type]

    def test_a_student_that_is_no_network_is_refused_with_the_filter_to_use(self) -> None:
        with pytest.raises(ParameterError, match="use a filter such as 'prior_backward'"):
            SigmoidL1().rankings(task(estimator=object()))


class TestGates:
    def test_a_column_left_out_is_worth_what_the_network_loses_without_it(self) -> None:
        """The quick way by the first layer is the same as a whole pass."""
        made = task()
        student = gated(made)
        student.train(10, lambda gates: 0.0 * gates.n_open())
        rows = np.arange(len(made.held_X))
        base = student.losses().mean()
        owners = student.gates.owners
        slow = []
        for j in range(len(student.active)):
            changed = student.held_x.clone()
            changed[:, owners == j] = student.mean[owners == j]
            kept, student.held_x = student.held_x, changed
            slow.append(max(0.0, student.losses().mean() - base))
            student.held_x = kept
        np.testing.assert_allclose(missed(student, rows), slow, atol=1e-6)
        assert max(slow) > 0.01

    def test_a_network_of_the_users_own_counts_a_pair_of_columns_for_both(self) -> None:
        own = TorchMLPClassifier(module=nn.Linear, encoder="teacher_bins:pairs=2")
        student = gated(task(), own)
        owners, partners = student.gates.owners, student.gates.partners
        paired = owners != partners
        with torch.no_grad():
            student.module[-1].weight[:, ~paired] = 0
        worth = missed(student, np.arange(len(student.held_x)))
        assert set(np.flatnonzero(worth)) == set(
            torch.cat([owners[paired], partners[paired]]).tolist()
        )

    @pytest.mark.parametrize("encoder", ["standard", "teacher_bins:pairs=4"])
    def test_a_column_that_is_gone_is_as_one_whose_gate_is_shut(self, encoder: str) -> None:
        """Inputs made of two columns go with either of them."""
        student = gated(task(), TorchMLPClassifier(hidden_layer_sizes=(8,), encoder=encoder))
        student.train(3, lambda gates: 0.0 * gates.n_open())
        left = ["a", "city", "noise_3"]
        shut = torch.tensor([-1e9 if c not in left else 0.0 for c in student.active])
        with torch.no_grad():
            student.gates.weight += shut
        expected = student.losses()
        before = student.x.shape[1]
        student.keep(left)
        np.testing.assert_allclose(student.losses(), expected, atol=1e-6)
        assert student.x.shape[1] < before
        assert student.active == [c for c in table().columns if c in left]
        assert np.isfinite(student.train(2, lambda gates: 0.0 * gates.n_open(), look=True)).all()

    def test_a_steeper_gate_parts_columns_sooner(self) -> None:
        spread = {}
        for temperature in (0.3, 3.0):
            student = gated(task(), temperature=temperature)
            student.train(10, lambda gates: 1e-3 * gates.n_open())
            spread[temperature] = student.gate_values().std()
        assert spread[0.3] > 3 * spread[3.0]

    def test_a_dearer_gate_is_less_open(self) -> None:
        opened = {}
        for price in (0.0, 0.05):
            student = gated(task())
            student.train(10, lambda gates, price=price: price * gates.n_open())
            opened[price] = student.gate_values().sum()
        assert opened[0.05] < 0.8 * opened[0.0]

    @pytest.mark.parametrize("name", ["budgeted_elimination", "sigmoid_l1", "hard_concrete"])
    @pytest.mark.parametrize("parameter", ["factor_temperature", "l1_lambda"])
    def test_the_gates_temperature_and_price_change_what_is_chosen(
        self, name: str, parameter: str
    ) -> None:
        orders = []
        for value in (0.05, 2.0):
            *_, last = SELECTORS[name](**{parameter: value}).rankings(task()).values()
            orders.append(last)
        assert orders[0] != orders[1]

    def test_the_multiplier_drives_open_gates_to_the_budget(self) -> None:
        made = task(4)
        selector = HardConcrete(epochs=1)
        student = selector.gated(made, selector.make_gates, Pace(gate_rate=0.05))
        start = student.gates.n_open().item()
        price, each = selector.pricing(made)
        student.train(120, price, each=each)
        assert start > 12
        assert student.gates.n_open().item() < 7


class TestPixels:
    @pytest.mark.parametrize("name", SELECTORS)
    def test_a_convolutional_student_keeps_its_budget_of_pixels(self, name: str) -> None:
        made = task(12, TorchCNNClassifier(channels=(4,)), digits())
        rankings = SELECTORS[name]().rankings(made)
        assert "lattice" in rankings
        for ranking in rankings.values():
            order = ranking(12) if callable(ranking) else ranking
            assert sorted(order) == sorted(made.candidates)

    def test_lattices_compete_and_unread_pixels_do_not_count(self) -> None:
        data = digits()
        result = kdcore.distill(
            data,
            target="label",
            teacher=RandomForestClassifier(10, random_state=0),
            student=TorchCNNClassifier(channels=(4,), max_iter=20),
            folds=2,
            recipe="fast",
            augment=0,
            max_features=0.2,
            selector=BudgetedElimination(**QUICK),
        )
        assert {"lattice", "mrmr", "path", "prior"} >= {
            p["ranking"] for p in result.student.selection_path_
        }
        read = result.student.get_selected_features()
        assert len(read) <= 12
        spoilt = data.drop(columns="label")
        spoilt = spoilt.assign(**{c: -99.0 for c in spoilt if c not in read})
        np.testing.assert_array_equal(
            result.student.predict_proba(spoilt), result.student.predict_proba(data)
        )

    @given(st.integers(1, 28), st.integers(1, 28), st.integers(1, 800))
    def test_a_lattice_is_evenly_spaced_within_the_budget(
        self, height: int, width: int, most: int
    ) -> None:
        pixels = lattice(height, width, most)
        assert 1 <= len(pixels) <= min(most, height * width)
        assert len(set(pixels.tolist())) == len(pixels)
        rows, columns = np.unique(pixels // width), np.unique(pixels % width)
        assert len(pixels) == len(rows) * len(columns)
        for found in (rows, columns):
            assert len(set(np.diff(found).tolist())) <= 2
        if most >= height * width:
            assert len(pixels) == height * width

    def test_channels_of_a_pixel_stay_together_in_a_lattice(self) -> None:
        names = [f"p{i}" for i in range(3 * 16)]
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.normal(size=(60, 48)), columns=names)
        frame["label"] = (frame["p5"] > 0).astype(int)
        made = task(13, TorchCNNClassifier(input_channels=3), frame)
        order = SigmoidL1().lattices(made, made.candidates)["lattice"](13)[:12]
        assert len({int(c[1:]) % 16 for c in order}) == 4
