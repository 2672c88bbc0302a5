"""Results in MLflow: parameters, metrics, and the files that were written."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kdcore
from kdcore.errors import KDError, first_line

if TYPE_CHECKING:
    from kdcore.hpo import SearchResult

__all__ = ["DEFAULT_URI", "Tracker", "numbers"]

DEFAULT_URI = "sqlite:///mlflow.db"
_EXPERIMENT = "kdcore"
#: MLflow takes no longer value of a parameter.
_LONGEST = 6000


class Tracker:
    """A place where runs are logged.

    Made before any long work, so that a wrong address is told at once. It changes none of MLflow's
    own settings of this process.

    Parameters
    ----------
    uri : str, default="sqlite:///mlflow.db"
        A tracking URI of MLflow: a database, or the address of a server.
    experiment : str, default="kdcore"

    Raises
    ------
    KDError
        When MLflow is not installed, or cannot use the URI.
    """

    def __init__(self, uri: str = DEFAULT_URI, experiment: str = _EXPERIMENT) -> None:
        try:
            with _quiet():
                from mlflow import MlflowClient
        except ImportError:
            raise KDError(
                'MLflow is not installed; run `pip install "kdcore[mlflow]"`, or leave out '
                "--mlflow."
            ) from None
        self.uri = uri
        try:
            with _quiet():
                self.client = MlflowClient(uri)
                found = self.client.get_experiment_by_name(experiment)
                self.experiment = (
                    self.client.create_experiment(experiment)
                    if found is None
                    else found.experiment_id
                )
        except Exception as error:
            raise KDError(
                f"MLflow cannot use '{uri}' (--mlflow): {_said(error)}. Name a database such "
                f"as {DEFAULT_URI}, or the address of a running server."
            ) from error

    def log_distillation(
        self,
        result: Mapping[str, Any],
        params: Mapping[str, Any],
        *,
        parent: str | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> str:
        """Log one distillation.

        Parameters
        ----------
        result : mapping
            As `DistillReport.to_dict` gives it; the files that it names are logged too.
        params : mapping
            What the user asked for; what the recipe made of it is logged as ``recipe.*``.
        parent : str, optional
            Id of the run of a comparison.
        content : mapping, optional
            More data by the names of JSON files.

        Returns
        -------
        str
            Id of the run.

        Raises
        ------
        KDError
            When MLflow cannot take them.
        """
        teacher, student, verdict = result["teacher"], result["student"], result["verdict"]
        tags = {
            "kdcore.version": kdcore.__version__,
            "kdcore.choice": verdict["choice"],
            "mlflow.note.content": verdict["reason"],
        }
        recipe = {k: v for k, v in result["recipe"].items() if k not in ("trials", "rows_quality")}
        files = [result.get(key) for key in ("bundle", "deploy", "report")]
        if result.get("bundle"):
            files.append(str(Path(result["bundle"]).with_name("result.json")))
        return self._log(
            f"{teacher['name']} -> {student['name']}",
            params={"teacher": teacher["name"], "student": student["name"]}
            | _flat(params)
            | _flat({"recipe": recipe}),
            metrics=numbers(result),
            tags=tags,
            files=[Path(f) for f in dict.fromkeys(files) if f and Path(f).is_file()],
            content=content,
            parent=parent,
        )

    def log_search(self, found: SearchResult, params: Mapping[str, Any]) -> str:
        """Log the student that a search picked, with its bundle and report, and all trials.

        Parameters
        ----------
        found : SearchResult
            Of which a trial was picked; it need not have been saved.
        params : mapping

        Returns
        -------
        str
            Id of the run.
        """
        assert found.distilled is not None
        report = found.distilled.report
        content = {"trials.json": {"trials": found.trials, "front": found.front()}}
        if report.bundle or report.report:
            return self.log_distillation(report.to_dict(), params, content=content)
        with tempfile.TemporaryDirectory() as folder:
            found.distilled.save(folder, force=True)
            try:
                return self.log_distillation(report.to_dict(), params, content=content)
            finally:
                report.bundle = report.deploy = report.report = None

    def log_comparison(
        self,
        comparison: Mapping[str, Any],
        params: Mapping[str, Any],
        files: Sequence[Path] = (),
    ) -> str:
        """Log a comparison: a run for all of it, and below that one for each pair.

        Parameters
        ----------
        comparison : mapping
            As `Comparison.to_dict` gives it.
        params : mapping
        files : sequence of Path, optional

        Returns
        -------
        str
            Id of the run of the whole.
        """
        pairs = comparison["pairs"]
        failed = [pair for pair in pairs if "error" in pair]
        whole = self._log(
            "comparison",
            params=_flat(params),
            metrics={"pairs": float(len(pairs)), "failed": float(len(failed))},
            tags={"kdcore.version": kdcore.__version__},
            files=[file for file in files if file.is_file()],
            content={"comparison.json": dict(comparison)},
        )
        for number, pair in enumerate(pairs):
            if "error" in pair:
                names = {role: pair[role]["name"] for role in ("teacher", "student")}
                self._log(
                    f"{names['teacher']} -> {names['student']}",
                    params=names,
                    metrics={},
                    tags={"kdcore.error": pair["error"]},
                    parent=whole,
                    status="FAILED",
                )
                continue
            run = self.log_distillation(pair, {}, parent=whole)
            if number in comparison["pareto"]:
                self.client.set_tag(run, "kdcore.pareto", "true")
        return whole

    def _log(
        self,
        name: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path] = (),
        content: Mapping[str, Any] | None = None,
        parent: str | None = None,
        status: str = "FINISHED",
    ) -> str:
        try:
            with _quiet():
                from mlflow.entities import Metric, Param

                own = dict(tags) | ({"mlflow.parentRunId": parent} if parent else {})
                run = self.client.create_run(self.experiment, tags=own, run_name=name)
                run_id, now = str(run.info.run_id), run.info.start_time
                self.client.log_batch(
                    run_id,
                    metrics=[Metric(key, value, now, 0) for key, value in metrics.items()],
                    params=[Param(key, str(v)[:_LONGEST]) for key, v in params.items()],
                )
                for file in files:
                    self.client.log_artifact(run_id, str(file))
                for file_name, data in (content or {}).items():
                    self.client.log_dict(run_id, data, file_name)
                self.client.set_terminated(run_id, status=status)
        except Exception as error:
            raise KDError(
                f"MLflow at '{self.uri}' (--mlflow) did not take the results: "
                f"{_said(error)}. What was written to the output folder is complete."
            ) from error
        return run_id


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a distillation by name, such as ``student.log_loss``."""
    found: dict[str, Any] = {}
    for who in ("teacher", "plain", "plain_encoded", "student"):
        part = result.get(who) or {}
        for group in ("metrics", "fidelity"):
            found |= {f"{who}.{key}": value for key, value in (part.get(group) or {}).items()}
        found[f"{who}.fit_seconds"] = part.get("fit_seconds")
    verdict = result["verdict"]
    low, high = verdict["ci95"] or (None, None)
    found |= {"gain": verdict["gain"], "gain_low": low, "gain_high": high}
    found |= {
        "gap_closed": verdict["gap_closed"],
        "columns_read": len(result["student"]["features"]),
    }
    for group in ("latency_us", "size_bytes", "seconds", "rows"):
        found |= _flat({group: result[group]})
    return {
        key: float(value)
        for key, value in found.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots; what is None or empty is left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        elif value is not None and value != [] and value != ():
            found[f"{prefix}{key}"] = value
    return found


def _said(error: BaseException) -> str:
    return first_line(error).rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what MLflow and the libraries below it say of themselves."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
