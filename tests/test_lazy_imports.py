"""Starting up imports no library that is heavy; never measured in seconds, always by name."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from kdcore.testing.isolation import run_python

HEAVY = [
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "torch",
    "xgboost",
    "lightgbm",
    "catboost",
    "onnx",
    "onnxruntime",
    "pyarrow",
    "skl2onnx",
    "jinja2",
    "matplotlib",
]

CODE = """
import io, sys
from contextlib import redirect_stdout
{code}
heavy = sorted(set({heavy!r}) & set(sys.modules))
assert not heavy, f"imported: {{heavy}}"
print("light")
"""

RUN = """
from kdcore.__main__ import main
with redirect_stdout(io.StringIO()):
    code = main({args!r})
assert code == 0, code
"""


def assert_light(code: str) -> None:
    done = run_python(CODE.format(code=code, heavy=HEAVY))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "light\n"


@pytest.mark.parametrize(
    "module", ["kdcore", "kdcore.registry", "kdcore.cli", "kdcore.testing.isolation"]
)
def test_importing_what_a_plugin_or_a_command_needs_stays_light(module: str) -> None:
    assert_light(f"import {module}")


def test_spec_classes_and_the_marker_are_had_without_heavy_libraries() -> None:
    assert_light(
        "from kdcore import KDError, LossSpec, SelectorSpec, StudentSpec, TeacherSpec, hookimpl"
    )


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["plugins"],
        ["plugins", "--json"],
        ["plugins", "--json", "--all"],
        ["plugins", "--kind", "loss"],
        ["plugins", "--help"],
    ],
    ids=" ".join,
)
def test_users_never_wait_for_heavy_libraries_to_see_a_listing_or_help(args: list[str]) -> None:
    assert_light(RUN.format(args=args))


def test_looking_up_and_registering_a_spec_stays_light() -> None:
    assert_light(
        """
from kdcore import TeacherSpec, register
from kdcore.registry import default_registry
with register(TeacherSpec(name="a", summary="A.", factory="m:f", tasks=("binary",))):
    default_registry().get("teacher", "a")
try:
    default_registry().get("teacher", "nobody")
except LookupError:
    pass
"""
    )


@pytest.mark.skipif(find_spec("kdcore_sklearn") is None, reason="needs kdcore-sklearn")
def test_a_model_of_scikit_learn_is_written_without_pytorch() -> None:
    """skops walks through all of scikit-learn, and would import PyTorch where that is installed."""
    done = run_python(
        """
        import sys
        from kdcore_sklearn.state import dump
        from sklearn.linear_model import Ridge

        assert dump(Ridge())
        assert "torch" not in sys.modules
        import sklearn.externals.array_api_compat as bridge

        assert "torch" not in vars(bridge)
        """
    )
    assert done.returncode == 0, done.stderr
