"""Options that say which columns a student may read."""

from __future__ import annotations

from typing import Any

import click

from kdcore.cli.completion import columns, names
from kdcore.cli.options import listed, parameters, together

__all__ = ["budgets_options", "column_options", "max_features"]


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
    found = [_budget_of(part) for part in listed(value)]
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
    return [name for text in values for name in listed(text)]


def _prices(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any] | None:
    return parameters(ctx, param, values) or None


def _tolerance(ctx: click.Context, param: click.Parameter, value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


_within_a_budget = together(
    click.option(
        "--selector",
        metavar="NAME",
        shell_complete=names("selector"),
        help="How columns are chosen; prior_backward unless given, for PyTorch students "
        "budgeted_elimination. `kd plugins` lists names.",
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
column_options = together(
    click.option(
        "--max-features",
        metavar="N|RATIO",
        callback=max_features,
        help="Most columns that the student reads, as a number or a ratio of all; a ceiling.",
    ),
    _within_a_budget,
)

#: The same for several budgets.
budgets_options = together(
    click.option(
        "--max-features",
        metavar="N|RATIO,...",
        callback=_several_budgets,
        help="Most columns that students read, as numbers or ratios of all: 5,10,0.5. Each pair is "
        "distilled within each budget.",
    ),
    _within_a_budget,
)
