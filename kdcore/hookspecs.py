"""The four hooks by which a plugin provides teachers, students, losses and selectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kdcore.specs import LossSpec, SelectorSpec, StudentSpec, TeacherSpec

__all__ = ["hookimpl", "hookspec", "kd_losses", "kd_selectors", "kd_students", "kd_teachers"]

hookspec = pluggy.HookspecMarker("kdcore")
hookimpl = pluggy.HookimplMarker("kdcore")


@hookspec
def kd_teachers() -> Iterable[TeacherSpec]:
    """Provide teachers: strong models whose knowledge is passed on.

    Example::

        @kdcore.hookimpl
        def kd_teachers():
            yield kdcore.TeacherSpec(
                name="my_boosting",
                summary="Boosted trees of my own.",
                factory="my_plugin.teacher:make",
                tasks=("binary", "multiclass", "regression"),
            )

    Returns an iterable of `TeacherSpec`.
    """
    return ()


@hookspec
def kd_students() -> Iterable[StudentSpec]:
    """Provide students: small models that learn from soft labels.

    Example::

        @kdcore.hookimpl
        def kd_students():
            yield kdcore.StudentSpec(
                name="my_rules",
                summary="A short list of rules.",
                factory="my_plugin.student:make",
                tasks=("binary",),
            )

    Returns an iterable of `StudentSpec`.
    """
    return ()


@hookspec
def kd_losses() -> Iterable[LossSpec]:
    """Provide losses: how a student is compared with its soft targets.

    Example::

        @kdcore.hookimpl
        def kd_losses():
            yield kdcore.LossSpec(
                name="my_loss",
                summary="Total variation between teacher and student.",
                factory="my_plugin.loss:MyLoss",
                tasks=("binary", "multiclass"),
                reference="Nobody 2026",
            )

    Returns an iterable of `LossSpec`.
    """
    return ()


@hookspec
def kd_selectors() -> Iterable[SelectorSpec]:
    """Provide selectors: methods that choose at most ``max_features`` raw columns.

    Example::

        @kdcore.hookimpl
        def kd_selectors():
            yield kdcore.SelectorSpec(
                name="my_filter",
                summary="Columns most correlated with the teacher.",
                factory="my_plugin.selector:MyFilter",
                kind="filter",
            )

    Returns an iterable of `SelectorSpec`.
    """
    return ()
