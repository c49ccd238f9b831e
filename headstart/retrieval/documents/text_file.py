"""A text file as one document, and the text of any file."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from headstart.data.readers.source_file import FOREIGN_SIGNATURES, SourceFile, decompression_errors
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.readers.text_encoding import detect_encoding
from headstart.data.table import display_path
from headstart.errors import DataError
from headstart.retrieval.documents.document import MAX_BYTES, Document
from headstart.settings import Data

NO_PAGE_ENCODINGS = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7", "mbcs", "oem")
CHARSET = re.compile(rb"""charset\s*=\s*["']?([\w.:-]+)""", re.I)


def read(path: str, name: str, settings: Data) -> Document:
    """A text file; its title is its name."""
    return Document(name, title_of(name), text_of(path, settings))


def title_of(name: str) -> str:
    """A file's name as a title: "notes/tea_and-cake.txt.gz" -> "tea and cake"."""
    base = Path(name).name
    uncompressed = base.removesuffix(".gz")
    return re.sub(r"[_\-\s]+", " ", Path(uncompressed).stem).strip() or base


def text_of(path: str, settings: Data, *, markup: bool = False) -> str:
    """All text of a file, line ends as \\n; `markup`: the file may name its own encoding. Raises DataError for what is
    no text.
    """
    builder = TableBuilder(display_path(path))
    source_file = SourceFile(path, builder)
    with decompression_errors(builder), source_file.open() as file:
        head = file.read(2**16)
    if not head.strip(b"\x00\t\n\r "):
        raise builder.fatal_error("E101", "the file is empty.", "Check that it was written.")
    for signature, kind in FOREIGN_SIGNATURES:
        if head.startswith(signature):
            raise builder.fatal_error("E112", f"the file is {kind}, not a text.", "Give it the name of what it is.")
    if not markup and head[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise builder.fatal_error("E112", "the file is a web page.", "Call it .html.")
    encoding = (markup and settings.encoding == ""
                and declared_encoding(head)) or detect_encoding(source_file, head, settings.encoding)
    with decompression_errors(builder), source_file.open() as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise too_long(builder)
    text = content.decode(encoding, errors="replace").removeprefix("\ufeff")
    start = text[:10_000]
    if "\0" in text or sum(not character.isprintable() and character not in "\t\n\r\f\v"
                           for character in start) > 0.1 * len(start):
        raise builder.fatal_error("E106", "the file holds bytes that are not text.",
                                  "Give it the name of what it is, or write it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def too_long(builder: TableBuilder) -> DataError:
    """The error for a document above the limit."""
    return builder.fatal_error("E119", f"the text has more than {MAX_BYTES // 2**20} MiB, too long for a document.",
                               "Split it, or make it a table with a document a row (jsonl).")


def declared_encoding(head: bytes) -> str:
    """The encoding that a page declares, "" where there is none or it is not one that pages are written in."""
    match = CHARSET.search(head[:4096])
    try:
        name = codecs.lookup(match.group(1).decode("ascii")).name if match else ""
        b"a".decode(name or "utf-8")  # one of bytes to bytes (base64) is no encoding of a text
    except (LookupError, ValueError):
        return ""
    return "" if name in NO_PAGE_ENCODINGS else name
