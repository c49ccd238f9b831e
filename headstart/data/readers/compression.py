"""Compressed files as streams of what is in them, bounded: a megabyte of .gz may hold gigabytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headstart.errors import Exit, UserError, first_names

if TYPE_CHECKING:
    from headstart.data.readers.table_builder import TableBuilder

SIGNATURES = ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"BZh", "bzip2"),
              (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
ENDINGS = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
BUFFER = 2**20


def compression_of(start: bytes) -> str:
    """gzip, zip, bzip2, xz or zstd by a file's first bytes; "" for anything else."""
    return next((name for signature, name in SIGNATURES if start.startswith(signature)), "")


class UnpackedStream(io.RawIOBase):
    """What a compressed file holds, read once from its start.

    Raises DataError (65) for damage, and where more comes out than data.max_bytes allows.
    """

    def __init__(self, stream: IO[bytes], builder: TableBuilder) -> None:
        self.stream, self.builder, self.size = stream, builder, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        try:
            block = self.stream.read(len(buffer))
        except DAMAGE as error:
            raise self.builder.fatal_error("E113", f"the compressed file is damaged or cut off ({error}).",
                                           "Copy or download it again.") from None
        self.size += len(block)
        if self.size > self.builder.max_bytes:
            raise self.builder.fatal_error("E121", f"more than {self.builder.max_bytes:,} bytes come out of the "
                                           "compressed file.",
                                           "If that is right, allow more: --set data.max_bytes=BYTES")
        buffer[:len(block)] = block
        return len(block)

    def close(self) -> None:
        """The file below, too."""
        self.stream.close()
        super().close()


def open_unpacked(path: str, compression: str, member: str, builder: TableBuilder) -> IO[bytes]:
    """The bytes that a compressed file holds, from their start; `member` is the file in a zip."""
    openers: dict[str, Callable[[str], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open,
                                                "zstd": open_zstd}
    stream = open_member(path, member, builder) if compression == "zip" else openers[compression](path)
    return io.BufferedReader(UnpackedStream(stream, builder), BUFFER)


def open_zstd(path: str) -> Any:
    """A .zst through pyarrow's codec; raises UserError (69) without pyarrow."""
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"Reading {path} (zstd) needs pyarrow.", fix="pip install 'headstart[parquet]', or unpack it.",
                        exit=Exit.UNAVAILABLE) from None
    return pyarrow.CompressedInputStream(pyarrow.OSFile(path, "rb"), "zstd")


def open_member(path: str, member: str, builder: TableBuilder) -> IO[bytes]:
    """One file of a zip; raises DataError for a password and for a way of packing that Python does not know."""
    archive = zipfile.ZipFile(path)
    try:
        return archive.open(member)
    except RuntimeError:
        raise builder.fatal_error("E113", "the zip is locked with a password.", "Unpack it first.") from None
    except NotImplementedError as error:
        raise builder.fatal_error("E113", f"the zip is packed in a way that is not known ({error}).",
                                  "Unpack it first.") from None
    finally:
        archive.close()  # the member keeps its own handle


def zip_member(path: str, builder: TableBuilder) -> str:
    """The one file in a zip; raises DataError for none, several, a link, or an office document."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise builder.fatal_error("E113", f"the zip is damaged or cut off ({error}).",
                                  "Copy or download it again.") from None
    names = [entry.filename for entry in entries]
    if any(name.startswith(("word/", "ppt/", "META-INF/")) or name == "content.xml" for name in names):
        raise builder.fatal_error("E112", "the file is an office document.", "Save its table as csv (UTF-8).")
    names = [name for name in names if not name.startswith("__MACOSX/") and not Path(name).name.startswith("._")]
    if len(names) != 1:
        listing = first_names([printable(name) for name in names], 5)
        raise builder.fatal_error("E114", f"the zip holds {len(names)} files, one is expected: {listing or 'none'}.",
                                  "Unpack it, and name the file.")
    entry = next(entry for entry in entries if entry.filename == names[0])
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise builder.fatal_error("E114", f"the zip holds a link to a file ({printable(names[0])}), not the file.",
                                  "Pack the file itself.")
    return names[0]


def printable(name: str) -> str:
    """A name with its control characters spelled out."""
    return name if name.isprintable() else repr(name)
