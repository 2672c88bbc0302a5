"""The conformance kit: every check can fail, on a fake that breaks its rule and no other."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit_fakes import losses, selectors, students, teachers

import kdcore.testing
from kdcore.builtin import kd_losses, kd_selectors
from kdcore.errors import ParameterError, PluginError, SpecError
from kdcore.registry import ROLES
from kdcore.specs import LossSpec, SelectorSpec, Spec, StudentSpec, TeacherSpec
from kdcore.testing import (
    CheckFailure,
    FakeDistribution,
    check_plugin,
    installed_in_process,
    iter_checks,
    parametrize_plugin_checks,
    run_kd,
    run_python,
    tiny_data,
    tiny_targets,
)
from kdcore.testing.cases import ModelCase, SpecCase
from kdcore.testing.checks import Check
from kdcore.testing.checks_model import check_predicts_in_a_new_process
from kdcore.testing.checks_plugin import HEAVY, plugin_checks
from kdcore.testing.checks_student_tables import student_table_checks
from kdcore.testing.data import CONTENTS, LABELS

FAKES = (teachers, students, losses, selectors)
HEALTHY = [kind for module in FAKES for kind in module.HEALTHY]
BROKEN = [kind for module in FAKES for kind in module.BROKEN]
MODELS = ("teacher", "student")
NEW_PROCESS = check_predicts_in_a_new_process.__name__
by_name = {"ids": lambda kind: kind.__name__}


def spec_of(kind: type) -> Spec:
    """The spec of a fake, with what the fake says of itself."""
    factory = f"{kind.__module__}:{kind.__name__}{'.make' if kind.role in MODELS else ''}"
    fields = {"name": "fake", "summary": "A fake.", "factory": factory}
    if kind.role != "selector":
        fields["tasks"] = kind.tasks
    if kind.role == "teacher":
        fields |= {"handles_missing": True, "handles_categorical": True}
    if kind.role == "student":
        fields["uses_gradient"] = kind.uses_gradient
    classes = (TeacherSpec, StudentSpec, LossSpec, SelectorSpec)
    return {c.role: c for c in classes}[kind.role](**{**fields, **getattr(kind, "spec_fields", {})})


def failures(spec: Spec, *, leave_out: str = "") -> dict[str, str]:
    """Messages by id of all checks of a spec that fail."""
    found = {}
    for name, check in iter_checks(spec):
        if not leave_out or not name.endswith(leave_out):
            try:
                check()
            except CheckFailure as failure:
                found[name] = str(failure)
    return found


@pytest.mark.parametrize("kind", HEALTHY, **by_name)
def test_a_healthy_thing_passes_every_check(kind: type) -> None:
    assert failures(spec_of(kind)) == {}


@pytest.mark.parametrize("spec", [*kd_losses(), *kd_selectors()], ids=lambda spec: spec.name)
def test_what_is_built_in_passes_every_check(spec: Spec) -> None:
    assert failures(spec) == {}


@pytest.mark.parametrize("kind", BROKEN, **by_name)
def test_a_broken_thing_fails_the_check_of_its_rule_and_no_other(kind: type) -> None:
    leave_out = "" if kind.breaks == NEW_PROCESS else NEW_PROCESS
    found = failures(spec_of(kind), leave_out=leave_out)
    assert {name.rpartition(".")[2] for name in found} == {kind.breaks}
    for message in found.values():
        rule, _, rest = message.partition(" Seen: ")
        seen, _, advice = rest.partition(" To do: ")
        assert rule
        assert seen
        assert advice
        assert "\n" not in message


def test_no_other_fake_fails_in_a_new_process() -> None:
    """A new process takes a second, so all of them share one."""
    cases = [
        ModelCase(spec_of(kind), kind.tasks[0])
        for kind in BROKEN
        if kind.role in MODELS and kind.breaks not in (NEW_PROCESS, "check_loss_is_used")
    ]
    assert len(cases) > 30
    check_predicts_in_a_new_process(SpecCase(cases))


def test_every_check_has_a_fake_that_fails_it() -> None:
    """Without one, nobody knows whether the check can fail at all."""
    offered = {
        (kind.role, name.rpartition(".")[2])
        for kind in HEALTHY
        for name, _ in iter_checks(spec_of(kind))
    }
    assert offered == {(kind.role, kind.breaks) for kind in BROKEN}
    assert {check.__name__ for check in plugin_checks()} == set(BROKEN_PLUGINS)


def test_every_check_that_is_written_is_offered_to_somebody() -> None:
    written = set()
    for info in pkgutil.iter_modules(kdcore.testing.__path__):
        if info.name.startswith("checks_"):
            module = importlib.import_module(f"kdcore.testing.{info.name}")
            written |= {
                name
                for name, function in inspect.getmembers(module, inspect.isfunction)
                if name.startswith("check_") and function.__module__ == module.__name__
            }
    offered = {kind.breaks for kind in BROKEN} | {check.__name__ for check in plugin_checks()}
    assert len(written) > 60
    assert written == offered


def test_every_role_has_checks_and_ids_are_unique() -> None:
    assert {kind.role for kind in HEALTHY} == set(ROLES)
    for kind in HEALTHY:
        ids = [name for name, _ in iter_checks(spec_of(kind))]
        assert len(ids) >= 10
        assert len(set(ids)) == len(ids)


def test_a_rule_is_a_sentence() -> None:
    for kind in HEALTHY:
        for _, check in iter_checks(spec_of(kind)):
            assert isinstance(check, Check)
            assert check.rule.endswith(".")
            assert len(check.rule) > 25


def test_checks_follow_what_a_spec_claims() -> None:
    """A plugin must not fail for what it never promised."""
    claims = {"handles_missing": False, "handles_categorical": False}
    modest = TeacherSpec(
        name="fake", summary="A fake.", factory="m:f", tasks=("regression",), **claims
    )
    ids = {name for name, _ in iter_checks(modest)}
    assert "teacher.fake.regression.check_same_seed_same_output" in ids
    assert not [name for name in ids if "binary" in name or "rows_sum" in name]
    assert not [name for name in ids if name.endswith(("check_missing_values", "categories"))]
    student = StudentSpec(name="fake", summary="A fake.", factory="m:f", tasks=("binary",))
    assert not [name for name, _ in iter_checks(student) if "onnx" in name]


def test_params_reach_every_object_that_is_made() -> None:
    spec = spec_of(students.HealthyStudent)
    case = dict(iter_checks(spec, params={"steps": 3}))["student.fake.binary.check_factory"].case
    assert case.make().steps == 3
    assert case.make(steps=4).steps == 4


# Plugins as a whole

SPEC = """LossSpec(
    name="fake_loss", summary="A fake.", factory="kit_fakes.losses:HealthyLoss",
    tasks=("binary",), target_only=True,
)"""

SOURCE = """
from kdcore import LossSpec, hookimpl

@hookimpl
def kd_losses():
    yield {spec}
"""


def plugin(spec: str = SPEC, source: str = SOURCE, **changes: Any) -> FakeDistribution:
    parts = {
        "entry_points": {"fake": "kd_fake"},
        "modules": {"kd_fake": source.format(spec=spec)},
        "requires": ("numpy", "kdcore>=0.1,<0.2"),
    }
    return FakeDistribution("kdcore-fake", **{**parts, **changes})


TAMPERED = f"""
    spec = {SPEC.strip()}
    object.__setattr__(spec, "tasks", ("ternary",))
    yield spec
"""

BROKEN_PLUGINS = {
    "check_has_an_entry_point": plugin(entry_points={}),
    "check_bounds_kdcore": plugin(requires=("kdcore>=0.1",)),
    "check_loads": plugin(source="1 / 0"),
    "check_import_is_light": plugin(source="import numpy\n" + SOURCE),
    "check_names_are_unique": plugin(source=SOURCE + "    yield {spec}\n"),
    "check_specs_are_valid": plugin(
        source=SOURCE.replace("    yield {spec}", "{spec}"), spec=TAMPERED
    ),
    "check_summaries_fit_a_line": plugin(spec=SPEC.replace("A fake.", "A fake." * 20)),
    "check_factories_resolve": plugin(spec=SPEC.replace(":HealthyLoss", ":Nowhere")),
}


def names(results: list[Any], status: str) -> list[str]:
    return [result.id.rpartition(".")[2] for result in results if result.status == status]


@pytest.mark.parametrize("rule", BROKEN_PLUGINS)
def test_a_broken_plugin_fails_the_check_of_its_rule_and_no_other(rule: str) -> None:
    with installed_in_process(BROKEN_PLUGINS[rule]):
        results = check_plugin("kd_fake", cheap=True)
    assert names(results, "failed") == [rule]
    assert " To do: " in next(r.message for r in results if r.status == "failed")


@pytest.mark.parametrize(
    ("requires", "bounded"),
    [
        (("kdcore>=0.1,<0.2",), True),
        (("kdcore ~= 0.1.0",), True),
        (("kdcore==0.1.0",), True),
        (("kdcore[testing]>=0.1; extra == 'test'", "kdcore>0.0.9,<=0.1.9"), True),
        ((), False),
        (("kdcore",), False),
        (("kdcore<0.2",), False),
        (("kdcore>=0.2,<0.3",), False),
        (("kdcore-fake>=0.1,<0.2", "not a requirement!"), False),
    ],
    ids=str,
)
def test_both_bounds_on_kdcore_are_asked_for(requires: tuple[str, ...], bounded: bool) -> None:
    """A plugin without an upper bound breaks its users on the next release of the core."""
    with installed_in_process(plugin(requires=requires)):
        failed = names(check_plugin("fake", cheap=True), "failed")
    assert failed == ([] if bounded else ["check_bounds_kdcore"])


def test_two_plugins_that_provide_one_name_are_told_so() -> None:
    other = FakeDistribution(
        "kdcore-other",
        {"other": "kd_other"},
        {"kd_other": SOURCE.format(spec=SPEC)},
        requires=("kdcore>=0.1,<0.2",),
    )
    with installed_in_process(plugin(), other):
        results = check_plugin("fake", cheap=True)
    assert names(results, "failed") == ["check_names_are_unique"]
    assert "kdcore-other" in next(r.message for r in results if r.status == "failed")


@pytest.mark.parametrize("name", ["fake", "kd_fake", "kdcore-fake", "Kdcore_Fake"])
def test_a_plugin_is_found_by_entry_name_module_and_distribution(name: str) -> None:
    with installed_in_process(plugin()):
        results = check_plugin(name)
    assert {result.status for result in results} == {"passed"}
    assert {"plugin.check_loads", "loss.fake_loss.binary.check_hessian_bound"} <= {
        result.id for result in results
    }


def test_an_unknown_or_ambiguous_plugin_is_an_error_that_tells_what_there_is() -> None:
    two = plugin(entry_points={"one": "kd_fake", "two": "kd_fake:__name__"})
    with installed_in_process(plugin()):
        with pytest.raises(PluginError, match=r"no plugin 'fakee'.*Did you mean 'fake'\?"):
            check_plugin("fakee")
        with pytest.raises(PluginError, match=r"no plugin 'no\.such\.module'"):
            check_plugin("no.such.module")
    with (
        installed_in_process(two),
        pytest.raises(PluginError, match=r"one = kd_fake of kdcore-fake 0\.1\.0, two = "),
    ):
        check_plugin("kdcore-fake")


# Expected failures

HESSIAN = "loss.fake_loss.binary.check_hessian_bound"
LOW = plugin(spec=SPEC.replace("HealthyLoss", "BoundTooLow"))
REASON = {HESSIAN: "The bound is a tenth of the curvature by design."}


def test_an_expected_failure_is_told_apart_and_must_happen() -> None:
    with installed_in_process(LOW):
        plain = check_plugin("fake")
        expected = check_plugin("fake", expected_failures=REASON)
    assert [r.id for r in plain if r.status == "failed"] == [HESSIAN]
    assert [r.id for r in expected if r.status == "expected_failure"] == [HESSIAN]
    assert not names(expected, "failed")
    with installed_in_process(plugin()):
        surprise = next(
            r
            for r in check_plugin("fake", expected_failures=REASON)
            if r.status == "unexpected_pass"
        )
    assert surprise.id == HESSIAN
    assert "by design" in surprise.message


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_an_expected_failure_needs_a_reason(reason: Any) -> None:
    with installed_in_process(LOW), pytest.raises(ParameterError, match="has no reason"):
        check_plugin("fake", expected_failures={HESSIAN: reason})


def test_a_misspelt_check_or_object_is_an_error() -> None:
    """Else a rule would stay switched off, or a setting without effect, for years."""
    with installed_in_process(plugin()):
        with pytest.raises(ParameterError, match=r"Did you mean 'loss.fake_loss.binary.check_hess"):
            check_plugin("fake", expected_failures={HESSIAN[:-1]: "So be it."})
        with pytest.raises(ParameterError, match=r"Did you mean 'loss\.fake_loss'\?"):
            check_plugin("fake", params={"loss.fake": {}})
        with pytest.raises(ParameterError, match="Did you mean"):
            parametrize_plugin_checks("fake", expected_failures={HESSIAN[:-1]: "So be it."})


THREE_LINES = """
    from kdcore.testing import parametrize_plugin_checks

    @parametrize_plugin_checks("fake"{more})
    def test_plugin(check):
        check()
"""


@pytest.mark.parametrize(
    ("distribution", "expected", "outcome"),
    [
        (plugin(), {}, "passed"),
        (LOW, {}, "1 failed"),
        (LOW, REASON, "1 xfailed"),
        (plugin(), REASON, "1 failed"),
    ],
    ids=["healthy", "broken", "expected failure", "unexpected pass"],
)
def test_three_lines_of_pytest_run_the_kit(
    distribution: FakeDistribution, expected: dict[str, str], outcome: str, tmp_path: Path
) -> None:
    more = f", expected_failures={expected!r}" if expected else ""
    file = tmp_path / "test_conformance.py"
    file.write_text(inspect.cleandoc(THREE_LINES.format(more=more)))
    options = ["-q", "-p", "no:cacheprovider", str(file)]
    done = run_python(
        f"import pytest; raise SystemExit(pytest.main({options!r}))",
        distributions=[distribution],
        env={"PYTHONPATH": os.pathsep.join([*sys.path, *_where(distribution, tmp_path)])},
    )
    assert outcome in done.stdout.splitlines()[-1], done.stdout + done.stderr
    assert (done.returncode == 0) == (outcome != "1 failed")
    if outcome == "1 failed" and distribution is LOW:
        assert f"test_plugin[{HESSIAN}]" in done.stdout
        assert "a second derivative that is" in done.stdout


def _where(distribution: FakeDistribution, folder: Path) -> list[str]:
    distribution.write(folder / "installed")
    return [str(folder / "installed")]


def test_kd_plugins_runs_the_cheap_checks() -> None:
    bad = plugin(
        requires=("kdcore",), spec=SPEC.replace("kit_fakes.losses:HealthyLoss", "builtins:print")
    )
    done = run_kd("plugins", "--check", distributions=[bad])
    assert done.returncode == 1
    assert "plugin.check_bounds_kdcore failed: The distribution requires kdcore" in done.stdout


# Lightness and data


def test_importing_the_kit_is_light_and_does_not_need_pytest() -> None:
    done = run_python(
        f"""
        import sys
        import kdcore.testing
        dir(kdcore.testing)
        print(sorted(set({[*HEAVY, "pytest"]!r}) & set(sys.modules)))
        """
    )
    assert done.stdout == "[]\n", done.stderr


def test_public_names_are_there() -> None:
    for name in kdcore.testing.__all__:
        assert getattr(kdcore.testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'tiny_dota'"):
        _ = kdcore.testing.tiny_dota


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_tiny_data_is_the_same_every_time_and_has_what_it_says(task: str, content: str) -> None:
    data, again = (tiny_data(task, content=content, labels="text") for _ in range(2))
    assert data.X.equals(again.X)
    assert np.array_equal(data.y, again.y)
    assert not data.X.equals(tiny_data(task, content=content, seed=1).X)
    assert (content == "mixed") == data.X.isna().to_numpy().any()
    if task == "regression":
        assert data.classes is None
        assert np.corrcoef(data.y, data.teacher)[0, 1] > 0.95
    else:
        assert data.classes.tolist() == sorted(LABELS["text"][: data.teacher.shape[1]])
        assert (data.teacher.argmax(axis=1) == tiny_targets(data).labels).mean() > 0.75


def test_tiny_data_refuses_words_it_does_not_know() -> None:
    with pytest.raises(ParameterError, match=r"content='pictures' must be one of numbers, mixed"):
        tiny_data("binary", content="pictures")


def test_a_student_of_pictures_is_given_pictures() -> None:
    """A convolutional student cannot read the kit's five mixed columns, and need not."""
    spec = StudentSpec(
        name="pixels", summary="Reads pixels.", factory="a.b:c", tasks=("binary",),
        exports=("onnx",), input="image",
    )  # fmt: skip
    case = ModelCase(spec, "binary")
    assert case.data.X.shape[1] == 64
    names = {check.__name__ for check in student_table_checks(case)}
    assert "check_mixed_tables" not in names
    assert "check_onnx_predicts_alike" in names
    with pytest.raises(SpecError, match="input='sound' is not valid; use 'table' or 'image'"):
        dataclasses.replace(spec, input="sound")
