"""Packing a bundle: one zip with a manifest and an ONNX graph, after a parity gate."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcore.archive import MODEL, archive_bytes
from kdcore.columns import Column
from kdcore.errors import BundleError
from kdcore.files import atomic_path
from kdcore.runtime import FORMAT_VERSION, Bundle, open_bundle
from kdcore.versions import library_versions

__all__ = ["TOLERANCE", "Packed", "pack", "pack_graph", "parity"]

#: Largest difference allowed between ONNX and Python: of a probability, or of a value relative
#: to the largest one.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Packed:
    """A bundle ready to be saved.

    Parameters
    ----------
    bundle : Bundle
        The opened model; its manifest is the file's.
    members : dict of str to bytes
        The file's members beside the manifest.
    """

    bundle: Bundle
    members: dict[str, bytes]

    @property
    def data(self) -> bytes:
        """The bytes of the file; equal contents give equal bytes."""
        return archive_bytes(self.bundle.manifest, self.members)

    def without_state(self) -> Packed:
        """The same without the Python student, for a smaller file."""
        manifest = {**self.bundle.manifest, "native": None}
        smaller = copy.copy(self.bundle)
        smaller.manifest = manifest
        return Packed(smaller, {MODEL: self.members[MODEL]})

    def save(self, path: str | Path, more: Mapping[str, bytes] | None = None) -> None:
        """Write the file; it appears whole or not at all.

        Parameters
        ----------
        path : str or Path
        more : mapping of str to bytes, optional
            Further members of the zip, such as the report; ``data`` stays without them.

        Raises
        ------
        KDError
            When the folder cannot be written to.
        """
        with atomic_path(path) as temporary:
            members = {**self.members, **(more or {})}
            temporary.write_bytes(archive_bytes(self.bundle.manifest, members))


def pack(
    student: Any,
    table: Any,
    *,
    name: str = "",
    info: dict[str, Any] | None = None,
    state: bool = True,
) -> Packed:
    """Turn a fitted student into a bundle.

    Parameters
    ----------
    student : fitted student
    table : table
        Held-out rows, on which ONNX and Python are compared.
    name : str, default=""
        The student's registered name.
    info : dict, optional
        Added to the manifest: recipe, metrics, provenance.
    state : bool, default=True
        Whether the bundle also holds the Python student, for ``kdcore.load(path, native=True)``;
        a prediction needs the graph only.

    Raises
    ------
    BundleError
        When ONNX and Python disagree by more than `TOLERANCE`; the message says in which rows.
    KDError
        When the student cannot be written as ONNX.
    """
    from kdcore.graph import build_graph
    from kdcore.native import native_members

    graph = build_graph(student)
    entry: dict[str, Any] | None = None
    members: dict[str, bytes] = {}
    if state:
        entry, members = native_members(student, graph.SerializeToString())
    return pack_graph(
        student,
        graph,
        student.encoder_.schema_.columns,
        table,
        name=name,
        tolerance=TOLERANCE,
        info={"selected": student.get_selected_features(), "native": entry, **(info or {})},
        members=members,
    )


def pack_graph(
    model: Any,
    graph: Any,
    columns: Sequence[Column],
    table: Any,
    *,
    name: str,
    tolerance: float,
    info: dict[str, Any],
    members: Mapping[str, bytes] | None = None,
) -> Packed:
    """Turn a fitted model and its graph from raw columns into a bundle.

    Parameters
    ----------
    model : fitted estimator
    graph : onnx.ModelProto
        As from `kdcore.graph.build_graph`.
    columns : sequence of Column
        What the graph reads.
    table : table
        Held-out rows, on which ONNX and Python are compared.
    name : str
    tolerance : float
        See `TOLERANCE`.
    info : dict
        Added to the manifest.
    members : mapping of str to bytes, optional
        Further members of the bundle.

    Raises
    ------
    BundleError
        When ONNX and Python disagree by more than the tolerance.
    """
    content = graph.SerializeToString()
    manifest = {
        "format_version": FORMAT_VERSION,
        "student": name or type(model).__name__,
        **_signature(model, columns),
        "versions": library_versions([model]),
        **info,
    }
    bundle = open_bundle(manifest, content)
    manifest["parity"] = parity(bundle, model, table, tolerance=tolerance)
    return Packed(bundle, {MODEL: content, **(members or {})})


def parity(
    bundle: Bundle, student: Any, table: Any, *, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Compare a bundle's graph with its student, row by row.

    Parameters
    ----------
    bundle : Bundle
    student : fitted model
    table : table
    tolerance : float
        See `TOLERANCE`.

    Returns
    -------
    dict
        ``rows``, ``max_difference``, ``flipped`` (decisions that differ), ``tolerance``.

    Raises
    ------
    BundleError
        When a difference exceeds the tolerance.
    """
    if bundle.classes is None:
        ours, theirs = student.predict(table), bundle.predict(table)
        tolerance *= max(1.0, float(np.abs(ours).max()))
        difference, flipped = np.abs(ours - theirs), 0
    else:
        ours, theirs = student.predict_proba(table), bundle.predict_proba(table)
        difference = np.abs(ours - theirs).max(axis=1)
        flipped = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    wrong = np.flatnonzero(~(difference <= tolerance))
    if len(wrong):
        raise BundleError(
            f"the ONNX graph of {type(student).__name__} differs from Python by up to "
            f"{difference[wrong].max():.3g} in {len(wrong)} of {len(difference)} held-out rows "
            f"(first: row {wrong[0]}), so it was not saved; report this to the student's plugin."
        )
    return {
        "rows": len(difference),
        "max_difference": float(difference.max()),
        "flipped": flipped,
        "tolerance": tolerance,
    }


def _signature(model: Any, schema: Sequence[Column]) -> dict[str, Any]:
    classes = getattr(model, "classes_", None)
    task = "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
    columns: list[dict[str, Any]] = []
    for column in schema:
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind}
        if column.kind == "categorical":
            entry["categories"] = list(column.categories)
        columns.append(entry)
    return {
        "task": task,
        "classes": None if classes is None else classes.tolist(),
        "columns": columns,
    }
