"""What a block of code prints, also from compiled libraries."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["captured"]


@contextlib.contextmanager
def captured() -> Iterator[list[str]]:
    """Catch what a block prints on stdout and stderr; the list's one entry is set at its end."""
    printed = [""]
    text = io.StringIO()
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        stream.flush()
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield printed
        finally:
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
        file.seek(0)
        printed[0] = text.getvalue() + file.read().decode("utf-8", "replace")
