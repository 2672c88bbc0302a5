"""Translation of the pages: English and Chinese."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kdcore.errors import ParameterError, suggest
from kdcore.notes import TEMPLATES
from kdcore.webpage import notes_zh, words_en, words_zh

__all__ = ["LANGUAGES", "WORDS", "Words", "said", "translator"]

#: From a key, and the values of its gaps, to text.
Words = Callable[..., str]

WORDS = {
    "en": words_en.WORDS | {f"note_{key}": text for key, text in TEMPLATES.items()},
    "zh": words_zh.WORDS | {f"note_{key}": text for key, text in notes_zh.TEMPLATES.items()},
}
#: Languages of the pages.
LANGUAGES = tuple(WORDS)


def translator(lang: str) -> Words:
    """A function from a key, and the values of its gaps, to text.

    Raises
    ------
    ParameterError
        When there is no such language.
    """
    if lang not in WORDS:
        raise ParameterError(
            f"lang={lang!r} is not a language of the reports; choose one of "
            f"{', '.join(LANGUAGES)}.{suggest(lang, LANGUAGES)}"
        )
    words = WORDS[lang]

    def text(key: str, **values: Any) -> str:
        found = words[key].format(**values) if values else words[key]
        # No line break within "95 %".
        return found.replace(" %", "\u00a0%")

    return text


def said(t: Words, kind: str, value: Any) -> str:
    """A value such as the name of a recipe in the language of the page, where that has a word."""
    try:
        return t(f"{kind}_{value}")
    except KeyError:
        return str(value)
