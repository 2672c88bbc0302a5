"""Reading and writing the members of bundles, with hashes that are right or wrong."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["MANIFEST", "MODEL", "SEAL", "flipped", "members", "sealed", "zipped"]

MANIFEST, SEAL, MODEL = "manifest.json", "manifest.sha256", "model.onnx"

Members = dict[str, bytes]


def members(bundle: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Members, extra: Sequence[tuple[str, bytes]] = ()) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, data in [*parts.items(), *extra]:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def sealed(parts: Members, manifest: Any = None) -> bytes:
    """A zip whose hashes are all right, whatever it holds."""
    manifest = json.loads(parts[MANIFEST]) if manifest is None else manifest
    rest = {n: d for n, d in parts.items() if n not in (MANIFEST, SEAL)}
    if isinstance(manifest, dict):
        hashes = {n: hashlib.sha256(d).hexdigest() for n, d in rest.items()}
        manifest = {**manifest, "sha256": hashes}
    text = json.dumps(manifest).encode()
    return zipped({MANIFEST: text, SEAL: hashlib.sha256(text).hexdigest().encode(), **rest})


def flipped(rng: np.random.Generator, data: bytes, most: int = 8) -> bytes:
    out = bytearray(data)
    for position in rng.integers(0, len(out), int(rng.integers(1, most + 1))):
        out[position] ^= 1 << int(rng.integers(8))
    return bytes(out)
