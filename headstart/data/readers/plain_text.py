"""Plain text: a line a row, or running text, whose rows are the pieces that a document is cut into at line ends."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.data.readers.text_encoding import detect_encoding, error_handler
from headstart.data.readers.text_lines import lines
from headstart.errors import Exit, UserError
from headstart.settings import Data
from headstart.text.running_text import RowsChoice, RowsName, choose_rows

SAMPLE_LINES, SAMPLE_SIZE = 5_000, 2**20  # lines and characters that the rows are chosen by
PIECE_SIZE, PIECES = 8_192, 200  # characters of a piece at most; a smaller text is cut into about so many
BLOCK = 2**16  # characters that are read at once: a line may be as long as the file
MAX_WHOLE_SIZE = 32 * 2**20  # bytes of a file whose documents are one row each
PATTERN, SUFFIXES = "*.txt", (".txt", ".raw", ".text")
PIECE_COLUMNS = ("text", "document", "ends")


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table: `text`, and `document`, which file or paragraph it is from.

    A line a row, where documents are separated by blank lines; for a task that reads running text what data.rows says.
    """
    encoding = detect_encoding(source_file, start, settings.encoding)
    rows = file_rows(source_file, encoding, builder, settings)
    with decompression_errors(builder):
        add_rows(source_file, encoding, builder, rows, "")
    describe(builder, rows, encoding)


def file_rows(source_file: SourceFile, encoding: str, builder: TableBuilder, settings: Data) -> RowsName:
    """What a row is: a line unless the task reads running text, then as it was set, else as the file looks."""
    reading = builder.text_reading
    if reading.unit == "lines" or (reading.keeps_whole and settings.rows == "auto"):
        return "lines"
    if builder.rows_choice is None:
        builder.rows_choice = reading.choice or (
            RowsChoice(settings.rows, "you chose it") if settings.rows != "auto" else choose_rows(
                sample_lines(source_file, encoding, builder), needs_sentences=reading.unit == "sentences"))
    return builder.rows_choice.rows


def add_rows(source_file: SourceFile, encoding: str, builder: TableBuilder, rows: RowsName, name: str) -> None:
    """The rows of one file; `name` is the document's name where there are several files."""
    if rows == "lines":
        add_lines(source_file, encoding, builder, name)
    elif builder.text_reading.keeps_whole:
        add_whole_documents(source_file, encoding, builder, rows, name)
    else:
        add_pieces(source_file, encoding, builder, rows, name)


def describe(builder: TableBuilder, rows: RowsName, encoding: str) -> None:
    """How the file was read, for the table's format."""
    readings = {"lines": "one row per line", "document": "running text", "paragraphs": "a document per paragraph"}
    cut = f" in {builder.row_count:,} pieces" if rows != "lines" and not builder.text_reading.keeps_whole else ""
    builder.format_parts += [f"{readings[rows]}{cut}", encoding]


def add_lines(source_file: SourceFile, encoding: str, builder: TableBuilder, name: str) -> None:
    """A row for each line; the document's number grows at blank lines."""
    builder.columns = ("text", "document")
    builder.origin_columns = ("document",)
    document, blank = 0, False
    for line_number, text, _ in lines(source_file, encoding):
        if not text.strip():
            blank = True
        elif "\0" in text:
            add_fault(builder, line_number)
        else:
            document, blank = document + blank, False
            builder.add_row((text, f"{name}:{document}" if name else str(document)), line_number, len(text) + 120)


def add_fault(builder: TableBuilder, line_number: int) -> None:
    """A line that cannot be used."""
    builder.add_finding("E106", "the line contains a NUL character.", f"Write the file again without it, or {SKIP}",
                        line=line_number, row=True)


@dataclass
class PieceWriter:
    """Adds a document's pieces as rows (text, document, whether it ends the document), one kept back until the next."""

    builder: TableBuilder
    document: str
    size: int  # characters from which on a piece is closed
    fragments: list[str] = field(default_factory=list)
    fragment_size: int = 0
    line: int = 0
    waiting: tuple[str, int] | None = None  # text and line of the piece that is kept back

    @property
    def is_empty(self) -> bool:
        """Whether the document has nothing yet that is not written."""
        return not self.fragments and self.waiting is None

    def add(self, fragment: str, line: int) -> None:
        """A line, or a part of a long one."""
        if not self.fragments:
            self.line = line
        self.fragments.append(fragment)
        self.fragment_size += len(fragment)
        if self.fragment_size >= self.size:
            text = "".join(self.fragments)
            if text.strip():  # blank lines go with the next piece
                self.put_waiting(ends_document=False)
                self.waiting, self.fragments, self.fragment_size = (text, self.line), [], 0

    def close(self, *, ends_document: bool = True, keeps_line_end: bool = True) -> None:
        """The end of the document, or a line that is left out."""
        text = "".join(self.fragments)
        if text.strip():
            self.put_waiting(ends_document=False)
            self.waiting = text, self.line
        elif self.waiting is not None:
            self.waiting = self.waiting[0] + text, self.waiting[1]
        self.fragments, self.fragment_size = [], 0
        if not keeps_line_end and self.waiting is not None:
            self.waiting = self.waiting[0].rstrip("\n"), self.waiting[1]
        self.put_waiting(ends_document=ends_document)

    def put_waiting(self, *, ends_document: bool) -> None:
        """The piece that was kept back, as a row."""
        if self.waiting is not None:
            text, line = self.waiting
            self.builder.add_row((text, self.document, ends_document), line, len(text) + 150)
            self.waiting = None


def add_pieces(source_file: SourceFile, encoding: str, builder: TableBuilder, rows: RowsName, name: str) -> None:
    """A row for each piece of running text: joined again, the pieces are the text, character by character."""
    builder.columns = PIECE_COLUMNS
    size = min(PIECE_SIZE, source_file.size // PIECES)
    writer, number = PieceWriter(builder, name or "0", size), 0
    for line_number, fragment in fragments(source_file, encoding, max(400, 2 * size)):
        if "\0" in fragment:
            writer.close(ends_document=False)
            add_fault(builder, line_number)
        elif rows == "document" or fragment.strip():
            writer.add(fragment, line_number)
        elif not writer.is_empty:
            writer.close(keeps_line_end=False)
            number += 1
            writer.document = f"{name}:{number}" if name else str(number)
    writer.close(keeps_line_end=rows == "document")


def add_whole_documents(source_file: SourceFile, encoding: str, builder: TableBuilder, rows: RowsName,
                        name: str) -> None:
    """A row for each document: where each gets a prediction; raises UserError (65) for a file that is too large."""
    if source_file.size > MAX_WHOLE_SIZE:
        raise UserError(f"{builder.name} has {source_file.size / 2**20:,.0f} MB; as one document a row, "
                        f"{MAX_WHOLE_SIZE / 2**20:,.0f} MB are taken.",
                        fix="Pass --set data.rows=lines, or cut the file.", exit=Exit.DATA)
    builder.columns = ("text", "document")
    builder.origin_columns = ("document",)
    texts: list[str] = []
    first_line, number = 1, 0
    for line_number, fragment in fragments(source_file, encoding, PIECE_SIZE):
        if "\0" in fragment:
            add_fault(builder, line_number)
            continue
        if rows == "paragraphs" and not fragment.strip():
            number += add_document(builder, texts, name, number, first_line)
            continue
        first_line = first_line if texts else line_number
        texts.append(fragment)
    add_document(builder, texts, name, number, first_line)


def add_document(builder: TableBuilder, texts: list[str], name: str, number: int, line: int) -> int:
    """One document as a row, unless it is blank; how many were added."""
    text = "".join(texts).rstrip("\n")
    texts.clear()
    if not text.strip():
        return 0
    builder.add_row((text, f"{name}:{number}" if name and number else name or str(number)), line, len(text) + 120)
    return 1


def fragments(source_file: SourceFile, encoding: str, size: int) -> Iterator[tuple[int, str]]:
    """(line from 1, text) of each line with its end (\\n whatever it was); a line longer than `size` in parts.

    A long line is cut after a sentence, else after a word, else anywhere.
    """
    with source_file.open() as file:
        text = io.TextIOWrapper(file, encoding=encoding, errors=error_handler(encoding), newline=None)
        line_number, remainder = 1, ""
        while block := text.read(BLOCK):
            *full_lines, remainder = (remainder + block).split("\n")
            for line in full_lines:
                for part in cut_line(f"{line}\n", size):
                    yield line_number, part
                line_number += 1
            if len(remainder) > 4 * size:
                *parts, remainder = cut_line(remainder, size)
                yield from ((line_number, part) for part in parts)
        for part in cut_line(remainder, size):
            yield line_number, part


def cut_line(line: str, size: int) -> Iterator[str]:
    """A line in parts of about `size` characters, the last one up to twice as long."""
    start = 0
    while len(line) - start > 2 * size:
        stop = start + size
        cuts = (line.rfind(mark, start + size // 2, stop) for mark in (". ", "? ", "! ", "。", " "))
        end = next((cut + 1 for cut in cuts if cut >= 0), stop)
        yield line[start:end]
        start = end
    if start < len(line):
        yield line[start:]


def sample_lines(source_file: SourceFile, encoding: str, builder: TableBuilder) -> list[str]:
    """The first lines of a file; of a line that is very long, its beginning."""
    sample: list[str] = []
    size = 0
    with decompression_errors(builder):
        for line_number, fragment in fragments(source_file, encoding, BLOCK):
            if line_number > SAMPLE_LINES or size > SAMPLE_SIZE:
                break
            size += len(fragment)
            if line_number > len(sample):
                sample.append(fragment.rstrip("\n"))
    return sample


def is_text(name: str, start: bytes) -> bool:
    """Whether a file that looks delimited is text all the same: it is called so, and its first line is no header."""
    first_line = start.decode("utf-8", errors="replace").lstrip("\ufeff").split("\n", 1)[0].strip()
    cells = re.split(r"[,;|\t]", first_line)
    is_header = len(cells) > 1 and all(0 < len(cell.split()) <= 2 for cell in cells)
    return Path(name).suffix.lower() in SUFFIXES and not is_header


def is_folder(path: Path) -> bool:
    """Whether a folder holds texts, which are documents."""
    return next(path.glob(PATTERN), None) is not None


def read_folder(path: Path, builder: TableBuilder, settings: Data) -> tuple[str, int]:
    """Fill the table with every text file of a folder, each a document; returns the hash over all, and their size.

    What a row is, is decided by the first file.
    """
    folder_name, digest, size = builder.name, hashlib.sha256(), 0
    rows: RowsName = "lines"
    files = sorted(path.glob(PATTERN))
    encodings = set()
    for file in files:
        builder.name = str(Path(folder_name) / file.name)
        if not file.stat().st_size:
            builder.add_finding("E101", "the file is empty.", f"Remove it, or {SKIP}", row=True)
            continue
        source_file = SourceFile(str(file), builder)
        encoding = detect_encoding(source_file, source_file.head(), settings.encoding)
        rows = file_rows(source_file, encoding, builder, settings)
        with decompression_errors(builder):
            add_rows(source_file, encoding, builder, rows, file.name)
        size += source_file.size
        encodings.add(encoding)
        digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0" + source_file.sha256().encode())
    builder.name = folder_name
    describe(builder, rows, f"{len(files):,} files, {' and '.join(sorted(encodings))}")
    return digest.hexdigest(), size
