"""Finished pairs of a comparison on disk, so that a killed run loses none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kdcore
from kdcore.errors import KDError
from kdcore.files import atomic_path
from kdcore.label_cache import fingerprint

if TYPE_CHECKING:
    from kdcore.splits import Data

__all__ = ["PairStore", "model_key"]


class PairStore:
    """Finished pairs in a folder, one file each.

    Parameters
    ----------
    folder : str, Path or None
        None keeps nothing.
    rows : Data
    settings : list
        All else that pairs depend on, apart from the models.

    Raises
    ------
    KDError
        When the folder cannot be made.
    """

    def __init__(self, folder: str | Path | None, rows: Data, settings: list[Any]) -> None:
        self.folder = None if folder is None else Path(folder) / "pairs"
        if self.folder is None:
            return
        tables = [t for t in (rows.train, rows.held, rows.extra) if t is not None]
        parts = [kdcore.__version__, [fingerprint(t) for t in tables], repr(settings)]
        self.base = json.dumps(parts)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KDError(
                f"cannot write to the folder '{folder}': {error.strerror}; name another."
            ) from error

    def _path(self, key: list[Any]) -> Path | None:
        if self.folder is None or None in key:
            return None
        name = hashlib.sha256((self.base + json.dumps(key)).encode()).hexdigest()[:32]
        return self.folder / f"{name}.json"

    def get(self, key: list[Any]) -> dict[str, Any] | None:
        """A finished pair, or None; a damaged file is no pair."""
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            pair = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return None
        return pair if isinstance(pair, dict) else None

    def put(self, key: list[Any], pair: dict[str, Any]) -> None:
        """Keep a finished pair."""
        path = self._path(key)
        if path is not None:
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(pair, ensure_ascii=False), encoding="utf-8")


def model_key(model: Any, params: Mapping[str, Any] | None) -> str | None:
    """A text that tells a model, with its parameters, from all others; None if there is none."""
    import joblib

    if callable(model) and not hasattr(model, "get_params"):
        # What a function does cannot be told from its name.
        return None
    content: Any = model
    if isinstance(model, (str, Path)) and Path(model).is_file():
        content = [str(model), hashlib.sha256(Path(model).read_bytes()).hexdigest()]
    try:
        return str(joblib.hash([type(model).__qualname__, content, dict(params or {})]))
    except Exception:
        # It cannot be pickled, so it cannot be told from others.
        return None
