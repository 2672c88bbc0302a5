"""What a search varies: the setting of one trial, and how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kdcore.errors import ParameterError
from kdcore.recipe import MOST_BINNED

if TYPE_CHECKING:
    from kdcore.resolve import Resolved

__all__ = ["Range", "Setting", "Space", "parse_range"]

#: Ranges whose ends are so many times apart are searched on a logarithmic scale.
_WIDE = 50
_TEMPERATURES = (1.0, 2.0, 4.0)
_RANGE = re.compile(r"\s*([^.,]+(?:\.\d[^.,]*)?)\s*\.\.\s*(.+?)\s*\Z")


@dataclass(frozen=True)
class Range:
    """Values that a parameter may take: the whole numbers or numbers from ``low`` to ``high``."""

    low: int | float
    high: int | float

    @property
    def log(self) -> bool:
        """Whether it is searched on a logarithmic scale."""
        return self.low > 0 and self.high >= _WIDE * self.low


@dataclass(frozen=True)
class Setting:
    """What one trial tries.

    Parameters
    ----------
    student : str
    teacher : bool
        Whether the student sees soft labels; False means labels alone.
    columns : int
        How many columns it reads.
    alpha, temperature, encoder, augment
        As in `kdcore.distill`; None leaves the student's own, or that of its recipe.
    params : dict
        Parameters of the student.
    """

    student: str
    teacher: bool
    columns: int
    alpha: float | None = None
    temperature: float | None = None
    encoder: str | None = None
    augment: int | None = None
    params: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without what is left as it is."""
        content = {
            "alpha": self.alpha,
            "temperature": self.temperature,
            "encoder": self.encoder,
            "augment": self.augment,
            **self.params,
        }
        return {k: v for k, v in content.items() if v is not None}


class Space:
    """All settings of the named students.

    Parameters
    ----------
    students : mapping of str to Resolved
        Each with what the user has set.
    most : int
        Most columns.
    vary : mapping of str to Range or sequence
        Parameters of the students that are searched beside those of their recipes.
    softens : bool
        Whether the loss takes a temperature, and the user has set none.
    fixed : mapping
        ``alpha``, ``encoder``, ``augment`` of the user, which are not varied; None where not set.
    augments : bool
        Whether the teacher can label synthetic rows.

    Raises
    ------
    ParameterError
        When a parameter to vary is one that no student has.
    """

    def __init__(
        self,
        students: Mapping[str, Resolved],
        *,
        most: int,
        vary: Mapping[str, Range | Sequence[Any]],
        softens: bool,
        fixed: Mapping[str, Any],
        augments: bool,
    ) -> None:
        self.students, self.most, self.fixed = dict(students), most, fixed
        self.softens, self.augments = softens, augments
        self.params = {}
        for name, student in self.students.items():
            known = student.estimator.get_params()
            own = {} if student.recipe is None else student.recipe.tune
            grid: dict[str, Any] = {k: v for k, v in own.items() if k not in student.given}
            grid |= {k: v for k, v in vary.items() if k in known}
            self.params[name] = grid
        for name in vary:
            if not any(name in grid for grid in self.params.values()):
                raise ParameterError(
                    f"vary: no student among {', '.join(self.students)} has a parameter {name!r}."
                )

    def draw(self, trial: Any) -> Setting:
        """The setting of an Optuna trial."""
        names = list(self.students)
        student = names[0] if len(names) == 1 else trial.suggest_categorical("student", names)
        prefix = "" if len(names) == 1 else f"{student}."
        teacher = trial.suggest_categorical("learns_from", ["soft labels", "labels"])
        setting: dict[str, Any] = {
            "student": student,
            "teacher": teacher == "soft labels",
            "columns": trial.suggest_int("columns", 1, self.most, log=True),
        }
        if setting["teacher"]:
            setting["alpha"] = self.fixed["alpha"]
            if setting["alpha"] is None:
                setting["alpha"] = round(trial.suggest_float("alpha", 0.1, 1.0, step=0.05), 2)
            # A student of plain targets cannot soften its own side.
            if self.softens and self.students[student].estimator.uses_gradient:
                setting["temperature"] = trial.suggest_categorical("temperature", _TEMPERATURES)
        setting["encoder"] = self._encoder(trial, student, prefix, setting["columns"])
        if setting["teacher"]:
            setting["augment"] = self._augment(trial, student, prefix)
        setting["params"] = {
            key: _suggest(trial, prefix + key, values)
            for key, values in self.params[student].items()
        }
        return Setting(**setting)

    def _encoder(self, trial: Any, student: str, prefix: str, columns: int) -> Any:
        if self.fixed["encoder"] is not None:
            return self.fixed["encoder"]
        found = self.students[student]
        own, recipe = str(found.estimator.encoder), found.recipe
        choices = [own]
        if recipe is not None and recipe.encoder is not None and "encoder" not in found.given:
            choices.append(recipe.encoder)
        if len(choices) == 1 or columns > MOST_BINNED:
            return own
        return trial.suggest_categorical(f"{prefix}encoder", choices)

    def _augment(self, trial: Any, student: str, prefix: str) -> Any:
        if self.fixed["augment"] is not None or not self.augments:
            return self.fixed["augment"]
        recipe = self.students[student].recipe
        if recipe is None or not recipe.augment:
            return 0
        return trial.suggest_categorical(f"{prefix}augment", [0, recipe.augment])


def _suggest(trial: Any, name: str, values: Range | Sequence[Any]) -> Any:
    if isinstance(values, Range):
        if isinstance(values.low, int) and isinstance(values.high, int):
            return trial.suggest_int(name, values.low, values.high, log=values.log)
        return trial.suggest_float(name, values.low, values.high, log=values.log)
    # Optuna stores texts and numbers only; a value may be a list of layers.
    by_text = {str(value): value for value in values}
    return by_text[trial.suggest_categorical(name, list(by_text))]


def parse_range(text: str, value: Any) -> Range | list[Any]:
    """``LOW..HIGH`` as a `Range`, and ``A,B,C`` as a list; ``value(text)`` reads one value.

    Raises
    ------
    ParameterError
        When a range is not one of two numbers, the smaller first.
    """
    if found := _RANGE.match(text):
        low, high = value(found[1].strip()), value(found[2].strip())
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (low, high))
        if not numbers or not low < high:
            raise ParameterError(
                f"vary: {text!r} is not a range of two numbers, the smaller first, such as 2..8."
            )
        return Range(low, high)
    return [value(part.strip()) for part in text.split(",")]
