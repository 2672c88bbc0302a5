"""`SelectionTask`: all that a selector may look at, and what is computed from it once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.errors import DataError
from kdcore.schema import TableSchema, as_frame
from kdcore.selection.probes import (
    EncodedProbe,
    permuted_losses,
    student_probe,
    surrogate_probe,
)
from kdcore.selectors import budget
from kdcore.surrogate import fit_surrogate

if TYPE_CHECKING:
    from kdcore.structure import TeacherStructure
    from kdcore.surrogate import Surrogate
    from kdcore.targets import SoftTargets

__all__ = ["SelectionTask", "shares", "sizes", "task_of", "varying"]

#: Most held-out rows that columns are permuted in, and most cells of these rows.
_MOST_ROWS, _MOST_CELLS, _FEWEST_ROWS = 600, 250_000, 200
#: Most rows that a boosted stand-in is fitted to.
_MOST_BOOSTED = 20_000
#: Each size is so much of the one before, down to so many columns.
_RATE, _SMALLEST = 0.7, 3


def sizes(most: int, rate: float = _RATE, smallest: int = _SMALLEST) -> list[int]:
    """Numbers of columns that are tried: ``most``, then each ``rate`` of the one before."""
    found = [most]
    while found[-1] > smallest:
        found.append(max(smallest, min(int(rate * found[-1] + 0.5), found[-1] - 1)))
    return found


def shares(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores without negative ones, divided by their sum; equal where all are 0."""
    positive = {name: max(0.0, float(v)) for name, v in scores.items()}
    total = sum(positive.values())
    if not total > 0:
        return {name: 1.0 / len(positive) for name in positive}
    return {name: v / total for name, v in positive.items()}


@dataclass(eq=False)
class SelectionTask:
    """Rows to learn from, rows to judge by, the teacher and the student.

    Parameters
    ----------
    X : pandas.DataFrame
        Rows to learn from, all columns.
    targets : SoftTargets of these rows
    held_X, held_targets
        Rows to judge by, which no fit may see.
    candidates : list of str
        Columns to choose from, in the order of the table.
    keep : list of str
        Those that are chosen in any case.
    most : int
        Most columns, those to keep among them.
    random_state : int
    teacher : object, optional
        A fitted teacher, asked for its structure and contributions. None where there are only
        labels; a boosted model of these then stands in (`kdcore.surrogate`).
    ask : callable, optional
        Its output (n, K) or (n,) for a frame.
    structure : TeacherStructure, optional
        Of its trees.
    student : callable, optional
        ``student(columns)`` fits the student to these columns of ``X``. None where there is none;
        the stand-in of the teacher then serves as student too.
    estimator : Student, optional
        The unfitted student: a selector that trains inside a student starts from here.
    encoder : str or Encoder, optional
        Behind which the student will learn in the end; None for its own.
    """

    X: Any
    targets: SoftTargets
    held_X: Any
    held_targets: SoftTargets
    candidates: list[str]
    keep: list[str]
    most: int
    random_state: int = 0
    teacher: Any = None
    ask: Callable[[Any], np.ndarray] | None = None
    structure: TeacherStructure | None = None
    student: Callable[[Sequence[str]], Any] | None = None
    estimator: Any = None
    encoder: Any = None
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def surrogate(self) -> Surrogate:
        """A boosted model of the candidates that stands in for a teacher."""
        return self.once("surrogate", lambda: self._boosted(self.candidates))

    def gain(self) -> dict[str, float]:
        """Share of each candidate in the gain of all splits of the teacher's trees."""
        return self.once("gain", self._gain)

    def permutation(self) -> dict[str, float]:
        """Share of each candidate in what the teacher loses by shuffled columns."""
        return self.once("permutation", self._permutation)

    def contributions(self) -> dict[str, float] | None:
        """Share of each candidate in the sizes of the teacher's contributions (TreeSHAP).

        None where the teacher has no method ``contributions``.
        """
        return self.once("contributions", self._contributions)

    def prior(self) -> dict[str, float]:
        """The teacher's opinion: the mean of the shares that it can tell."""
        told = [self.gain(), self.permutation(), self.contributions()]
        known = [part for part in told if part is not None]
        return {c: sum(part[c] for part in known) / len(known) for c in self.candidates}

    def probe(self, columns: Sequence[str]) -> EncodedProbe:
        """The student, or its stand-in, fitted to some columns."""
        if self.student is None:
            rows = self.judged
            # It is fitted once a round, so it is a smaller one than the teacher's stand-in.
            model = self._boosted(columns, n_trees=15, learning_rate=0.3)
            return surrogate_probe(
                model, self.held_X.iloc[rows], self.held_targets.take(rows), self.random_state
            )
        return self.probe_of(self.student(columns))

    def probe_of(self, model: Any) -> EncodedProbe:
        """What a fitted student tells of its columns."""
        rows = self.judged
        return student_probe(
            model, self.held_X.iloc[rows], self.held_targets.take(rows), self.random_state
        )

    @property
    def judged(self) -> np.ndarray:
        """Positions of the held-out rows that columns are shuffled in."""
        cells = max(_FEWEST_ROWS, _MOST_CELLS // max(1, len(self.candidates)))
        most = min(_MOST_ROWS, cells)
        rows = np.flatnonzero(self.held_targets.sample_weight > 0)
        if len(rows) > most:
            rng = np.random.default_rng([self.random_state, 1])
            rows = np.sort(rng.choice(rows, most, replace=False))
        return rows

    def _gain(self) -> dict[str, float]:
        told = self.structure.columns if self.structure is not None else {}
        if not any(told.get(c, 0.0) > 0 for c in self.candidates):
            own = self.surrogate.structure()
            told = {} if own is None else own.columns
        return shares({c: told.get(c, 0.0) for c in self.candidates})

    def _permutation(self) -> dict[str, float]:
        rows = self.judged
        held, targets = self.held_X.iloc[rows], self.held_targets.take(rows)
        if self.ask is None:
            probe = surrogate_probe(self.surrogate, held, targets, self.random_state)
            return shares(probe.drops(self.candidates))
        # Shuffling a column that no tree splits on changes nothing; but of several teachers, some
        # may have no trees.
        used = self.candidates
        alone = not hasattr(self.teacher, "members")
        if alone and self.structure is not None and self.structure.columns:
            used = [c for c in used if self.structure.columns.get(c, 0.0) > 0]
        drops = permuted_losses(
            lambda frame: self.ask(frame),  # type: ignore[misc]
            held,
            targets,
            used,
            self.random_state,
        )
        return shares({c: drops.get(c, 0.0) for c in self.candidates})

    def _contributions(self) -> dict[str, float] | None:
        tell = getattr(self.teacher, "contributions", None)
        if tell is None:
            return None
        values = tell(self.held_X.iloc[self.judged])
        if values is None:
            return None
        by_name = dict(zip(self.X.columns, np.asarray(values), strict=True))
        return shares({c: by_name[c] for c in self.candidates})

    def _boosted(self, columns: Sequence[str], **options: Any) -> Surrogate:
        rows = np.flatnonzero(self.targets.sample_weight > 0)
        if len(rows) > _MOST_BOOSTED:
            # Drawn here, before any copy is made.
            rng = np.random.default_rng([self.random_state, 6])
            rows = np.sort(rng.choice(rows, _MOST_BOOSTED, replace=False))
        frame, targets = self.X[list(columns)].iloc[rows], self.targets.take(rows)
        schema = TableSchema.fit(frame)
        return fit_surrogate(
            schema,
            schema.numbers(frame),
            schema.codes(frame),
            targets.sample_weight,
            targets,
            random_state=self.random_state,
            **options,
        )

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What ``make`` returns, made when it is first asked for, and kept.

        A selector keeps here what it has worked out of this task.
        """
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def task_of(
    X: Any, targets: SoftTargets, max_features: int | float, random_state: int
) -> SelectionTask:
    """A task without teacher and student, of which a fifth of the rows judges."""
    frame = as_frame(X)
    most = budget(max_features, frame.shape[1])
    rows = np.flatnonzero(targets.sample_weight > 0)
    order = np.random.default_rng([random_state, 2]).permutation(rows)
    held = np.sort(order[: len(order) // 5]) if len(order) >= 10 else np.sort(order)
    inside = np.sort(order[len(order) // 5 :]) if len(order) >= 10 else held
    return SelectionTask(
        X=frame.iloc[inside],
        targets=targets.take(inside),
        held_X=frame.iloc[held],
        held_targets=targets.take(held),
        candidates=varying(frame.iloc[inside].get, map(str, frame.columns)),
        keep=[],
        most=most,
        random_state=random_state,
        structure=targets.structure,
    )


def varying(column: Callable[[str], Any], names: Iterable[str]) -> list[str]:
    """Columns with more than one value; a gap is one.

    Parameters
    ----------
    column : callable
        A column of the training rows by its name, so that no table is made of them.
    names : iterable of str

    Raises
    ------
    DataError
        When there is none.
    """
    names = list(names)
    found = [n for n in names if column(n).nunique(dropna=False) > 1]
    if not found:
        raise DataError(
            f"all {len(names)} columns that the student may read are constant in the training "
            f"rows ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''}), so there is "
            "nothing to choose from; give other columns."
        )
    return found
