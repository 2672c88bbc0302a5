"""The public test kit for authors of plugins.

A test file that runs every check of a plugin has three lines of code::

    from kdcore.testing import parametrize_plugin_checks

    @parametrize_plugin_checks("kdcore_mine")
    def test_plugin(check):
        check()

Without pytest, `check_plugin` returns a list of results. Importing this package is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kdcore.testing.checks import CheckFailure
from kdcore.testing.isolation import FakeDistribution, installed_in_process, run_kd, run_python
from kdcore.testing.kit import CheckResult, check_plugin, iter_checks, parametrize_plugin_checks

if TYPE_CHECKING:
    from kdcore.testing.data import TinyData as TinyData
    from kdcore.testing.data import tiny_data as tiny_data
    from kdcore.testing.data import tiny_targets as tiny_targets

_FROM_DATA = ("TinyData", "tiny_data", "tiny_targets")

__all__ = [
    "CheckFailure",
    "CheckResult",
    "FakeDistribution",
    "TinyData",
    "check_plugin",
    "installed_in_process",
    "iter_checks",
    "parametrize_plugin_checks",
    "run_kd",
    "run_python",
    "tiny_data",
    "tiny_targets",
]


def __getattr__(name: str) -> Any:
    # They need numpy and pandas, which importing this package must not bring in.
    if name in _FROM_DATA:
        return getattr(importlib.import_module("kdcore.testing.data"), name)
    raise AttributeError(f"module 'kdcore.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
