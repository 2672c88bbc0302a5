"""`Session`: an ONNX model that can be run, also by a process that was forked."""

from __future__ import annotations

import os
import weakref
from typing import Any

from kdcore.errors import BundleError, first_line

__all__ = ["Session"]


class Session:
    """A session of ONNX Runtime on the CPU.

    Parameters
    ----------
    model : bytes
        Checked by `kdcore.onnx_guard.check_model` before.
    threads : int
        For one call.

    Raises
    ------
    BundleError
        When ONNX Runtime refuses the model.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        self._session: Any = _open(model, threads)
        self._threads = threads
        self._model = b""
        if threads > 1:
            self._model = model
            _THREADED.add(self)

    def get_inputs(self) -> Any:
        """The model's inputs, as ONNX Runtime tells them."""
        return self._session.get_inputs()

    def get_outputs(self) -> Any:
        """The model's outputs, as ONNX Runtime tells them."""
        return self._session.get_outputs()

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        """The outputs of these names for a mapping of inputs to arrays."""
        if self._session is None:
            self._session = _open(self._model, self._threads)
        found: list[Any] = self._session.run(names, feed)
        return found


def _open(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            # It would try the same again, and print so on stdout.
            enable_fallback=0,
        )
    except Exception as error:
        reason = first_line(error)
        raise BundleError(f"holds a model that cannot be run: {reason}") from error


#: Sessions that have threads, which a forked process lacks, and sessions of a parent, which would
#: wait for theirs if they were ever closed.
_THREADED: weakref.WeakSet[Session] = weakref.WeakSet()
_LEFT: list[Any] = []


def _after_fork() -> None:
    for session in list(_THREADED):
        _LEFT.append(session._session)
        session._session = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
