"""Files appear whole or not at all, and a folder that cannot be written to is noticed early."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from kdcore import KDError
from kdcore.files import atomic_path, prepare_folder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_whatever_stops_a_write_neither_the_old_file_nor_a_half_one_is_harmed(
    tmp_path, error, there
):
    path = tmp_path / "result.json"
    if there:
        path.write_text("old")

    def write() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == (["result.json"] if there else [])
    assert not there or path.read_text() == "old"


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        # On one file system, else the last step would be a copy.
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
    assert path.read_text() == "new"
    assert names(tmp_path) == ["result.json"]


def test_a_file_can_be_read_by_those_who_could_read_it_had_it_been_opened_plainly(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "ours") as temporary:
            temporary.write_text("x")
        (tmp_path / "plain").write_text("x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    ours, plain = (stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("ours", "plain"))
    assert ours == plain


def test_a_writer_that_replaces_the_temporary_file_itself_is_fine(tmp_path):
    """Some libraries write beside the path that they are given and rename."""
    with atomic_path(tmp_path / "result") as temporary:
        beside = temporary.with_name("beside")
        beside.write_text("new")
        beside.replace(temporary)
    assert (tmp_path / "result").read_text() == "new"
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("folder", ["no-such-folder", "file"])
def test_a_folder_that_cannot_take_the_file_is_named_before_anything_is_written(tmp_path, folder):
    (tmp_path / "file").touch()
    entered = False
    with (
        pytest.raises(KDError, match=rf"cannot write to the folder '.*{folder}'"),
        atomic_path(tmp_path / folder / "result"),
    ):
        entered = True
    assert not entered
    assert names(tmp_path) == ["file"]


def test_a_target_that_is_a_folder_is_left_alone(tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "mine").touch()
    with pytest.raises(OSError, match="result"), atomic_path(tmp_path / "result") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["result"]
    assert names(tmp_path / "result") == ["mine"]


def test_checking_an_output_folder_makes_and_leaves_nothing(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert prepare_folder(tmp_path, force=False, names=("student.kd",)) == tmp_path
    deep = tmp_path / "a" / "b"
    assert prepare_folder(str(deep), force=False, names=("student.kd",)) == deep
    assert names(tmp_path) == ["notes.txt"]


def test_results_that_exist_are_named_and_kept_unless_forced(tmp_path):
    (tmp_path / "result.json").write_text("mine")
    wanted = ("student.kd", "result.json")
    with pytest.raises(KDError, match=r"result\.json' exists; use --force"):
        prepare_folder(tmp_path, force=False, names=wanted)
    assert prepare_folder(tmp_path, force=True, names=wanted) == tmp_path
    assert (tmp_path / "result.json").read_text() == "mine"


@pytest.mark.parametrize("force", [True, False])
def test_an_output_folder_that_is_a_file_or_below_one_is_refused_even_with_force(tmp_path, force):
    (tmp_path / "file").touch()
    for folder, reason in (("file", "is a file"), ("file/below", "cannot write to the folder")):
        with pytest.raises(KDError, match=reason):
            prepare_folder(tmp_path / folder, force=force, names=("a",))
    assert names(tmp_path) == ["file"]


def test_a_read_only_file_system_is_noticed_where_permissions_say_nothing(tmp_path, monkeypatch):
    """Root may write wherever it is asked, says os.access; only trying tells."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert os.access(tmp_path, os.W_OK)
    with pytest.raises(KDError, match=r"cannot write to .*\(Read-only file system\)"):
        prepare_folder(tmp_path / "new", force=False, names=("a",))
