"""Where a network is trained: device, precision, number of threads, and global random state."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import torch

from kdcore.errors import ParameterError, first_line

__all__ = ["PRECISIONS", "autocast", "device_of", "global_seed", "most_threads", "threads"]

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}

_lock, _seed_lock = threading.Lock(), threading.Lock()
#: Users of `threads` in this process, and the number that was set before the first came.
_users: list[int] = []


def device_of(name: str) -> torch.device:
    """The device of a name; ``"auto"`` is a GPU where there is one.

    Raises
    ------
    ParameterError
        When there is no such device here.
    """
    usable = ["cpu"]
    if torch.cuda.is_available():
        usable.insert(0, "cuda")
    if torch.backends.mps.is_available():
        usable.insert(0, "mps")
    if name == "auto":
        return torch.device(usable[0])
    if str(name).partition(":")[0] not in usable:
        raise ParameterError(
            f"device={name!r} is not available here; use one of auto, {', '.join(usable)}."
        )
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        line = first_line(error)
        raise ParameterError(f"device={name!r} is not available here: {line}") from error


def autocast(device: torch.device, precision: str) -> Any:
    """A context in which matrix products run in the lower precision, if any."""
    dtype = PRECISIONS[precision]
    if dtype is None:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def most_threads(n_jobs: int | None) -> int:
    """The largest number of threads that ``n_jobs`` allows; None and -1 mean every core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if n_jobs is None:
        return cores or 1
    if not isinstance(n_jobs, int) or n_jobs == 0:
        raise ParameterError(f"n_jobs={n_jobs!r} must be a whole number other than 0, or None.")
    return n_jobs if n_jobs > 0 else max(1, (cores or 1) + 1 + n_jobs)


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let PyTorch use so many threads meanwhile; fits in other threads may do the same."""
    with _lock:
        _users.append(_users[0] if _users else torch.get_num_threads())
    torch.set_num_threads(number)
    try:
        yield
    finally:
        with _lock:
            before = _users.pop()
        torch.set_num_threads(before)


@contextlib.contextmanager
def global_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global random state meanwhile, one fit at a time, and put it back.

    Networks of users draw from it (weights, dropout); kdcore's own networks never do.
    """
    cuda = [device.index or 0] if device.type == "cuda" else []
    with _seed_lock, torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield
