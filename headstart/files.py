"""Files that are whole or not there: staged beside their place, flushed to the disk, renamed; hashes, locks, errors of
the disk.

Files and folders have the mode that the user's umask gives new ones, so that another user of a machine or a container
may read them where the umask lets him.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, overload

from headstart.errors import Exit, UserError

LOCK_OFFSET = 1 << 30  # Windows locks bytes: one far behind the holder's name, which others read
WINDOWS = os.name == "nt"
REPLACE_TRIES = 20  # Windows refuses to replace a file that another process reads; 50 ms between tries


@contextlib.contextmanager
def disk_errors(path: str | Path, fix: str = "Free some space, then give the command again.") -> Iterator[None]:
    """Errors of the disk as UserError (74): it is full, or the place cannot be written.

    Errors that are no disk's pass, and so do those that name a file elsewhere (the input of what is written, say).
    safetensors wraps an error of the disk in one of its own: its text is read.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise UserError(f"The disk of {path} is full.", fix=fix, exit=Exit.DISK) from error
        if isinstance(error, OSError) and not names_another(error, Path(path)):
            raise UserError(f"{path} cannot be written: {error.strerror or error}.",
                            fix="Choose another place with --to.", exit=Exit.DISK) from error
        raise


def names_another(error: OSError, path: Path) -> bool:
    """Whether an error is about a file that is not at `path`, in it, or staged beside it."""
    if not isinstance(error.filename, str):
        return False
    named_path = Path(error.filename)
    return not (named_path.is_relative_to(path) or path.is_relative_to(named_path)
                or named_path.name.startswith(f".{path.name}."))


@contextlib.contextmanager
def staged_path(path: str | Path) -> Iterator[Path]:
    """A path beside the file to write to; what is written there becomes the file, whole, when the block ends.

    After an error nothing is left behind. Raises OSError: wrap it in `disk_errors` where the words are the user's.
    """
    target = Path(path)
    staging = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield staging
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        replace(staging, target)
        flush_folder(target.parent)
    finally:
        staging.unlink(missing_ok=True)


@overload
def staged_file(path: str | Path, mode: Literal["w"] = "w") -> contextlib.AbstractContextManager[IO[str]]: ...
@overload
def staged_file(path: str | Path, mode: Literal["wb"]) -> contextlib.AbstractContextManager[IO[bytes]]: ...
@contextlib.contextmanager
def staged_file(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """An open file that stands in its place, whole, when the block ends; text is UTF-8 with lines that end as they are
    written.

    >>> with staged_file("scores.json") as file:
    ...     file.write("{}")
    """
    with staged_path(path) as staging:
        binary = "b" in mode
        with staging.open(mode, encoding=None if binary else "utf-8", newline=None if binary else "") as file:
            yield file


def append_line(path: Path, text: str) -> None:
    """Add a line to a text file; it is on the disk when this returns. Raises UserError (74)."""
    with disk_errors(path), path.open("a", encoding="utf-8", newline="") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def write_text(path: str | Path, text: str, fix: str = "Free some space, then give the command again.") -> None:
    """Write a text file so that it is there whole or not at all; raises UserError (74)."""
    with disk_errors(path, fix), staged_file(path) as file:
        file.write(text)


@contextlib.contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that stands in the place of `path`, whole, when the block ends; what stood there goes then.

    Every file in it is flushed and gets the mode of a new file. After an error nothing is left behind and the old
    folder stays.
    """
    staging, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        yield staging
        settle(staging)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            replace(path, old)
        replace(staging, path)
        flush_folder(path.parent)
    finally:
        if old.exists() and not path.exists():
            replace(old, path)
        for leftover in (old, staging):
            shutil.rmtree(leftover, ignore_errors=True)


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
                os.fsync(file.fileno())
    flush_folder(folder)


def flush_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk; nothing on Windows, which opens no folders."""
    if WINDOWS:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(source: Path, target: Path, wait: Callable[[float], None] = time.sleep) -> None:
    """Rename a file over another, or a folder to a free name; on Windows again for a second while somebody reads the
    old one.
    """
    for tries_left in reversed(range(REPLACE_TRIES)):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not WINDOWS or not tries_left:
                raise
            wait(0.05)


def remove(path: Path) -> None:
    """Take a file or a folder away, where it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked_folder(folder: Path, *, in_use: str, fix: str, name: str = ".lock") -> Iterator[None]:
    """Hold a folder, made where it is missing, so that one process at a time works in it.

    Raises UserError (73): "FOLDER `in_use` (process 4711, started …)." A folder in which nothing but the lock was
    written goes again.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
    if not try_lock(handle):
        holder = os.read(handle, 200).decode(errors="replace").strip()
        os.close(handle)
        raise UserError(f"{folder} {in_use} ({holder or 'just begun'}).", fix=fix, exit=Exit.EXISTS)
    try:
        with disk_errors(folder):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()}, started {process_start()}\n".encode())
        yield
    finally:
        # The lock file stays: removing it while another process waits on it would let two in.
        nothing_written = [entry.name for entry in folder.iterdir()] == [name]
        if WINDOWS:
            os.close(handle)  # no open file can be removed there
        if nothing_written:
            with contextlib.suppress(PermissionError):
                (folder / name).unlink()
                folder.rmdir()
        if not WINDOWS:
            os.close(handle)


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
