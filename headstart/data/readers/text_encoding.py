"""A file's encoding: named, by its byte order mark, UTF-8 where most of it is, else the one whose letters are those of
a language.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

from headstart.data.readers.byte_order import BOMS, WIDE
from headstart.data.readers.legacy_encoding import EncodingGuess, rank_encodings
from headstart.data.readers.source_file import SourceFile
from headstart.errors import Exit, UserError

NOT_CHARSETS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "palmos")
UTF8 = ("utf-8", "utf-8-sig")
BAD_BYTE = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of a byte
SAMPLE_SIZE = 2**17  # bytes of lines that are not ASCII, from which an encoding is guessed
SURE, DOUBTFUL = 0.75, 0.3  # confidence above which it is only stated, below which it is asked
LOWEST_SCORE = 0.6  # of the letters that must fit a language at least
MAX_BAD_BYTES = 100_000  # places of bad bytes that are kept


@dataclass
class Scan:
    """What one pass over a file's bytes finds."""

    bad_bytes: list[tuple[int, int, int]] = field(default_factory=list)  # line and column from 1, byte
    bad_count: int = 0
    has_nul: bool = False
    has_returns: bool = False
    longest_line: int = 0  # characters, about
    inner_mark: int | None = None  # line that begins with a byte order mark, not the first


def detect_encoding(source_file: SourceFile, start: bytes, requested: str) -> str:
    """The encoding of a file. Its bytes that are not UTF-8 in a file that is otherwise become faults of their rows.

    Raises DataError (65) for bytes of no encoding, and where two encodings are equally likely; UserError (78) for a
    name that is none.
    """
    builder = source_file.builder
    if requested:
        check_name(requested)
    byte_order_mark = next((name for mark, name in BOMS if start.startswith(mark)), "")
    encoding = requested or source_file.wide_encoding or byte_order_mark or "utf-8"
    codec = codecs.lookup(encoding).name
    if codec == "utf-8" and byte_order_mark == "utf-8-sig":
        encoding = "utf-8-sig"
    if codec not in UTF8:
        position = first_undecodable(source_file, encoding)
        if position is not None:
            raise builder.fatal_error("E103", f"the bytes are not {encoding}.", "Leave data.encoding out to have it "
                                      "found." if requested else "Write it again as UTF-8.", line=position[0],
                                      column=position[1])
        if not requested and not byte_order_mark and encoding in WIDE:
            builder.add_finding("N101", f"the file has no byte order mark; it is read as {encoding}.")
        scan = scan_text(source_file, encoding)
    else:
        scan = scan_text(source_file, encoding)
        if scan.bad_count and not requested and not byte_order_mark and 2 * letter_count(source_file) < scan.bad_count:
            encoding = legacy_encoding(source_file, scan, start)
            scan = scan_text(source_file, encoding)
    builder.bad_bytes, builder.has_nul, builder.longest_line = scan.bad_bytes, scan.has_nul, scan.longest_line
    builder.has_returns = scan.has_returns
    builder.encoding = encoding
    if scan.inner_mark is not None:
        builder.add_finding("W103", "a byte order mark stands at the beginning of this line: were two files put "
                            "together?", "Remove it; it is read as a character of the text.", line=scan.inner_mark)
    return encoding


def check_name(name: str) -> None:
    """Refuse what is no encoding of text; raises UserError (78)."""
    fix = "For example utf-8, cp1252, utf-16."
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        raise UserError(f"data.encoding is {name!r}, which is not an encoding.", fix=fix, exit=Exit.SETTINGS) from None
    is_text = codec._is_text_encoding and codec.name.replace("-", "_") not in NOT_CHARSETS
    if not is_text:
        raise UserError(f"data.encoding is {name!r}, which is not an encoding of text files.", fix=fix,
                        exit=Exit.SETTINGS)


def legacy_encoding(source_file: SourceFile, scan: Scan, start: bytes) -> str:
    """The encoding of a file that is not Unicode; raises DataError where none fits, and where two do."""
    builder = source_file.builder
    line, column, byte = scan.bad_bytes[0]
    controls = sum(code < 32 and code not in b"\t\n\r\x0c" for code in start)
    guesses = [] if controls > len(start) / 100 else list(islice(
        (guess for guess in rank_encodings(sample_of(source_file))
         if guess.score >= LOWEST_SCORE and first_undecodable(source_file, guess.encoding) is None), 3))
    if not guesses:
        raise builder.fatal_error("E103", f"the byte 0x{byte:02X} is not UTF-8, and the file fits no other encoding "
                                  f"({scan.bad_count:,} such bytes).",
                                  "Save the file as UTF-8, or name its encoding: --set data.encoding=NAME",
                                  line=line, column=column)
    likeliest = guesses[0]
    confidence = min((likeliest.confidence(guess) for guess in guesses[1:3]), default=min(1.0, likeliest.score))
    if confidence < DOUBTFUL:
        raise builder.fatal_error("E120", two_readings(likeliest, guesses[1]), "Look at the texts, and name it: --set "
                                  f"data.encoding={likeliest.encoding} or --set data.encoding={guesses[1].encoding}",
                                  line=line, column=column)
    builder.add_finding("N101" if confidence >= SURE else "W102",
                        f"the file is not UTF-8; it is read as {likeliest.encoding} ({likeliest.language} letters, "
                        f"confidence {confidence:.2f}).",
                        "If letters look wrong, name the encoding: --set data.encoding=NAME", line=line, column=column)
    return likeliest.encoding


def two_readings(first: EncodingGuess, second: EncodingGuess) -> str:
    """What two encodings make of a file, on the first line where they differ."""
    pairs = zip(first.text.split("\n"), second.text.split("\n"), strict=False)
    line, other_line = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return (f"the file is not UTF-8, and two encodings are equally likely:\n    {first.encoding}: "
            f"{line.strip()!r:.100}\n    {second.encoding}: {other_line.strip()!r:.100}")


def sample_of(source_file: SourceFile) -> bytes:
    """Lines of a file that are not ASCII."""
    lines, size = [], 0
    with source_file.open() as file:
        while size < SAMPLE_SIZE and (line := file.readline(2**16)):
            if not line.isascii():
                lines.append(line.rstrip(b"\r\n"))
                size += len(line)
    return b"\n".join(lines)


def first_undecodable(source_file: SourceFile, encoding: str) -> tuple[int, int] | None:
    """Line and column of the first byte that is not of this encoding; None when all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, column = 1, 1
    with source_file.open() as file:
        for block in read_blocks(file):
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                decoded_text = error.object[:error.start].decode(encoding, errors="replace")
                return advance(decoded_text, line, column)
            line, column = advance(text, line, column)
    return None


def scan_text(source_file: SourceFile, encoding: str) -> Scan:
    """One pass over a file: its bad bytes, and what readers of lines must know of it before they begin."""
    scan = Scan()
    line, column = 1, 1
    for text in decoded_blocks(source_file, encoding, scan):
        scan.has_nul = scan.has_nul or "\0" in text
        if not text.isascii():
            if BAD_BYTE.search(text):
                find_bad_bytes(scan, text, line, column)
            if scan.inner_mark is None and (place := text.find("\n\ufeff")) >= 0:
                scan.inner_mark = line + text.count("\n", 0, place + 1)
        first_end = text.find("\n")
        if first_end < 0:
            column += len(text)
        else:
            scan.longest_line = max(scan.longest_line, column + first_end)
            line, column = line + text.count("\n"), len(text) - text.rfind("\n")
    scan.longest_line = max(scan.longest_line, column)
    return scan


def letter_count(source_file: SourceFile) -> int:
    """Characters of a file, read as UTF-8, that are not ASCII and not bad bytes."""
    letters = re.compile("[^\0-\x7f\udc80-\udcff]+")
    return sum(sum(map(len, letters.findall(text))) for text in decoded_blocks(source_file, "utf-8", Scan()))


def decoded_blocks(source_file: SourceFile, encoding: str, scan: Scan) -> Iterator[str]:
    """A file's text in blocks, every line end as \\n; bytes that are not UTF-8 as lone surrogates."""
    decoder = codecs.getincrementaldecoder(encoding)(errors=error_handler(encoding))
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    with source_file.open() as file:
        for block in read_blocks(file):
            text = decoder.decode(block, final=not block)
            scan.has_returns = scan.has_returns or "\r" in text
            yield ends.decode(text, final=not block) if scan.has_returns else text


def find_bad_bytes(scan: Scan, text: str, line: int, column: int) -> None:
    """Where a block's bytes are that are not UTF-8; the block begins at this line and column."""
    places = [match.start() for match in BAD_BYTE.finditer(text)]
    scan.bad_count += len(places)
    position = 0
    for place in places[:MAX_BAD_BYTES - len(scan.bad_bytes)]:
        line, column = advance(text[position:place], line, column)
        scan.bad_bytes.append((line, column, ord(text[place]) - 0xDC00))
        position = place


def error_handler(encoding: str) -> str:
    """How bytes are read that are not of the encoding: in UTF-8 kept as lone surrogates, which become faults."""
    return "surrogateescape" if codecs.lookup(encoding).name in UTF8 else "strict"


def open_text(source_file: SourceFile, encoding: str, newline: str | None = "") -> io.TextIOWrapper:
    """A file's text; line ends as they are, or with newline=None as \\n."""
    return io.TextIOWrapper(source_file.open(), encoding=encoding, errors=error_handler(encoding), newline=newline)


def read_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces, and an empty piece at its end."""
    while block := file.read(2**20):
        yield block
    yield b""


def advance(text: str, line: int, column: int) -> tuple[int, int]:
    """Line and column after this text."""
    breaks = text.count("\n")
    return (line + breaks, len(text) - text.rfind("\n")) if breaks else (line, column + len(text))
