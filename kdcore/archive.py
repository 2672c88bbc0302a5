"""The zip of a bundle: its members, and the hashes by which a changed one is noticed.

``manifest.json`` holds the SHA-256 of every other member, and ``manifest.sha256`` that of the
manifest. These tell damage and edits from the file that was written; they are no signature, so
whoever may replace the whole file is not held back by them.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcore.errors import BundleError
from kdcore.manifest import read_manifest

__all__ = [
    "MANIFEST",
    "MODEL",
    "SEAL",
    "archive_bytes",
    "read_archive",
    "read_members",
]

MANIFEST, SEAL, MODEL = "manifest.json", "manifest.sha256", "model.onnx"

_MAX_MANIFEST = 64 * 2**20
_MAX_MEMBER = 2 * 2**30
_PIECE = 2**20
#: What members may unpack to: bytes that are always allowed, and so many times the bytes that
#: they take in the file. Memory is bounded by what the user has on disk.
_FREE = {MANIFEST: 4 * 2**20}
_FREE_MEMBER, _RATIO = 16 * 2**20, 100


def archive_bytes(manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle; equal contents give equal bytes.

    Parameters
    ----------
    manifest : mapping
        Plain data; the hashes of the members are added as ``sha256``.
    members : mapping of str to bytes
    """
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    text = json.dumps(
        {**manifest, "sha256": hashes}, indent=1, ensure_ascii=False, allow_nan=False
    ).encode()
    seal = hashlib.sha256(text).hexdigest().encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {MANIFEST: text, SEAL: seal, **members}.items():
            # A fixed time keeps equal contents equal bytes.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def read_archive(path: Path) -> tuple[dict[str, Any], bytes]:
    """The manifest and the model of a bundle, every member compared with its hash.

    Raises
    ------
    BundleError
        When the file is missing, damaged, changed after it was written, or made by a newer
        kdcore; the message begins with the path.
    """
    manifest, members = _read(path, all_of_them=False)
    return manifest, members[MODEL]


def read_members(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and every other member of a bundle; errors are those of `read_archive`."""
    return _read(path, all_of_them=True)


def _read(path: Path, *, all_of_them: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    if not path.is_file():
        raise BundleError(f"there is no bundle '{path}'.")
    try:
        with zipfile.ZipFile(path) as archive:
            text = _member(archive, MANIFEST, _MAX_MANIFEST)
            manifest = read_manifest(text)
            # Only now, so that a file from a newer kdcore is told from a damaged one.
            seal = _member(archive, SEAL, _PIECE)
            if seal.strip() != hashlib.sha256(text).hexdigest().encode():
                raise _changed(MANIFEST)
            return manifest, _members(archive, manifest["sha256"], all_of_them)
    except BundleError as error:
        raise BundleError(f"'{path}' {error}") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BundleError(f"'{path}' is not a readable bundle: {reason}") from error


def _members(
    archive: zipfile.ZipFile, hashes: Mapping[str, Any], all_of_them: bool
) -> dict[str, bytes]:
    """The model, and on demand the others; refuses any that is strange, lost, or was changed."""
    for name in sorted({i.filename for i in archive.infolist()} - {MANIFEST, SEAL, *hashes}):
        raise BundleError(
            f"is damaged or was changed: it holds {name!r}, which its manifest does not name."
        )
    kept = {}
    for name in sorted({MODEL, *hashes}):
        if all_of_them or name == MODEL:
            kept[name] = _member(archive, name, _MAX_MEMBER)
            found = hashlib.sha256(kept[name]).hexdigest()
        else:
            digest = hashlib.sha256()
            with archive.open(_entry(archive, name, _MAX_MEMBER)) as member:
                while piece := member.read(_PIECE):
                    digest.update(piece)
            found = digest.hexdigest()
        if found != hashes.get(name):
            raise _changed(name)
    return kept


def _changed(name: str) -> BundleError:
    return BundleError(f"is damaged or was changed: the content of {name} does not match its hash.")


def _entry(archive: zipfile.ZipFile, name: str, limit: int) -> zipfile.ZipInfo:
    entries = [i for i in archive.infolist() if i.filename == name]
    if len(entries) != 1:
        raise BundleError(f"is not a bundle: it holds {len(entries)} members called {name}.")
    entry = entries[0]
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Others may ask for any amount of memory before the first byte is out.
        raise BundleError(f"is refused: its {name} is compressed in another way than by deflate.")
    allowed = _FREE.get(name, _FREE_MEMBER) + _RATIO * entry.compress_size
    if entry.file_size > min(limit, allowed):
        raise BundleError(
            f"is refused: its {name} claims {entry.file_size} bytes, packed into "
            f"{entry.compress_size}."
        )
    return entry


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    entry = _entry(archive, name, limit)
    with archive.open(entry) as member:
        data = member.read(entry.file_size + 1)
    if len(data) > entry.file_size:
        raise BundleError(f"is refused: its {name} is larger than it claims.")
    return data
