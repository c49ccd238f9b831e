"""Every change of the disk, one small operation each, and the errors of the disk in words.

Nothing follows a link that stands where a file is to be written. An observer is told of each operation before it
happens: what counts them, ends the process at one of them or lets one fail needs to stand nowhere else. There is none
outside of tests.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

WINDOWS = os.name == "nt"
REPLACE_TRIES = 20  # Windows refuses to replace a file that another process reads; 50 ms between tries
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
WRAPPED_ERROR = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust tell an error of the system
FREE_SPACE = "Free some space, then give the command again."


class Operations:
    """Whom each operation is told to before it happens, by its name and its path; nobody when None.

    The names are open, write, flush, rename, remove, make_folder and remove_folder. An observer that raises keeps the
    operation from happening.
    """

    def __init__(self) -> None:
        self.observer: Callable[[str, Path], None] | None = None


operations = Operations()


def announce(name: str, path: str | Path) -> None:
    """Tell the observer of an operation that is about to happen; a library's writing is announced by its caller."""
    if operations.observer is not None:
        operations.observer(name, Path(path))


class WrittenFile(io.FileIO):
    """A file whose every write is announced."""

    def write(self, content: ReadableBuffer, /) -> int:
        """One write of the system."""
        announce("write", str(self.name))
        return super().write(content)


def open_new(path: Path, *, binary: bool = False) -> IO[Any]:
    """A new file to write to; what stands in its place goes first, a link itself and not what it names."""
    announce("open", path)
    if os.path.lexists(path):
        path.unlink()
    return buffered(WrittenFile(path, "x", opener=open_without_link), binary)


def open_to_append(path: Path) -> IO[str]:
    """A text file to add to; raises OSError (ELOOP) for a link."""
    announce("open", path)
    stream: IO[str] = buffered(WrittenFile(path, "a", opener=open_without_link), binary=False)
    return stream


def buffered(file: WrittenFile, binary: bool) -> IO[Any]:
    """A file with a buffer; text is UTF-8 with lines that end as they are written."""
    stream = io.BufferedWriter(file)
    return stream if binary else io.TextIOWrapper(stream, encoding="utf-8", newline="")


def open_without_link(path: str, flags: int) -> int:
    """Open a file that is no link, with the mode that the umask gives."""
    return os.open(path, flags | NO_LINK, 0o666)


def flush(file: IO[Any], path: Path) -> None:
    """Bring what was written to the disk."""
    file.flush()
    announce("flush", path)
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk; nothing on Windows, which opens no folders."""
    if WINDOWS:
        return
    announce("flush", folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing."""
    if not folder.is_dir():
        announce("make_folder", folder)
        folder.mkdir(parents=True, exist_ok=True)


def replace(source: Path, target: Path, wait: Callable[[float], None] = time.sleep) -> None:
    """Rename a file over another, or a folder to a free name; on Windows again for a second while somebody reads the
    old one.
    """
    announce("rename", target)
    for tries_left in reversed(range(REPLACE_TRIES)):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not WINDOWS or not tries_left:
                raise
            wait(0.05)


def put_new(source: Path, target: Path) -> None:
    """Rename a file to a name that nothing has yet; raises FileExistsError where something has it."""
    announce("rename", target)
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.replace(source, target)
        return
    with contextlib.suppress(OSError):
        source.unlink()


def remove(path: Path) -> None:
    """Take a file, a link or a folder away, where it is there."""
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    announce("remove_folder" if is_folder else "remove", path)
    if is_folder:
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def reserve(path: Path) -> None:
    """Take all of a file's size from the disk now; raises OSError where it has less. Writing to a mapped file on a full
    disk would end the process (SIGBUS).
    """
    if not hasattr(os, "posix_fallocate"):
        return
    announce("write", path)
    with path.open("rb+") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            if size:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot
                raise


def system_error(error: BaseException) -> int | None:
    """The number of the system's error, also of one that a library wraps in an error of its own."""
    if isinstance(error, OSError):
        return error.errno
    try:
        match = WRAPPED_ERROR.search(str(error))
    except Exception:  # an error whose text cannot be made
        return None
    return int(match.group(1)) if match else None


@contextlib.contextmanager
def disk_errors(path: str | Path, fix: str = FREE_SPACE) -> Iterator[None]:
    """Errors of the disk as UserError: 74 where it is full or the place cannot be written, 77 for a link in the place
    of a file.

    Errors that are no disk's pass, and so do those that name a file elsewhere (the input of what is written, say).
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        problem = disk_problem(error, Path(path), fix)
        if problem is None:
            raise
        raise problem from error


def disk_problem(error: Exception, path: Path, fix: str = FREE_SPACE) -> UserError | None:
    """What an error says of a place that was written to; None where it is another's."""
    number = system_error(error)
    if number in FULL or "No space left" in str(error):
        return UserError(f"The disk of {path} is full.", fix=fix, exit=Exit.DISK)
    if isinstance(error, OSError) and not names_another(error, path):
        if number == errno.ELOOP:
            return link_error(Path(error.filename or path))
        reason = error.strerror or str(error)
    elif not isinstance(error, OSError) and number in BROKEN:
        reason = os.strerror(number or 0)
    else:
        return None
    advice = "Choose another place with --to." if fix == FREE_SPACE else fix.replace("Free some space",
                                                                                     "Make it writable")
    return UserError(f"{path} cannot be written: {reason}.", fix=advice, exit=Exit.DISK)


def link_error(path: Path) -> UserError:
    """The error for a link where a file of our own was expected (77)."""
    return UserError(f"{path} is a link; nothing was written through it.",
                     fix="Put what it names in its place, or remove the link.", exit=Exit.REFUSED)


def names_another(error: OSError, path: Path) -> bool:
    """Whether an error is about a file that is not at `path`, in it, or staged beside it."""
    if not isinstance(error.filename, str):
        return False
    named_path = Path(error.filename)
    return not (named_path.is_relative_to(path) or path.is_relative_to(named_path)
                or any(part.startswith(f".{path.name}.") for part in named_path.parts))
