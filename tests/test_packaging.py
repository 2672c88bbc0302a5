"""Core and plugins have one version and one shape, so that they can be released together."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import kdcore
from kdcore.hints import OFFICIAL
from kdcore.specs import Spec

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

pytestmark = pytest.mark.skipif(
    not (ROOT / "plugins").is_dir(), reason="the core's sdist holds no plugins"
)
every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)


def project_of(directory: Path) -> dict[str, Any]:
    text = (directory / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]


CORE = project_of(ROOT)


def import_name(plugin: Path) -> str:
    return plugin.name.replace("-", "_")


def load(plugin: Path) -> ModuleType:
    """Import a plugin's light module from its source, installed or not."""
    path = plugin / "src" / import_name(plugin) / "__init__.py"
    spec = importlib.util.spec_from_file_location(import_name(plugin), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def specs_of(plugin: Path) -> list[Spec]:
    module = load(plugin)
    hooks = [getattr(module, name) for name in dir(module) if name.startswith("kd_")]
    assert all(hasattr(hook, "kdcore_impl") for hook in hooks)
    return [spec for hook in hooks for spec in hook()]


def test_there_are_plugins() -> None:
    """A wrong path would make every test below pass on nothing."""
    assert len(PLUGINS) >= 2


def test_version_is_told_in_one_voice() -> None:
    assert CORE["version"] == kdcore.__version__


@every_plugin
def test_plugin_directory_has_the_shape(plugin: Path) -> None:
    package = plugin / "src" / import_name(plugin)
    wanted = [
        plugin / "README.md",
        plugin / "LICENSE",
        package / "__init__.py",
        package / "py.typed",
        plugin / "tests" / "test_conformance.py",
    ]
    missing = [str(path.relative_to(ROOT)) for path in wanted if not path.is_file()]
    assert not missing
    assert sorted(path.name for path in (plugin / "src").iterdir() if path.name[0] != ".") == [
        package.name
    ], "src/ holds one package; what is beside it could be imported by mistake"
    assert not (plugin / "tests" / "__init__.py").exists(), "tests are not a package"


@every_plugin
def test_plugin_metadata(plugin: Path) -> None:
    project = project_of(plugin)
    assert project["name"] == plugin.name
    assert project["version"] == CORE["version"], "all distributions share one version"
    for field in ("license", "license-files", "readme", "requires-python"):
        assert project[field] == CORE[field], field
    short = plugin.name.removeprefix("kdcore-")
    assert project["entry-points"] == {"kdcore": {short: import_name(plugin)}}


@every_plugin
def test_plugin_accepts_cores_of_its_minor_version_only(plugin: Path) -> None:
    requirements = [Requirement(text) for text in project_of(plugin)["dependencies"]]
    bound = next(r.specifier for r in requirements if r.name == "kdcore")
    assert set(map(str, bound)) == expected_bound()
    assert kdcore.__version__ in bound
    backends = [r for r in requirements if r.name != "kdcore"]
    for requirement in backends:
        operators = {s.operator for s in requirement.specifier}
        assert operators == {">="}, f"{requirement}: give a lower bound and nothing else"


def expected_bound() -> set[str]:
    version = Version(CORE["version"])
    return {f">={version.major}.{version.minor}", f"<{version.major}.{version.minor + 1}"}


@every_plugin
def test_plugin_license_is_that_of_the_core(plugin: Path) -> None:
    assert (plugin / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@every_plugin
def test_plugin_readme_says_how_to_begin(plugin: Path) -> None:
    text = (plugin / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {plugin.name}\n")
    assert f"pip install {plugin.name}" in text
    assert "    kd " in text, "a first command is missing"
    assert "```python" in text, "an example in Python is missing"


@every_plugin
def test_plugin_is_an_extra_of_the_core(plugin: Path) -> None:
    extras = CORE["optional-dependencies"]
    short = plugin.name.removeprefix("kdcore-")
    [requirement] = map(Requirement, extras[short])
    assert requirement.name == plugin.name
    assert set(map(str, requirement.specifier)) == expected_bound()


def test_extra_all_is_complete() -> None:
    extras = CORE["optional-dependencies"]
    [requirement] = map(Requirement, extras["all"])
    assert requirement.name == "kdcore"
    assert requirement.extras == set(extras) - {"all", "testing", "mlflow"}
    libraries = {"kdcore-polars", "kdcore-plot", "kdcore-search", "kdcore-treelite"}
    plugins = {f"kdcore-{extra}" for extra in requirement.extras} - libraries
    assert plugins == {plugin.name for plugin in PLUGINS}


@every_plugin
def test_hints_know_what_the_plugin_provides(plugin: Path) -> None:
    """Who asks for a name that is not installed is told which distribution to install."""
    for spec in specs_of(plugin):
        if spec.role in OFFICIAL:
            assert OFFICIAL[spec.role].get(spec.name) == plugin.name, f"{spec.role} {spec.name}"


@every_plugin
def test_factories_are_inside_the_plugin(plugin: Path) -> None:
    for spec in specs_of(plugin):
        for target in (spec.factory, getattr(spec, "loader", None) or spec.factory):
            module = target.partition(":")[0]
            assert module.startswith(f"{import_name(plugin)}."), target
            path = plugin / "src" / Path(*module.split("."))
            assert path.with_suffix(".py").exists() or path.is_dir(), target


@every_plugin
def test_tox_has_an_environment_for_the_plugin(plugin: Path) -> None:
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    short = plugin.name.removeprefix("kdcore-")
    lists = re.findall(r"kdcore-\{([^}]*)\}", text)
    assert len(lists) == 2
    assert all(short in names.split(",") for names in lists)
    assert f"-e {{tox_root}}/plugins/{plugin.name}\n" in text


def test_constraints_satisfy_every_requirement() -> None:
    """The versions that are tested are versions that users can have."""
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert version, f"{line}: pin one version"
            pins[name] = version
    for project in [CORE, *map(project_of, PLUGINS)]:
        extras = project.get("optional-dependencies", {}).values()
        for text in [*project["dependencies"], *(text for extra in extras for text in extra)]:
            requirement = Requirement(text)
            if requirement.name.partition("-")[0] != "kdcore":
                assert requirement.name in pins, f"constraints.txt lacks {requirement.name}"
                assert pins[requirement.name] in requirement.specifier
