"""A plugin in any bad state is named with a reason, and all others keep working.

Distributions are real: modules and metadata on the path, beside a good one. The command line is
asked in a new process, details are looked up in this one.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from importlib_metadata import EntryPoint

from kdcore import KDError
from kdcore.candidates import installed
from kdcore.errors import PluginError
from kdcore.plugins import PluginWarning, discover
from kdcore.registry import Registry
from kdcore.testing.isolation import FakeDistribution, installed_in_process, run_kd, run_python

TEACHER = """
from kdcore import TeacherSpec, hookimpl

@hookimpl
def kd_teachers():
    yield TeacherSpec(name="{name}", summary="A fake.", factory="{module}:make", tasks=("binary",))

def make(task):
    return task
"""


def plugin(name: str, source: str | None = None, **changes: Any) -> FakeDistribution:
    """Return the distribution ``kdcore-<name>`` with one entry point and one module."""
    module = f"fake_{changes.get('name', name).replace('-', '_')}"
    source = TEACHER.format(name=f"{name}_teacher", module=module) if source is None else source
    values: dict[str, Any] = {
        "name": f"kdcore-{name}",
        "entry_points": {name: module},
        "modules": {module: source},
    }
    return FakeDistribution(**(values | changes))


GOOD = plugin("good")


def listed(*distributions: FakeDistribution, **env: str) -> dict[str, dict[str, Any]]:
    """Return the rows of ``kd plugins --json`` by distribution; the good plugin must be fine."""
    done = run_kd("plugins", "--json", "--all", distributions=[GOOD, *distributions], env=env)
    assert done.returncode == 0, done.stderr
    rows = {row["distribution"]: row for row in json.loads(done.stdout)}
    assert rows["kdcore"]["status"] == "ok"
    assert "Traceback" not in done.stderr
    return rows


def assert_bad(row: dict[str, Any], status: str, *words: str) -> None:
    assert row["status"] == status
    assert row["provides"] == []
    assert "\n" not in row["reason"]
    for word in words:
        assert word in row["reason"]


def assert_good(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["kdcore-good"]
    assert (row["status"], row["reason"]) == ("ok", None)
    assert row["provides"] == ["teacher: good_teacher"]
    assert row["version"] == "0.1.0"


HOOK = "from kdcore import hookimpl, TeacherSpec, StudentSpec\n@hookimpl\ndef kd_teachers():\n    "
SPEC = "TeacherSpec(name='a', summary='A.', factory='m:f', tasks=('binary',))"

BROKEN = {
    "fails to import": ("import a_library_nobody_has", ["a_library_nobody_has", "importing"]),
    "is no valid source": ("def broken(:", ["SyntaxError"]),
    "exits on import": ("import sys; sys.exit(3)", ["sys.exit(3)"]),
    "raises in a hook": (
        HOOK + "raise RuntimeError('out of luck')",
        ["kd_teachers", "out of luck"],
    ),
    "raises while yielding": (HOOK + f"yield {SPEC}; 1 / 0", ["kd_teachers", "ZeroDivisionError"]),
    "exits in a hook": (HOOK + "raise SystemExit", ["kd_teachers", "sys.exit()"]),
    "raises in many lines": (HOOK + "raise ValueError('one\\ntwo\\n')", ["one two"]),
    "raises what has no text": (
        "class Bad(Exception):\n    def __str__(self): raise ValueError\nraise Bad",
        ["Bad"],
    ),
    "returns nothing": (HOOK + "pass", ["kd_teachers returned None", "TeacherSpec"]),
    "returns a number": (HOOK + "return 7", ["type int"]),
    "returns a bare spec": (HOOK + f"return {SPEC}", ["type TeacherSpec", "not an iterable"]),
    "returns text": (HOOK + "return 'xgboost'", ["type str", "TeacherSpec"]),
    "returns a spec class": (HOOK + "return [TeacherSpec]", ["TeacherSpec is due"]),
    "returns specs of another kind": (
        HOOK + "yield StudentSpec(name='a', summary='A.', factory='m:f', tasks=('binary',))",
        ["type StudentSpec", "TeacherSpec is due"],
    ),
    "breaks a rule of specs": (HOOK + SPEC.replace("'a'", "'A B'"), ["SpecError", "'A B'"]),
    "provides one name twice": (HOOK + f"return [{SPEC}, {SPEC}]", ["'a' twice"]),
    "never ends": (HOOK + f"\n    while True: yield {SPEC}", ["more than"]),
    "misspells a hook": (
        "from kdcore import hookimpl\n@hookimpl\ndef kd_teacher(): return []",
        ["kd_teacher", "Did you mean 'kd_teachers'?"],
    ),
    "wants an argument": (
        "from kdcore import hookimpl\n@hookimpl\ndef kd_teachers(task): return []",
        ["'task'"],
    ),
    "forgets the mark": ("def kd_teachers(): return []", ["kd_teachers", "@kdcore.hookimpl"]),
    "wraps a hook": (
        "from kdcore import hookimpl\n@hookimpl(wrapper=True)\ndef kd_teachers(): return (yield)",
        ["wrapper"],
    ),
    "has no hook": ("", ["no hook", "kd_teachers"]),
}


@pytest.mark.parametrize(("source", "words"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_with_a_fault_is_blamed_and_the_others_go_on(
    source: str, words: list[str]
) -> None:
    with installed_in_process(GOOD, plugin("bad", source)):
        found = {info.distribution: info for info in discover(environ={}).plugins}
    bad = found["kdcore-bad"]
    assert bad.status == "broken"
    assert bad.provides == ()
    assert bad.reason is not None
    assert "\n" not in bad.reason
    for word in words:
        assert word in bad.reason
    assert found["kdcore-good"].provides == ("teacher: good_teacher",)
    assert found["kdcore"].status == "ok"


@pytest.mark.parametrize(
    "kind", ["fails to import", "raises in a hook", "exits on import", "exits in a hook"]
)
def test_the_command_survives_a_plugin_with_a_fault(kind: str) -> None:
    source, words = BROKEN[kind]
    rows = listed(plugin("bad", source))
    assert_bad(rows["kdcore-bad"], "broken", *words)
    assert_good(rows)


def test_an_interrupt_during_loading_still_stops_the_program() -> None:
    done = run_kd("plugins", distributions=[plugin("bad", "raise KeyboardInterrupt")])
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_what_a_plugin_prints_does_not_spoil_the_json() -> None:
    rows = listed(plugin("chatty", "print('hello')\n" + TEACHER.format(name="c", module="m")))
    assert rows["kdcore-chatty"]["status"] == "ok"
    assert_good(rows)


def test_one_entry_name_in_two_distributions_stops_both_and_tells_the_cure() -> None:
    module = "fake_twin"
    first = plugin("one", entry_points={"twin": "fake_one"})
    second = plugin("two", entry_points={"twin": module}, modules={module: ""}, version="2.5")
    rows = listed(first, second)
    for name in ("kdcore-one", "kdcore-two"):
        assert_bad(
            rows[name],
            "conflict",
            "'twin'",
            "kdcore-one 0.1.0",
            "kdcore-two 2.5",
            "KD_DISABLE_PLUGINS=kdcore-two to keep kdcore-one",
            "KD_DISABLE_PLUGINS=kdcore-one to keep kdcore-two",
        )
    assert_good(rows)

    cured = listed(first, second, KD_DISABLE_PLUGINS="kdcore-two")
    assert cured["kdcore-one"]["provides"] == ["teacher: one_teacher"]
    assert cured["kdcore-two"]["status"] == "disabled"


TWO_TEACHERS = """
from kdcore import TeacherSpec, hookimpl

@hookimpl
def kd_teachers():
    for name in ("shared", "{own}"):
        yield TeacherSpec(name=name, summary="A fake.", factory="m:make", tasks=("binary",))
"""


def test_one_spec_name_in_two_plugins_is_lost_to_both_and_only_that_name() -> None:
    one = plugin("one", TWO_TEACHERS.format(own="only_one"))
    two = plugin("two", TWO_TEACHERS.format(own="only_two"), version="3")
    rows = listed(one, two)
    for name in ("one", "two"):
        row = rows[f"kdcore-{name}"]
        assert row["status"] == "conflict"
        assert row["provides"] == [f"teacher: only_{name}"]
        for word in (
            "teacher 'shared'",
            "kdcore-one 0.1.0 and kdcore-two 3",
            "KD_DISABLE_PLUGINS=two to keep kdcore-one",
            "KD_DISABLE_PLUGINS=one to keep kdcore-two",
        ):
            assert word in row["reason"]
    assert_good(rows)

    cured = listed(one, two, KD_DISABLE_PLUGINS="two")
    assert cured["kdcore-one"]["provides"] == ["teacher: shared", "teacher: only_one"]


def test_the_cure_of_a_conflict_keeps_what_is_disabled_already() -> None:
    one, two = (
        plugin("one", TWO_TEACHERS.format(own="x")),
        plugin("two", TWO_TEACHERS.format(own="y")),
    )
    rows = listed(one, two, KD_DISABLE_PLUGINS="good")
    assert "KD_DISABLE_PLUGINS=good,two to keep kdcore-one" in rows["kdcore-one"]["reason"]


def test_three_plugins_with_one_spec_name_are_all_named() -> None:
    three = [plugin(n, TWO_TEACHERS.format(own=f"own_{n}")) for n in ("one", "two", "zoo")]
    reason = listed(*three)["kdcore-zoo"]["reason"]
    assert "kdcore-one 0.1.0, kdcore-two 0.1.0 and kdcore-zoo 0.1.0, so none is used" in reason
    assert "KD_DISABLE_PLUGINS=one,two to keep kdcore-zoo" in reason


def test_a_name_is_kept_if_its_rival_is_broken() -> None:
    one = plugin("one", TWO_TEACHERS.format(own="x"))
    two = plugin("two", TWO_TEACHERS.format(own="y") + "        1 / 0\n")
    rows = listed(one, two)
    assert rows["kdcore-one"]["provides"] == ["teacher: shared", "teacher: x"]
    assert rows["kdcore-two"]["status"] == "broken"


LOSS = """
from kdcore import LossSpec, hookimpl

@hookimpl
def kd_losses():
    for name in ("kl", "mine"):
        yield LossSpec(name=name, summary="A fake.", factory="m:make", tasks=("binary",))
"""


def test_a_built_in_loss_cannot_be_replaced_by_a_plugin() -> None:
    rows = listed(plugin("evil", LOSS))
    assert rows["kdcore-evil"]["status"] == "conflict"
    assert rows["kdcore-evil"]["provides"] == ["loss: mine"]
    assert "loss 'kl' is built into kdcore" in rows["kdcore-evil"]["reason"]
    assert "loss: kl" in rows["kdcore"]["provides"]
    assert_good(rows)


def test_a_plugin_cannot_take_the_name_of_the_built_in_one() -> None:
    rows = listed(plugin("evil", entry_points={"builtin": "fake_evil"}))
    assert_bad(rows["kdcore-evil"], "conflict", "'builtin' is reserved")
    assert_good(rows)


@pytest.mark.parametrize("requirement", ["kdcore>=99", "kdcore (<0.0.1)", "KDCore[all]>=99,<100"])
def test_a_plugin_for_another_core_is_refused_before_it_is_imported(requirement: str) -> None:
    bad = plugin("new", "raise RuntimeError('imported')", requires=("numpy", requirement))
    rows = listed(bad)
    assert_bad(rows["kdcore-new"], "incompatible", "it needs kdcore", "this is kdcore")
    assert "imported" not in rows["kdcore-new"]["reason"]
    assert_good(rows)


@pytest.mark.parametrize(
    "requires",
    [
        (),
        ("kdcore-xgboost>=99",),
        ("kdcore>=0.0.1",),
        ('kdcore>=99; extra == "later"',),
        ('kdcore>=99; python_version < "3"',),
    ],
)
def test_requirements_that_do_not_exclude_this_core_are_met(requires: tuple[str, ...]) -> None:
    with installed_in_process(plugin("fine", requires=requires)):
        found = {info.name: info for info in discover(environ={}).plugins}
    assert found["fine"].status == "ok"


def test_unreadable_requirements_are_reported_as_such() -> None:
    rows = listed(plugin("odd", requires=("kdcore ==>= 1",)))
    assert_bad(rows["kdcore-odd"], "broken", "kdcore ==>= 1")
    assert_good(rows)


@pytest.mark.parametrize("word", ["off", "kdcore-off", "KDcore_off", " off , "])
def test_a_disabled_plugin_is_not_imported(word: str) -> None:
    rows = listed(plugin("off", "raise RuntimeError('imported')"), KD_DISABLE_PLUGINS=word)
    assert_bad(rows["kdcore-off"], "disabled", "KD_DISABLE_PLUGINS")
    assert_good(rows)


def test_a_star_disables_everything_but_the_built_in() -> None:
    rows = listed(plugin("off"), KD_DISABLE_PLUGINS="*")
    assert_bad(rows["kdcore-off"], "disabled")
    assert_bad(rows["kdcore-good"], "disabled")
    assert "loss: kl" in rows["kdcore"]["provides"]


def test_a_slip_in_the_disabling_variable_is_warned_of() -> None:
    done = run_kd("plugins", distributions=[GOOD], env={"KD_DISABLE_PLUGINS": "goood"})
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: KD_DISABLE_PLUGINS holds 'goood'")
    assert "Did you mean 'good'?" in done.stderr
    assert done.stderr.count("\n") == 1
    with pytest.warns(PluginWarning, match="no installed plugin"):
        discover(entry_points=[], environ={"KD_DISABLE_PLUGINS": "nobody"})


def test_blank_words_in_the_disabling_variable_are_no_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert discover(entry_points=[], environ={"KD_DISABLE_PLUGINS": " , ,"}).plugins


STRICT = {
    "broken": [plugin("a_bad", "import a_library_nobody_has")],
    "incompatible": [plugin("a_bad", requires=("kdcore>=99",))],
    "in conflict": [
        plugin("a_one", TWO_TEACHERS.format(own="x")),
        plugin("a_two", TWO_TEACHERS.format(own="y")),
    ],
    "used by": [
        plugin("a_one", entry_points={"a_twin": "fake_a_one"}),
        plugin("a_two", entry_points={"a_twin": "fake_a_two"}),
    ],
}


@pytest.mark.parametrize(("word", "distributions"), STRICT.items(), ids=STRICT)
def test_strict_mode_stops_at_the_first_failure(
    word: str, distributions: list[FakeDistribution]
) -> None:
    env = {"KD_STRICT_PLUGINS": "1"}
    with (
        installed_in_process(GOOD, *distributions),
        pytest.raises(PluginError, match=word) as caught,
    ):
        discover(environ=env)
    assert "KD_STRICT_PLUGINS" in str(caught.value)
    done = run_kd("plugins", distributions=[GOOD, *distributions], env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: plugin 'a_")
    assert done.stderr.count("\n") == 1


def test_strict_mode_with_debug_shows_where_the_plugin_failed() -> None:
    done = run_kd(
        "plugins",
        "--debug",
        distributions=[plugin("a_bad", "import a_library_nobody_has")],
        env={"KD_STRICT_PLUGINS": "1"},
    )
    assert done.returncode == 1
    assert "fake_a_bad.py" in done.stderr


def test_strict_mode_can_be_switched_off_by_zero() -> None:
    rows = listed(plugin("bad", "1 / 0"), KD_STRICT_PLUGINS="0")
    assert rows["kdcore-bad"]["status"] == "broken"


def test_strict_mode_accepts_a_disabled_plugin() -> None:
    env = {"KD_STRICT_PLUGINS": "1", "KD_DISABLE_PLUGINS": "*"}
    with installed_in_process(plugin("bad", "1 / 0")):
        assert any(info.status == "disabled" for info in discover(environ=env).plugins)


def test_trace_mode_tells_each_import_and_hook_call_on_stderr() -> None:
    done = run_kd("plugins", "--json", distributions=[GOOD], env={"KD_TRACE_PLUGINS": "1"})
    assert done.returncode == 0
    json.loads(done.stdout)
    assert "kd trace: import plugin 'good' (kdcore-good 0.1.0): " in done.stderr
    assert "kd trace: kd_teachers of plugin 'good' (kdcore-good 0.1.0): good_teacher" in done.stderr
    assert "kd trace: kd_losses of plugin 'builtin'" in done.stderr


def test_a_damaged_entry_points_file_harms_only_its_distribution() -> None:
    damaged = plugin("torn")
    with installed_in_process(GOOD, damaged) as directory:
        file = directory / "kdcore_torn-0.1.0.dist-info" / "entry_points.txt"
        file.write_text("[kdcore]\nthis line is torn\n", encoding="utf-8")
        found = {info.distribution: info for info in discover(environ={}).plugins}
    assert found["kdcore-torn"].status == "broken"
    assert "entry_points.txt cannot be read" in str(found["kdcore-torn"].reason)
    assert found["kdcore-good"].status == "ok"


def test_missing_metadata_harms_only_its_distribution() -> None:
    with installed_in_process(GOOD, plugin("torn")) as directory:
        (directory / "kdcore_torn-0.1.0.dist-info" / "METADATA").unlink()
        found = {info.name: info for info in discover(environ={}).plugins}
    assert found["torn"].status == "broken"
    assert "metadata cannot be read" in str(found["torn"].reason)
    assert found["good"].status == "ok"


def test_an_entry_point_may_name_an_object_in_a_module() -> None:
    source = """
        from kdcore import TeacherSpec, hookimpl

        class Plugin:
            @hookimpl
            def kd_teachers(self):
                yield TeacherSpec(name="of_object", summary="A.", factory="m:f", tasks=("binary",))

        plugin = Plugin()
    """
    obj = plugin("obj", source, entry_points={"obj": "fake_obj:plugin"})
    with installed_in_process(obj):
        assert "of_object" in Registry(discover(environ={})).specs("teacher")


def test_an_entry_point_to_nowhere_is_blamed() -> None:
    points = {"a": "fake_lost:nothing", "b": "not a module!"}
    with installed_in_process(plugin("lost", entry_points=points)):
        found = {info.name: info for info in discover(environ={}).plugins}
    assert found["a"].status == found["b"].status == "broken"
    assert "nothing" in str(found["a"].reason)


def test_two_entry_points_of_one_distribution_with_one_name_are_blamed_on_it() -> None:
    points = [EntryPoint("same", "os", "kdcore"), EntryPoint("same", "sys", "kdcore")]
    found = [
        info for info in discover(entry_points=points, environ={}).plugins if info.name == "same"
    ]
    assert [info.status for info in found] == ["broken", "broken"]
    assert "twice" in str(found[0].reason)


def test_a_plugin_that_asks_for_the_registry_while_loading_is_blamed() -> None:
    source = "from kdcore.registry import default_registry\ndefault_registry().specs('loss')"
    rows = listed(plugin("eager", source))
    assert_bad(rows["kdcore-eager"], "broken", "while plugins are being loaded")
    assert_good(rows)


def test_plugins_are_listed_in_one_order_whatever_the_path() -> None:
    with installed_in_process(plugin("zz"), plugin("aa"), plugin("mm")):
        names = [info.name for info in discover(environ={}).plugins]
        assert names == sorted(names)
        assert [c.name for c in installed()] == [n for n in names if n != "builtin"]


def test_fake_distributions_leave_no_trace_behind() -> None:
    with installed_in_process(GOOD):
        assert "good_teacher" in Registry().specs("teacher")
    assert "good_teacher" not in Registry().specs("teacher")
    assert (
        "no kdcore-good"
        in run_python(
            """
        from kdcore.candidates import installed
        print("no kdcore-good" if all(c.name != "good" for c in installed()) else "still there")
        """
        ).stdout
    )


def test_plugin_errors_are_errors_meant_for_users() -> None:
    assert issubclass(PluginError, KDError)
