"""Files and folders of this machine, or of a file system that a URI names: s3://, gs://, abfs://, hdfs://, file:// by
Arrow; any other that fsspec and its packages know (https://, ftp://, hf:// …).

Nothing but what was named is listed, fetched or written.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.errors import DataError, Exit, UserError, first_line
from headstart.files import disk_errors, make_folder, staged_file

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")
ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")
WHOLE_OR_NOT = ("s3", "gcs", "abfs")  # kinds of stores in which a file is there once it was written to its end
BLOCK = 2**22  # bytes that are copied at once


def is_remote(text: str) -> bool:
    """Whether a place is named by a URI."""
    return SCHEME.match(text) is not None


@dataclass(frozen=True)
class FileStatus:
    """A file in a folder: its name, its size in bytes, and when it was changed last ("" where that is not known)."""

    name: str
    size: int
    modified: str


@dataclass(frozen=True)
class Place:
    """A file or folder, by the words that the user gave."""

    text: str

    def __truediv__(self, name: str) -> Place:
        path, options = self.split()
        return Place(f"{path}/{name}{options}")

    def split(self) -> tuple[str, str]:
        """Its path without a last slash, and the options of a URI: s3://b/rows, ?region=eu-west-1."""
        path, mark, options = self.text.partition("?") if is_remote(self.text) else (self.text, "", "")
        return path.rstrip("/"), f"{mark}{options}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.split()[0].rpartition("/")[2]

    @property
    def parent(self) -> Place:
        """The folder that it is in."""
        path, options = self.split()
        folder, slash, _ = path.rpartition("/")
        return Place((folder or ("/" if slash else ".")) + options)

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this machine."""
        return not is_remote(self.text)

    @cached_property
    def store(self) -> tuple[Any, str]:
        """Its file system (of Arrow) and its path there; raises UserError (69) for one that nothing here can open."""
        try:
            from pyarrow import fs
        except ImportError:
            raise UserError(f"{self.text} needs pyarrow.", fix="pip install 'headstart[ray]'",
                            exit=Exit.UNAVAILABLE) from None
        scheme = SCHEME.match(self.text)
        try:
            if scheme is None:
                return fs.LocalFileSystem(), str(Path(self.text).absolute())
            if scheme[1] in ARROW_SCHEMES:
                filesystem, path = fs.FileSystem.from_uri(self.text)
                return filesystem, path
            import fsspec

            filesystem, path = fsspec.core.url_to_fs(self.text)
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"{self.text} cannot be opened: {first_words(error)}", exit=Exit.UNAVAILABLE,
                            fix="Install what its file system needs, or copy the files here.") from None
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path

    def lookup(self) -> FileStatus | None:
        """What is known of the file; None where there is none, or a folder. Raises UserError (66)."""
        from pyarrow import fs

        filesystem, path = self.store
        with reading(self):
            status = filesystem.get_file_info(path)
        return file_status(status) if status.type == fs.FileType.File else None

    def is_folder(self) -> bool:
        """Whether it is a folder; raises UserError (66)."""
        from pyarrow import fs

        filesystem, path = self.store
        with reading(self):
            return bool(filesystem.get_file_info(path).type == fs.FileType.Directory)

    def files(self) -> list[FileStatus]:
        """The files in the folder, sorted by name, without those whose name begins with a point or an underscore;
        raises UserError (66).
        """
        from pyarrow import fs

        return [file_status(entry) for entry in self.entries(fs.FileType.File)]

    def folder_names(self) -> list[str]:
        """The names of the folders in the folder, as `files` gives its files; raises UserError (66)."""
        from pyarrow import fs

        return [entry.base_name for entry in self.entries(fs.FileType.Directory)]

    def entries(self, kind: Any) -> list[Any]:
        """What Arrow says of the files, or of the folders, in the folder, as `files` gives them; raises UserError (66).
        """
        from pyarrow import fs

        filesystem, path = self.store
        with reading(self):
            entries = filesystem.get_file_info(fs.FileSelector(path))
        return sorted((entry for entry in entries if entry.type == kind and entry.base_name[:1] not in "._"),
                      key=lambda entry: entry.base_name)

    def fetch(self, to: Path) -> None:
        """Copy the file to a path here; raises UserError (66, 74)."""
        filesystem, path = self.store
        with reading(self):
            source = filesystem.open_input_stream(path)
        with source, disk_errors(to), to.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK)

    def put(self, source: Path) -> None:
        """Copy a file from here to the place, where it appears whole; raises UserError (74)."""
        with source.open("rb") as content, self.writing() as stream:
            shutil.copyfileobj(content, stream, BLOCK)

    def read(self) -> bytes:
        """The bytes of a small file; raises UserError (66)."""
        filesystem, path = self.store
        with reading(self), filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())

    def write(self, content: bytes) -> None:
        """A small file, whole; raises UserError (74)."""
        with self.writing() as stream:
            stream.write(content)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Any]:
        """A stream whose bytes are the file, whole, when the block ends; raises UserError (74)."""
        if self.is_local:
            path = Path(self.text)
            with disk_errors(path):
                make_folder(path.parent)
                with staged_file(path, "wb") as stream:
                    yield stream
            return
        filesystem, target = self.store
        folder, _, name = target.rpartition("/")
        direct = filesystem.type_name in WHOLE_OR_NOT
        staging = target if direct else f"{folder}/.{name}.part"
        try:
            if not direct:
                filesystem.create_dir(folder, recursive=True)
            with filesystem.open_output_stream(staging) as stream:
                yield stream
            if not direct:
                filesystem.move(staging, target)
        except (OSError, ValueError, NotImplementedError) as error:
            raise UserError(f"{self.text} cannot be written: {first_words(error)}", exit=Exit.DISK,
                            fix="Check the place and your right to write there.") from None


@contextlib.contextmanager
def local_copy(place: Place) -> Iterator[Path]:
    """A file as a path of this machine, copied here for as long as the block runs where it is elsewhere.

    Raises UserError (66) where it is not there.
    """
    if place.is_local:
        if not Path(place.text).exists():
            raise UserError(f"A machine of the cluster has no {place.text}.", exit=Exit.NO_INPUT,
                            fix="Put the files where every machine sees them: a shared folder, or s3://, gs:// …")
        yield Path(place.text)
        return
    with tempfile.TemporaryDirectory(prefix="headstart-part-") as folder:
        path = Path(folder) / place.name
        place.fetch(path)
        yield path


def with_place(error: DataError, copy: Path, place: Place) -> UserError:
    """An error about the copy of a file here, in the words of the place that it is from."""
    return error if place.is_local else UserError(str(error).replace(str(copy), place.text), exit=error.exit)


@contextlib.contextmanager
def local_output(place: Place) -> Iterator[Path]:
    """A path of this machine to write a file to, in a folder that is there; where its place is elsewhere, the file is
    copied there when the block ends. Raises UserError (74).
    """
    if place.is_local:
        path = Path(place.text)
        with disk_errors(path):
            make_folder(path.parent)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="headstart-part-") as folder:
        path = Path(folder) / place.name
        yield path
        place.put(path)


@contextlib.contextmanager
def reading(place: Place) -> Iterator[None]:
    """Errors of reading a place in words; raises UserError (66)."""
    try:
        yield
    except (OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{place.text} cannot be read: {first_words(error)}", exit=Exit.NO_INPUT,
                        fix="Check the place and your right to read there.") from None


def file_status(entry: Any) -> FileStatus:
    """What Arrow says of a file."""
    modified = entry.mtime.isoformat() if isinstance(entry.mtime, datetime) else ""
    return FileStatus(entry.base_name, int(entry.size or 0), modified)


def first_words(error: BaseException) -> str:
    """The first line of an error, as a sentence."""
    line = first_line(error)
    return line if line.endswith(".") else f"{line}."
