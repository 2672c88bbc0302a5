"""Tiny seeded tables on which the conformance kit fits models; plugins' own tests may use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.targets import SoftTargets, encode_labels, softmax

__all__ = ["CONTENTS", "LABELS", "TinyData", "tiny_data", "tiny_targets"]

#: What the columns of a tiny table hold.
CONTENTS = ("numbers", "mixed", "image")

#: Kinds of class labels; each list is sorted, so that its order is that of the classes.
LABELS: dict[str, tuple[Any, ...]] = {
    "positions": (0, 1, 2),
    "gaps": (-4, 3, 20),
    "text": ("high", "low", "middle"),
}

_SIDE = 8


@dataclass(frozen=True)
class TinyData:
    """One tiny table with what is to be predicted.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    X : pandas.DataFrame of n rows
    y : array of shape (n,)
        Labels or values, drawn with noise.
    teacher : array of shape (n, K) or (n,)
        What a perfect teacher says: the probabilities that the labels were drawn from, or the
        values without noise.
    """

    task: str
    X: Any
    y: np.ndarray
    teacher: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    @property
    def classes(self) -> np.ndarray | None:
        """Sorted labels (K,), or None in regression."""
        return None if self.task == "regression" else np.unique(self.y)

    def copy(self) -> TinyData:
        """The same rows in memory of their own."""
        return TinyData(self.task, self.X.copy(), self.y.copy(), self.teacher.copy())

    def take(self, rows: Any) -> TinyData:
        """Some of the rows, by position or mask."""
        rows = np.asarray(rows)
        X = self.X.iloc[rows].reset_index(drop=True)
        return TinyData(self.task, X, self.y[rows], self.teacher[rows])


def tiny_data(
    task: str = "binary",
    *,
    content: str = "mixed",
    labels: str = "positions",
    n_rows: int = 160,
    seed: int = 0,
) -> TinyData:
    """Make a table that is easy to learn, the same one on every call.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}, default="binary"
        With two or three classes.
    content : {"numbers", "mixed", "image"}, default="mixed"
        ``"numbers"``: four columns without gaps. ``"mixed"``: a number, a whole number, a truth
        value, a pandas category and a text, the first and the last two with missing values.
        ``"image"``: 64 columns, the pixels of a picture of 8 x 8.
    labels : {"positions", "gaps", "text"}, default="positions"
        Class labels that count from 0, that leave numbers out, or that are words.
    n_rows : int, default=160
    seed : int, default=0
        Another seed draws other rows from the same distribution.

    Raises
    ------
    ParameterError
        When a word is none of these.
    """
    for name, value, known in (
        ("task", task, ("binary", "multiclass", "regression")),
        ("content", content, CONTENTS),
        ("labels", labels, tuple(LABELS)),
    ):
        if value not in known:
            raise ParameterError(f"{name}={value!r} must be one of {', '.join(known)}.")
    rng = np.random.default_rng(seed)
    make = {"numbers": _numbers, "mixed": _mixed, "image": _image}[content]
    frame, signals = make(rng, n_rows)
    noise = rng.random(n_rows)
    if task == "regression":
        values = 3.0 * signals[:, 0] - 2.0 * signals[:, 1]
        return TinyData(task, frame, values + 0.5 * (noise - 0.5), values)
    if task == "binary":
        score = 3.0 * signals[:, 0] + 1.5 * signals[:, 1]
        teacher = softmax(np.stack([-score / 2, score / 2], axis=1))
    else:
        teacher = softmax(4.0 * signals)
    drawn = (noise[:, None] > teacher.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return TinyData(task, frame, np.array(LABELS[labels])[drawn], teacher)


def tiny_targets(
    data: TinyData, *, teacher: bool = True, unlabeled: Any = None, weight: Any = None
) -> SoftTargets:
    """The targets of a tiny table.

    Parameters
    ----------
    data : TinyData
    teacher : bool, default=True
        Whether they hold the perfect teacher.
    unlabeled : mask of shape (n,), optional
        Rows whose label is left out.
    weight : array of shape (n,), optional
    """
    classes = data.classes
    labels = data.y.astype(float) if classes is None else encode_labels(data.y, classes)
    if unlabeled is not None:
        labels = np.where(unlabeled, np.nan if classes is None else -1, labels)
    return SoftTargets(
        labels=labels,
        teacher=data.teacher if teacher else None,
        sample_weight=weight,
        classes=classes,
        provenance="given" if teacher else "none",
    )


def _numbers(rng: np.random.Generator, n: int) -> tuple[Any, np.ndarray]:
    import pandas as pd

    values = rng.standard_normal((n, 4))
    frame = pd.DataFrame(values * [1, 10, 0.1, 1] + [0, 50, 0, 0], columns=list("abcd"))
    return frame, values[:, :3]


def _mixed(rng: np.random.Generator, n: int) -> tuple[Any, np.ndarray]:
    import pandas as pd

    amount = rng.standard_normal(n)
    age = rng.integers(18, 80, n)
    member = rng.random(n) < 0.5
    city = rng.integers(0, 4, n)
    note = rng.integers(0, 3, n)
    signals = np.stack(
        [
            amount + np.array([-1.0, 0.0, 0.5, 1.0])[city],
            (age - 49) / 18 + np.where(member, 0.5, -0.5),
            np.array([-1.0, 0.0, 1.0])[note],
        ],
        axis=1,
    )
    cities = np.array(["Bern", "Lima", "Oslo", "Rome"], dtype=object)[city]
    notes = np.array(["bad", "fair", "good"], dtype=object)[note]
    for column, share in ((amount, 0.1), (cities, 0.05), (notes, 0.1)):
        column[rng.random(n) < share] = np.nan if column.dtype == float else None
    frame = pd.DataFrame({"amount": amount, "age": age, "member": member})
    frame["city"] = pd.Categorical(cities, categories=["Bern", "Lima", "Oslo", "Rome"])
    frame["note"] = pd.Series(notes)
    return frame, signals


def _image(rng: np.random.Generator, n: int) -> tuple[Any, np.ndarray]:
    import pandas as pd

    signals = rng.standard_normal((n, 3))
    pixels = 0.3 * rng.standard_normal((n, _SIDE, _SIDE))
    half = _SIDE // 2
    for k, (row, column) in enumerate(((0, 0), (0, half), (half, 0))):
        pixels[:, row : row + half, column : column + half] += signals[:, k, None, None]
    names = [f"pixel_{i}" for i in range(_SIDE * _SIDE)]
    return pd.DataFrame(pixels.reshape(n, -1), columns=names), signals
