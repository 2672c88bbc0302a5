"""Rows of the benchmark of column selection: who chooses, and how well a student then does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.selection_tables import Split, Table
from sklearn.base import clone

import kdcore
from kdcore.bundle import pack
from kdcore.encoders import make_encoder
from kdcore.evaluation import metrics
from kdcore.registry import default_registry
from kdcore.selection import ColumnWishes
from kdcore.selection.probes import row_losses_to
from kdcore.selection.search import _chosen
from kdcore.selection.task import sizes

__all__ = ["OWN", "PEERS", "Rows"]

OWN = "budgeted_elimination"
PEERS = ("sigmoid_l1", "teacher_gain", "mrmr", "lassonet")


class Rows:
    """The rows of one table and seed; each is made when it is called, with its seconds of CPU."""

    def __init__(self, table: Table, make: Callable[[], Split], seed: int) -> None:
        self.table, self._make, self.seed = table, make, seed
        self.kind = "regression" if table.regression else "classification"

    @cached_property
    def split(self) -> Split:
        return self._make()

    @cached_property
    def prior_seconds(self) -> float:
        """Of the teacher's opinion, which is made once for all rows."""
        task, start = self.split.task, time.process_time()
        task.estimator = self._student("pytorch_mlp").set_params(alpha=0.5)
        task.prior()
        return time.process_time() - start

    def all(self) -> dict[str, Callable[[], dict[str, float]]]:
        """What makes each row, by its name."""
        table, k, most = self.table, self.table.k, self.table.ceiling
        found: dict[str, Callable[[], dict[str, float]]] = {"all columns": self._everything}
        if table.relevant is not None:
            found["relevant columns"] = self._relevant
        for name in (OWN, *PEERS):
            found[f"{name} = {k}"] = lambda name=name: self._by(name, [k])
        if most is not None:
            found[f"{OWN} <= {most}"] = lambda: self._by(OWN, sizes(most))
            found[f"{OWN} fast <= {most}"] = lambda: self._by(OWN, sizes(most), fast=True)
            found[f"sigmoid_l1 = {most}"] = lambda: self._by("sigmoid_l1", [most])
        else:
            found[f"{OWN} fast <= {k}"] = lambda: self._by(OWN, sizes(k), fast=True)
        for student in table.others:
            found[f"{student}: all"] = lambda s=student: self._other(s, None)
            for way in ("prior_backward", "teacher_prior", "mrmr"):
                found[f"{student}: {way} = {k}"] = lambda s=student, w=way: self._other(s, w, [k])
            found[f"{student}: prior_backward <= {k}"] = lambda s=student: self._other(
                s, "prior_backward", sizes(k)
            )
        if table.again:
            found["distill, all columns"] = lambda: self._distilled(None, "never")
            for limit in [k] if most is None else [k, most]:
                for relabel in ("never", "auto"):
                    found[f"distill, relabel={relabel} <= {limit}"] = (
                        lambda limit=limit, relabel=relabel: self._distilled(limit, relabel)
                    )
        return found

    def _student(self, name: str) -> Any:
        blank = default_registry().create("student", name, task=self.kind)
        seeded = {"random_state": self.seed} if "random_state" in blank.get_params() else {}
        return blank.set_params(**seeded)

    def _row(self, columns: list[str], seconds: float, estimator: Any = None) -> dict[str, float]:
        task, made = self.split.task, self.split
        start = time.process_time()
        own = clone(task.estimator if estimator is None else estimator)
        targets = task.targets if estimator is None else task.targets.plain()
        student = own.set_params(features=columns).fit(task.X, targets)
        fit = time.process_time() - start
        # What the file of the student reads counts, and the other columns need not be there.
        saved = pack(student, made.test, state=False).bundle
        assert set(saved.features) <= set(columns)
        test = made.test[columns]
        output = saved.predict(test) if saved.classes is None else saved.predict_proba(test)
        return {**self._told(output), "columns": len(columns), **self._counts(columns),
                "seconds": seconds, "fit": fit}  # fmt: skip

    def _told(self, output: np.ndarray) -> dict[str, float]:
        classes, y = self.split.task.targets.classes, self.split.y
        told = metrics(output, y, classes, np.ones(len(y)))
        return {s: told[s] for s in (("rmse", "r2") if classes is None else
                                     ("accuracy", "log_loss"))}  # fmt: skip

    def _counts(self, columns: list[str]) -> dict[str, float]:
        relevant = self.split.relevant
        if not relevant:
            return {}
        found = len(relevant & set(columns))
        return {"relevant": found, "useless": len(columns) - found}

    def _everything(self) -> dict[str, float]:
        seconds = self.prior_seconds
        return self._row(self.split.task.candidates, seconds)

    def _relevant(self) -> dict[str, float]:
        assert self.prior_seconds >= 0
        return self._row([c for c in self.split.task.candidates if c in self.split.relevant], 0.0)

    def _by(self, name: str, wanted: list[int], *, fast: bool = False) -> dict[str, float]:
        """The columns that a selector chooses, and the pytorch_mlp that reads them."""
        task, prior = self.split.task, self.prior_seconds
        start = time.process_time()
        task.most = wanted[0]
        if name == "lassonet":
            return self._row(_lassonet(task, wanted[0]), time.process_time() - start)
        told = {"fast": True} if fast else {}
        selector = default_registry().create("selector", name, **told)
        columns = _best(selector, task, wanted, lambda columns: selector.losses(task, columns))
        seconds = time.process_time() - start
        # A gate knows no teacher; the others asked the one whose opinion was made before.
        asked = prior if name in (OWN, "teacher_gain") else 0.0
        task._kept = {k: v for k, v in task._kept.items() if not k.startswith(("losses", "seen"))}
        return self._row(columns, seconds + asked)

    def _other(
        self, name: str, selector: str | None, wanted: list[int] | None = None
    ) -> dict[str, float]:
        """Another student, taught by labels alone."""
        task, student = self.split.task, self._student(name)
        if selector is None or wanted is None:
            return self._row(task.candidates, 0.0, student)
        prior, start = self.prior_seconds, time.process_time()
        known = task.targets.plain()

        def fit(columns: Any) -> Any:
            return clone(student).set_params(features=list(columns)).fit(task.X, known)

        def losses(columns: list[str]) -> np.ndarray:
            model = fit(columns)
            output = (
                model.predict(task.held_X)
                if known.classes is None
                else (model.predict_proba(task.held_X))
            )
            return row_losses_to(output, task.held_targets.plain())

        task.student, task.most = fit, wanted[0]
        columns = _best(default_registry().create("selector", selector), task, wanted, losses)
        task.student = None
        return self._row(columns, time.process_time() - start + prior, student)

    def _distilled(self, limit: int | None, relabel: str) -> dict[str, float]:
        """All of `kdcore.distill`: four fifths of the rows to learn from and to choose by."""
        task, made = self.split.task, self.split
        known = pd.concat([task.X, task.held_X]).assign(target=made.known_y)
        start = time.process_time()
        result = kdcore.distill(
            known,
            target="target",
            test=made.test.assign(target=made.y),
            teacher="xgboost",
            teacher_params={"n_estimators": self.table.trees},
            student="pytorch_mlp",
            recipe="fast",
            augment=0,
            max_features=limit,
            relabel=relabel,
            random_state=self.seed,
            n_jobs=1,
        )
        seconds = time.process_time() - start
        columns = result.student.get_selected_features()
        return {**self._told(result.student.predict_proba(made.test[columns])),
                "columns": len(columns), **self._counts(columns),
                "seconds": seconds, "fit": 0.0}  # fmt: skip


def _best(
    selector: Any, task: Any, wanted: list[int], losses: Callable[[list[str]], np.ndarray]
) -> list[str]:
    """The set that a user would get: see `kdcore.selection.search`."""
    rankings = selector.rankings(task)
    sets: dict[frozenset[str], list[str]] = {}
    for size in wanted:
        for ranking in rankings.values():
            columns = (ranking(size) if callable(ranking) else ranking)[:size]
            sets.setdefault(frozenset(columns), columns)
    if len(sets) == 1:
        return next(iter(sets.values()))
    trials = [("", columns, losses(columns)) for columns in sets.values()]
    m = len(task.held_targets)
    return trials[_chosen(trials, np.full(m, 1 / m), ColumnWishes().tolerance)[0]][1]


class _Enough(Exception):
    """LassoNet's path has come down to the budget."""


def _lassonet(task: Any, k: int) -> list[str]:
    """LassoNet (Lemhadri et al. 2021) by its authors' code: https://github.com/lasso-net/lassonet.

    Its network has the student's layers and reads the same encoded rows, a one-hot group as one of
    its ``groups``; held-out rows stop it. The path of penalties, each 10 % above the last, is
    walked until at most k columns are left; where more than one went in the last step, those with
    the largest weights before it fill the budget.
    """
    import torch
    from lassonet import LassoNetClassifier, LassoNetRegressor

    encoder = make_encoder("standard").fit(
        task.X[task.candidates], task.targets, task.targets.sample_weight
    )
    Z, held = (encoder.transform(X[task.candidates]) for X in (task.X, task.held_X))
    owners = np.asarray(encoder.owners_)
    groups = [np.flatnonzero(owners == j).tolist() for j in range(len(task.candidates))]
    regression = task.targets.classes is None
    kind = LassoNetRegressor if regression else LassoNetClassifier
    before = np.full(len(groups), np.inf)
    left = np.ones(len(groups), dtype=bool)

    def walked(model: Any, history: list[Any]) -> None:
        nonlocal before, left
        weight = model.model.skip.weight.detach().numpy()
        norms = np.array([np.linalg.norm(weight[:, group]) for group in groups])
        left = norms > 0
        if left.sum() <= k:
            raise _Enough
        before = norms

    model = kind(
        hidden_dims=(64, 32),
        groups=groups,
        path_multiplier=1.1,
        verbose=0,
        device="cpu",
        torch_seed=task.random_state,
    )
    known, judged = task.targets.labels, task.held_targets.labels
    if regression:
        mean, scale = known.mean(), known.std()
        known, judged = ((y - mean) / scale for y in (known, judged))
        known, judged = known.astype(np.float32), judged.astype(np.float32)
    torch.manual_seed(task.random_state)
    with contextlib.suppress(_Enough):
        model.path(Z, known, X_val=held, y_val=judged, callback=walked, disable_lambda_warning=True)
    order = sorted(range(len(groups)), key=lambda j: (not left[j], -before[j]))
    return [task.candidates[j] for j in order[:k]]
