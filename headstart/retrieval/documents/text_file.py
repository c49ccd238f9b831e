"""A text file as one document, and the text of any file."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from headstart.data.readers.source_file import FOREIGN, Raw, damaged, encoding_of
from headstart.data.readers.table_builder import Sheet
from headstart.data.table import shown
from headstart.retrieval.documents.document import Document
from headstart.settings import Data

CHARSET = re.compile(rb"""charset\s*=\s*["']?([\w.:-]+)""", re.I)


def read(path: str, name: str, settings: Data) -> Document:
    """A text file; its title is its name."""
    return Document(name, stem(name), text_of(path, settings))


def stem(name: str) -> str:
    """A file's name as a title: "notes/tea_and-cake.txt.gz" -> "tea and cake"."""
    base = Path(name).name
    held = base.removesuffix(".gz")
    return re.sub(r"[_\-\s]+", " ", Path(held).stem).strip() or base


def text_of(path: str, settings: Data, *, markup: bool = False) -> str:
    """All text of a file, line ends as \\n; `markup`: the file may name its own encoding. Raises DataError for what is no text."""
    sheet = Sheet(shown(path))
    raw = Raw(path, sheet)
    with damaged(sheet), raw.open() as file:
        start = file.read(2**16)
    if not start.strip(b"\x00\t\n\r "):
        raise sheet.stop("E101", "the file is empty.", "Check that it was written.")
    for mark, kind in FOREIGN:
        if start.startswith(mark):
            raise sheet.stop("E112", f"the file is {kind}, not a text.", "Give it the name of what it is.")
    if not markup and start[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise sheet.stop("E112", "the file is a web page.", "Call it .html.")
    encoding = (markup and settings.encoding == "" and told(start)) or encoding_of(raw, start, settings.encoding)
    with damaged(sheet), raw.open() as file:
        text = file.read().decode(encoding, errors="replace").removeprefix("\ufeff")
    if "\0" in text or sum(not mark.isprintable() and mark not in "\t\n\r\f\v" for mark in text[:10_000]) > 0.1 * min(len(text), 10_000):
        raise sheet.stop("E106", "the file holds bytes that are no text.", "Give it the name of what it is, or write it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def told(start: bytes) -> str:
    """The encoding that a page names itself, where Python knows it."""
    found = CHARSET.search(start[:4096])
    try:
        return codecs.lookup(found.group(1).decode("ascii")).name if found else ""
    except (LookupError, UnicodeDecodeError):
        return ""
