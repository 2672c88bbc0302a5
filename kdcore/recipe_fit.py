"""From a recipe to a fitted student: calibrated labels, structure, synthetic rows, encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.calibration import Calibration
from kdcore.encoders import make_encoder
from kdcore.errors import FitError, KDError, first_line
from kdcore.given import raw_like
from kdcore.label_correction import corrected
from kdcore.labels import teacher_output
from kdcore.notes import note
from kdcore.row_limit import MOST_CELLS, affordable_rows
from kdcore.structure import structure_of
from kdcore.targets import SoftTargets, encode_labels
from kdcore.transfer import (
    QualityMeter,
    build_transfer_set,
    default_method,
    join_unlabeled,
    make_augmenter,
)
from kdcore.transfer.assembly import default_ratio

if TYPE_CHECKING:
    from kdcore.recipe import Recipe
    from kdcore.resolve import Resolved
    from kdcore.splits import Data
    from kdcore.structure import TeacherStructure
    from kdcore.table import LabeledTable
    from kdcore.teacher_run import TeacherRun

__all__ = ["Lesson", "fit_student", "soft_targets"]

#: Most synthetic rows, whoever asks for them, so that time and memory stay bounded.
_MOST_SYNTHETIC = 250_000


@dataclass(eq=False)
class Lesson:
    """What one teacher can teach on one split of the rows.

    Everything is made when it is first needed, and kept.

    Parameters
    ----------
    data : Data
    run : TeacherRun
    random_state : int
        Of synthetic rows.
    measure : bool, default=False
        Whether to take the quality of synthetic rows, see `quality`.
    whole : Lesson, optional
        The lesson of which this is a part: it has the same structure.
    told : list of str
        What a reader of the report should know of the fits, see `fit_student`.
    """

    data: Data
    run: TeacherRun
    random_state: int
    measure: bool = False
    whole: Lesson | None = None
    told: list[str] = field(default_factory=list)
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def calibration(self) -> Calibration:
        """Fitted to labels of rows that the teacher had not seen; none to in-sample ones."""
        if "calibration" not in self._kept:
            run, train = self.run, self.data.train
            usable = train.classes is not None and run.labels.provenance != "in-sample"
            self._kept["calibration"] = (
                Calibration.fit(run.labels.values, soft_targets(train).labels, train.sample_weight)
                if usable
                else Calibration()
            )
        return self._kept["calibration"]

    @property
    def structure(self) -> TeacherStructure | None:
        """What the teacher's trees tell of the columns; None where it does not expose them."""
        if self.whole is not None:
            return self.whole.structure
        if "structure" not in self._kept:
            self._kept["structure"] = structure_of(self.teacher)
        return self._kept["structure"]

    @property
    def teacher(self) -> Any:
        """The teacher that knows all training rows; None where only labels were given."""
        if self.run.labels.teacher is not None or self.run.refit is None:
            return self.run.labels.teacher
        if "teacher" not in self._kept:
            # Its labels came from the cache, which keeps no models.
            self._kept["teacher"] = self.run.refit(self.data.train)
        return self._kept["teacher"]

    def transfer_set(self, recipe: Recipe) -> tuple[Any, SoftTargets]:
        """The rows that a recipe teaches with: training, unlabeled and synthetic ones."""
        if not recipe.teacher:
            return self.data.train.X, soft_targets(self.data.train)
        if not self.augmented(recipe) and self.data.extra is None:
            return self._rows(recipe)
        key = (recipe.augment, self.method(recipe), recipe.calibrate, recipe.correction)
        if self._kept.get("rows", (None,))[0] != key:
            # One at a time: transfer sets are large.
            self._kept["rows"] = (key, self._rows(recipe))
        return self._kept["rows"][1]

    def augmented(self, recipe: Recipe) -> int:
        """How many synthetic rows a recipe makes."""
        if not recipe.teacher:
            return 0
        wanted = recipe.augment * len(self.data.train)
        if wanted > _MOST_SYNTHETIC:
            said = note("most_synthetic", times=recipe.augment, wanted=wanted, made=_MOST_SYNTHETIC)
            self.told += [said] if said not in self.told else []
        return min(wanted, _MOST_SYNTHETIC)

    def quality(self, recipe: Recipe) -> dict[str, Any] | None:
        """How like the training rows a recipe's synthetic rows are; None where there are none.

        See `kdcore.transfer.transfer_quality`.
        """
        if not (self.measure and self.augmented(recipe)):
            return None
        self.transfer_set(recipe)
        return self._kept["quality"]

    def correction(self, recipe: Recipe) -> dict[str, Any] | None:
        """What correcting the labels of a recipe did (`corrected`); None if it does not."""
        if not recipe.teacher or recipe.correction is None:
            return None
        if "correction" not in self._kept:
            self.transfer_set(recipe)
        return {"name": recipe.correction.name, **self._kept["correction"]}

    def method(self, recipe: Recipe) -> Any:
        """How a recipe's synthetic rows are made."""
        train = self.data.train
        return recipe.method or default_method(len(train.names), train.n_classes, few=recipe.few)

    def _rows(self, recipe: Recipe) -> tuple[Any, SoftTargets]:
        train, extra, run = self.data.train, self.data.extra, self.run
        calibrate = self.calibration if recipe.calibrate else Calibration()
        X = train.X
        targets = soft_targets(train, calibrate(run.labels.values), run.labels.provenance)
        if recipe.correction is not None:
            targets, self._kept["correction"] = corrected(
                recipe.correction, X, targets, random_state=self.random_state
            )
        if extra is not None and run.unlabeled is not None:
            X, targets = join_unlabeled(X, targets, extra.X, calibrate(run.unlabeled))
        n = self.augmented(recipe)
        if not n:
            return X, targets
        meter = QualityMeter(X, random_state=self.random_state) if self.measure else None
        rows = build_transfer_set(
            X,
            targets,
            make_augmenter(self.method(recipe)),
            n,
            lambda frame: calibrate(self.ask(frame)),
            # No synthetic row counts more than a real one.
            ratio=min(default_ratio(len(train)), n / len(train)),
            random_state=self.random_state,
            on_rows=None if meter is None else meter.update,
        )
        self._kept["quality"] = None if meter is None else meter.result().to_dict()
        return rows

    def ask(self, frame: Any) -> np.ndarray:
        """The output of `teacher` for canonical rows."""
        teacher, train = self.teacher, self.data.train
        if getattr(teacher, "reads_raw", False):
            frame = raw_like(frame, train.source)
        return teacher_output(teacher, frame, train.classes)


def soft_targets(
    table: LabeledTable, teacher: np.ndarray | None = None, provenance: str = "none"
) -> SoftTargets:
    """Labels and weights of a table, with what a teacher says of its rows where there is one."""
    classes = table.classes
    return SoftTargets(
        labels=table.y if classes is None else encode_labels(table.y, classes),
        teacher=teacher,
        sample_weight=table.sample_weight,
        classes=classes,
        provenance="none" if teacher is None else provenance,
    )


def fit_student(
    student: Resolved,
    lesson: Lesson,
    recipe: Recipe,
    params: Mapping[str, Any] | None = None,
    *,
    most_cells: int = MOST_CELLS,
) -> Any:
    """Fit a student as a recipe says.

    Where an encoding would make many times as much of a large table as it is, the student is fitted
    to a random part of the rows, and ``lesson.told`` says so: see `kdcore.row_limit`.

    Parameters
    ----------
    student : Resolved
    lesson : Lesson
    recipe : Recipe
    params : mapping, optional
        Tuned parameters of the student; those of the recipe win over them.
    most_cells : int, default=32000000
        See `kdcore.row_limit`.

    Raises
    ------
    FitError
        When the student fails.
    """
    from sklearn.base import clone

    plain = not recipe.teacher and student.plain is not None
    estimator = clone(student.plain if plain else student.estimator)
    estimator.set_params(**{**(params or {}), **recipe.params})
    if recipe.encoder is not None:
        estimator.set_params(encoder=recipe.encoder)
    X, targets = lesson.transfer_set(recipe)
    if getattr(make_encoder(estimator.encoder), "uses_structure", False):
        targets = targets.with_structure(lesson.structure)
    rows, said = affordable_rows(
        estimator, X, targets, most_cells=most_cells, random_state=lesson.random_state
    )
    if rows is not None:
        X, targets = X.iloc[rows], targets.take(rows)
    if said and said not in lesson.told:
        lesson.told.append(said)
    try:
        return estimator.fit(X, targets)
    except KDError:
        raise
    except Exception as error:
        raise FitError(f"the student {student.name} failed to fit: {first_line(error)}") from error
