"""Notes of a result in the language of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcore.webpage.words import Words, said

__all__ = ["notes_view"]


def notes_view(report: Mapping[str, Any], t: Words) -> list[dict[str, str]]:
    """``text`` of each note, and its ``lang`` where that is not the language of the page.

    A note without a template, as in a result of an older or newer kdcore, stays English.
    """
    templates = report.get("note_templates") or [None] * len(report["notes"])
    views = []
    for text, parts in zip(report["notes"], templates, strict=True):
        told = _told(parts, t)
        views.append(
            {"text": _as_sentence(text if told is None else told), "lang": "en" * (told is None)}
        )
    return views


def _as_sentence(text: str) -> str:
    """With a capital letter, unless it begins with the name of a parameter."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def _told(parts: Mapping[str, Any] | None, t: Words) -> str | None:
    if parts is None:
        return None
    values = {
        name: _told(value, t) if isinstance(value, Mapping) else value
        for name, value in parts["values"].items()
    }
    values |= {
        name: said(t, "recipe", values[name]) for name in ("recipe", "base") if name in values
    }
    try:
        return t(f"note_{parts['template']}", **values)
    except (KeyError, ValueError):
        return None
