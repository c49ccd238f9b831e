"""Files that are whole or not there: staged beside their place, flushed to the disk, renamed; hashes and locks.

Files and folders have the mode that the user's umask gives new ones, so that another user of a machine or a container
may read them where the umask lets him.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import importlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, Literal, overload

from headstart.disk import (
    FREE_SPACE,
    NO_LINK,
    WINDOWS,
    announce,
    disk_errors,
    flush,
    flush_folder,
    link_error,
    make_folder,
    open_new,
    open_to_append,
    put_new,
    remove,
    replace,
    reserve,
)
from headstart.errors import Exit, UserError

__all__ = ["announce", "append_line", "clear_leftovers", "discard", "disk_errors", "exists_error", "first_link",
           "hash_json", "link_error", "locked_file", "locked_folder", "make_folder", "refuse_own_place", "remove",
           "replace", "reserve", "settle", "sha256", "staged_file", "staged_folder", "staged_path", "write_text"]

LOCK_OFFSET = 1 << 30  # Windows locks bytes: one far behind the holder's name, which others read
LEFTOVER = re.compile(r"\.(?P<name>.+?)(\.\d+)?\.(?P<kind>part|old)")  # of a process that was killed while it wrote


@contextlib.contextmanager
def staged_path(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A path beside the file to write to; what is written there becomes the file, whole, when the block ends.

    After an error nothing is left behind. Raises OSError: wrap it in `disk_errors` where the words are the user's.
    Without `overwrite` it raises UserError (73) where another file stands there by then; one of the same content stays.
    """
    target = Path(path)
    staging = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if staging.is_symlink():
            remove(staging)
        yield staging
        with staging.open("rb+") as file:
            flush(file, staging)
        if overwrite:
            replace(staging, target)
        else:
            put_beside_nothing(staging, target)
    except BaseException:
        with contextlib.suppress(OSError):  # a disk that takes no writing lets nothing be removed either
            staging.unlink()
        raise
    flush_folder(target.parent)


def put_beside_nothing(staging: Path, target: Path) -> None:
    """Give a finished file its name; raises UserError (73) where a file of another content has it."""
    try:
        put_new(staging, target)
    except FileExistsError:
        if not (target.is_file() and filecmp.cmp(staging, target, shallow=False)):
            raise exists_error(target) from None
        staging.unlink()


def exists_error(path: Path, flag: str = "--to") -> UserError:
    """The error for a file that is in the way (73)."""
    return UserError(f"{path} exists already; nothing was overwritten.",
                     fix=f"Name another file with {flag}, or pass --overwrite.", exit=Exit.EXISTS)


@overload
def staged_file(path: str | Path, mode: Literal["w"] = "w", *,
                overwrite: bool = True) -> contextlib.AbstractContextManager[IO[str]]: ...
@overload
def staged_file(path: str | Path, mode: Literal["wb"], *,
                overwrite: bool = True) -> contextlib.AbstractContextManager[IO[bytes]]: ...
@contextlib.contextmanager
def staged_file(path: str | Path, mode: str = "w", *, overwrite: bool = True) -> Iterator[IO[Any]]:
    """An open file that stands in its place, whole, when the block ends; text is UTF-8 with lines that end as they are
    written. `overwrite` is as in `staged_path`.

    >>> with staged_file("scores.json") as file:
    ...     file.write("{}")
    """
    with staged_path(path, overwrite=overwrite) as staging, open_new(staging, binary="b" in mode) as file:
        yield file


def append_line(path: Path, text: str, fix: str = FREE_SPACE, *, durable: bool = True) -> None:
    """Add a line to a text file; with `durable` it is on the disk when this returns. Raises UserError (74, 77)."""
    with disk_errors(path, fix), open_to_append(path) as file:
        file.write(text + "\n")
        if durable:
            flush(file, path)


def write_text(path: str | Path, text: str, fix: str = FREE_SPACE) -> None:
    """Write a text file so that it is there whole or not at all; raises UserError (74)."""
    with disk_errors(path, fix), staged_file(path) as file:
        file.write(text)


def refuse_own_place(folder: Path) -> None:
    """Refuse the folder that one is in, or one above it, where a whole folder is to be put in its place (73)."""
    if Path.cwd().is_relative_to(folder.resolve()):
        raise UserError(f"{str(folder)!r} is the folder that you are in, or one above it: none is put in its place.",
                        fix="Name a new folder.", exit=Exit.EXISTS)


@contextlib.contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that stands in the place of `path`, whole, when the block ends; what stood there goes then.

    Every file in it is flushed and gets the mode of a new file. After an error nothing is left behind and the old
    folder stays. Raises UserError (73) for the folder that one is in.
    """
    refuse_own_place(path)
    staging, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    remove(staging)
    try:
        make_folder(staging)
        yield staging
        settle(staging)
        if path.exists():
            remove(old)
            replace(path, old)
        replace(staging, path)
        flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            restore_old(path)
        for leftover in (old, staging) if path.exists() else (staging,):
            with contextlib.suppress(OSError):
                remove(leftover)


def restore_old(path: Path) -> None:
    """Put a folder back that was moved aside and not replaced."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        replace(old, path)


def discard(path: Path) -> None:
    """Remove a folder so that it is there whole or not at all, also where the process is killed meanwhile."""
    aside = path.with_name(f".{path.name}.part")
    remove(aside)
    replace(path, aside)
    remove(aside)


def clear_leftovers(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove what a process that was killed left half written in a folder, of files with these names only; a folder
    that had been moved aside and was not replaced comes back.
    """
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = LEFTOVER.fullmatch(entry.name)
        if match is None or (names is not None and match["name"] not in names):
            continue
        if match["kind"] == "old":
            restore_old(folder / match["name"])
        remove(entry)


def first_link(folder: Path) -> Path | None:
    """The first thing below a folder that is neither a file nor a folder: a link, a pipe; None where there is none."""
    for place, folder_names, file_names in os.walk(folder):
        for name in sorted([*folder_names, *file_names]):
            mode = (Path(place) / name).lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                return Path(place) / name
    return None


def settle(folder: Path) -> None:
    """Flush everything in a folder, and give its files the mode of new ones (libraries that write through a temporary
    file give 0600).
    """
    mode = stat.S_IMODE(folder.stat().st_mode) & 0o666
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            flush_folder(path)
        else:
            path.chmod(mode)
            with path.open("rb+") as file:
                flush(file, path)
    flush_folder(folder)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(content: Any) -> str:
    """The SHA-256 of a value of JSON, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@contextlib.contextmanager
def locked_folder(folder: Path, *, in_use: str, fix: str, name: str = ".lock") -> Iterator[None]:
    """Hold a folder, made where it is missing, so that one process at a time works in it.

    Raises UserError: 73 "FOLDER `in_use` (process 4711, started …).", 77 where the lock is a link. A folder in which
    nothing but the lock was written goes again.
    """
    with disk_errors(folder):
        make_folder(folder)
    try:
        with locked_file(folder / name, f"{folder} {in_use}", fix):
            try:
                yield
            finally:
                if not WINDOWS:
                    remove_if_unused(folder, name)
    finally:
        if WINDOWS:
            remove_if_unused(folder, name)  # no open file can be removed there


def remove_if_unused(folder: Path, lock_name: str) -> None:
    """Remove a folder that holds nothing but its lock. Where more was written the lock stays: others may wait for it.
    """
    with contextlib.suppress(OSError):
        if [entry.name for entry in folder.iterdir()] == [lock_name]:
            remove(folder / lock_name)
            folder.rmdir()


@contextlib.contextmanager
def locked_file(path: Path, in_use: str, fix: str, *, temporary: bool = False) -> Iterator[None]:
    """Hold a file, made where it is missing, that says which process holds it; a `temporary` one goes at the end.

    Raises UserError: 73 "`in_use` (process 4711, started …).", 74 where it cannot be written, 77 for a link.
    """
    handle = open_lock(path)
    while (is_free := try_lock(handle)) and not is_open_as(handle, path):  # its last holder removed it meanwhile
        os.close(handle)
        handle = open_lock(path)
    try:
        if not is_free:
            holder = os.read(handle, 200).decode(errors="replace").strip()
            raise UserError(f"{in_use} ({holder or 'just begun'}).", fix=fix, exit=Exit.EXISTS)
        with disk_errors(path):
            announce("write", path)
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()}, started {process_start()}\n".encode())
        try:
            yield
        finally:
            if temporary and not WINDOWS:
                with contextlib.suppress(OSError):
                    remove(path)
    finally:
        os.close(handle)


def open_lock(path: Path) -> int:
    """Open a lock file; raises UserError: 74, and 77 for a link, a pipe, or a file that has another name elsewhere."""
    with disk_errors(path):
        announce("open", path)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK | getattr(os, "O_NONBLOCK", 0), 0o666)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise link_error(path)
    return handle


def is_open_as(handle: int, path: Path) -> bool:
    """Whether an open file is the one that stands at a path now."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False


def try_lock(handle: int) -> bool:
    """Lock an open file for this process, without waiting; whether it was free. The lock goes when the file is closed.
    """
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ImportError:  # Windows
        windows: Any = importlib.import_module("msvcrt")
        os.lseek(handle, LOCK_OFFSET, os.SEEK_SET)
        try:
            windows.locking(handle, windows.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def process_start() -> str:
    """When this process started, in local time; "at an unknown time" where the system does not say."""
    import datetime

    try:
        seconds = Path("/proc/self").stat().st_mtime
    except OSError:
        return "at an unknown time"
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
