"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kdcore.cli.common import json_option
from kdcore.cli.completion import columns, files, names
from kdcore.cli.progress import verbose_option

__all__ = [
    "as_value",
    "asked_for",
    "cache_of",
    "data_options",
    "default_output",
    "force_option",
    "label_options",
    "listed",
    "mlflow_option",
    "parameters",
    "recipe_options",
    "run_options",
    "student_params_option",
    "teacher_of",
    "teacher_options",
    "together",
    "tracker_of",
    "weights",
]

#: Where results go that nobody named a folder for.
_FOLDER = Path("kd-out")

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*options: _Decorator) -> _Decorator:
    """Several options as one decorator, in this order in the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def parameters(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """``NAME=VALUE`` texts as a mapping; values are read as JSON where they can be."""
    parsed: dict[str, Any] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE.")
        parsed[key.strip()] = as_value(value.strip())
    return parsed


def as_value(text: str) -> Any:
    """Numbers, true, false, null, lists and quoted text as in JSON; anything else is text."""
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def weights(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[float] | str | None:
    """Numbers separated by commas, or ``auto``."""
    if value is None or value.strip() == "auto":
        return value if value is None else "auto"
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 2,1.") from None


def listed(text: str) -> list[str]:
    """The parts of a text that commas separate."""
    return [part.strip() for part in text.split(",") if part.strip()]


def teacher_of(text: str | None) -> Any:
    """One name, or a list of names that were separated by commas."""
    return text if text is None or "," not in text else listed(text)


def default_output(data: str, ending: str) -> Path:
    """A path in kd-out/ that is named after the table."""
    stem = Path(data.replace(":", "-")).name.split(".")[0] or "data"
    return _FOLDER / f"{stem}-{ending}"


def _folds(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    if value == "auto":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a whole number nor 'auto'.") from None


def _jobs(ctx: click.Context, param: click.Parameter, value: int) -> int:
    if value == 0 or value < -1:
        raise click.BadParameter("use a number of at least 1, or -1.")
    return value


data_options = together(
    click.option(
        "--target",
        "-t",
        required=True,
        metavar="COL",
        shell_complete=columns,
        help="Column to predict.",
    ),
    click.option(
        "--test",
        metavar="FILE",
        shell_complete=files,
        help="Held-out rows; by default a share of DATA.",
    ),
    click.option(
        "--test-size", type=float, default=0.25, show_default=True, help="Share of rows held out."
    ),
    click.option(
        "--split",
        default="random",
        show_default=True,
        metavar="HOW",
        help="How rows are held out: random, or ordered for rows in order of time (the last ones).",
    ),
    click.option(
        "--time-column",
        metavar="COL",
        help="Sort rows by this column, which is no input, and split them as ordered.",
    ),
    click.option(
        "--task",
        default="auto",
        show_default=True,
        metavar="TASK",
        help="auto, classification, binary, multiclass or regression.",
    ),
    click.option(
        "--sample-weight", metavar="COL", shell_complete=columns, help="Column of row weights."
    ),
)

#: What all commands take that ask a teacher.
label_options = together(
    click.option(
        "--folds",
        default="auto",
        show_default=True,
        callback=_folds,
        help="Folds of the out-of-fold labels; auto is 5, fewer for rare classes.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Seed of everything random.",
    ),
    click.option(
        "--jobs",
        type=int,
        default=-1,
        show_default=True,
        callback=_jobs,
        help="Teacher fits at a time; -1 for one on each core. Results do not depend on it.",
    ),
    click.option("--no-cache", is_flag=True, help="Neither read nor keep the teacher's labels."),
    json_option,
    click.option("--quiet", "-q", is_flag=True, help="No progress and no notes on stderr."),
    verbose_option,
)

teacher_options = together(
    click.option(
        "--teacher",
        metavar="NAME",
        shell_complete=names("teacher"),
        help="The strong model; `kd plugins` lists names; several with commas are averaged. "
        "xgboost unless given.",
    ),
    click.option(
        "--teacher-param",
        "teacher_params",
        multiple=True,
        metavar="K=V",
        callback=parameters,
        help="Parameter of the teacher; may be repeated.",
    ),
)

student_params_option = click.option(
    "--student-param",
    "student_params",
    multiple=True,
    metavar="K=V",
    callback=parameters,
    help="Parameter of the student; may be repeated.",
)

#: For commands that fill a folder.
force_option = click.option(
    "--force", is_flag=True, help="Replace results that exist in the folder."
)

recipe_options = together(
    click.option("--alpha", type=float, help="Share of the teacher in the loss; 0.7 unless given."),
    click.option(
        "--augment",
        metavar="N|METHOD[:N]",
        help="Synthetic rows for each training row, 0 for none; cart, munge, ... say how they are "
        "made. By default as the recipe has it.",
    ),
)


run_options = together(
    click.option(
        "--unlabeled",
        metavar="FILE",
        shell_complete=files,
        help="Rows without labels: the teacher labels them, the student learns from them.",
    ),
    label_options,
)


mlflow_option = click.option(
    "--mlflow",
    is_flag=False,
    flag_value="sqlite:///mlflow.db",
    metavar="[URI]",
    help="Log parameters, metrics and files to MLflow; without a URI to mlflow.db here.",
)


def tracker_of(uri: str | None) -> Any:
    """Where results are logged, opened before any work; None where they are not."""
    if uri is None:
        return None
    from kdcore.tracking import Tracker

    return Tracker(uri)


def asked_for() -> dict[str, Any]:
    """What was asked of the running command, by the names of its options."""
    # An address of stored trials may hold a password.
    hidden = ("mlflow", "as_json", "quiet", "force", "storage")
    return {
        key: value for key, value in click.get_current_context().params.items() if key not in hidden
    }


def cache_of(no_cache: bool) -> Any:
    """The label cache, unless the user wants none."""
    from kdcore.label_cache import LabelCache

    return None if no_cache else LabelCache()
