"""Broken, forged and hostile bundles, each made from a sound one and a seed."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from fuzz.models import external, forged_flips, graphs, operators, versions
from fuzz.zips import MANIFEST, MODEL, SEAL, flipped, members, sealed, zipped

__all__ = ["KINDS", "Mutant", "mutant"]


@dataclass(frozen=True)
class Mutant:
    """A file to load.

    Parameters
    ----------
    kind : str
    data : bytes
    faithful : bool
        Whether it must be refused unless it predicts exactly what the sound one does. Forged
        bundles with right hashes may be sound bundles of another model.
    """

    kind: str
    data: bytes
    faithful: bool


def mutant(bundles: list[bytes], seed: int) -> tuple[int, Mutant]:
    """Position of the sound bundle that a seed picks, and what it makes of it."""
    rng = np.random.default_rng([7, seed])
    which = int(rng.integers(len(bundles)))
    name = KINDS[seed % len(KINDS)]
    faithful = name not in _FORGED
    return which, Mutant(name, _MUTATIONS[name](rng, bundles, which), faithful)


def bit_flips(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    return flipped(rng, bundles[which])


def headers(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Changes where the zip tells of its members."""
    data = bytearray(bundles[which])
    marks = [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"]
    starts = [i for i in range(len(data) - 3) if bytes(data[i : i + 4]) in marks]
    for start in rng.choice(starts, int(rng.integers(1, 4))):
        at = int(start) + int(rng.integers(0, 46))
        if at + 4 <= len(data):
            value = rng.choice([0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, int(rng.integers(2**32))])
            width = int(rng.choice([1, 2, 4]))
            data[at : at + width] = int(value % 256**width).to_bytes(width, "little")
    return bytes(data)


def truncations(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    data = bundles[which]
    a, b = sorted(rng.integers(0, len(data), 2).tolist())
    return [data[:b], data[a:], data[:a] + data[b:], data[:b] + data[a:]][int(rng.integers(4))]


def garbage(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    noise = rng.bytes(int(rng.integers(0, 2000)))
    at = int(rng.integers(0, len(bundles[which])))
    data = bundles[which]
    return [noise, data[:at] + noise + data[at:], noise + data, data + noise][int(rng.integers(4))]


def swapped(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Members of another bundle, or under another's name; hashes as they were."""
    mine, other = members(bundles[which]), members(bundles[(which + 1) % len(bundles)])
    names = list(mine)
    a, b = rng.choice(names, 2)
    kind = int(rng.integers(3))
    if kind == 0:
        mine[a] = other.get(a, b"")
    elif kind == 1:
        mine[a], mine[b] = mine[b], mine[a]
    else:
        return zipped(mine, [(str(a), other.get(a, b""))])
    return zipped(mine)


def forged_swaps(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    other = bundles[(which + 1 + int(rng.integers(len(bundles) - 1))) % len(bundles)]
    name = str(rng.choice([n for n in members(other) if n not in (MANIFEST, SEAL)]))
    return sealed({**members(bundles[which]), name: members(other)[name]})


def bombs(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Members that unpack to very much, or to more than they claim."""
    parts = members(bundles[which])
    name = str(rng.choice([MANIFEST, SEAL, MODEL]))
    size = int(rng.choice([2**26, 2**28]))
    kind = int(rng.integers(4))
    data = bytearray(zipped({n: d for n, d in parts.items() if n != name}))
    if kind == 0:
        data = bytearray(zipped({n: d for n, d in parts.items() if n != name}))
        return _joined(bytes(data), name, _zeros(size), size)
    if kind == 1:
        # Too small a size in both headers.
        return _joined(bytes(data), name, _zeros(size), int(rng.integers(1, 1000)))
    if kind == 2:
        text = b"[" + b"[]," * (2**20) + b"[]]"
        return zipped({**parts, MANIFEST: text})
    # Every entry points at the same data.
    return _joined(bytes(data), name, _zeros(2**26), 2**26, copies=200)


@cache
def _zeros(size: int) -> bytes:
    import zlib

    pressed = zlib.compressobj(1, zlib.DEFLATED, -15)
    parts = [pressed.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join([*parts, pressed.flush()])


def _joined(archive: bytes, name: str, packed: bytes, size: int, copies: int = 1) -> bytes:
    """A zip with one more member, packed already, of any claimed size."""
    end = archive.rindex(b"PK\x05\x06")
    count, length, start = struct.unpack("<HII", archive[end + 10 : end + 20])
    directory = archive[start : start + length]
    encoded = name.encode()
    common = struct.pack("<HHHHIIIHH", 0, 8, 0, 33, 0, len(packed), size, len(encoded), 0)
    local = b"PK\x03\x04" + struct.pack("<H", 20) + common + encoded + packed
    entries = b""
    for copy in range(copies):
        own = encoded if not copy else encoded + str(copy).encode()
        told = struct.pack("<HHHHIIIHH", 0, 8, 0, 33, 0, len(packed), size, len(own), 0)
        entries += b"PK\x01\x02" + struct.pack("<HH", 20, 20) + told
        entries += struct.pack("<HHHII", 0, 0, 0, 0, start) + own
    directory += entries
    tail = struct.pack(
        "<HHHHIIH", 0, 0, count + copies, count + copies, len(directory), start + len(local), 0
    )
    return archive[:start] + local + directory + b"PK\x05\x06" + tail


_OUTSIDE = [
    "../escaped", "../../escaped", "/tmp/kdcore-escaped", "..\\escaped", "C:\\escaped",
    "a/../../escaped", "model.onnx/../../escaped", "~/escaped", "escaped\0", "a/", "",
    "weights.bin", "\u202eescaped", "x" * 60_000,
]  # fmt: skip


def names(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """Members whose names point out of the folder; named in the manifest, or not."""
    parts = members(bundles[which])
    extra = {str(n): b"escaped" for n in rng.choice(_OUTSIDE, int(rng.integers(1, 4)))}
    if rng.random() < 0.5:
        return zipped({**parts, **extra})
    try:
        return sealed({**parts, **extra})
    except (ValueError, struct.error):
        return zipped(parts, [("../escaped", b"")])


def huge_headers(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    parts = members(bundles[which])
    manifest = json.loads(parts[MANIFEST])
    kind = int(rng.integers(7))
    n = int(rng.choice([1000, 20_000]))
    if kind == 0:
        extra = [(f"member-{i}", b"") for i in range(n)]
        return zipped(parts, extra)
    if kind == 1:
        return bundles[which] + rng.bytes(65_000)
    if kind == 2:
        manifest["columns"] = [{"name": f"c{i}", "kind": "numeric"} for i in range(n)]
    elif kind == 3:
        manifest["columns"][0]["name"] = "x" * n * 50
    elif kind == 4:
        manifest["classes"] = [f"class {i}" for i in range(n)]
    elif kind == 5:
        text = parts[MANIFEST][:-2] + b', "deep": ' + b"[" * n + b"]" * n + b"}"
        return zipped({**parts, MANIFEST: text, SEAL: hashlib.sha256(text).hexdigest().encode()})
    else:
        text = parts[MANIFEST].replace(b'"format_version": 1', b'"format_version": ' + b"9" * n)
        return zipped({**parts, MANIFEST: text, SEAL: hashlib.sha256(text).hexdigest().encode()})
    return sealed(parts, manifest)


_VALUES: list[Any] = [
    None, 0, -1, 1, 2**31, 2**63, 1e308, float("nan"), "", "text", "\ud800", "\0", [], {}, True,
    [1, 2], ["a", "b"], {"a": 1}, [None], "binary", "multiclass", "regression", "categorical",
]  # fmt: skip


def manifests(rng: np.random.Generator, bundles: list[bytes], which: int) -> bytes:
    """A manifest of which some value was replaced; its hash is right."""
    parts = members(bundles[which])
    manifest = json.loads(parts[MANIFEST])
    for _ in range(int(rng.integers(1, 4))):
        place: Any = manifest
        for _ in range(int(rng.integers(1, 5))):
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not len(keys):
                break
            key = keys[int(rng.integers(len(keys)))]
            if isinstance(place[key], (dict, list)) and rng.random() < 0.7:
                place = place[key]
                continue
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = _VALUES[int(rng.integers(len(_VALUES)))]
            break
    return sealed(parts, manifest)


_MUTATIONS: dict[str, Callable[[np.random.Generator, list[bytes], int], bytes]] = {
    f.__name__: f
    for f in (
        bit_flips, headers, truncations, garbage, swapped, forged_swaps, bombs, names, huge_headers,
        operators, external, versions, forged_flips, manifests, graphs,
    )
}  # fmt: skip
#: Those whose hashes are right, so that they may hold another model.
_FORGED = {
    "forged_swaps", "huge_headers", "operators", "external", "versions", "forged_flips",
    "manifests", "graphs", "names",
}  # fmt: skip

KINDS = tuple(_MUTATIONS)
