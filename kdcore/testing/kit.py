"""The conformance kit: which checks a spec or a plugin has, and three ways to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kdcore.errors import ParameterError, suggest
from kdcore.specs import TASKS, LossSpec, SelectorSpec, Spec, StudentSpec, TeacherSpec
from kdcore.testing.checks import Check, CheckFailure
from kdcore.testing.checks_plugin import PluginCase, find_plugin, plugin_checks

if TYPE_CHECKING:
    import pytest

__all__ = ["CheckResult", "check_plugin", "iter_checks", "parametrize_plugin_checks"]

Status = Literal["passed", "failed", "expected_failure", "unexpected_pass"]


@dataclass(frozen=True)
class CheckResult:
    """What came of one check.

    Parameters
    ----------
    id : str
        Such as ``"teacher.xgboost.binary.check_rows_sum_to_one"``.
    status : {"passed", "failed", "expected_failure", "unexpected_pass"}
    message : str, default=""
        The rule, what was seen, and what to do; empty for a check that passed.
    """

    id: str
    status: Status
    message: str = ""


def iter_checks(
    spec: Spec, *, params: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks of one spec, chosen by its role, its tasks and what it claims.

    Parameters
    ----------
    spec : TeacherSpec, StudentSpec, LossSpec or SelectorSpec
        Its factory must resolve; it need not be registered.
    params : mapping, optional
        Parameters for every object that is made, such as fewer trees to make the checks fast.

    Yields
    ------
    id : str
    check : callable without arguments
        Raises `CheckFailure` when the rule is broken.
    """
    for check in _spec_checks(spec, params or {}):
        yield check.id, check


def check_plugin(
    plugin: str,
    *,
    expected_failures: Mapping[str, str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    cheap: bool = False,
) -> list[CheckResult]:
    """Run the checks of a plugin and of everything that it provides.

    Parameters
    ----------
    plugin : str
        The plugin's entry name, distribution or module.
    expected_failures : mapping of check id to reason, optional
        Checks that are known to fail, each with the reason why that is right.
    params : mapping of "role.name" to parameters, optional
        For instance ``{"teacher.xgboost": {"n_estimators": 20}}``, to make the checks fast.
    cheap : bool, default=False
        Whether to leave out all checks that build a model; this is what ``kd plugins --check``
        does.

    Returns
    -------
    list of CheckResult

    Raises
    ------
    PluginError
        When there is no such plugin.
    ParameterError
        When an expected failure has no reason, or names no check.
    """
    expected = dict(expected_failures or {})
    results = []
    for check in _plugin_checks(plugin, expected, params or {}, cheap):
        status: Status
        try:
            check()
        except CheckFailure as failure:
            message = str(failure)
            status = "expected_failure" if check.id in expected else "failed"
        else:
            status = "unexpected_pass" if check.id in expected else "passed"
            message = ""
            if check.id in expected:
                message = (
                    f"It was expected to fail ({expected[check.id]}), but it passed; take it out "
                    "of expected_failures."
                )
        results.append(CheckResult(check.id, status, message))
    return results


def parametrize_plugin_checks(
    plugin: str,
    *,
    expected_failures: Mapping[str, str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
) -> pytest.MarkDecorator:
    """Decorate a test so that it runs once for each check of a plugin.

    Parameters
    ----------
    plugin, expected_failures, params
        See `check_plugin`. An expected failure that passes fails the test.

    Examples
    --------
    This is a whole test file::

        from kdcore.testing import parametrize_plugin_checks

        @parametrize_plugin_checks("kdcore_xgboost")
        def test_plugin(check):
            check()
    """
    import pytest

    expected = dict(expected_failures or {})
    cases = []
    for check in _plugin_checks(plugin, expected, params or {}, cheap=False):
        marks = []
        if check.id in expected:
            reason = expected[check.id]
            marks.append(pytest.mark.xfail(reason=reason, strict=True, raises=CheckFailure))
        cases.append(pytest.param(check, id=check.id, marks=marks))
    return pytest.mark.parametrize("check", cases)


def _plugin_checks(
    plugin: str,
    expected: Mapping[str, str],
    params: Mapping[str, Mapping[str, Any]],
    cheap: bool,
) -> list[Check]:
    case = find_plugin(plugin)
    checks = [Check(f"plugin.{function.__name__}", function, case) for function in plugin_checks()]
    _require_known("params", params, [f"{spec.role}.{spec.name}" for spec in case.specs])
    if not cheap:
        for spec in _once(case):
            checks += _spec_checks(spec, params.get(f"{spec.role}.{spec.name}", {}))
        _require_known("expected_failures", expected, [check.id for check in checks])
    for name, reason in expected.items():
        if not isinstance(reason, str) or not reason.strip():
            raise ParameterError(
                f"expected_failures: {name!r} has no reason; say in a sentence why it may fail."
            )
    return checks


def _once(case: PluginCase) -> list[Spec]:
    return list({(spec.role, spec.name): spec for spec in case.specs}.values())


def _require_known(what: str, given: Mapping[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise ParameterError(
                f"{what}: nothing is called {name!r}."
                + (suggest(name, known) or f" There is {', '.join(known[:5])} ...")
            )


def _spec_checks(spec: Spec, params: Mapping[str, Any]) -> Iterator[Check]:
    """The check modules need numpy and scikit-learn, so each is imported on use."""
    prefix = f"{spec.role}.{spec.name}"
    if isinstance(spec, (TeacherSpec, StudentSpec)):
        yield from _model_checks(spec, prefix, params)
    elif isinstance(spec, LossSpec):
        yield from _loss_checks(spec, prefix, params)
    elif isinstance(spec, SelectorSpec):
        yield from _selector_checks(spec, prefix, params)
    else:
        raise ParameterError(f"{spec!r} is none of the four specs.")


def _model_checks(
    spec: TeacherSpec | StudentSpec, prefix: str, params: Mapping[str, Any]
) -> Iterator[Check]:
    from kdcore.testing import checks_model
    from kdcore.testing.cases import ModelCase, SpecCase

    cases = [ModelCase(spec, task, params) for task in spec.tasks]
    for case in cases:
        functions = list(checks_model.model_checks(case))
        if isinstance(spec, TeacherSpec):
            from kdcore.testing.checks_teacher import teacher_checks

            functions += teacher_checks(case)
        else:
            from kdcore.testing.checks_state import state_checks
            from kdcore.testing.checks_student import student_checks
            from kdcore.testing.checks_student_tables import student_table_checks

            functions += [
                *student_checks(case),
                *student_table_checks(case),
                *state_checks(case),
            ]
        for function in functions:
            yield Check(f"{prefix}.{case.task}.{function.__name__}", function, case)
    for once in checks_model.spec_checks():
        yield Check(f"{prefix}.{once.__name__}", once, SpecCase(cases))


def _loss_checks(spec: LossSpec, prefix: str, params: Mapping[str, Any]) -> Iterator[Check]:
    from kdcore.testing.checks_loss import loss_checks, loss_spec_checks
    from kdcore.testing.checks_loss_calculus import calculus_checks
    from kdcore.testing.loss_case import LossCase

    for once in loss_spec_checks():
        yield Check(f"{prefix}.{once.__name__}", once, spec)
    for task in spec.tasks:
        case = LossCase(spec, task, params)
        for function in (*loss_checks(case), *calculus_checks(case)):
            yield Check(f"{prefix}.{task}.{function.__name__}", function, case)


def _selector_checks(spec: SelectorSpec, prefix: str, params: Mapping[str, Any]) -> Iterator[Check]:
    from kdcore.testing.checks_selector import SelectorCase, selector_checks

    for task in TASKS:
        case = SelectorCase(spec, task, params)
        for function in selector_checks(case):
            yield Check(f"{prefix}.{task}.{function.__name__}", function, case)
