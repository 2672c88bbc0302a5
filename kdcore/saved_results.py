"""Finding the result that a folder, bundle, JSON file or page holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kdcore.errors import KDError

__all__ = [
    "COMPARISON_NAME",
    "COMPARISON_PAGE",
    "REPORT_NAME",
    "RESULT_NAME",
    "page_of",
    "read_result",
]

RESULT_NAME, REPORT_NAME = "result.json", "report.html"
COMPARISON_NAME, COMPARISON_PAGE = "comparison.json", "compare.html"


def read_result(path: str | Path) -> dict[str, Any]:
    """The result of ``kd distill`` or ``kd compare`` as plain data.

    Parameters
    ----------
    path : str or Path
        The folder that such a command has written, its JSON, its page, or a bundle.

    Raises
    ------
    KDError
        When there is none.
    """
    path = Path(path)
    if path.is_dir():
        names = (RESULT_NAME, COMPARISON_NAME)
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise KDError(
                f"the folder '{path}' holds neither {RESULT_NAME} nor {COMPARISON_NAME}; give the "
                "folder that kd distill -o or kd compare -o has written."
            )
        path = found
    if not path.is_file():
        raise KDError(f"there is no result '{path}'; give a folder, a bundle, or a JSON file.")
    if path.suffix == ".kd":
        return _of_bundle(path)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".html", ".htm"):
            return _of_page(text, path)
        data = json.loads(text)
    except ValueError as error:
        raise KDError(f"'{path}' is not readable JSON: {error}") from error
    if not isinstance(data, dict) or not {"verdict", "pairs"} & {*data}:
        raise KDError(f"'{path}' is not the result of kd distill or kd compare.")
    return data


def page_of(data: dict[str, Any], *, lang: str = "en") -> str:
    """The page of a result, of whichever kind.

    Raises
    ------
    KDError
        When the data are no result, or there is no such language.
    """
    from kdcore.webpage import comparison_page, report_page

    return comparison_page(data, lang=lang) if "pairs" in data else report_page(data, lang=lang)


def _of_bundle(path: Path) -> dict[str, Any]:
    from kdcore.archive import read_members

    member = read_members(path)[1].get(REPORT_NAME)
    if member is None:
        raise KDError(
            f"the bundle '{path}' holds no report; give the folder or the {RESULT_NAME} of the run "
            "that made it."
        )
    return _of_page(member.decode(), path)


def _of_page(text: str, path: Path) -> dict[str, Any]:
    from kdcore.webpage import data_of

    try:
        return data_of(text)
    except KDError as error:
        raise KDError(f"'{path}' cannot be read: {error}") from error
