"""A file's bytes: whether it exists, its compression, its real format, and its encoding."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO

from headstart.data.readers.binary_formats import binary_format, disguise_of, is_workbook, text_disguise
from headstart.data.readers.byte_order import wide_encoding
from headstart.data.readers.compression import (
    BUFFER,
    ENDINGS,
    compression_of,
    open_unpacked,
    zip_member,
)
from headstart.data.readers.conll_format import looks_like
from headstart.data.readers.table_builder import TableBuilder
from headstart.errors import DataError, Exit, UserError

FOREIGN_SIGNATURES = (  # beginnings of files that are no tables
    (b"%PDF", "a PDF"), (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"), (b"\x80\x05", "a Python pickle"), (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"), (b"SQLite format 3", "an SQLite database"),
    (b"\x1f\x8b", "compressed twice"), (b"BZh", "compressed twice"), (b"\xfd7zXZ", "compressed twice"),
    (b"\x28\xb5\x2f\xfd", "compressed twice"), (b"PK\x03\x04", "a zip in a compressed file"),
)
MARKDOWN_TABLE = re.compile(rb"[^\n]*\|[^\n]*\n[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)+\|?[ \t]*"
                            rb"\r?\n")
SUFFIXES = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "txt": "txt", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json",
            "parquet": "parquet", "arrow": "arrow", "feather": "arrow", "ipc": "arrow", "xlsx": "excel",
            "xlsm": "excel", "xlsb": "excel", "xls": "excel", "ods": "excel", "conll": "conll", "bio": "conll",
            "iob": "conll", "iob2": "conll", "conllu": "conll", "conllx": "conll", "bmes": "conll", "bioes": "conll",
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
        self.wide_encoding = ""  # UTF-16 or UTF-32, seen at the file's beginning
        if not self.size:
            raise self.nothing_error("is empty")
        with open(path, "rb") as file:
            self.compression = compression_of(file.read(8))
        self.is_workbook = self.compression == "zip" and is_workbook(path)
        if self.is_workbook:
            self.compression = ""
        elif self.compression == "zip":
            self.inner_name = zip_member(path, builder)
        elif self.compression:
            self.inner_name = self.inner_name.removesuffix(ENDINGS[self.compression])
        if self.compression:
            builder.format_parts.append(self.compression)

    def sha256(self) -> str:
        """The hash of the file as it is on disk."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def open(self) -> IO[bytes]:
        """The bytes from the start, uncompressed."""
        if self.compression:
            return open_unpacked(self.path, self.compression, self.inner_name, self.builder)
        return open(self.path, "rb", buffering=BUFFER)

    def head(self, size: int = 2**16) -> bytes:
        """The first bytes, uncompressed, as UTF-8 where they are UTF-16 or UTF-32; raises DataError for damage and for
        what is no table.
        """
        with decompression_errors(self.builder), self.open() as file:
            start = file.read(size)
            is_whole = len(start) < size
        if self.is_workbook or binary_format(start, self.extension):
            return start
        self.wide_encoding = wide_encoding(start)
        if self.wide_encoding:
            start = start.decode(self.wide_encoding, errors="ignore").removeprefix("\ufeff").encode()
        if not start.strip(b"\x00\t\n\r "):
            raise self.empty_error(start, is_whole)
        for signature, kind in FOREIGN_SIGNATURES:
            if start.startswith(signature):
                raise self.builder.fatal_error("E112", f"the file is {kind}, not a table of rows.",
                                               "Give a csv, tsv, jsonl, json, parquet, Arrow or Excel file.")
        if self.extension == "excel" and (kind := disguise_of(start)):
            raise self.builder.fatal_error("E112", f"the file is called a workbook and is {kind}.", "Open it in a "
                                           "spreadsheet program, and save it as .xlsx or as csv (UTF-8).")
        if start[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise self.builder.fatal_error("E112", "the file is a web page (perhaps an error page from a download).",
                                           "Download the data again and look at it first.")
        kind, fix = text_disguise(start) if self.extension != "txt" else ("", "")  # a text may be source code
        if kind:
            raise self.builder.fatal_error("E112", f"the file is {kind}, not a table of rows.", fix)
        if MARKDOWN_TABLE.match(start):
            raise self.builder.fatal_error("E112", "the file is a Markdown table, with a line of dashes below the "
                                           "names of its columns.", "Save the table as csv, or take that line and the "
                                           "outer bars out.", line=2)
        return start

    def empty_error(self, start: bytes, is_whole: bool) -> DataError:
        """The error for a file that begins with nothing but blanks or NUL bytes."""
        if b"\0" not in start:
            return self.nothing_error(
                f"begins with spaces and line ends only ({len(start):,} bytes of them)" if start else "is empty",
                is_whole=is_whole)
        extent = "the file is" if self.size == len(start) else f"the first {len(start):,} bytes of the file are"
        return self.builder.fatal_error("E106", f"{extent} NUL bytes, not text.", "An interrupted copy or a full disk "
                                        "leaves such a file: copy or write it again.", line=1, column=1)

    def nothing_error(self, content: str, *, is_whole: bool = True) -> DataError:
        """The error for a file without content: text by its name holds no rows, anything else is damaged."""
        is_text = is_whole and self.extension in ("csv", "tsv", "jsonl", "json")
        self.builder.format_parts[:0] = [self.extension] if is_text else []
        return (self.builder.no_rows_error if is_text else self.builder.fatal_error)(
            "E101", f"the file {content}.", "Check that it was written, and that this is the right one.")

    @property
    def extension(self) -> str:
        """The format that the file's name says; "" for none that is known."""
        return SUFFIXES.get(Path(self.inner_name).suffix.lower().removeprefix("."), "")

    def format(self, start: bytes) -> str:
        """csv, tsv, jsonl, json, parquet, arrow, excel, conll or text: by content where it is plain, else by name."""
        extension = self.extension
        if extension == "source":
            return extension  # lines of any kind
        actual = "excel" if self.is_workbook else binary_format(start, extension)
        if actual:
            pass
        elif extension in ("parquet", "arrow"):
            mark = "PAR1" if extension == "parquet" else "ARROW1, and no stream's mark,"
            raise self.builder.fatal_error("E112", f"the file is called {extension} but is not (no {mark} at its "
                                           "start).", "Give it the name of what it is.")
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
