"""A file's bytes: whether it exists, its compression, its real format, and its encoding."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headstart.data.readers.conll_format import looks_like
from headstart.data.readers.table_builder import TableBuilder
from headstart.errors import Exit, UserError

FOREIGN_SIGNATURES = (  # beginnings of files that are no tables
    (b"%PDF", "a PDF"), (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"), (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"), (b"\x80\x05", "a Python pickle"), (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"7z\xbc\xaf", "a 7z archive"), (b"\x7fELF", "a program"),
    (b"SQLite format 3", "an SQLite database"),
)
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SUFFIXES = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "txt": "txt", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json",
            "parquet": "parquet", "conll": "conll", "bio": "conll", "iob": "conll", "iob2": "conll",
            "annotated": "conll", "source": "source"}


def check_path(path: str) -> None:
    """Refuse what is not a readable file, in words; raises UserError (66)."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.", fix="Check the path.", exit=Exit.NO_INPUT) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", fix="Check the path and its permissions.",
                        exit=Exit.NO_INPUT) from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise UserError(f"{path} is {kind}; a file of rows was expected.",
                        fix="Write the rows to a file first." if not stat.S_ISDIR(mode) else "Name a file in it.",
                        exit=Exit.NO_INPUT)
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} may not be read by this user.", fix="Check its permissions.", exit=Exit.NO_INPUT)


class SourceFile:
    """A file that can be read from its start again and again; compression is undone on the way."""

    def __init__(self, path: str, builder: TableBuilder) -> None:
        check_path(path)
        self.path, self.builder = path, builder
        self.size = os.path.getsize(path)
        self.inner_name = Path(path).name
        self.compression = ""
        if not self.size:
            raise builder.fatal_error("E101", "the file is empty.",
                                      "Check that it was written, and that this is the right one.")
        with open(path, "rb") as file:
            magic = file.read(8)
        if magic[:2] == b"\x1f\x8b":
            self.compression, self.inner_name = "gzip", self.inner_name.removesuffix(".gz")
        elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            self.compression, self.inner_name = "zip", self.zip_member()
        if self.compression:
            builder.format_parts.append(self.compression)

    def sha256(self) -> str:
        """The hash of the file as it is on disk."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def zip_member(self) -> str:
        """The one file in a zip; raises DataError for none, several, or a spreadsheet."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise self.builder.fatal_error("E113", f"the zip is damaged or cut off ({error}).",
                                           "Copy or download it again.") from None
        if any(name.startswith("xl/") for name in names):
            raise self.builder.fatal_error("E112", "the file is an Excel workbook, whatever its name says.",
                                           "Save the sheet as csv (UTF-8) and use that.")
        if any(name.startswith(("word/", "ppt/", "META-INF/")) or name == "content.xml" for name in names):
            raise self.builder.fatal_error("E112", "the file is an office document.", "Save its table as csv (UTF-8).")
        names = [name for name in names if not name.startswith("__MACOSX/") and not Path(name).name.startswith("._")]
        if len(names) != 1:
            listing = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            raise self.builder.fatal_error("E114", f"the zip holds {len(names)} files, one is expected: "
                                           f"{listing or 'none'}.",
                                           "Unpack it, and name the file.")
        return names[0]

    def open(self) -> IO[bytes]:
        """The bytes from the start, uncompressed."""
        if self.compression == "gzip":
            return io.BufferedReader(gzip.open(self.path, "rb"), 2**20)
        if self.compression == "zip":
            archive = zipfile.ZipFile(self.path)
            try:
                return io.BufferedReader(archive.open(self.inner_name), 2**20)  # type: ignore[type-var]  # ZipExtFile is readable
            except RuntimeError:
                archive.close()
                raise self.builder.fatal_error("E113", "the zip is locked with a password.",
                                               "Unpack it first.") from None
            finally:
                archive.close()  # the member keeps its own handle
        return open(self.path, "rb", buffering=2**20)

    def head(self, size: int = 2**16) -> bytes:
        """The first bytes, uncompressed; raises DataError for damage and for what is no table."""
        with decompression_errors(self.builder), self.open() as file:
            start = file.read(size)
        if not start.strip(b"\x00\t\n\r "):
            raise self.builder.fatal_error("E101", "the file is empty.",
                                           "Check that it was written, and that this is the right one.")
        for signature, kind in FOREIGN_SIGNATURES:
            if start.startswith(signature):
                raise self.builder.fatal_error("E112", f"the file is {kind}, not a table of rows.",
                                               "Give a csv, tsv, jsonl, json or parquet file.")
        if start[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise self.builder.fatal_error("E112", "the file is a web page (perhaps an error page from a download).",
                                           "Download the data again and look at it first.")
        return start

    def format(self, start: bytes) -> str:
        """csv, tsv, jsonl, json, parquet, conll or text: by content where it is plain, else by name."""
        extension = SUFFIXES.get(Path(self.inner_name).suffix.lower().removeprefix("."), "")
        if extension == "source":
            return extension  # lines of any kind
        if start.startswith(b"PAR1"):
            actual = "parquet"
        elif extension == "parquet":
            raise self.builder.fatal_error("E112", "the file is called parquet but is not (no PAR1 at its start).",
                                           "Give it the name of what it is.")
        elif looks_like(start, extension):
            actual = "conll"
        elif extension in ("jsonl", "json"):
            actual = self.json_format(start, extension)
        elif start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and self.json_format(start, "") != "":
            actual = self.json_format(start, "")
        elif extension == "txt" and is_prose(start):
            actual = "text"
        else:
            actual = extension if extension in ("csv", "tsv") else "csv"
        if extension and extension not in (actual, "txt"):
            self.builder.add_finding("N105", f"the file is called {extension}, its content is {actual}; it is read as "
                                     f"{actual}.")
        return actual

    def json_format(self, start: bytes, extension: str) -> str:
        """Whether JSON text is one list or object, or an object a line; "" when it does not look like JSON."""
        import json

        text = start.decode("utf-8-sig", errors="replace").lstrip()
        if text.startswith("["):
            return extension if extension == "jsonl" and text[
                1:2] not in "\n{ " else "json" if extension or '{' in text[:50] else ""
        first_line = text.split("\n", 1)[0]
        try:
            is_object = isinstance(json.loads(first_line), dict)
        except ValueError:
            return extension
        if extension == "json" and len(text.strip().split("\n")) == 1 and len(start) < 2**16:
            return "json"
        return "jsonl" if is_object else extension


def is_prose(start: bytes) -> bool:
    """Whether the beginning of a .txt file is prose: no delimiter splits all of its lines into equally many fields."""
    lines = [line for line in start.decode("utf-8-sig", errors="replace").splitlines()[:200] if line.strip()]
    if len(start) >= 2**16 and len(lines) > 1:
        lines.pop()
    if len(lines) == 1:  # a sentence, or a header
        only = lines[0]
        return len(only.split()) > 1 and not any(delimiter in only
                                                 for delimiter in "\t;|") and only.count(",") == only.count(", ")
    return bool(lines) and not any(lines[0].count(delimiter) and len({line.count(delimiter) for line in lines}) == 1
                                   for delimiter in "\t;|,")


class decompression_errors:
    """Errors of decompression in the user's words."""

    def __init__(self, builder: TableBuilder) -> None:
        self.builder = builder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error | zipfile.BadZipFile):
            raise self.builder.fatal_error("E113", f"the compressed file is damaged or cut off ({error}).",
                                           "Copy or download it again.") from None


def detect_encoding(source_file: SourceFile, start: bytes, requested: str) -> str:
    """The encoding of a file: as requested, by the byte order mark, utf-8 if all of it is, else cp1252.

    Raises DataError (E103) with line and column of the first byte that fits none, UserError (78) for no encoding.
    """
    if requested:
        try:
            codecs.lookup(requested)
        except LookupError:
            raise UserError(f"data.encoding is {requested!r}, which is no encoding.",
                            fix="For example utf-8, cp1252, utf-16.", exit=Exit.SETTINGS) from None
        if position := first_undecodable(source_file, requested):
            raise source_file.builder.fatal_error("E103", f"the bytes are not {requested}.",
                                                  "Leave data.encoding out to have it found.",
                                                  line=position[0], column=position[1])
        return requested
    for byte_order_mark, name in BOMS:
        if start.startswith(byte_order_mark):
            if position := first_undecodable(source_file, name):
                raise source_file.builder.fatal_error("E103", f"the file begins as {name} but these bytes are not.",
                                                      "Write it again as UTF-8.", line=position[0], column=position[1])
            return name
    position = first_undecodable(source_file, "utf-8")
    if position is None:
        return "utf-8"
    controls = sum(byte < 32 and byte not in b"\t\n\r\x0c" for byte in start)
    if controls > len(start) / 100 or first_undecodable(source_file, "cp1252"):
        raise source_file.builder.fatal_error("E103", "the bytes are of no known encoding (neither utf-8 nor cp1252).",
                                              "Save the file as UTF-8, or name its encoding: --set data.encoding=NAME",
                                              line=position[0], column=position[1])
    source_file.builder.add_finding("N101", "the file is not UTF-8; it is read as cp1252 (Western Windows).",
                                    "If letters look wrong, name the encoding: --set data.encoding=NAME",
                                    line=position[0], column=position[1])
    return "cp1252"


def first_undecodable(source_file: SourceFile, encoding: str) -> tuple[int, int] | None:
    """Line and column of the first byte that is not of this encoding; None when all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, column = 1, 1
    with decompression_errors(source_file.builder), source_file.open() as file:
        for block in read_blocks(file):
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                decoded = error.object[:error.start].decode(encoding, errors="replace")
                line, column = advance(decoded, line, column)
                return line, column
            line, column = advance(text, line, column)
    return None


def read_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces, and an empty piece at its end."""
    while block := file.read(2**20):
        yield block
    yield b""


def advance(text: str, line: int, column: int) -> tuple[int, int]:
    """Line and column after this text."""
    breaks = text.count("\n")
    return (line + breaks, len(text) - text.rfind("\n")) if breaks else (line, column + len(text))
