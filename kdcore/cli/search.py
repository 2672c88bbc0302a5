"""``kd search``: the settings of a student searched over score, latency and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kdcore.cli.column_options import max_features
from kdcore.cli.common import echo_json, table_lines
from kdcore.cli.completion import files, names
from kdcore.cli.distill import show_report
from kdcore.cli.options import (
    as_value,
    asked_for,
    cache_of,
    data_options,
    default_output,
    force_option,
    listed,
    mlflow_option,
    run_options,
    student_params_option,
    teacher_of,
    teacher_options,
    tracker_of,
)
from kdcore.cli.progress import progress

if TYPE_CHECKING:
    from kdcore.hpo import SearchResult

__all__ = ["search_command"]


def _students(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    return listed(value)


def _vary(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise click.BadParameter(f"{text!r} is not of the form NAME=LOW..HIGH or NAME=A,B.")
        found[key.strip()] = value.strip()
    return found


def _pick(ctx: click.Context, param: click.Parameter, value: str) -> str | int:
    return int(value) if value.isdecimal() else value


@click.command("search", short_help="Search the settings of a student: score, latency, columns.")
@click.argument("data", shell_complete=files)
@data_options
@teacher_options
@click.option(
    "--student",
    default="logistic_regression",
    show_default=True,
    metavar="A,B",
    callback=_students,
    shell_complete=names("student"),
    help="The small model, or several among which the search chooses.",
)
@student_params_option
@click.option(
    "--vary",
    multiple=True,
    metavar="K=LOW..HIGH|A,B",
    callback=_vary,
    help="Parameter of the student that is searched too; may be repeated.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Trials in all, those of earlier runs among them.",
)
@click.option("--timeout", type=float, metavar="S", help="Seconds after which no trial is started.")
@click.option(
    "--pick",
    default="best",
    show_default=True,
    metavar="HOW",
    callback=_pick,
    help="The trial that is fitted to all training rows: best; one_se, the fewest columns within a "
    "standard error of the best; or a trial's number.",
)
@click.option(
    "--parts",
    type=click.IntRange(1, 5),
    default=3,
    show_default=True,
    help="Parts of the training rows that judge a trial.",
)
@click.option(
    "--max-features",
    metavar="N|RATIO",
    callback=max_features,
    help="Most columns that a trial may read.",
)
@click.option(
    "--selector",
    default="teacher_prior",
    show_default=True,
    metavar="NAME",
    shell_complete=names("selector"),
    help="Ranks the columns; a trial reads the first of them.",
)
@click.option("--alpha", type=float, help="Share of the teacher, instead of varying it.")
@click.option("--loss", metavar="NAME", shell_complete=names("loss"), help="Loss of the student.")
@click.option("--encoder", metavar="NAME", help="Encoder, instead of varying it.")
@click.option("--augment", type=int, metavar="N", help="Synthetic rows, instead of varying them.")
@click.option(
    "--storage",
    metavar="FILE|URL",
    help="Where trials are kept (SQLite); the same command goes on with them, and several may run "
    "at a time. By default a file in kd-out/.",
)
@click.option("--output", "-o", metavar="DIR", help="Folder for the student that is picked.")
@force_option
@mlflow_option
@run_options
def search_command(
    data: str,
    teacher: str | None,
    student: list[str],
    vary: dict[str, str],
    storage: str | None,
    as_json: bool,
    quiet: bool,
    seed: int,
    jobs: int,
    no_cache: bool,
    mlflow: str | None,
    **options: Any,
) -> None:
    """Search the settings of a student, and show the best in score, latency and columns.

    What the student learns from, how many columns it reads, alpha, temperature, encoder, synthetic
    rows and its own parameters are varied. The teacher is asked once. The trial that is picked is
    fitted to all training rows and judged on held-out rows that the search never saw.

    \b
    Examples:
      kd search adult.parquet -t target --student decision_tree --trials 30
      kd search adult.parquet -t target --student decision_tree --trials 30 --pick one_se -o out
      kd search houses.csv -t price --student ridge,decision_tree --vary max_leaf_nodes=8..256
    """
    from kdcore.hpo import search
    from kdcore.hpo.space import parse_range

    tracker = tracker_of(mlflow)
    with progress(show=not quiet) as on_progress:
        result = search(
            data,
            teacher=teacher_of(teacher) or "xgboost",
            student=student,
            vary={name: parse_range(text, as_value) for name, text in vary.items()},
            storage=storage or _default_storage(data),
            random_state=seed,
            n_jobs=jobs,
            cache=cache_of(no_cache),
            on_progress=on_progress,
            **options,
        )
    if tracker is not None and result.distilled is not None:
        asked = {**asked_for(), "trial": result.chosen, "students": ",".join(student)}
        # The one that was picked has this name.
        del asked["student"]
        tracker.log_search(result, asked)
    elif tracker is not None:
        result.notes.append("no trial was picked, so nothing was logged to MLflow.")
    if as_json:
        echo_json(result.to_dict())
    else:
        _show(result)
    if not quiet:
        report = None if result.distilled is None else result.distilled.report
        for note in [*result.notes, *([] if report is None else report.notes)]:
            click.echo(f"Note: {note}", err=True)


def _default_storage(data: str) -> str:
    """One file for each table; the study's name in it tells settings apart."""
    file = default_output(data, "search.db")
    file.parent.mkdir(exist_ok=True)
    return str(file)


def _show(result: SearchResult) -> None:
    trials = {t["number"]: t for t in result.trials}
    states = [t["state"] for t in result.trials]
    counted = [f"{states.count(s)} {s}" for s in ("complete", "stopped", "failed") if s in states]
    click.echo(f"{len(states)} trials ({', '.join(counted)}); the best of them:\n")
    metric = {"log_loss": "log loss", "rmse": "RMSE"}[result.metric]
    rows: list[tuple[str, ...]] = [
        ("", "trial", "student", "learns from", metric, "+-", "1 row", "columns", "setting")
    ]
    for number in result.front():
        t = trials[number]
        setting = ", ".join(f"{k}={v}" for k, v in t["setting"].items())
        rows.append(
            (
                ">" if number == result.chosen else "",
                str(number),
                t["student"],
                t["learns_from"],
                f"{t['score']:.4g}",
                f"{t['se']:.2g}",
                f"{t['latency_us']:,.0f} us",
                str(t["columns"]),
                setting,
            )
        )
    click.echo("\n".join(table_lines(rows)))
    if result.distilled is not None:
        click.echo(f"\nTrial {result.chosen} on all training rows, judged on rows held out:\n")
        show_report(result.distilled.report)
