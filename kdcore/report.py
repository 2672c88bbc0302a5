"""The result of a distillation as plain data (`DistillReport`) and as a table for a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kdcore.notes import made_of

if TYPE_CHECKING:
    from kdcore.comparison import Comparison

__all__ = [
    "DistillReport",
    "FitReport",
    "comparison_rows",
    "recipe_line",
    "selection_line",
    "stability_lines",
    "summary_rows",
]


@dataclass
class DistillReport:
    """Everything that `kd distill --json` prints; see the reference of the command line.

    All metrics are measured on held-out rows. What does not apply is None.
    """

    task: str
    classes: list[Any] | None
    rows: dict[str, int]
    columns: int
    teacher: dict[str, Any]
    plain: dict[str, Any]
    student: dict[str, Any]
    recipe: dict[str, Any]
    verdict: dict[str, Any]
    plain_encoded: dict[str, Any] | None = None
    latency_us: dict[str, Any] = field(default_factory=dict)
    size_bytes: dict[str, int | None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    selection: dict[str, Any] | None = None
    parity: dict[str, Any] | None = None
    split: str = "random"
    seed: int = 0
    notes: list[str] = field(default_factory=list)
    bundle: str | None = None
    deploy: str | None = None
    report: str | None = None
    origin: dict[str, Any] | None = None
    pictures: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, in the order of the documentation."""
        order = (
            "task classes rows split columns teacher plain plain_encoded student recipe selection "
            "verdict latency_us size_bytes seconds parity seed notes note_templates bundle deploy "
            "report origin pictures"
        )
        told = {**vars(self), "note_templates": [made_of(text) for text in self.notes]}
        return {key: told[key] for key in order.split()}

    def to_html(self, *, lang: str = "en") -> str:
        """The report as one page that stands alone; see `kdcore.webpage.report_page`."""
        from kdcore.webpage import report_page

        return report_page(self.to_dict(), lang=lang)


@dataclass(frozen=True)
class FitReport:
    """What happened in ``fit``.

    Parameters
    ----------
    teacher, student : str
        Names.
    labels : str
        Provenance of the soft labels: out-of-fold, held-out, in-sample or given.
    folds : int
        0 where no teacher was fitted.
    teacher_metrics : dict
        The scores of the soft labels on the rows that were fitted; flattered where the labels
        are in-sample.
    alpha, temperature : float
    loss : str or None
    recipe : str
        Name of the recipe that was used.
    augmented : int
        Synthetic rows.
    params : dict
        Parameters that the recipe and tuning gave the student.
    seconds : dict
        ``label``, ``fit``, ``total``.
    notes : list of str
        What was left out or decided otherwise, and why.
    selection : dict or None
        How the student's columns were chosen; see `kdcore.selection.Selection`.
    """

    teacher: str
    student: str
    labels: str
    folds: int
    teacher_metrics: dict[str, float | None]
    alpha: float
    temperature: float
    loss: str | None
    recipe: str
    augmented: int
    params: dict[str, Any]
    seconds: dict[str, float]
    notes: list[str]
    selection: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


#: Most names of columns on a line.
_MOST_NAMES = 12
#: What a terminal shows; the other metrics are in the JSON.
_HEADINGS = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "roc_auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}


def summary_rows(report: DistillReport) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table teacher / plain / distilled, as text."""
    metrics = [m for m in report.plain["metrics"] if m in _HEADINGS]
    headings = ["", "model", *(_HEADINGS[m] for m in metrics)]
    headings += ["agrees" if report.classes else "R2 to t.", "1 row", "size"]
    rows = []
    for label, key in (
        ("teacher", "teacher"),
        ("plain", "plain"),
        ("same encoding", "plain_encoded"),
        ("distilled", "student"),
    ):
        part = getattr(report, key)
        if part is None:
            continue
        scores = part["metrics"] or {}
        row = [label, part["name"], *(_number(scores.get(m)) for m in metrics)]
        row.append(_likeness(part.get("fidelity")))
        latency, size = report.latency_us.get(key), report.size_bytes.get(key)
        row.append(_time(latency["single"]) if latency else "")
        row.append("" if size is None else _size(size))
        rows.append(row)
    return headings, rows


def recipe_line(report: DistillReport) -> str:
    """What the distilled student was taught with, in one line."""
    recipe = report.recipe
    parts = [recipe["name"]]
    if recipe["calibration"] != 1:
        parts.append(f"teacher calibrated at temperature {recipe['calibration']:.3g}")
    if recipe["label_correction"]:
        told = recipe["label_correction"]
        parts.append(
            f"labels corrected ({told['name']}: teacher's error {told['error']:.3g}, mean share "
            f"of the label {told['label_share']:.2g})"
        )
    if recipe["augment"]:
        parts.append(f"{recipe['augment']:,} synthetic rows ({recipe['rows']})")
    borrowed = "" if recipe["structure"] is None else f" (structure: {recipe['structure']})"
    parts.append(f"encoder {recipe['encoder']}{borrowed}")
    parts += [f"{name}={value}" for name, value in recipe["params"].items()]
    return "; ".join(parts)


def selection_line(report: DistillReport) -> str | None:
    """Which columns the student reads, in one line; None where it may read all."""
    told = report.selection
    if told is None:
        return None
    columns = told["columns"]
    shown = ", ".join(columns[:_MOST_NAMES])
    shown += f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    how = "the others were dropped"
    if told["selector"] is not None:
        how = f"at most {told['budget']}, by {told['selector']}"
    line = f"columns: {len(columns)} of {report.columns} ({how}): {shown}"
    if told["relabel"] is not None and told["relabel"]["used"] == "new":
        line += "; labels of the teacher fitted anew on them"
    return line


def _named(row: Any) -> str:
    """The student of a pair, with its budget where there is one."""
    most = row["max_features"]
    if most is None:
        return str(row["student"])
    what = "of the columns" if isinstance(most, float) else "columns"
    return f"{row['student']} (at most {most} {what})"


def stability_lines(report: DistillReport) -> list[str]:
    """How stable the choice of columns is, in a few lines; none where that was not asked for."""
    told = None if report.selection is None else report.selection["stability"]
    if told is None:
        return []
    shown = list(told["frequency"].items())[:_MOST_NAMES]
    more = len(told["frequency"]) - len(shown)
    lines = [
        f"stability: {told['samples']} bootstrap samples; Jaccard index "
        f"{_number(told['jaccard'])}, Kuncheva index {_number(told['kuncheva'])}",
        "chosen in: "
        + ", ".join(f"{name} {share:.0%}" for name, share in shown)
        + (f" and {more} more" if more else ""),
    ]
    lines += [
        f"interchangeable: {', '.join(group['columns'][:_MOST_NAMES])} "
        f"(one of them in {group['frequency']:.0%})"
        for group in told["groups"]
    ]
    return lines


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.1%}"


def _likeness(fidelity: dict[str, float | None] | None) -> str:
    if not fidelity:
        return ""
    if "agreement" in fidelity:
        return f"{fidelity['agreement']:.1%}"
    return _number(fidelity["r2_to_teacher"])


def _time(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms" if microseconds >= 1000 else f"{microseconds:.0f} us"


def _size(size: int | None) -> str:
    if size is None or size != size:
        return "-"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def comparison_rows(
    comparison: Comparison,
) -> tuple[list[str], list[list[str]], list[tuple[str, str, str]]]:
    """Headings and rows of a comparison, the best student first, and the failed pairs."""
    frame = comparison.to_frame()
    failed = [
        (row["teacher"], _named(row), row["error"])
        for row in frame.to_dict("records")
        if isinstance(row["error"], str)
    ]
    if len(failed) == len(frame):
        return [], [], failed
    metric = next(c for c in frame.columns if c.endswith("_student")).removesuffix("_student")
    label = _HEADINGS[metric]
    budgets = frame["max_features"].notna().any()
    headings = ["", "teacher", "student"]
    headings += ["at most", "columns"] if budgets else []
    headings += [f"{label}: teacher", "plain", "distilled"]
    classes = metric != "rmse"
    headings += ["gap closed", "agrees" if classes else "R2 to t.", "1 row", "size", "deploy"]
    body = []
    for row in frame.to_dict("records"):
        if isinstance(row["error"], str):
            continue
        gap, most = row["gap_closed"], row["max_features"]
        body.append(
            [
                "*" if row["pareto"] else "",
                row["teacher"],
                row["student"],
                *(["-" if most is None else str(most), f"{row['columns']:.0f}"] if budgets else []),
                *(_number(row[f"{metric}_{who}"]) for who in ("teacher", "plain", "student")),
                "-" if gap is None or gap != gap else f"{gap:.0%}",
                _share(row["fidelity"]) if classes else _number(row["fidelity"]),
                _time(row["latency_us"]),
                _size(row["size_bytes"]),
                row["choice"],
            ]
        )
    return headings, body, failed
