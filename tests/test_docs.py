"""What a user can see is documented, and what the documentation shows exists and runs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import kdcore
from kdcore import builtin, hookspecs
from kdcore.cli import cli
from kdcore.loading import HOOKS
from kdcore.scaffold import Scaffold
from kdcore.testing.isolation import FakeDistribution, run_kd, run_python
from kdcore.testing.rules import rules, rules_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="no documentation beside the tests")

PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("plugins/*/README.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def read(path: Path | str) -> str:
    return (DOCS / path).read_text(encoding="utf-8")


def commands(
    group: click.Group = cli, words: tuple[str, ...] = ("kd",)
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name, groups included."""
    yield " ".join(words), group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(commands())


def code_of(text: str) -> Iterator[str]:
    """Yield the lines of all code blocks, fenced and indented, continued lines joined."""
    fences = re.findall(r"^```([^\n]*)\n(.*?)^```", text, re.M | re.S)
    fenced = [body for kind, body in fences if kind in ("", "bash", "console", "sh", "text")]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    indented = re.findall(r"^(?: {4,}.*\n?)+", outside, re.M)
    for block in [*fenced, *indented]:
        joined = re.sub(r"\\\n\s*", " ", block)
        yield from (line.strip().removeprefix("$ ") for line in joined.splitlines())


def shell_commands(page: Path) -> list[str]:
    """Return the command lines of a page that a reader is told to type."""
    starts = ("kd ", "pip ", "python ", "python3 ", "tox ")
    text = page.read_text(encoding="utf-8")
    # A variable may stand before a command.
    lines = [re.sub(r"^(?:[A-Z_]+=\S* )+", "", line) for line in code_of(text)]
    return [line.partition("  #")[0].strip() for line in lines if line.startswith(starts)]


# --- what exists is documented ---------------------------------------------------------------


def test_every_hook_is_documented() -> None:
    page = read("reference/hooks.md")
    for name in HOOKS:
        assert f"kdcore.hookspecs.{name}" in page
        doc = getattr(hookspecs, name).__doc__
        assert "Example::" in doc, f"{name}: show a complete implementation"
        assert "Returns an iterable of" in doc


@pytest.mark.parametrize("spec", HOOKS.values(), ids=lambda spec: spec.__name__)
def test_every_field_of_a_spec_is_documented(spec: type) -> None:
    assert f"kdcore.{spec.__name__}" in read("reference/hooks.md")
    docs = "\n".join(base.__doc__ or "" for base in spec.__mro__)
    documented = {
        name.strip()
        for names in re.findall(r"^ *([\w, ]+) : ", docs, re.M)
        for name in names.split(",")
    }
    assert {field.name for field in dataclasses.fields(spec)} <= documented


def test_every_public_name_is_documented() -> None:
    page = read("reference/api.md") + read("reference/hooks.md")
    for name in kdcore.__all__:
        if not name.startswith("__"):
            assert re.search(rf"\b{name}\b", page) or name == "KDError", name
    assert "automodule:: kdcore.errors" in page


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_a_help_text(name: str) -> None:
    """The reference page is made from these texts, of all commands and options."""
    command = COMMANDS[name]
    assert not command.hidden
    assert (command.help or "").strip(), f"{name} has no help text"
    assert "\\b" not in (command.help or ""), f"{name}: a doubled backslash is shown as it is"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.hidden or (parameter.help or "").strip(), (
                f"{name} {parameter.opts[-1]} has no help text"
            )


def test_the_reference_page_shows_every_command() -> None:
    page = read("reference/cli.md")
    assert ".. click:: kdcore.cli:cli" in page
    assert ":nested: full" in page


def variables_in(*directories: Path) -> set[str]:
    found = set()
    for directory in directories:
        for path in directory.rglob("*.py"):
            found |= set(re.findall(r"\bKD_[A-Z][A-Z_]*\b", path.read_text(encoding="utf-8")))
    return found


def test_every_environment_variable_is_documented() -> None:
    sources = [Path(kdcore.__file__).parent, *ROOT.glob("plugins/*/src")]
    documented = set(re.findall(r"^`(KD_[A-Z_]+)`$", read("reference/environment.md"), re.M))
    assert documented == variables_in(*sources)


def test_every_builtin_and_plugin_is_listed() -> None:
    page = read("reference/plugins.md")
    specs = [*builtin.kd_losses(), *builtin.kd_selectors()]
    for spec in specs:
        assert f"`{spec.name}`" in page, f"{spec.role} {spec.name}"
    for plugin in ROOT.glob("plugins/*/pyproject.toml"):
        [row] = re.findall(rf"^\| `{plugin.parent.name}` \|.*$", page, re.M)
        package = plugin.parent / "src" / plugin.parent.name.replace("-", "_")
        text = (package / "__init__.py").read_text(encoding="utf-8")
        for name in re.findall(r'^\s+name="(\w+)"', text, re.M):
            assert f"`{name}`" in row, f"{plugin.parent.name}: {name}"


def test_every_loss_has_its_formula() -> None:
    page = read("explanation/distillation.md")
    for spec in builtin.kd_losses():
        assert re.search(rf"^`{spec.name}`\n: \$", page, re.M), spec.name


def test_every_page_is_in_a_table_of_contents() -> None:
    trees = re.findall(r"```\{toctree\}\n(.*?)```", read("index.md"), re.S)
    listed = {line for tree in trees for line in tree.splitlines() if line and line[0] != ":"}
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert listed == pages - {"index"}


# --- what is documented exists ---------------------------------------------------------------


@every_page
def test_commands_that_a_page_shows_exist(page: Path) -> None:
    """Names of commands and options in the documentation do not go out of date."""
    for line in shell_commands(page):
        if not line.startswith("kd "):
            continue
        words = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
        name = "kd"
        while len(words) > 1 and f"{name} {words[1]}" in COMMANDS:
            name, words = f"{name} {words[1]}", words[1:]
        command = COMMANDS[name]
        assert (
            not isinstance(command, click.Group)
            or len(words) == 1
            or words[1][:1] == "-"
            or command.invoke_without_command
        ), f"{line!r}: kd has no command {words[1]!r}"
        parents = [COMMANDS["kd"], COMMANDS[name.rpartition(" ")[0] or "kd"], command]
        known = {"--help", "-h"} | {
            option for c in parents for p in c.params for option in [*p.opts, *p.secondary_opts]
        }
        for p in command.params:
            if isinstance(p, click.Option) and p.required and "--config" not in words:
                assert set(p.opts) & set(words), f"{line!r} lacks {p.opts[0]}"
        for word in words[1:]:
            if re.match(r"--?[a-z]", word):
                assert word.partition("=")[0] in known, f"{line!r}: no option {word}"


@every_page
def test_scripts_and_files_that_a_page_links_to_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for script in re.findall(r"\b(?:scripts|\.ci)/[\w.]+", text):
        assert (ROOT / script.rstrip(".")).exists(), f"{page.name} names {script}"


def test_both_readmes_name_the_same_commands() -> None:
    chinese = ROOT / "README.zh-CN.md"
    if not chinese.exists():
        pytest.skip("there is no README.zh-CN.md")
    assert shell_commands(chinese) == shell_commands(ROOT / "README.md")
    names = [
        set(re.findall(r"`((?:kd|kdcore)[-. ][^`]*)`", p.read_text(encoding="utf-8")))
        for p in (ROOT / "README.md", chinese)
    ]
    assert names[0] == names[1]


def needed(code: str) -> set[str]:
    """Return the distributions that an example needs beyond the core."""
    names = set(re.findall(r"\"(\w+)\"", code))
    modules = re.findall(r"\b(?:from|import) (kdcore_\w+)", code)
    from kdcore.hints import OFFICIAL

    named = {OFFICIAL[r][n] for r in OFFICIAL for n in names if n in OFFICIAL[r]}
    # What it does is tested where MLflow is: in tests/tracking.
    others = {"mlflow-skinny"} if "kdcore.tracking" in code else set()
    return named | others | {module.replace("_", "-") for module in modules}


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def module_name(path: str) -> str:
    return path[len("src/") : -len(".py")].removesuffix("/__init__").replace("/", ".")


def test_the_tutorial_shows_the_package_that_kd_writes() -> None:
    files = Scaffold("my-teacher").files()
    page = read("tutorial/first-plugin.md")
    shown = dict(re.findall(r"^:caption: (\S+)\n\n(.*?)^```", page, re.M | re.S))
    assert len(shown) >= 4
    assert shown == {path: files[path] for path in shown}
    assert set(files) <= set(re.findall(r"[\w./-]+\.(?:py|toml|md|ini)", page))


def test_every_rule_of_plugins_is_listed_with_its_check() -> None:
    assert read("reference/plugin-rules.md") == rules_page(), (
        "run `python -m kdcore.testing.rules > docs/reference/plugin-rules.md`"
    )
    files = Path(kdcore.__file__).parent.glob("testing/checks_*.py")
    names = {n for file in files for n in re.findall(r"^def (check_\w+)", file.read_text(), re.M)}
    assert {name for _, name, _ in rules()} == names
    assert all(rule.endswith(".") for _, _, rule in rules())


def test_the_plugin_of_the_guide_works(tmp_path: Path) -> None:
    """The guide's plugin is built from its text, and its own tests are run."""
    blocks = re.findall(
        r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```",
        read("how-to/write-a-plugin.md"),
        re.M | re.S,
    )
    files = dict(blocks)
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    plugin = FakeDistribution(
        project["name"],
        entry_points=project["entry-points"]["kdcore"],
        modules={module_name(path): code for path, code in files.items() if path[:4] == "src/"},
        version=project["version"],
        requires=project["dependencies"],
    )
    checked = run_kd("plugins", "--check", distributions=[plugin])
    assert "nearest_mean" in checked.stdout
    assert checked.returncode == 0, checked.stdout
    (tmp_path / "test_conformance.py").write_text(files["tests/test_conformance.py"])
    tested = run_python(
        f"""
        import sys, pytest
        sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", {str(tmp_path)!r}]))
        """,
        distributions=[plugin],
    )
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout


def python_of(page: Path) -> str:
    """Return the Python blocks of a page in one go."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))


#: Pages whose commands are run: how many there are at least, and what they leave behind.
WALKS = {
    "../README.md": (4, "predictions.csv"),
    "how-to/read-a-report.md": (3, "student.html"),
    "reference/cli.md": (2, "again/student.kd"),
    "tutorial/first-distillation.md": (5, "out/student.kd"),
    "tutorial/choosing-factors.md": (3, "predictions.csv"),
    "how-to/use-your-own-teacher.md": (6, "kd-out/wine-logistic_regression/student.kd"),
    "how-to/compare-models.md": (4, "out/student.kd"),
    "how-to/search-settings.md": (3, "wine/student.kd"),
    "how-to/deploy-a-student.md": (9, "trees.tl"),
    "how-to/choose-columns.md": (6, "six/student.kd"),
}

ADULT = """
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
adult = pd.DataFrame({"age": rng.integers(17, 90, 240), "hours": rng.integers(1, 80, 240)})
adult["education"] = rng.choice(["Masters", "HS-grad", None], 240)
odds = adult["age"] / 30 + adult["hours"] / 40 + (adult["education"] == "Masters")
adult["income"] = np.where(odds + rng.logistic(size=240) / 3 > 3, ">50K", "<=50K")
adult.to_parquet("adult.parquet")
adult.drop(columns="income").to_csv("new.csv", index=False)
"""

#: What a reader brings along: tables, and a student that another page has made.
BROUGHT = {
    "../README.md": ADULT,
    "how-to/deploy-a-student.md": f"""{ADULT}
import kdcore

kdcore.distill(
    adult,
    target="income",
    teacher="xgboost",
    student="decision_tree",
    recipe="plain",
    folds=2,
    output="out",
)
for name in ("rows", "june"):
    adult.to_parquet(f"{{name}}.parquet")
adult.drop(columns="income").to_csv("some.csv", index=False)
""",
    "how-to/choose-columns.md": """
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
months = pd.DataFrame(rng.normal(size=(240, 24)).cumsum(axis=0)).add_prefix("x")
months["target"] = months["x0"].diff().fillna(0) + months["x3"] / 9
months.to_parquet("fred_md.parquet")
days = months.drop(columns="target")
days["date"] = pd.date_range("2020-01-01", periods=240).astype(str)
days["riders"] = months["target"]
days.to_csv("ridership.csv", index=False)
""",
}

#: Commands that take long, or need another student, and are run by other tests.
LEFT_OUT = {
    "../README.md": ("factors.parquet",),
    # A tree has no weights to be written in eight bits; networks are tested with the exports.
    "how-to/deploy-a-student.md": ("onnx-int8",),
}

#: A new process for each page, but not for each of its commands: most of their time is imports.
WALK = """
import contextlib, io, json, sys, warnings
from pathlib import Path
from kdcore.__main__ import main

code, steps = json.loads(sys.argv[1])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    exec(compile(code, "the blocks in Python", "exec"), {"__name__": "__main__"})
for step, file in steps:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        result = main(step)
    if result:
        sys.exit(f"kd {' '.join(step)}: {result}")
    if file:
        Path(file).write_text(said.getvalue(), encoding="utf-8")
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKS)
def test_commands_of_a_page_run_as_they_are_typed(page: str, tmp_path: Path) -> None:
    """They build on each other's files, so they are run in order, in one directory.

    Files that a page makes in Python are made first.
    """
    plugins = ("kdcore-xgboost", "kdcore-lightgbm", "kdcore-catboost", "kdcore-sklearn")
    missing = [name for name in plugins if not installed(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    lines = [s for s in shell_commands(DOCS / page) if s[:3] == "kd "]
    lines = [s for s in lines if not any(word in s for word in LEFT_OUT.get(page, ()))]
    number, made = WALKS[page]
    assert len(lines) >= number
    parts = [line.partition(" > ") for line in lines]
    steps = [(shlex.split(line)[1:], file.strip()) for line, _, file in parts]
    code = python_of(DOCS / page)
    done = subprocess.run(
        [sys.executable, "-c", WALK, json.dumps([BROUGHT.get(page, "") + code, steps])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / made).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if "```python" in page.read_text(encoding="utf-8")
        and page not in [(DOCS / walk).resolve() for walk in WALKS]
        # Held to the code of the English page by a test below.
        and not page.name.endswith(".zh.md")
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_examples_in_python_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page are run in one go, as a reader would, in an empty directory."""
    code = python_of(page)
    missing = sorted(name for name in needed(code) if not installed(name))
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_both_languages_of_a_guide_show_the_same_commands_and_code() -> None:
    for chinese in DOCS.rglob("*.zh.md"):
        english = chinese.with_name(chinese.name.replace(".zh.md", ".md"))
        assert shell_commands(chinese) == shell_commands(english)
        assert python_of(chinese) == python_of(english)
        headings = [
            re.findall(r"^#+ ", page.read_text(encoding="utf-8"), re.M)
            for page in (chinese, english)
        ]
        assert headings[0] == headings[1]
