"""The rules of the conformance kit as a page: each with the check that holds it.

``python -m kdcore.testing.rules`` prints ``docs/reference/plugin-rules.md``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

__all__ = ["rules", "rules_page"]

# Of each part of the page, the modules that hold its checks.
_PARTS = {
    "Every plugin": ("checks_plugin",),
    "Teachers and students": ("checks_model",),
    "Teachers": ("checks_teacher", "checks_structure"),
    "Students": ("checks_student", "checks_student_tables", "checks_state"),
    "Losses": ("checks_loss", "checks_loss_calculus"),
    "Selectors": ("checks_selector",),
}

_HEAD = """\
# Rules of plugins

What a plugin promises, and the check of [the test kit](api.md#test-kit) that holds it to that.
Which checks apply is told by the fields of a spec: a teacher without `handles_missing` is not given
missing values. `kd plugins --check` runs those of the first table; a test of three lines
([First plugin](../tutorial/first-plugin.md#the-checks)) runs all. A check that fails prints its
rule, what it saw, and what to do.

This page is made from the checks: `python -m kdcore.testing.rules`.
"""


def rules() -> Iterator[tuple[str, str, str]]:
    """Part, name and rule of every check, in the order of the page."""
    for part, modules in _PARTS.items():
        for name in modules:
            module = importlib.import_module(f"kdcore.testing.{name}")
            for check, function in vars(module).items():
                if check.startswith("check_") and function.__module__ == module.__name__:
                    yield part, check, " ".join((inspect.getdoc(function) or "").split())


def rules_page() -> str:
    """The page, in Markdown."""
    lines, last = [_HEAD], ""
    for part, check, rule in rules():
        if part != last:
            lines += [f"{chr(10) if last else ''}## {part}\n", "| rule | check |", "|---|---|"]
            last = part
        text = rule.replace("``", "`").replace("|", "\\|")
        lines.append(f"| {text} | `{check}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(rules_page(), end="")
