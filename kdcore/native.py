"""The Python student inside of a bundle: what `kdcore.load(path, native=True)` gives back.

Encoder, parameters, and fitted attributes that are plain data stand in ``student.json``. A model
of another library is written by the student itself (``state()``) in a format of data, and read by
the function that its spec names (``restore``). No pickle is written or read.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from kdcore.archive import MODEL
from kdcore.columns import Column
from kdcore.encoders import ENCODERS, Encoder
from kdcore.errors import BundleError, KDError, KDWarning, listed
from kdcore.plain import NotPlain, from_json, to_json
from kdcore.registry import default_registry
from kdcore.schema import TableSchema
from kdcore.shared_bytes import joined, parted
from kdcore.specs import StudentSpec

__all__ = ["STUDENT", "native_members", "restored"]

STUDENT = "student.json"

#: Attributes that are written in a way of their own, or follow from the others.
_OWN = {"encoder_", "_structure"}


def native_members(
    student: Any, model: bytes | None = None
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a manifest says of the Python student under ``native``, and the members that hold it.

    Parameters
    ----------
    student : fitted student
        Its ``state()`` returns the name of a member and its bytes. It is needed where a fitted
        attribute is no plain data. Attributes that its ``state_holds`` names are in it too, so
        they are not written here.
    model : bytes, optional
        The graph in the same bundle. Tensors that the state has in common with it are not
        written twice.

    Returns
    -------
    entry : dict
        ``class``, ``member`` (None without ``state()``) and ``shared`` (see
        `kdcore.shared_bytes`), or ``reason`` why there is none.
    members : dict of str to bytes
    """
    parameters = student.get_params(deep=False)
    told: dict[str, Any] = {"parameters": {}, "lost": [], "attributes": {}}
    for name, value in parameters.items():
        try:
            told["parameters"][name] = _parameter(value)
        except NotPlain:
            told["lost"].append(name)
    members: dict[str, bytes] = {}
    name = None
    shared: list[list[int]] = []
    if hasattr(student, "state"):
        name, data = student.state()
        if model is not None:
            data, shared = parted(data, model)
        name += ".part" if shared else ""
        members[name] = data
    held = getattr(student, "state_holds", ()) if name is not None else ()
    for key, value in vars(student).items():
        if key in parameters or key in _OWN or key in held:
            continue
        try:
            told["attributes"][key] = to_json(value)
        except NotPlain as error:
            if name is None:
                reason = f"its attribute {key} is no plain data ({error}), and it has no state()"
                return {"reason": reason}, {}
    try:
        told["encoder"] = _encoder(student.encoder_)
    except NotPlain as error:
        return {"reason": f"its encoder cannot be written as plain data: {error}"}, {}
    if "encoder_" in held:
        told["encoder"] = None
    members[STUDENT] = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return {"class": type(student).__name__, "member": name, "shared": shared}, members


def restored(
    manifest: Mapping[str, Any], members: Mapping[str, bytes], spec: StudentSpec | None = None
) -> Any:
    """The fitted Python student of a bundle.

    Parameters
    ----------
    manifest : mapping
    members : mapping of str to bytes
        Those of the bundle, compared with their hashes.
    spec : StudentSpec, optional
        By default the one that is registered under the name in the manifest.

    Raises
    ------
    BundleError
        When the bundle holds no Python student, or it cannot be made of what it holds.
    KDError
        When the student's plugin is not there.
    """
    entry = manifest.get("native")
    if not isinstance(entry, dict) or STUDENT not in members:
        reason = entry.get("reason") if isinstance(entry, dict) else None
        raise BundleError(
            "holds no Python student"
            + (f": {reason}" if isinstance(reason, str) else "; it was saved without its state")
            + ". It can predict, without native=True."
        )
    name = str(manifest.get("student"))
    if spec is None:
        spec = default_registry().get("student", name)
        default_registry().resolve("student", name)
    try:
        told = json.loads(members[STUDENT])
        student = _made(spec, manifest, entry, members)
        _fill(student, told, manifest)
    except KDError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BundleError(
            f"holds a Python student that cannot be restored: {type(error).__name__}: {reason}"
        ) from error
    if told["lost"]:
        warnings.warn(
            f"the parameter(s) {listed(told['lost'])} of the student held code, which no bundle "
            "does; set them again before you fit it.",
            KDWarning,
            stacklevel=3,
        )
    return student


def _made(
    spec: StudentSpec,
    manifest: Mapping[str, Any],
    entry: Mapping[str, Any],
    members: Mapping[str, bytes],
) -> Any:
    member = entry.get("member")
    if member is None:
        kind = "regression" if manifest["task"] == "regression" else "classification"
        return spec.resolve()(kind)
    restore = spec.resolve_restore()
    if restore is None:
        raise BundleError(
            f"holds a state of the student {spec.name!r}, which its plugin cannot restore here."
        )
    data = joined(members[member], entry.get("shared", []), members.get(MODEL, b""))
    return restore(manifest, data)


def _fill(student: Any, told: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Set what a student has beside the state of its model."""
    known = student.get_params(deep=False)
    for name, value in told["parameters"].items():
        if name in known:
            setattr(student, name, _from_parameter(value))
    for name, value in told["attributes"].items():
        # What the class defines is code, which a file must not replace.
        if name.startswith("__") or hasattr(type(student), name) or name in known:
            raise ValueError(f"{name!r} is no fitted attribute")
        if name not in vars(student):
            setattr(student, name, from_json(value))
    if told["encoder"] is not None:
        student.encoder_ = _from_encoder(told["encoder"])
    # The raw columns are those of the manifest, which has been checked.
    student.encoder_.schema_ = TableSchema(
        [Column(c["name"], c["kind"], tuple(c.get("categories", ()))) for c in manifest["columns"]]
    )


def _parameter(value: Any) -> Any:
    return {"encoder": _unfitted(value)} if isinstance(value, Encoder) else to_json(value)


def _from_parameter(told: Any) -> Any:
    if isinstance(told, dict) and "encoder" in told:
        return _from_unfitted(told["encoder"])
    return from_json(told)


def _unfitted(encoder: Encoder) -> dict[str, Any]:
    kind = next((name for name, known in ENCODERS.items() if type(encoder) is known), None)
    if kind is None:
        raise NotPlain(f"{type(encoder).__name__} is no encoder of kdcore")
    return {"kind": kind, "parameters": to_json(encoder.get_params(deep=False))}


def _from_unfitted(told: Mapping[str, Any]) -> Encoder:
    return ENCODERS[told["kind"]](**from_json(told["parameters"]))


def _encoder(encoder: Encoder) -> dict[str, Any]:
    parameters = encoder.get_params(deep=False)
    fitted = {k: v for k, v in vars(encoder).items() if k not in parameters and k != "schema_"}
    return {**_unfitted(encoder), "attributes": to_json(fitted)}


def _from_encoder(told: Mapping[str, Any]) -> Encoder:
    encoder = _from_unfitted(told)
    for name, value in from_json(told["attributes"]).items():
        if name.startswith("__") or hasattr(type(encoder), name):
            raise ValueError(f"{name!r} is no fitted attribute of an encoder")
        setattr(encoder, name, value)
    return encoder
