"""The text of a PDF, by pypdf."""

from __future__ import annotations

import gzip
import io
import logging
from pathlib import Path
from typing import Any

from headstart.data.readers.source_file import check_path
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.retrieval.documents.document import Document
from headstart.retrieval.documents.text_file import stem
from headstart.settings import Data


def read(path: str, name: str, settings: Data) -> Document:
    """A PDF's pages, one after the other; where each begins stands in its metadata. Raises DataError (65), UserError (69)."""
    try:
        import pypdf
    except ImportError:
        raise UserError("Reading PDF needs pypdf.", fix="pip install 'headstart[pdf]'", exit=Exit.UNAVAILABLE) from None
    check_path(path)
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells every oddity of a file
    try:
        with open(path, "rb") as file:
            held = file.read()
        opened = pypdf.PdfReader(io.BytesIO(gzip.decompress(held) if held[:2] == b"\x1f\x8b" else held))
        text, begins = pages(opened)
        about: Any = opened.metadata or {}
        title = str(about.get("/Title") or "").strip()
    except Exception as error:  # pypdf raises many kinds
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError([Finding("E113", f"the PDF is damaged or locked ({words}).", "Open it and save it again.", path)]) from None
    return Document(name, title or stem(name), text, metadata={"pages": begins, "file": Path(path).name})


def pages(opened: Any) -> tuple[str, list[int]]:
    """The pages' text, and where each begins."""
    text, begins = [], []
    at = 0
    for page in opened.pages:
        begins.append(at)
        held = (page.extract_text() or "").replace("\0", "").replace("\r\n", "\n")
        held = held.encode("utf-8", "replace").decode("utf-8")
        text.append(held + "\n\n")
        at += len(text[-1])
    return "".join(text), begins
