"""Files are whole or not there, whatever fails while they are written; modes follow the umask; a lock lets one in."""

import errno
import importlib
import os
import pathlib
import stat
import subprocess
import sys
import types

import pytest

from headstart import disk, files
from headstart.errors import Exit, UserError
from headstart.training import checkpoint

OLD, NEW = "the old text\n" * 50, "the new text\n" * 90
STEPS = [(os, "fsync"), (os, "replace"), (os, "open"), (pathlib.Path, "open"), (pathlib.Path, "mkdir"),
         (pathlib.Path, "chmod")]
FULL = OSError(errno.ENOSPC, "No space left on device")


def before_calls(patch, owner, name, run):
    """Run a function with the number of each call of `owner.name`, before the call does anything.

    What shutil calls to tidy up is not counted.
    """
    original, count = getattr(owner, name), iter(range(1000))

    def wrapped(*arguments, **options):
        if sys._getframe(1).f_globals["__name__"] != "shutil":
            run(next(count))
        return original(*arguments, **options)

    patch.setattr(owner, name, wrapped)


def calls_of(write, monkeypatch):
    """Every call of a function of the disk that a write makes, in their order: (owner, name, number of the call)."""
    calls = []
    with monkeypatch.context() as patch:
        for owner, name in STEPS:
            before_calls(patch, owner, name, lambda number, owner=owner, name=name: calls.append((owner, name, number)))
        write()
    return calls


def let_fail(patch, owner, name, number, error=FULL):
    """Let the call of this number fail."""
    def run(call_number):
        if call_number == number:
            raise error

    before_calls(patch, owner, name, run)


def texts_of(folder):
    """Every file below a folder with its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_folder(path, text):
    with files.disk_errors(path), files.staged_folder(path) as staging:
        (staging / "a.txt").write_text(text)
        (staging / "inner").mkdir()
        (staging / "inner" / "b.txt").write_text(text)


@pytest.mark.parametrize("old", [True, False], ids=["over an old one", "where nothing is"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_error_at_any_step_leaves_the_old_or_the_new_and_nothing_else(kind, old, tmp_path, monkeypatch):
    target = tmp_path / "target"

    def write(text=NEW):
        (files.write_text if kind == "file" else write_folder)(target, text)

    def restore():
        files.remove(target)
        if old:
            write(OLD)

    restore()
    calls = calls_of(write, monkeypatch)
    assert {name for _, name, _ in calls} >= {"fsync", "replace", "open"}
    contents = []
    for text in (OLD, NEW):
        write(text)
        contents.append(texts_of(tmp_path))
    if not old:
        contents[0] = {}
    for owner, name, number in calls:
        restore()
        with monkeypatch.context() as patch:
            let_fail(patch, owner, name, number)
            with pytest.raises(UserError, match="is full") as error:
                write()
        assert error.value.exit == Exit.DISK
        assert texts_of(tmp_path) in contents, (name, number)
        replaced = [earlier for earlier in calls[:calls.index((owner, name, number))] if earlier[1] == "replace"]
        if not replaced:
            assert texts_of(tmp_path) == contents[0], (name, number)


def test_an_error_while_text_is_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.json"
    files.write_text(path, OLD)
    with pytest.raises(ZeroDivisionError), files.staged_file(path) as file:
        file.write(NEW)
        file.flush()
        raise ZeroDivisionError
    assert texts_of(tmp_path) == {"scores.json": OLD}


@pytest.mark.parametrize("mask,mode", [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_have_the_mode_of_the_umask_also_where_a_library_wrote_0600(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "report.md", NEW)

        def write(staging):
            handle = os.open(staging / "model.safetensors", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(handle, b"weights")
            os.close(handle)
            (staging / "config.json").write_text("{}")

        (tmp_path / "checkpoints").mkdir()
        folder = checkpoint.save(tmp_path / "checkpoints", 1, write)
        with files.staged_folder(tmp_path / "model") as staging:
            write(staging)
    finally:
        os.umask(before)
    paths = [tmp_path / "report.md", *folder.iterdir(), *(tmp_path / "model").iterdir()]
    assert len(paths) == 6
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths} == {path.name: mode for path in paths}
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o777 & ~mask


def test_the_folder_that_one_is_in_is_not_replaced(tmp_path, monkeypatch):
    here = tmp_path / "above" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    for place in (".", "..", "", "../../above", tmp_path):
        with pytest.raises(UserError, match="the folder that you are in") as caught:
            write_folder(files.Path(place), "new")
        assert caught.value.exit == Exit.EXISTS
    write_folder(files.Path("inside"), "new")
    assert [path.name for path in here.iterdir()] == ["inside"]


HOLDER = """
import pathlib, sys
from headstart.files import locked_folder
with locked_folder(pathlib.Path(sys.argv[1]), in_use="is in use by another run", fix="Wait for it."):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_gets_73_and_the_holders_name_until_the_first_ends(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"is in use by another run .process {holder.pid}, started") as error:
            lock(folder)
        assert error.value.exit == Exit.EXISTS and "Wait for it." in str(error.value)
        holder.kill()
    lock(folder)
    assert not folder.exists()  # nothing was written into it


def lock(folder):
    with files.locked_folder(folder, in_use="is in use by another run", fix="Wait for it."):
        pass


class FakeWindows(types.SimpleNamespace):
    """msvcrt, as far as files.py uses it: a lock of bytes that belongs to one handle at a time."""

    LK_NBLCK = 2
    locked_by: int | None = None

    def locking(self, handle, mode, count):
        assert (mode, count) == (self.LK_NBLCK, 1) and os.lseek(handle, 0, os.SEEK_CUR) == files.LOCK_OFFSET
        if self.locked_by not in (None, handle):
            raise OSError(errno.EACCES, "Permission denied")
        self.locked_by = handle


@pytest.fixture
def windows(monkeypatch):
    """A system without fcntl, with msvcrt, that opens no folders and refuses to remove open files."""
    fake, original = FakeWindows(), importlib.import_module

    def import_module(name, *arguments):
        if name == "fcntl":
            raise ImportError("No module named 'fcntl'")
        return fake if name == "msvcrt" else original(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(disk, "WINDOWS", True)
    original_open = os.open

    def open_file(path, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_file)
    return fake


def test_on_windows_a_folder_is_locked_by_msvcrt_and_others_read_the_holders_name(windows, tmp_path):
    with files.locked_folder(tmp_path / "run", in_use="is in use by another run", fix="Wait for it."):
        assert windows.locked_by is not None
        with pytest.raises(UserError, match=f"process {os.getpid()}, started"):
            lock(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_on_windows_files_and_folders_are_written_without_opening_a_folder(windows, tmp_path):
    files.write_text(tmp_path / "a.txt", OLD)
    files.write_text(tmp_path / "a.txt", NEW)
    write_folder(tmp_path / "model", NEW)
    assert texts_of(tmp_path) == {"a.txt": NEW, "model/a.txt": NEW, "model/inner/b.txt": NEW}


@pytest.mark.parametrize("on_windows,failures,replaced", [
    (True, 3, True), (True, disk.REPLACE_TRIES - 1, True), (True, disk.REPLACE_TRIES, False), (False, 1, False)])
def test_on_windows_replacing_waits_while_somebody_reads_the_old_file(on_windows, failures, replaced, tmp_path,
                                                                     monkeypatch):
    source, target = tmp_path / "new", tmp_path / "old"
    source.write_text(NEW)
    target.write_text(OLD)
    original, waits, tries = os.replace, [], []

    def replace(*paths):
        tries.append(paths)
        if len(tries) <= failures:
            raise PermissionError(errno.EACCES, "in use")
        original(*paths)

    monkeypatch.setattr(disk, "WINDOWS", on_windows)
    monkeypatch.setattr(os, "replace", replace)
    if replaced:
        files.replace(source, target, wait=waits.append)
        assert target.read_text() == NEW and len(waits) == failures
    else:
        with pytest.raises(PermissionError):
            files.replace(source, target, wait=waits.append)
        assert target.read_text() == OLD and len(tries) == (disk.REPLACE_TRIES if on_windows else 1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_in_words_and_exits_74(number, tmp_path):
    with pytest.raises(UserError, match=r"The disk of .*report\.md is full") as error, \
            files.disk_errors(tmp_path / "report.md", "Free some space, then run headstart resume."):
        raise OSError(number, os.strerror(number))
    assert error.value.exit == Exit.DISK and "headstart resume" in str(error.value)
    with pytest.raises(UserError, match="is full"), files.disk_errors(tmp_path / "model"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_a_real_place_that_cannot_be_written_exits_74(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot be written") as error:
        files.write_text(tmp_path / "file" / "scores.json", NEW)
    assert error.value.exit == Exit.DISK
    with pytest.raises(UserError, match="cannot be written"):
        lock(tmp_path / "file" / "run")


def test_an_error_that_is_no_disks_or_about_another_file_passes(tmp_path):
    with pytest.raises(FileNotFoundError), files.disk_errors(tmp_path / "out.csv"):
        (tmp_path / "input.csv").read_text()
    with pytest.raises(KeyError), files.disk_errors(tmp_path / "out.csv"):
        raise KeyError("label")
    with pytest.raises(UserError, match="mine"), files.disk_errors(tmp_path / "out.csv"):
        raise UserError("mine")


def test_an_appended_line_is_there_and_a_full_disk_is_said(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    files.append_line(path, "first")
    files.append_line(path, "zweite Zeile, ü")
    assert path.read_bytes() == "first\nzweite Zeile, ü\n".encode()
    let_fail(monkeypatch, os, "fsync", 0)
    with pytest.raises(UserError, match="is full"):
        files.append_line(path, "third")
