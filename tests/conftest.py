"""Settings of hypothesis: the same examples on every run, and no clock on a shared machine."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from hypothesis import settings

settings.register_profile("kdcore", deadline=None, derandomize=True, database=None)
settings.load_profile("kdcore")

# They have an environment of their own, which CI runs: `tox -e mlflow`.
collect_ignore = [] if find_spec("mlflow") else ["tracking"]


@pytest.fixture(autouse=True)
def a_label_cache_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test reads or writes the labels that its user keeps."""
    monkeypatch.setenv("KD_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
