"""From the plain data of a result to a page, and back from the page to the data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kdcore
from kdcore.errors import KDError
from kdcore.webpage import formats
from kdcore.webpage.words import Words, translator

__all__ = ["comparison_page", "data_of", "report_page"]

_DATA = re.compile(r'<script type="application/json" id="kd-data">(.*?)</script>', re.S)

#: How data of another shape fail.
_MALFORMED = (KeyError, TypeError, AttributeError, IndexError, ValueError)


def report_page(report: Mapping[str, Any], *, lang: str = "en") -> str:
    """A page of one distillation.

    Parameters
    ----------
    report : mapping
        What ``kd distill --json`` prints, or ``result.json`` holds. A result without the data of
        pictures gives a page without these.
    lang : {"en", "zh"}, default="en"

    Returns
    -------
    str
        HTML that loads nothing from the network and runs no script. It holds ``report`` too, see
        `data_of`.

    Raises
    ------
    KDError
        When ``report`` is not such data, or there is no such language.
    """
    from kdcore.webpage.notes_view import notes_view
    from kdcore.webpage.sections import sections
    from kdcore.webpage.verdict_words import banner

    def content(t: Words) -> dict[str, Any]:
        return {
            "banner": banner(report, t),
            "notes": notes_view(report, t),
            "sections": sections(report, t),
            "r": report,
        }

    return _page("report.html.j2", lang, report, content)


def comparison_page(comparison: Mapping[str, Any], *, lang: str = "en") -> str:
    """A page of many pairs of teacher and student.

    Parameters
    ----------
    comparison : mapping
        What ``kd compare --json`` prints.
    lang : {"en", "zh"}, default="en"

    Raises
    ------
    KDError
        When ``comparison`` is not such data, or there is no such language.
    """
    from kdcore.webpage.pairs import pair_views

    return _page("compare.html.j2", lang, comparison, lambda t: pair_views(comparison, t))


def data_of(page: str) -> dict[str, Any]:
    """The data that a page holds.

    Raises
    ------
    KDError
        When it is not a page of kdcore.
    """
    found = _DATA.search(page)
    if found is None:
        raise KDError("it is not a page that kdcore has written: it holds no data.")
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def _page(
    template: str,
    lang: str,
    data: Mapping[str, Any],
    content: Callable[[Words], Mapping[str, Any]],
) -> str:
    t = translator(lang)
    try:
        return _render(template, lang, data, content(t), t)
    except _MALFORMED as error:
        raise KDError(
            f"this is not the result of a distillation or comparison ({type(error).__name__}: "
            f"{error}); give what kd distill or kd compare has written."
        ) from error


def _render(
    template: str, lang: str, data: Mapping[str, Any], content: Mapping[str, Any], t: Words
) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(formats, name) for name in ("count", "number", "percent", "size", "time")
    }
    # A compact text; the filter escapes what could end the script element.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    try:
        return environment.get_template(template).render(
            t=t,
            lang={"zh": "zh-Hans"}.get(lang, lang),
            data=data,
            version=kdcore.__version__,
            **content,
        )
    except jinja2.UndefinedError as error:
        raise KeyError(str(error)) from error
