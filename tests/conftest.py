"""Settings of hypothesis: the same examples on every run, and no clock on a shared machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("kdcore", deadline=None, derandomize=True, database=None)
settings.load_profile("kdcore")
