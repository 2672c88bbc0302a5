"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from kdcore.cli.completion import columns, files, names
from kdcore.cli.progress import verbose_option

__all__ = [
    "as_value",
    "asked_for",
    "budgets_options",
    "cache_of",
    "column_options",
    "data_options",
    "label_options",
    "max_features",
    "mlflow_option",
    "parameters",
    "recipe_options",
    "run_options",
    "teacher_options",
    "tracker_of",
    "weights",
]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _all(*options: _Decorator) -> _Decorator:
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


data_options = _all(
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
label_options = _all(
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
    click.option("--json", "as_json", is_flag=True, help="Print the result for programs."),
    click.option("--quiet", "-q", is_flag=True, help="No progress and no notes on stderr."),
    verbose_option,
)

teacher_options = _all(
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

recipe_options = _all(
    click.option("--alpha", type=float, help="Share of the teacher in the loss; 0.7 unless given."),
    click.option(
        "--augment",
        metavar="N|METHOD[:N]",
        help="Synthetic rows for each training row, 0 for none; cart, munge, ... say how they are "
        "made. By default as the recipe has it.",
    ),
)


def max_features(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> int | float | None:
    """A number of columns or a ratio of them."""
    return None if value is None else _budget_of(value)


def _several_budgets(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[int | float] | None:
    if value is None:
        return None
    found = [_budget_of(part.strip()) for part in value.split(",") if part.strip()]
    if not found:
        raise click.BadParameter("name at least one budget.")
    return found


def _budget_of(value: str) -> int | float:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a number of columns such as 20 nor a ratio such as 0.2."
        ) from None


def _columns(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return [name.strip() for text in values for name in text.split(",") if name.strip()]


def _prices(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any] | None:
    return parameters(ctx, param, values) or None


def _tolerance(ctx: click.Context, param: click.Parameter, value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


_within_a_budget = _all(
    click.option(
        "--selector",
        metavar="NAME",
        shell_complete=names("selector"),
        help="How columns are chosen; prior_backward unless given. `kd plugins` lists names.",
    ),
    click.option(
        "--keep",
        multiple=True,
        metavar="A,B",
        callback=_columns,
        shell_complete=columns,
        help="Columns that the student reads in any case.",
    ),
    click.option(
        "--drop",
        multiple=True,
        metavar="C,D",
        callback=_columns,
        shell_complete=columns,
        help="Columns that the student never reads.",
    ),
    click.option(
        "--cost",
        "costs",
        multiple=True,
        metavar="COL=C",
        callback=_prices,
        help="What a column costs, 1 unless given; may be repeated; needs --max-cost.",
    ),
    click.option("--max-cost", type=float, help="Most that all columns may cost together."),
    click.option(
        "--tolerance",
        default="0.002",
        show_default=True,
        metavar="SHARE|one_se",
        callback=_tolerance,
        help="Take fewer columns for so much more loss on held-out training rows.",
    ),
    click.option(
        "--relabel",
        default="auto",
        show_default=True,
        metavar="HOW",
        help="Whether the teacher labels again, fitted to the chosen columns: auto (where that is "
        "better on held-out training rows), always or never.",
    ),
)

#: Which columns a student may read.
column_options = _all(
    click.option(
        "--max-features",
        metavar="N|RATIO",
        callback=max_features,
        help="Most columns that the student reads, as a number or a ratio of all; a ceiling.",
    ),
    _within_a_budget,
)

#: The same for several budgets.
budgets_options = _all(
    click.option(
        "--max-features",
        metavar="N|RATIO,...",
        callback=_several_budgets,
        help="Most columns that students read, as numbers or ratios of all: 5,10,0.5. Each pair is "
        "distilled within each budget.",
    ),
    _within_a_budget,
)

run_options = _all(
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
    hidden = ("mlflow", "as_json", "quiet", "force")
    return {
        key: value for key, value in click.get_current_context().params.items() if key not in hidden
    }


def cache_of(no_cache: bool) -> Any:
    """The label cache, unless the user wants none."""
    from kdcore.label_cache import LabelCache

    return None if no_cache else LabelCache()
