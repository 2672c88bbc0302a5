"""Names lead to specs and objects, and a name that does not says what to do about it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kdcore import KDError, LossSpec, SelectorSpec, StudentSpec, TeacherSpec
from kdcore.errors import ParameterError, PluginError, UnknownNameError
from kdcore.hints import OFFICIAL
from kdcore.plugins import Discovery, PluginInfo, discover
from kdcore.registry import ROLES, Registry, default_registry, register
from kdcore.testing.isolation import FakeDistribution, installed_in_process, run_python


def teacher(name: str = "mine", factory: str = "builtins:dict") -> TeacherSpec:
    return TeacherSpec(name=name, summary="A fake.", factory=factory, tasks=("binary",))


def student(name: str) -> StudentSpec:
    return StudentSpec(name=name, summary="A fake.", factory="builtins:dict", tasks=("binary",))


def found(*specs: Any, withheld: dict[tuple[str, str], str] | None = None) -> Discovery:
    info = PluginInfo(name="fake", distribution="kdcore-fake", version="0.1.0")
    return Discovery((info,), {(s.role, s.name): (s, info) for s in specs}, withheld or {})


def with_plugin(name: str, **changes: Any) -> Discovery:
    info = PluginInfo(name=name, distribution=f"kdcore-{name}", version="0.1.0", **changes)
    return Discovery((info,))


def message(call: Callable[[], Any], kind: type[KDError] = UnknownNameError) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_built_in_losses_are_there_without_any_plugin() -> None:
    registry = Registry(discover(entry_points=[], environ={}))
    losses = registry.specs("loss")
    assert list(losses) == [
        "annealing",
        "blend",
        "brier",
        "damped_blend",
        "dist",
        "dkd",
        "huber",
        "kl",
        "label_smoothing",
        "logit_mse",
        "logit_standardization",
        "quantile",
        "teacher_bounded",
        "tf_kd",
    ]
    assert {n for n, spec in losses.items() if spec.target_only} == {
        "blend",
        "brier",
        "damped_blend",
        "kl",
        "label_smoothing",
        "tf_kd",
    }
    assert losses["blend"].tasks == ("regression",)
    assert all(spec.reference for spec in losses.values())
    assert registry.provider("loss", "kl").distribution == "kdcore"
    for name in losses:
        assert callable(registry.resolve("loss", name))


def test_a_wrong_name_gets_the_nearest_one_and_the_list() -> None:
    registry = Registry(found(teacher("xgboost"), teacher("mine")))
    text = message(lambda: registry.get("teacher", "xgbost"))
    assert text == (
        "Unknown teacher 'xgbost'. Did you mean 'xgboost'? Known teachers: mine, xgboost."
    )


def test_a_name_far_from_all_gets_the_list_only() -> None:
    registry = Registry(found(teacher("mine")))
    text = message(lambda: registry.get("teacher", "zzz"))
    assert text == "Unknown teacher 'zzz'. Known teachers: mine."


@pytest.mark.parametrize(("role", "name"), [(r, n) for r, names in OFFICIAL.items() for n in names])
def test_a_known_backend_that_is_missing_gets_the_command_that_installs_it(
    role: str, name: str
) -> None:
    text = message(lambda: Registry(found()).get(role, name))
    assert f"`pip install {OFFICIAL[role][name]}`" in text
    assert f"No {role} is installed." in text


def test_official_names_are_those_that_the_design_ships() -> None:
    assert sorted(OFFICIAL["teacher"]) == sorted(
        ["xgboost", "lightgbm", "catboost", "random_forest", "pytorch_cnn", "pytorch_mlp"]
    )
    assert sorted(OFFICIAL["student"]) == sorted(
        [
            "logistic_regression",
            "ridge",
            "svm",
            "decision_tree",
            "sklearn_mlp",
            "pytorch_mlp",
            "pytorch_cnn",
            "xgboost",
            "lightgbm",
            "catboost",
        ]
    )


def test_a_slip_in_the_name_of_a_missing_backend_is_understood() -> None:
    text = message(lambda: Registry(found()).get("teacher", "catbost"))
    assert "Did you mean 'catboost'?" in text
    assert "`pip install kdcore-catboost`" in text


def test_a_broken_plugin_is_named_with_its_reason_when_its_name_is_asked_for() -> None:
    broken = with_plugin("catboost", status="broken", reason="no module named 'catboost'")
    text = message(lambda: Registry(broken).get("teacher", "catboost"))
    assert text.startswith(
        "The teacher 'catboost' is not available: plugin 'catboost' (kdcore-catboost 0.1.0) is "
        "broken: no module named 'catboost'."
    )
    assert "pip install" not in text


@pytest.mark.parametrize("status", ["disabled", "incompatible", "broken", "conflict"])
def test_every_bad_state_of_the_plugin_behind_a_name_is_told(status: Any) -> None:
    bad = with_plugin("torch", status=status, reason="the reason")
    text = message(lambda: Registry(bad).get("student", "pytorch_mlp"))
    assert "kdcore-torch 0.1.0" in text
    assert status in text
    assert "the reason" in text


def test_a_plugin_too_old_for_a_name_is_to_be_updated() -> None:
    text = message(lambda: Registry(with_plugin("torch")).get("student", "pytorch_mlp"))
    assert "`pip install --upgrade kdcore-torch`" in text


def test_a_name_in_conflict_tells_the_conflict() -> None:
    withheld = {("teacher", "shared"): "the teacher 'shared' is provided by a and b"}
    text = message(lambda: Registry(found(withheld=withheld)).get("teacher", "shared"))
    assert "is provided by a and b." in text


def test_what_a_broken_plugin_had_provided_is_traced_to_it() -> None:
    source = """
        from kdcore import TeacherSpec, hookimpl

        @hookimpl
        def kd_teachers():
            yield TeacherSpec(name="forest", summary="A.", factory="m:f", tasks=("binary",))

        @hookimpl
        def kd_students():
            raise RuntimeError("out of luck")
    """
    fake = FakeDistribution("kdcore-wood", {"wood": "fake_wood"}, {"fake_wood": source})
    with installed_in_process(fake):
        text = message(lambda: Registry(discover(environ={})).get("teacher", "forest"))
    assert "kdcore-wood" in text
    assert "out of luck" in text


def test_a_name_of_another_role_is_pointed_out() -> None:
    registry = Registry(found(teacher("mine"), student("other")))
    assert "There is a teacher of that name." in message(lambda: registry.get("student", "mine"))


def test_a_wrong_role_is_an_error_that_lists_the_roles() -> None:
    text = message(lambda: Registry(found()).specs("teachers"), ParameterError)
    assert "teacher, student, loss, selector" in text
    assert message(lambda: Registry(found()).get("nobody", "kl"), ParameterError)


@pytest.mark.parametrize("name", [None, ["kl"], 3])
def test_a_name_that_is_no_text_is_an_error_for_users(name: Any) -> None:
    assert "is text" in message(lambda: Registry(found()).get("loss", name), ParameterError)


def test_create_calls_the_factory_with_what_it_is_given() -> None:
    registry = Registry(found(teacher("mine")))
    assert registry.create("teacher", "mine", task="binary", name="n") == {
        "task": "binary",
        "name": "n",
    }
    assert registry.create("teacher", "mine", [("a", 1)]) == {"a": 1}


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("a_library_nobody_has:make", ["a_library_nobody_has", "Reinstall kdcore-fake"]),
        ("builtins:nothing_there", ["nothing_there"]),
        ("math:pi", ["cannot be called"]),
        ("math:sqrt", ["cannot be made", "TypeError"]),
        ("sys:exit", ["cannot be made", "sys.exit"]),
    ],
)
def test_a_factory_that_fails_is_blamed_on_its_plugin(factory: str, words: list[str]) -> None:
    registry = Registry(found(teacher("mine", factory)))
    text = message(lambda: registry.create("teacher", "mine"), PluginError)
    for word in ["teacher 'mine'", "plugin 'fake' (kdcore-fake 0.1.0)", *words]:
        assert word in text


def test_an_error_that_a_factory_means_for_users_is_passed_on() -> None:
    source = """
        from kdcore.errors import ParameterError

        def make():
            raise ParameterError("depth=0 is not valid")
    """
    with installed_in_process(FakeDistribution("kdcore-m", modules={"fake_maker": source})):
        registry = Registry(found(teacher("mine", "fake_maker:make")))
        assert message(lambda: registry.create("teacher", "mine"), ParameterError) == (
            "depth=0 is not valid"
        )


def test_a_loader_is_found_by_its_spec_and_asked_for_in_vain_elsewhere() -> None:
    loading = TeacherSpec(
        name="saved",
        summary="A fake.",
        factory="builtins:dict",
        tasks=("binary",),
        loader="builtins:list",
        suffixes=(".x",),
    )
    registry = Registry(found(loading, teacher("mine")))
    assert registry.resolve("teacher", "saved", "loader") is list
    message(lambda: registry.resolve("teacher", "mine", "loader"), ParameterError)
    message(lambda: registry.resolve("teacher", "mine", "summary"), ParameterError)


def test_register_as_a_plain_call_holds_until_it_is_undone() -> None:
    registry = Registry(found())
    handle = registry.register(teacher("mine"))
    assert registry.get("teacher", "mine") is handle.spec
    assert registry.create("teacher", "mine", a=1) == {"a": 1}
    assert "register" in str(registry.provider("teacher", "mine"))
    handle.unregister()
    handle.unregister()
    assert registry.specs("teacher") == {}


def test_register_in_a_with_block_is_undone_even_after_an_error() -> None:
    registry = Registry(found())
    with registry.register(teacher("mine")):
        assert "mine" in registry.specs("teacher")
    assert "mine" not in registry.specs("teacher")
    with pytest.raises(RuntimeError), registry.register(teacher("mine")):
        raise RuntimeError
    assert "mine" not in registry.specs("teacher")


def test_every_kind_of_spec_can_be_registered() -> None:
    registry = Registry(found())
    loss = LossSpec(name="a", summary="A.", factory="builtins:dict", tasks=("binary",))
    selector = SelectorSpec(name="a", summary="A.", factory="builtins:dict")
    for spec in (teacher("a"), student("a"), loss, selector):
        registry.register(spec)
    assert [list(registry.specs(role)) for role in ROLES] == [["a"]] * 4


def test_register_refuses_the_name_of_a_plugin_or_a_built_in() -> None:
    registry = Registry(found(teacher("mine")))
    text = message(lambda: registry.register(teacher("mine"), replace=True), ParameterError)
    assert "kdcore-fake 0.1.0" in text
    registry = Registry(discover(entry_points=[], environ={}))
    loss = LossSpec(name="kl", summary="A.", factory="builtins:dict", tasks=("binary",))
    assert "built" in message(lambda: registry.register(loss), ParameterError)


def test_register_refuses_a_name_twice_unless_told_to_replace_it() -> None:
    registry = Registry(found())
    first = registry.register(teacher("mine"))
    text = message(lambda: registry.register(teacher("mine")), ParameterError)
    assert "replace=True" in text
    second = registry.register(teacher("mine", "builtins:list"), replace=True)
    first.unregister()
    assert registry.get("teacher", "mine") is second.spec


@pytest.mark.parametrize("thing", [None, "xgboost", TeacherSpec, {"name": "a"}, object()])
def test_register_refuses_what_is_no_spec(thing: Any) -> None:
    text = message(lambda: Registry(found()).register(thing), ParameterError)
    assert re.search("TeacherSpec, StudentSpec, LossSpec, SelectorSpec", text)


def test_registries_share_nothing() -> None:
    one, two = Registry(found()), Registry(found())
    one.register(teacher("mine"))
    assert "mine" not in two.specs("teacher")
    one.specs("teacher").clear()
    assert "mine" in one.specs("teacher")


def test_the_public_register_reaches_the_registry_of_the_process() -> None:
    with register(teacher("for_this_test_only")):
        assert "for_this_test_only" in default_registry().specs("teacher")
    assert "for_this_test_only" not in default_registry().specs("teacher")


def test_plugins_are_loaded_once_on_first_use_and_never_on_import() -> None:
    source = "import sys; sys.stderr.write('LOADED')\n"
    fake = FakeDistribution("kdcore-loud", {"loud": "fake_loud"}, {"fake_loud": source})
    done = run_python(
        """
        import sys
        import kdcore, kdcore.registry, kdcore.cli
        assert "fake_loud" not in sys.modules
        registry = kdcore.registry.default_registry()
        assert "fake_loud" not in sys.modules
        registry.specs("loss"), registry.specs("teacher"), registry.plugins
        assert "fake_loud" in sys.modules
        """,
        distributions=[fake],
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("LOADED") == 1


def test_threads_that_ask_at_once_get_one_discovery() -> None:
    source = """
        import time
        from kdcore import TeacherSpec, hookimpl

        @hookimpl
        def kd_teachers():
            time.sleep(0.05)
            yield TeacherSpec(name="slow", summary="A.", factory="m:f", tasks=("binary",))
    """
    fake = FakeDistribution("kdcore-slow", {"slow": "fake_slow"}, {"fake_slow": source})
    with installed_in_process(fake):
        registry, results = Registry(), []
        threads = [
            threading.Thread(target=lambda: results.append(registry.get("teacher", "slow")))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 4
    assert len(set(map(id, results))) == 1
