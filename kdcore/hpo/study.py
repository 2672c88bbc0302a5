"""The Optuna study of a search: where it is kept, which setting is next, which trial is stopped.

Optuna prunes studies of one objective only. Here a trial is stopped after a part of the rows where
a finished one is as quick, reads no more columns, and has on the same rows a loss that is
smaller by more than the standard error of the difference, taken as if the two were independent.
Both are judged by the same rows, which makes the true error smaller: the rule is on the safe side.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import KDError, first_line
from kdcore.hpo.trial import Judged, together

if TYPE_CHECKING:
    from kdcore.hpo.space import Space
    from kdcore.hpo.trial import Judge

__all__ = ["Objective", "finished", "make_study", "quiet", "require_optuna"]

#: Seconds between signs of life of a trial, and of silence after which it counts as dead.
_BEAT, _GRACE = 10, 40
_ATTEMPTS = 4


def require_optuna() -> Any:
    """Import Optuna.

    Raises
    ------
    KDError
        When it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise KDError(
            'a search needs Optuna, which is not installed; run `pip install "kdcore[search]"`.'
        ) from None
    return optuna


@contextmanager
def quiet() -> Iterator[None]:
    """Neither Optuna's log nor its warnings of what may change in later versions."""
    optuna = require_optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def make_study(storage: str | None, name: str) -> Any:
    """The study of that name, made unless it is there.

    Parameters
    ----------
    storage : str or None
        A file (SQLite), or a URL as SQLAlchemy takes it. None keeps it in memory.
    name : str

    Raises
    ------
    KDError
        When it cannot be used.
    """
    optuna = require_optuna()
    for attempt in range(_ATTEMPTS):
        try:
            return optuna.create_study(
                storage=None if storage is None else _database(storage),
                study_name=name,
                directions=["minimize"] * 3,
                load_if_exists=True,
            )
        except Exception as error:
            # Another process may be making the same tables, or the same study, right now.
            if attempt + 1 < _ATTEMPTS:
                time.sleep(0.1 * 2**attempt)
                continue
            line = first_line(error)
            raise KDError(
                f"the search cannot be kept in '{storage}' (--storage): {line}. Name a file in a "
                "folder that can be written to."
            ) from error
    raise AssertionError("unreachable")


def _database(storage: str) -> Any:
    optuna = require_optuna()
    url = storage if "://" in storage else f"sqlite:///{storage}"
    # Several processes may write at a time; one waits for another.
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None
    return optuna.storages.RDBStorage(
        url, engine_kwargs=options, heartbeat_interval=_BEAT, grace_period=_GRACE
    )


def finished(study: Any) -> list[Any]:
    """All trials that came to an end: judged, stopped or failed."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


class Objective:
    """What Optuna calls for each trial.

    Parameters
    ----------
    space : Space
    judge : Judge
    root : bool
        Whether the score is the root of the mean loss (RMSE).
    seed : int
        Trial number i draws with ``seed + i``, so that several processes draw differently.
    """

    def __init__(self, space: Space, judge: Judge, *, root: bool, seed: int) -> None:
        self.space, self.judge, self.root, self.seed = space, judge, root, seed

    def __call__(self, trial: Any) -> tuple[float, float, float]:
        optuna = require_optuna()
        trial.study.sampler = optuna.samplers.TPESampler(
            seed=(self.seed + trial.number) % 2**32, constant_liar=True
        )
        setting = self.space.draw(trial)
        trial.set_user_attr("student", setting.student)
        trial.set_user_attr("learns_from", "soft labels" if setting.teacher else "labels")
        trial.set_user_attr("setting", {k: _plain(v) for k, v in setting.to_dict().items()})
        parts: list[Judged] = []
        latency = float("inf")
        last = len(self.judge.lessons) - 1
        for number in range(last + 1):
            try:
                model = self.judge.fit(setting, number)
            except KDError as error:
                trial.set_user_attr("error", str(error))
                raise
            if number == 0:
                latency = self.judge.latency(model)
                trial.set_user_attr("latency_us", latency)
            parts.append(self.judge.judge(model, number))
            trial.set_user_attr("parts", [[p.loss, p.variance, p.weight] for p in parts])
            if number < last:
                other = _better(trial.study, parts, latency, setting.columns)
                if other is not None:
                    trial.set_user_attr("stopped_by", other)
                    raise optuna.TrialPruned
        loss, variance = together(parts)
        score = np.sqrt(loss) if self.root else loss
        # Of the root, to first order.
        spread = np.sqrt(variance) / (2 * score if self.root else 1)
        trial.set_user_attr("se", float(spread))
        return float(score), latency, float(setting.columns)


def _better(study: Any, parts: list[Judged], latency: float, columns: int) -> int | None:
    """Number of a finished trial that is better in all respects on the rows judged so far."""
    loss, variance = together(parts)
    for other in finished(study):
        if other.values is None or len(other.values) != 3:
            continue
        if other.values[1] > latency or other.values[2] > columns:
            continue
        own, spread = together([Judged(*p) for p in other.user_attrs["parts"][: len(parts)]])
        if own < loss - np.sqrt(variance + spread):
            return int(other.number)
    return None


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
