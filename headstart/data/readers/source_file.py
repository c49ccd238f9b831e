"""A file's bytes: is it there, is it compressed, what is in it really, and how its bytes are text."""

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
from headstart.data.readers.table_builder import Sheet
from headstart.errors import Exit, UserError

FOREIGN = (  # beginnings of files that are no tables
    (b"%PDF", "a PDF"), (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"), (b"\x80\x02", "a Python pickle"), (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"), (b"\x80\x05", "a Python pickle"), (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"7z\xbc\xaf", "a 7z archive"), (b"\x7fELF", "a program"),
    (b"SQLite format 3", "an SQLite database"),
)
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SUFFIXES = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "txt": "txt", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json",
            "parquet": "parquet", "conll": "conll", "bio": "conll", "iob": "conll", "iob2": "conll", "annotated": "conll",
            "source": "source"}


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


class Raw:
    """A file that can be read from its start again and again; compression is undone on the way."""

    def __init__(self, path: str, sheet: Sheet) -> None:
        check_path(path)
        self.path, self.sheet = path, sheet
        self.size = os.path.getsize(path)
        self.inner = Path(path).name
        self.packing = ""
        if not self.size:
            raise sheet.stop("E101", "the file is empty.", "Check that it was written, and that this is the right one.")
        with open(path, "rb") as file:
            magic = file.read(8)
        if magic[:2] == b"\x1f\x8b":
            self.packing, self.inner = "gzip", self.inner.removesuffix(".gz")
        elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            self.packing, self.inner = "zip", self.member()
        if self.packing:
            sheet.words.append(self.packing)

    def sha256(self) -> str:
        """The hash of the file as it lies on the disk."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def member(self) -> str:
        """The one file in a zip; raises DataError for none, several, or a spreadsheet."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [one.filename for one in archive.infolist() if not one.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise self.sheet.stop("E113", f"the zip is damaged or cut off ({error}).", "Copy or download it again.") from None
        if any(name.startswith("xl/") for name in names):
            raise self.sheet.stop("E112", "the file is an Excel workbook, whatever its name says.",
                                  "Save the sheet as csv (UTF-8) and use that.")
        if any(name.startswith(("word/", "ppt/", "META-INF/")) or name == "content.xml" for name in names):
            raise self.sheet.stop("E112", "the file is an office document.", "Save its table as csv (UTF-8).")
        names = [name for name in names if not name.startswith("__MACOSX/") and not Path(name).name.startswith("._")]
        if len(names) != 1:
            shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            raise self.sheet.stop("E114", f"the zip holds {len(names)} files, one is expected: {shown or 'none'}.",
                                  "Unpack it, and name the file.")
        return names[0]

    def open(self) -> IO[bytes]:
        """The bytes from the start, uncompressed."""
        if self.packing == "gzip":
            return io.BufferedReader(gzip.open(self.path, "rb"), 2**20)
        if self.packing == "zip":
            archive = zipfile.ZipFile(self.path)
            try:
                return io.BufferedReader(archive.open(self.inner), 2**20)  # type: ignore[type-var]  # ZipExtFile is readable
            except RuntimeError:
                archive.close()
                raise self.sheet.stop("E113", "the zip is locked with a password.", "Unpack it first.") from None
            finally:
                archive.close()  # the member keeps its own handle
        return open(self.path, "rb", buffering=2**20)

    def head(self, size: int = 2**16) -> bytes:
        """The first bytes, uncompressed; raises DataError for damage and for what is no table."""
        with damaged(self.sheet), self.open() as file:
            start = file.read(size)
        if not start.strip(b"\x00\t\n\r "):
            raise self.sheet.stop("E101", "the file is empty.", "Check that it was written, and that this is the right one.")
        for mark, kind in FOREIGN:
            if start.startswith(mark):
                raise self.sheet.stop("E112", f"the file is {kind}, not a table of rows.",
                                      "Give a csv, tsv, jsonl, json or parquet file.")
        if start[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise self.sheet.stop("E112", "the file is a web page (perhaps an error page from a download).",
                                  "Download the data again and look at it first.")
        return start

    def format(self, start: bytes) -> str:
        """csv, tsv, jsonl, json, parquet, conll or text: by content where it is plain, else by name."""
        named = SUFFIXES.get(Path(self.inner).suffix.lower().removeprefix("."), "")
        if named == "source":
            return named  # lines of any kind
        if start.startswith(b"PAR1"):
            actual = "parquet"
        elif named == "parquet":
            raise self.sheet.stop("E112", "the file is called parquet but is not (no PAR1 at its start).",
                                  "Give it the name of what it is.")
        elif looks_like(start, named):
            actual = "conll"
        elif named in ("jsonl", "json"):
            actual = self.json_form(start, named)
        elif start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and self.json_form(start, "") != "":
            actual = self.json_form(start, "")
        elif named == "txt" and is_prose(start):
            actual = "text"
        else:
            actual = named if named in ("csv", "tsv") else "csv"
        if named and named not in (actual, "txt"):
            self.sheet.found("N105", f"the file is called {named}, its content is {actual}; it is read as {actual}.")
        return actual

    def json_form(self, start: bytes, named: str) -> str:
        """Whether JSON text is one list or object, or an object a line; "" when it does not look like JSON."""
        import json

        text = start.decode("utf-8-sig", errors="replace").lstrip()
        if text.startswith("["):
            return named if named == "jsonl" and text[1:2] not in "\n{ " else "json" if named or '{' in text[:50] else ""
        first = text.split("\n", 1)[0]
        try:
            one = isinstance(json.loads(first), dict)
        except ValueError:
            return named
        if named == "json" and len(text.strip().split("\n")) == 1 and len(start) < 2**16:
            return "json"
        return "jsonl" if one else named


def is_prose(start: bytes) -> bool:
    """Whether the beginning of a .txt file is prose: no sign parts all of its lines into as many fields."""
    held = [line for line in start.decode("utf-8-sig", errors="replace").splitlines()[:200] if line.strip()]
    if len(start) >= 2**16 and len(held) > 1:
        held.pop()
    if len(held) == 1:  # a sentence, or a header
        return len(held[0].split()) > 1 and not any(mark in held[0] for mark in "\t;|") and held[0].count(",") == held[0].count(", ")
    return bool(held) and not any(held[0].count(mark) and len({line.count(mark) for line in held}) == 1 for mark in "\t;|,")


class damaged:
    """Errors of decompression in the user's words."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error | zipfile.BadZipFile):
            raise self.sheet.stop("E113", f"the compressed file is damaged or cut off ({error}).",
                                  "Copy or download it again.") from None


def encoding_of(raw: Raw, start: bytes, given: str) -> str:
    """How the bytes are text: as told, by the byte order mark, utf-8 if all of it is, else cp1252.

    Raises DataError (E103) with line and column of the first byte that fits none, UserError (78) for no encoding.
    """
    if given:
        try:
            codecs.lookup(given)
        except LookupError:
            raise UserError(f"data.encoding is {given!r}, which is no encoding.", fix="For example utf-8, cp1252, utf-16.",
                            exit=Exit.SETTINGS) from None
        if bad := first_bad(raw, given):
            raise raw.sheet.stop("E103", f"the bytes are not {given}.", "Leave data.encoding out to have it found.",
                                 line=bad[0], column=bad[1])
        return given
    for mark, name in BOMS:
        if start.startswith(mark):
            if bad := first_bad(raw, name):
                raise raw.sheet.stop("E103", f"the file begins as {name} but these bytes are not.", "Write it again as UTF-8.",
                                     line=bad[0], column=bad[1])
            return name
    bad = first_bad(raw, "utf-8")
    if bad is None:
        return "utf-8"
    controls = sum(byte < 32 and byte not in b"\t\n\r\x0c" for byte in start)
    if controls > len(start) / 100 or first_bad(raw, "cp1252"):
        raise raw.sheet.stop("E103", "the bytes are of no known encoding (neither utf-8 nor cp1252).",
                             "Save the file as UTF-8, or name its encoding: --set data.encoding=NAME",
                             line=bad[0], column=bad[1])
    raw.sheet.found("N101", "the file is not UTF-8; it is read as cp1252 (Western Windows).",
                    "If letters look wrong, name the encoding: --set data.encoding=NAME", line=bad[0], column=bad[1])
    return "cp1252"


def first_bad(raw: Raw, encoding: str) -> tuple[int, int] | None:
    """Line and column of the first byte that is not of this encoding; None when all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, column = 1, 1
    with damaged(raw.sheet), raw.open() as file:
        for block in blocks(file):
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                good = error.object[:error.start].decode(encoding, errors="replace")
                line, column = moved(good, line, column)
                return line, column
            line, column = moved(text, line, column)
    return None


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces, and an empty piece at its end."""
    while block := file.read(2**20):
        yield block
    yield b""


def moved(text: str, line: int, column: int) -> tuple[int, int]:
    """Line and column after this text."""
    breaks = text.count("\n")
    return (line + breaks, len(text) - text.rfind("\n")) if breaks else (line, column + len(text))
