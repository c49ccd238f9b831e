"""Documents of a file or a folder, one after the other; what cannot be read is reported and counted, never lost in
silence.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from headstart.errors import DataError, Exit, UserError
from headstart.retrieval.documents import markup, pdf, table_rows, text_file
from headstart.retrieval.documents.document import Document, ReadReport, shortened
from headstart.settings import Data

Reader = Callable[[str, str, Data], Document]  # path, id -> the one document of a file

# The formats of which a file is one document, by the end of its name.
READERS: dict[str, Reader] = {
    "txt": text_file.read, "text": text_file.read, "rst": text_file.read, "md": markup.read_markdown,
    "markdown": markup.read_markdown,
    "html": markup.read_html, "htm": markup.read_html, "xhtml": markup.read_html, "pdf": pdf.read}
TABLE_FORMATS = ("csv", "tsv", "tab", "jsonl", "ndjson", "json", "parquet")  # a document a row


def load_documents(path: str, *, settings: Data | None = None, columns: Mapping[str, str] | None = None,
                   report: ReadReport | None = None, excluded: Path | None = None) -> Iterator[Document]:
    """The documents of a file (or each row of one), or of a folder and all below it, in the order of their names.

    `columns` names the columns of rows: {"text": …, "title": …, "id": …}. `report` collects what was read and left out;
    `excluded` is a folder that is skipped. Raises UserError (66, 65) or DataError for what makes all of it unusable.
    """
    report = report if report is not None else ReadReport()
    settings, columns = settings or Data(), columns or {}
    source = Path(path)
    if source.is_dir():
        yield from load_folder(source, settings, columns, report, excluded)
        return
    file_format = format_of(source)
    if source.exists() and file_format not in READERS and file_format not in TABLE_FORMATS:
        raise UserError(f"{path} is of no kind that can be indexed; there are {format_list()}.",
                        fix="Convert it, or give it the name of what it is.", exit=Exit.DATA)
    yield from load_file(path, "", settings, columns, report)


def format_list() -> str:
    """The file name endings that can be read, as a text."""
    return ", ".join(f".{name}" for name in (*READERS, *TABLE_FORMATS))


def format_of(path: Path) -> str:
    """The ending of a file's name, in small letters, without the .gz of a compressed one."""
    return Path(path.name.lower().removesuffix(".gz")).suffix.removeprefix(".")


def load_folder(folder: Path, settings: Data, columns: Mapping[str, str], report: ReadReport,
                excluded: Path | None) -> Iterator[Document]:
    """All documents below a folder; a file that cannot be read is left out."""
    any_loadable = False
    for file in walk_files(folder, excluded):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink():
            report.skip(name, "links", "it is a link to another place; links are not followed")
            continue
        if not file.is_file():
            report.skip(name, "no files", "it is a pipe, a device or a socket")
            continue
        if format_of(file) not in READERS and format_of(file) not in TABLE_FORMATS:
            report.skip(name, "of another kind", f"files of this kind ({file.suffix or 'no ending'}) are not read")
            continue
        any_loadable = True
        try:
            yield from load_file(str(file), name, settings, columns, report)
        except DataError as error:
            if settings.bad_rows == "stop" and any(finding.row is not None for finding in error.findings):
                raise  # rows that may be mended
            report.skip(name, "unreadable", error.findings[0].message)
        except UserError as error:
            report.missing_package = error.exit if error.exit == Exit.UNAVAILABLE else report.missing_package
            report.skip(name, "unreadable", f"{error.message} {error.fix}".strip())
    if not any_loadable:
        skipped = f" ({'; '.join(report.lines()[1:2])})" if report.reason_counts else ""
        raise UserError(f"The folder {folder} holds no file that can be indexed{skipped}.",
                        fix=f"There are {format_list()}, and these in .gz.", exit=Exit.NO_INPUT)


def walk_files(folder: Path, excluded: Path | None) -> Iterator[Path]:
    """Every file below a folder, sorted, and every link, which nobody follows; names that begin with a dot are skipped.
    """
    excluded_path = excluded.resolve() if excluded is not None else None
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if name[0] != "."
                               and (Path(parent) / name).resolve() != excluded_path)
        linked_folders = [name for name in subfolders if (Path(parent) / name).is_symlink()]
        yield from (Path(parent) / name for name in sorted([*names, *linked_folders]) if name[0] != ".")


def load_file(path: str, name: str, settings: Data, columns: Mapping[str, str],
              report: ReadReport) -> Iterator[Document]:
    """The documents of one file; `name` is its path below the folder, "" when the file itself was given."""
    file_format = format_of(Path(path))
    if file_format in TABLE_FORMATS:
        yield from table_rows.read(path, name, settings, columns, report)
        return
    document = READERS[file_format](path, name or Path(path).name, settings)
    document = dataclasses.replace(document, title=shortened(document.title))
    if not any(character.isalnum() for character in document.text):
        report.skip(document.id, "without words", "it holds no words"
                    + (" (pictures of pages?)" if file_format == "pdf" else ""))
        return
    report.documents_read[file_format] += 1
    yield document
