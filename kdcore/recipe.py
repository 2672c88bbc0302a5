"""`Recipe`: all that shapes a transfer, the default of each kind of student, and its rivals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kdcore.errors import ParameterError

if TYPE_CHECKING:
    from kdcore.resolve import Resolved

__all__ = ["MODES", "MOST_BINNED", "Recipe", "default_recipe", "plain_recipe", "rivals"]

#: What ``recipe=`` can be.
MODES = ("auto", "fast", "plain")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one student is taught. Alpha, temperature and loss are the student's own parameters.

    Parameters
    ----------
    name : str
        For reports.
    teacher : bool, default=True
        Whether the student sees soft labels; False means labels alone.
    encoder : str or Encoder, optional
        None leaves the student's own.
    augment : int, default=0
        Synthetic rows for each training row.
    method : str or callable, optional
        How they are made; None leaves it to the table. See `kdcore.transfer.make_augmenter`.
    few : str, default="cart"
        The method of tables with few columns and classes, see `kdcore.transfer.default_method`.
    calibrate : bool, default=True
        Whether the teacher's probabilities are calibrated by temperature first.
    correction : DaoCorrection, optional
        Corrects the teacher's labels by the true ones; see `kdcore.label_correction`.
    params : mapping, default={}
        Parameters of the student.
    """

    name: str
    teacher: bool = True
    encoder: Any = None
    augment: int = 0
    method: Any = None
    few: str = "cart"
    calibrate: bool = True
    correction: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)


def plain_recipe(encoder: Any = None) -> Recipe:
    """Labels alone, behind the student's own encoder or the one given."""
    name = "plain" if encoder is None else "plain, same encoding"
    return Recipe(name=name, teacher=False, encoder=encoder)


def default_recipe(
    student: Resolved,
    *,
    mode: str,
    n_columns: int,
    n_rows: int = 0,
    can_be_asked: bool,
    unlabeled: bool,
    augment: Any = None,
    encoder: Any = None,
    correction: Any = None,
) -> Recipe:
    """The recipe that a student starts with.

    Parameters
    ----------
    student : Resolved
    mode : {"auto", "fast", "plain"}
        ``"plain"`` is textbook distillation: soft labels of the training rows, nothing else.
    n_columns : int
        Raw columns of the table; above 100 each student keeps its own encoder, since bins of so
        many columns would be thousands.
    n_rows : int, default=0
        Training rows; as they near 60,000, fewer rows are made, and then none, unless asked for.
    can_be_asked : bool
        Whether the teacher can label other rows than those of the table.
    unlabeled : bool
        Whether there are unlabeled real rows, which serve better than synthetic ones.
    augment : int or str, optional
        What the user asks for: a number of synthetic rows for each training row, a method, or
        ``"METHOD:N"``.
    encoder : str or Encoder, optional
        What the user asks for.
    correction : DaoCorrection, optional
        What the user asks for.

    Raises
    ------
    ParameterError
        When synthetic rows were asked for and the teacher cannot label them.
    """
    own = student.recipe if mode != "plain" else None
    recipe = Recipe(
        name="default" if own is not None else "textbook",
        calibrate=mode != "plain",
        correction=correction,
    )
    if own is not None and "encoder" not in student.given and n_columns <= MOST_BINNED:
        recipe = replace(recipe, encoder=own.encoder)
    if own is not None and can_be_asked and not unlabeled and n_rows < _ENOUGH_ROWS:
        most = _ENOUGH_ROWS // max(n_rows, 1)
        recipe = replace(recipe, augment=min(own.augment, most))
    if own is not None:
        recipe = replace(recipe, few=own.method)
    if encoder is not None:
        recipe = replace(recipe, encoder=encoder)
    if str(recipe.encoder) == str(student.estimator.encoder):
        recipe = replace(recipe, encoder=None)
    if augment is not None:
        method, count = split_augment(augment)
        if count and not can_be_asked:
            raise ParameterError(
                f"augment={augment!r} needs a teacher that can be asked to label synthetic rows; "
                "given labels cannot. Leave it out."
            )
        recipe = replace(recipe, augment=count, method=method)
    if own is not None and (recipe.augment or unlabeled):
        recipe = replace(recipe, params=_free(own.params, student))
    return recipe


def rivals(recipe: Recipe, *, method: str, few_rows: bool) -> list[Recipe]:
    """What a default is compared with before it is used.

    Parameters
    ----------
    recipe : Recipe
        The default.
    method : str
        The way its synthetic rows are made.
    few_rows : bool
        Whether the table is so small that a rich encoding may not pay, and that a choice among
        ways to make rows would be luck.
    """
    others = [plain_recipe()]
    if recipe.encoder is not None:
        others.append(plain_recipe(recipe.encoder))
        if few_rows:
            others.append(replace(recipe, name="own encoder", encoder=None))
    if recipe.augment and not few_rows:
        others.append(replace(recipe, name="no synthetic rows", augment=0, params={}))
        if recipe.method is None:
            other = "munge" if method != "munge" else "cart"
            others.append(replace(recipe, name=f"{other} rows", method=other))
    return others


def split_augment(augment: Any) -> tuple[Any, int]:
    """Method (None: chosen by the table) and rows for each training row.

    Raises
    ------
    ParameterError
        When it is neither a number, a method, nor ``"METHOD:N"``.
    """
    if callable(augment):
        return augment, _DEFAULT_ROWS
    if isinstance(augment, int) and not isinstance(augment, bool) and augment >= 0:
        return None, augment
    if isinstance(augment, str):
        name, colon, count = augment.partition(":")
        if name.isdecimal() and not colon:
            return None, int(name)
        if not colon or count.isdecimal():
            from kdcore.transfer import make_augmenter

            make_augmenter(name)
            return name, int(count) if colon else _DEFAULT_ROWS
    raise ParameterError(
        f"augment={augment!r} must be a number of synthetic rows for each training row (0 for "
        "none), a method such as 'cart', or both as in 'cart:5'."
    )


_DEFAULT_ROWS = 10
#: Most synthetic rows that are made unasked, and real ones beyond which these would be the fewer.
_ENOUGH_ROWS = 60_000
#: With more columns an encoder of bins would make thousands of them.
MOST_BINNED = 100


def _free(params: Mapping[str, Any], student: Resolved) -> dict[str, Any]:
    """Those parameters that the user has not set."""
    return {k: v for k, v in params.items() if k not in student.given}
