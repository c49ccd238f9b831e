"""Documents of a file or a folder, one after the other; what cannot be read is told and counted, never lost in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from headstart.errors import DataError, Exit, UserError
from headstart.retrieval.documents import markup, pdf, table_rows, text_file
from headstart.retrieval.documents.document import Account, Document
from headstart.settings import Data

__all__ = ["Account", "Document", "documents"]

Reader = Callable[[str, str, Data], Document]  # path, id -> the one document of a file


# The formats of which a file is one document, by the end of its name.
READERS: dict[str, Reader] = {
    "txt": text_file.read, "text": text_file.read, "rst": text_file.read, "md": markup.read_markdown, "markdown": markup.read_markdown,
    "html": markup.read_html, "htm": markup.read_html, "xhtml": markup.read_html, "pdf": pdf.read}
ROWS = ("csv", "tsv", "tab", "jsonl", "ndjson", "json", "parquet")  # a document a row


def documents(path: str, *, settings: Data | None = None, columns: Mapping[str, str] | None = None,
              account: Account | None = None, apart: Path | None = None) -> Iterator[Document]:
    """The documents of a file (or each row of one), or of a folder and all below it, in the order of their names.

    `columns` names the columns of rows: {"text": …, "title": …, "id": …}. `account` is told what was read and left out;
    `apart` is a folder that is passed over. Raises UserError (66, 65) or DataError for what makes all of it unusable.
    """
    account = account if account is not None else Account()
    settings, columns = settings or Data(), columns or {}
    place = Path(path)
    if place.is_dir():
        yield from in_folder(place, settings, columns, account, apart)
        return
    known = suffix(place)
    if place.exists() and known not in READERS and known not in ROWS:
        raise UserError(f"{path} is of no kind that can be indexed; there are {kinds()}.",
                        fix="Convert it, or give it the name of what it is.", exit=Exit.DATA)
    yield from in_file(path, "", settings, columns, account)


def kinds() -> str:
    """The ends of names that can be read."""
    return ", ".join(f".{name}" for name in (*READERS, *ROWS))


def suffix(place: Path) -> str:
    """The end of a file's name, in small letters, without what says that it is compressed."""
    return Path(place.name.lower().removesuffix(".gz")).suffix.removeprefix(".")


def in_folder(place: Path, settings: Data, columns: Mapping[str, str], account: Account, apart: Path | None) -> Iterator[Document]:
    """All documents below a folder; a file that cannot be read is left out."""
    found = False
    for file in files(place, apart):
        name = file.relative_to(place).as_posix()
        if suffix(file) not in READERS and suffix(file) not in ROWS:
            account.leave_out(name, "of another kind", f"files of this kind ({file.suffix or 'no ending'}) are not read")
            continue
        found = True
        try:
            yield from in_file(str(file), name, settings, columns, account)
        except DataError as error:
            if settings.bad_rows == "stop" and any(finding.row is not None for finding in error.findings):
                raise  # rows that may be mended
            account.leave_out(name, "unreadable", error.findings[0].message)
        except UserError as error:
            account.missing = error.exit if error.exit == Exit.UNAVAILABLE else account.missing
            account.leave_out(name, "unreadable", f"{error.message} {error.fix}".strip())
    if not found:
        more = f" ({'; '.join(account.words()[1:2])})" if account.reasons else ""
        raise UserError(f"The folder {place} holds no file that can be indexed{more}.", fix=f"There are {kinds()}, and these in .gz.",
                        exit=Exit.NO_INPUT)


def files(place: Path, apart: Path | None) -> Iterator[Path]:
    """Every file below a folder, sorted; names that begin with a dot and what links lead to are passed over."""
    aside = apart.resolve() if apart is not None else None
    for folder, inner, names in os.walk(place):
        inner[:] = sorted(name for name in inner if name[0] != "." and (Path(folder) / name).resolve() != aside)
        yield from (Path(folder) / name for name in sorted(names) if name[0] != ".")


def in_file(path: str, name: str, settings: Data, columns: Mapping[str, str], account: Account) -> Iterator[Document]:
    """The documents of one file; `name` is its way below the folder, "" when it was named itself."""
    known = suffix(Path(path))
    if known in ROWS:
        yield from table_rows.read(path, name, settings, columns, account)
        return
    document = READERS[known](path, name or Path(path).name, settings)
    if not any(mark.isalnum() for mark in document.text):
        account.leave_out(document.id, "without words", "it holds no words" + (" (pictures of pages?)" if known == "pdf" else ""))
        return
    account.read[known] += 1
    yield document
