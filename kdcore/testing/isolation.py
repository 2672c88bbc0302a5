"""Fake distributions for tests: plugins that exist for one block, or for one subprocess.

They are found the way real ones are, through metadata on ``sys.path``, so that a test covers
discovery as well as the plugin::

    fake = FakeDistribution(
        "kdcore-mine",
        entry_points={"mine": "kdcore_mine"},
        modules={"kdcore_mine": '''
            from kdcore import hookimpl, TeacherSpec

            @hookimpl
            def kd_teachers():
                yield TeacherSpec(
                    name="mine", summary="Mine.", factory="kdcore_mine:make", tasks=("binary",)
                )
        '''},
    )
    result = run_kd("plugins", "--json", distributions=[fake])
    assert result.returncode == 0
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FakeDistribution", "installed_in_process", "run_kd", "run_python"]


@dataclass(frozen=True)
class FakeDistribution:
    """A distribution that a test makes up.

    Parameters
    ----------
    name : str
        Name of the distribution, for instance ``"kdcore-mine"``.
    entry_points : mapping of str to str
        Entry points of the group ``kdcore``: name to ``"module"`` or ``"module:attribute"``.
    modules : mapping of str to str
        Dotted module name to source; the source may be indented as a block.
    version : str, default="0.1.0"
    requires : sequence of str, default=("kdcore",)
        Requirements as they stand in the metadata.
    """

    name: str
    entry_points: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    version: str = "0.1.0"
    requires: Sequence[str] = ("kdcore",)

    def write(self, directory: str | os.PathLike[str]) -> Path:
        """Write modules and metadata into a directory, and return that of the metadata."""
        root = Path(directory)
        for module, source in self.modules.items():
            *packages, last = module.split(".")
            folder = root
            for package in packages:
                folder = folder / package
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "__init__.py").touch()
            holds_others = any(other.startswith(f"{module}.") for other in self.modules)
            file = folder / last / "__init__.py" if holds_others else folder / f"{last}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source), encoding="utf-8")
        metadata = root / f"{self.name.replace('-', '_')}-{self.version}.dist-info"
        metadata.mkdir(parents=True, exist_ok=True)
        head = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        head += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        (metadata / "METADATA").write_text("\n".join(head) + "\n", encoding="utf-8")
        points = [f"{name} = {value}" for name, value in self.entry_points.items()]
        (metadata / "entry_points.txt").write_text(
            "\n".join(["[kdcore]", *points]) + "\n", encoding="utf-8"
        )
        return metadata


@contextlib.contextmanager
def installed_in_process(*distributions: FakeDistribution) -> Iterator[Path]:
    """Put fake distributions on ``sys.path`` for a block, and take all traces of them away after.

    Use a fresh ``kdcore.registry.Registry()`` inside: the registry of the process keeps what it
    found first.

    Yields
    ------
    Path
        The directory that holds them.
    """
    with _written(distributions) as directory:
        sys.path.insert(0, str(directory))
        importlib.invalidate_caches()
        try:
            yield directory
        finally:
            sys.path.remove(str(directory))
            for name, module in list(sys.modules.items()):
                file = getattr(module, "__file__", None)
                if file and Path(file).is_relative_to(directory):
                    del sys.modules[name]
            importlib.invalidate_caches()


def run_python(
    code: str,
    *,
    distributions: Sequence[FakeDistribution] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a new process that sees the fake distributions.

    Parameters
    ----------
    code : str
        May be indented as a block.
    distributions : sequence of FakeDistribution, default=()
    env : mapping, optional
        Environment variables to set. The ``KD_*`` variables of this process are not passed on.
    timeout : float, default=120
        Seconds.

    Returns
    -------
    subprocess.CompletedProcess
        With ``returncode``, ``stdout`` and ``stderr`` as text; a failure does not raise.
    """
    return _run(["-c", textwrap.dedent(code)], distributions, env, timeout)


def run_kd(
    *args: str,
    distributions: Sequence[FakeDistribution] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run ``kd`` with these arguments in a new process that sees the fake distributions.

    The other parameters, and the result, are those of `run_python`.
    """
    return _run(["-m", "kdcore", *args], distributions, env, timeout)


@contextlib.contextmanager
def _written(distributions: Sequence[FakeDistribution]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kdcore-fake-") as name:
        directory = Path(name).resolve()
        for distribution in distributions:
            distribution.write(directory)
        yield directory


def _run(
    command: Sequence[str],
    distributions: Sequence[FakeDistribution],
    env: Mapping[str, str] | None,
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KD_")}
    with _written(distributions) as directory:
        path = [str(directory), os.environ.get("PYTHONPATH", "")]
        return subprocess.run(
            [sys.executable, *command],
            env={
                **inherited,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "PYTHONIOENCODING": "utf-8",
                **(env or {}),
            },
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
