"""What the manifest of a bundle must say before anything in the bundle is used."""

from __future__ import annotations

import json
from typing import Any

from kdcore.columns import KINDS
from kdcore.errors import BundleError

__all__ = ["FORMAT_VERSION", "check_graph", "check_manifest", "read_manifest"]

FORMAT_VERSION = 1

_TASKS = ("binary", "multiclass", "regression")


def read_manifest(data: bytes) -> dict[str, Any]:
    """A manifest from its JSON text, checked.

    Raises
    ------
    BundleError
        When it is not one, or a newer kdcore wrote it.
    """
    manifest = json.loads(data)
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if type(version) is not int or version < 1:
        raise BundleError("is not a bundle: its manifest names no format version.")
    if version > FORMAT_VERSION:
        raise BundleError(
            f"has format version {version}, but this kdcore reads up to {FORMAT_VERSION}; "
            "upgrade kdcore."
        )
    if not isinstance(manifest.get("sha256"), dict):
        raise _invalid("sha256")
    check_manifest(manifest)
    return dict(manifest)


def check_manifest(manifest: dict[str, Any]) -> None:
    """Refuse a manifest whose task, classes or columns do not make sense.

    Raises
    ------
    BundleError
    """
    task, classes = manifest.get("task"), manifest.get("classes")
    if task not in _TASKS:
        raise _invalid("task")
    if "classes" not in manifest or (classes is None) != (task == "regression"):
        raise _invalid("classes")
    if classes is not None and not _are_classes(classes):
        raise _invalid("classes")
    columns = manifest.get("columns")
    if not isinstance(columns, list) or not columns or not all(map(_is_column, columns)):
        raise _invalid("columns")
    if len({c["name"] for c in columns}) != len(columns):
        raise _invalid("columns")


def check_graph(manifest: dict[str, Any], session: Any) -> None:
    """Refuse a graph whose inputs and output are not those that the manifest describes.

    A width that the graph leaves open is taken on trust: the parity gate has seen it.

    Raises
    ------
    BundleError
    """
    kinds = [c["kind"] for c in manifest["columns"]]
    texts = kinds.count("categorical")
    widths = {"numeric": len(kinds) - texts, "categorical": texts}
    wanted = {name: width for name, width in widths.items() if width}
    classes = manifest["classes"]
    out = 1 if classes is None else len(classes)
    found = {i.name: _width(i) for i in session.get_inputs()}
    fits = found.keys() == wanted.keys() and all(found[n] in (None, wanted[n]) for n in wanted)
    if not fits or _width(session.get_outputs()[0]) not in (None, out):
        raise BundleError("is damaged: its model does not fit its manifest.")


def _width(value: Any) -> int | None:
    shape = value.shape
    return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _invalid(key: str) -> BundleError:
    return BundleError(f"is not a bundle: its manifest has no valid {key!r}.")


def _are_classes(classes: Any) -> bool:
    if not isinstance(classes, list) or len(classes) < 2:
        return False
    kind = type(classes[0])
    return (
        kind in (str, int, float, bool)
        and all(type(c) is kind for c in classes)
        and len(set(classes)) == len(classes)
    )


def _is_column(column: Any) -> bool:
    if not isinstance(column, dict) or not isinstance(column.get("name"), str):
        return False
    categories = column.get("categories", [])
    return (
        column.get("kind") in KINDS
        and isinstance(categories, list)
        and all(isinstance(c, str) for c in categories)
    )
