"""What a reader of a result must know: sentences that pages can tell in another language.

A `Note` is its English text, and remembers the template and the values that it was made of. Pages
in other languages have templates of the same names; see `kdcore.webpage.notes_zh`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["TEMPLATES", "Note", "figure", "made_of", "note", "note_from"]

TEMPLATES = {
    # the student
    "counterpart": "the student '{student}' does not do {task}; its counterpart '{other}' does.",
    "loss_ignores_teacher": "the loss {loss} ignores the teacher: the student is a baseline.",
    "no_bundle": "the student '{student}' cannot be written as ONNX: no bundle.",
    "both": "{first} {second}",
    # the teacher and its labels
    "labels_cached": "the labels of the teacher {teacher} came from the cache; --no-cache makes "
    "them anew.",
    "labels_in_sample": "the labels of the teacher {teacher} are in-sample; if it was fitted on "
    "held-out rows too, its own scores and the gap to it are flattered.",
    "labels_asked_before": "the teacher's labels were made before rows were held out; if it has "
    "seen their targets, the verdict is flattered. Rows of --test FILE that it never saw are safe.",
    "compiled_too_large": "the teacher was not compiled to see how fast it could be: {size:.0f} "
    "MB are more than {most:.0f} MB.",
    "compiled_differs": "the compiled teacher is not the teacher: {error}",
    "compiled_not": "the teacher cannot be compiled: {error}",
    "compiled_failed": "compiling the teacher failed with {error}",
    "compile_instead_log_loss": "compile the teacher instead: ONNX Runtime answers one row of it "
    "in {teacher:.0f} us, the student in {student:.0f} us, and its log loss is lower by "
    "{gain} (95 % interval {low} to {high}); kd bench --save-teacher and "
    "kdcore.compiled.compile_teacher write it.",
    "compile_instead_rmse": "compile the teacher instead: ONNX Runtime answers one row of it in "
    "{teacher:.0f} us, the student in {student:.0f} us, and its RMSE is lower by {gain} (95 % "
    "interval {low} to {high}); kd bench --save-teacher and "
    "kdcore.compiled.compile_teacher write it.",
    # the recipe
    "late": "the time limit of {seconds:g} s was used up by the teacher's labels; the student "
    "learned from them without synthetic rows, tuning or validation.",
    "not_compared": "comparing recipes would take about {seconds:.0f} s, more than the time limit "
    "leaves; the default was used unless labels alone did better on held-out rows.",
    "ahead_of_teacher": "on held-out training rows the student of labels alone is ahead of the "
    "teacher (a loss of {student} against {teacher}), which has nothing to teach it; "
    "labels alone were used.",
    "harmed_by_rows": "on held-out training rows synthetic rows did harm (a loss of "
    "{with_rows}, and {without} without any), so none were used.",
    "other_recipe": "on held-out training rows the recipe '{recipe}' had a loss of {loss} and "
    "'{base}' {base_loss} (a gain of {gain} with a standard error of {se}), so it was "
    "used.",
    "most_synthetic": "{times} synthetic rows for each training row would be {wanted:,}; {made:,} "
    "were made, the most that are.",
    "part_of_rows": "encoded by {encoder}, each row has {width:,} columns; so that this takes no "
    "more than {size:,.0f} MB, the student learned from {rows:,} of {all_rows:,} rows (at "
    "random). An encoder of fewer bins or pairs leaves room for more.",
    # the columns
    "same_columns": "the plain student reads the same {n} of {p} columns, chosen within the same "
    "budget of {budget}.",
    "few_rows": "{rows} training rows are too few to choose the number of columns by; the budget "
    "was filled.",
    "some_rows": "columns were chosen by {some:,} of the {rows:,} training rows, and judged by "
    "{judged:,} others, so that copies of a table of {p:,} columns stay small.",
    "budget_too_large": "max_features={asked} is more than the {p} columns of the table, so all "
    "of them were allowed.",
    "fewer_splits": "the time limit left {made} of {wanted} splits of the training rows to choose "
    "columns by.",
    "search_ended": "the time limit ended the search for columns after {done} of {all_sets} sets.",
    "relabel_failed_none": "the teacher could not be fitted anew on the chosen columns, so true "
    "labels alone were used: {error}",
    "relabel_failed": "the teacher could not be fitted anew on the chosen columns, so its first "
    "labels were used: {error}",
    "relabel_none": "of the labels of the teacher, of the same teacher fitted anew on the {n} "
    "chosen columns, and true labels alone{compared}, the last were used.",
    "relabel_old": "labels of the teacher fitted anew on the {n} chosen columns were no "
    "better{compared}, so those of the teacher that reads all columns were used.",
    "relabel_new": "the student learned from the teacher fitted anew on the {n} chosen "
    "columns{compared}; the teacher in the table is the one that reads all.",
    "relabel_losses": " (loss on held-out training rows: first labels {old}, "
    "new ones {new}, true ones alone {none})",
    "relabel_losses_flattered": " (loss on held-out training rows, of which soft labels know a "
    "little: first labels {old}, new ones {new}, true ones alone {none})",
    # a search
    "trial_beside_labels": "trial {trial} of {trials}; the plain student is that of trial {best}, "
    "the best of labels alone with at most {columns} columns.",
    "trial_alone": "trial {trial} of {trials}; no trial of labels alone with at most {columns} "
    "columns is complete, so the plain student has the same parameters.",
    # the report
    "no_pictures": "the report has no pictures: {error}",
    "no_report": "the report could not be made: {error}",
}


def figure(value: float, digits: int = 4, sign: str = "") -> str:
    """A number of so many significant digits; whole ones in full, as 61,712 and not 6.171e+04.

    Parameters
    ----------
    value : float
    digits : int, default=4
    sign : {"", "+"}, default=""
        Whether numbers above 0 have a sign.
    """
    shown = f"{value:{sign}.{digits}g}"
    return f"{value:{sign},.0f}" if "e+" in shown and abs(value) < 1e9 else shown


class Note(str):
    """A sentence that knows what it was made of.

    Parameters
    ----------
    text : str
        In English.
    template : str
        A key of `TEMPLATES`.
    values : mapping
        What fills its gaps: plain numbers and texts, or other notes.
    """

    template: str
    values: dict[str, Any]

    def __new__(
        cls, text: str, template: str = "", values: Mapping[str, Any] | None = None
    ) -> Note:
        made = super().__new__(cls, text)
        made.template, made.values = template, dict(values or {})
        return made

    def to_dict(self) -> dict[str, Any]:
        """``template`` and ``values`` as plain data for JSON."""
        plain = {k: v.to_dict() if isinstance(v, Note) else v for k, v in self.values.items()}
        return {"template": self.template, "values": plain}


def note(template: str, **values: Any) -> Note:
    """The sentence of a template.

    Parameters
    ----------
    template : str
        A key of `TEMPLATES`.
    **values
        What fills its gaps. Numbers of numpy become plain ones; other objects their text.
    """
    plain = {name: _plain(value) for name, value in values.items()}
    return Note(TEMPLATES[template].format(**plain), template, plain)


def made_of(text: str) -> dict[str, Any] | None:
    """The template and values of a note, as plain data; None for any other text."""
    return text.to_dict() if isinstance(text, Note) else None


def note_from(text: str, parts: Mapping[str, Any] | None) -> str:
    """A note from its text and what `made_of` gave; the text alone where that is nothing."""
    return Note(text, parts["template"], parts["values"]) if parts else text


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, (int, float, str)) else str(value)
