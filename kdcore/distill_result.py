"""`DistillResult`: the students and the report of one distillation, and the folder they fill."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.candidates import describe_error
from kdcore.files import atomic_path, prepare_folder
from kdcore.notes import note
from kdcore.saved_results import REPORT_NAME, RESULT_NAME

if TYPE_CHECKING:
    from kdcore.bundle import Packed
    from kdcore.report import DistillReport
    from kdcore.runtime import Bundle

__all__ = ["BUNDLE_NAME", "OUTPUT_NAMES", "DistillResult"]

BUNDLE_NAME = "student.kd"
#: Bundles of the versions that a verdict may prefer to the distilled student.
_OTHER_BUNDLES = {"plain": "plain.kd", "plain_encoded": "plain_encoded.kd"}
#: All files that a run may write.
OUTPUT_NAMES = (BUNDLE_NAME, *_OTHER_BUNDLES.values(), RESULT_NAME, REPORT_NAME)


@dataclass
class DistillResult:
    """What `kdcore.distill` returns.

    Parameters
    ----------
    report : DistillReport
        All numbers, as ``kd distill --json`` prints them.
    teacher : fitted teacher or None
        None when labels were given, or came from the cache.
    student, plain : fitted students
        ``student`` is the distilled one.
    packed : Packed or None
        The student's bundle; None if the student cannot be written as ONNX.
    plain_encoded : fitted student or None
        Labels alone, behind the encoding of the distilled one; None where that is the plain one's.
    preferred : Packed or None
        The bundle of the version that the verdict names, where that is not the distilled student.
    """

    report: DistillReport
    teacher: Any
    student: Any
    plain: Any
    packed: Packed | None
    plain_encoded: Any = None
    preferred: Packed | None = None

    @property
    def bundle(self) -> Bundle | None:
        """The distilled student as it is deployed."""
        return None if self.packed is None else self.packed.bundle

    def to_html(self, *, lang: str = "en") -> str:
        """The report as one page that stands alone; see `kdcore.webpage.report_page`."""
        return self.report.to_html(lang=lang)

    def save(self, folder: str | Path, *, force: bool = False, state: bool = True) -> Path:
        """Write ``student.kd``, ``result.json`` and ``report.html`` into a folder.

        Where the verdict prefers a student of labels alone, it is written too, as ``plain.kd`` or
        ``plain_encoded.kd``; bundles of these names from an earlier run are removed. Each bundle
        holds the report as well.

        Parameters
        ----------
        folder : str or Path
        force : bool, default=False
            Whether to replace results that exist.
        state : bool, default=True
            Whether bundles hold the Python student too, for ``kdcore.load(path, native=True)``.

        Raises
        ------
        KDError
            When they exist and not ``force``, or the folder cannot be written to.
        """
        folder = prepare_folder(folder, force=force, names=OUTPUT_NAMES)
        folder.mkdir(parents=True, exist_ok=True)
        if not state:
            self._drop_state()
        for name in _OTHER_BUNDLES.values():
            (folder / name).unlink(missing_ok=True)
        bundles = {} if self.packed is None else {folder / BUNDLE_NAME: self.packed}
        if self.packed is not None:
            self.report.bundle = self.report.deploy = str(folder / BUNDLE_NAME)
        if self.preferred is not None:
            path = folder / _OTHER_BUNDLES[self.report.verdict["choice"]]
            bundles[path] = self.preferred
            self.report.deploy = str(path)
        page = self._page(folder / REPORT_NAME)
        for path, packed in bundles.items():
            packed.save(path, {REPORT_NAME: page} if page else None)
        if page:
            with atomic_path(folder / REPORT_NAME) as temporary:
                temporary.write_bytes(page)
        with atomic_path(folder / RESULT_NAME) as temporary:
            text = json.dumps(self.report.to_dict(), indent=1, ensure_ascii=False)
            temporary.write_text(text, encoding="utf-8")
        return folder

    def _drop_state(self) -> None:
        if self.packed is not None:
            self.packed = self.packed.without_state()
            self.report.size_bytes["student"] = len(self.packed.data)
        chosen = self.report.verdict["choice"]
        if self.preferred is not None:
            self.preferred = self.preferred.without_state()
            self.report.size_bytes[chosen] = len(self.preferred.data)
        elif chosen != "distilled":
            self.report.size_bytes[chosen] = self.report.size_bytes["student"]

    def _page(self, path: Path) -> bytes:
        self.report.report = str(path)
        try:
            return self.to_html().encode()
        except Exception as error:
            # What took hours to make is not lost for a page about it.
            self.report.report = None
            self.report.notes.append(note("no_report", error=describe_error(error)))
            return b""
