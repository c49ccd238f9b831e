"""The way of bytes and texts into a file: compression, and encodings that cannot write every text."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from headstart.data.outputs.layout import encodes_every_text
from headstart.errors import Exit, UserError

FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # of a .zip: none is kept
FALLBACK = "utf-8-sig"  # with a byte order mark: what opens a file of an old encoding guesses less well without


@contextlib.contextmanager
def packed(file: IO[bytes], compression: str, path: str, format_name: str) -> Iterator[IO[bytes]]:
    """A stream whose bytes go compressed into a file that stays open; the same bytes give the same file. The file in a
    .zip has a name that says its format.
    """
    if not compression:
        yield file
    elif compression == "gzip":
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
            yield cast(IO[bytes], stream)
    elif compression == "zip":
        name = Path(Path(path).name[:-len(".zip")] or "rows")
        member = zipfile.ZipInfo(str(name if name.suffix else name.with_suffix(f".{format_name}")), FIRST_DATE)
        member.compress_type = zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(file, "w") as archive, archive.open(member, "w", force_zip64=True) as stream:
            yield stream
    elif compression == "zstd":
        with zstd_stream(file, path) as stream:
            yield stream
    else:
        opener: Any = bz2.BZ2File if compression == "bzip2" else lzma.LZMAFile
        with opener(file, "wb") as stream:
            yield stream


def zstd_stream(file: IO[bytes], path: str) -> Any:
    """A zstd stream through pyarrow's codec; raises UserError (69) without pyarrow."""
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"Writing {path} (zstd) needs pyarrow.", exit=Exit.UNAVAILABLE,
                        fix="pip install 'headstart[parquet]', or name it .gz.") from None
    return pyarrow.CompressedOutputStream(pyarrow.PythonFile(StaysOpen(file), "w"), "zstd")


class StaysOpen(io.RawIOBase):
    """A file to write to that its user does not close."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """The content, whole."""
        return self.file.write(content)


class EncodedText:
    """Texts for a file in an encoding that has few letters: kept aside until all are known, for one that the encoding
    does not have makes the whole file UTF-8.
    """

    def __init__(self, file: IO[bytes], encoding: str, waiting: IO[str]) -> None:
        self.file, self.encoding, self.waiting = file, encoding, waiting
        self.missing = ""

    def write(self, text: str) -> int:
        """A text, looked at."""
        if not self.missing and not text.isascii():
            try:
                text.encode(self.encoding)
            except UnicodeEncodeError as error:
                self.missing = error.object[error.start]
        return self.waiting.write(text)

    def finish(self) -> list[str]:
        """Write the file; in words, if it is in another encoding."""
        self.waiting.seek(0)
        stream = io.TextIOWrapper(self.file, FALLBACK if self.missing else self.encoding, newline="")
        shutil.copyfileobj(self.waiting, stream)
        stream.flush()
        stream.detach()
        if not self.missing:
            return []
        return [f"the input is in {self.encoding}, which has no {self.missing!r}: the output is UTF-8 with a byte "
                "order mark"]


@contextlib.contextmanager
def as_text(file: IO[bytes], encoding: str, notes: list[str]) -> Iterator[IO[str]]:
    """A text file over a byte file that stays open; what it could not keep is added to `notes`."""
    if not encodes_every_text(encoding):
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="", prefix="headstart-text-") as waiting:
            encoded = EncodedText(file, encoding, waiting)
            yield cast(IO[str], encoded)  # of which writers write alone
            notes += encoded.finish()
        return
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    yield text
    text.flush()
    text.detach()
