"""The text of a PDF, by pypdf."""

from __future__ import annotations

import gzip
import io
import logging
from pathlib import Path
from typing import Any

from headstart.data.readers.source_file import check_path
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.retrieval.documents.document import MAX_BYTES, Document
from headstart.retrieval.documents.text_file import title_of
from headstart.settings import Data


def read(path: str, name: str, settings: Data) -> Document:
    """A PDF's pages, one after the other, with their offsets in the metadata. Raises DataError (65), UserError (69)."""
    try:
        import pypdf
    except ImportError:
        raise UserError("Reading PDF needs pypdf.", fix="pip install 'headstart[pdf]'", exit=Exit.UNAVAILABLE) from None
    check_path(path)
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it logs every oddity of a file
    try:
        reader = pypdf.PdfReader(io.BytesIO(pdf_bytes(path)))
        text, offsets = join_pages(reader)
        metadata: Any = reader.metadata or {}
        title = str(metadata.get("/Title") or "").strip()
    except DataError:
        raise
    except Exception as error:  # pypdf raises many kinds
        message = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError([Finding("E113", f"the PDF is damaged or locked ({message}).", "Open it and save it again.",
                                 path)]) from None
    return Document(name, title or title_of(name), text, metadata={"pages": offsets, "file": Path(path).name})


def pdf_bytes(path: str) -> bytes:
    """The bytes of a PDF, unpacked where it is a .gz; raises DataError for more than a document may have."""
    with open(path, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if is_packed else open(path, "rb") as file:
        content: bytes = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise too_long(path)
    return content


def too_long(path: str) -> DataError:
    """The error for a document above the limit."""
    return DataError([Finding("E119", f"it has more than {MAX_BYTES // 2**20} MiB, too much for one document.",
                              "Split it.", path)])


def join_pages(reader: Any) -> tuple[str, list[int]]:
    """The pages' text, and the offset of each in it."""
    pieces, offsets = [], []
    offset = 0
    for page in reader.pages:
        if offset > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 2**20} MiB of text come out of its pages")
        offsets.append(offset)
        page_text = (page.extract_text() or "").replace("\0", "").replace("\r\n", "\n")
        page_text = page_text.encode("utf-8", "replace").decode("utf-8")
        pieces.append(page_text + "\n\n")
        offset += len(pieces[-1])
    return "".join(pieces), offsets
