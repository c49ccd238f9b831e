"""Which dialect a delimited file is written in: every candidate reads a sample, and the one that reads it without a
fault is taken. Where two do and their rows differ, it is a question, never a guess.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from headstart.data.readers.csv_dialect import (
    DELIMITER_NAMES,
    DELIMITERS,
    RARE_DELIMITERS,
    Dialect,
    RawField,
    is_number,
)

SAMPLE_LINES, SAMPLE_SIZE = 5_000, 2**20  # lines and characters that the dialect is detected from
MANY_FAULTS = 3  # quotes out of place from which on it is asked whether quotes enclose anything
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*')  # Excel's first line that names the delimiter


@dataclass
class Reading:
    """What one dialect makes of the sample: its rows, and how many of its records cannot be right."""

    dialect: Dialect
    rows: list[list[str]] = field(default_factory=list)
    raw: list[list[RawField] | None] = field(default_factory=list)  # of each row; None where a quote is out of place
    quote_faults: int = 0  # records that a strict reader refuses
    misfits: int = 0  # records of another number of fields than the first
    surplus: int = 0  # empty fields at the end of every row but the header

    @property
    def width(self) -> int:
        """Fields of the header."""
        return len(self.rows[0]) if self.rows else 0

    @property
    def odd_quotes(self) -> int:
        """Records that Python's reader takes and RFC 4180 does not: a quote inside a field without quotes."""
        return sum(fields is None for fields in self.raw)

    @property
    def faults(self) -> int:
        """Records that cannot be used."""
        return self.quote_faults + self.misfits

    @property
    def badness(self) -> float:
        """Share of the records that cannot be used."""
        return self.faults / max(1, len(self.rows) + self.quote_faults)

    def uses_quotes(self) -> bool:
        """Whether quotes enclose fields beyond doubt: one that needs them, or a whole column of them."""
        columns: dict[int, list[bool]] = {}
        for fields in self.raw[1:]:
            for index, raw_field in enumerate(fields or ()):
                if raw_field.enclosed and raw_field.needs_quotes(self.dialect):
                    return True
                if raw_field.text:
                    columns.setdefault(index, []).append(raw_field.enclosed)
        return any(all(enclosed) for enclosed in columns.values())

    def hides_fields(self) -> bool:
        """Whether a delimiter or a line end stands inside quotes, in so few fields that two stray quotes may have made
        each.
        """
        hidden = sum(raw_field.enclosed and any(sign in raw_field.text for sign in (self.dialect.delimiter, "\n", "\r"))
                     for fields in self.raw for raw_field in fields or ())
        return 0 < hidden < MANY_FAULTS

    def quoting(self) -> str:
        """Which fields stand in quotes: "all", all but numbers ("texts"), or those that must ("minimal")."""
        fields = [raw_field for fields in self.raw[:SAMPLE_LINES] for raw_field in fields or () if raw_field.text]
        bare = [raw_field.text for raw_field in fields if not raw_field.enclosed]
        if not bare:
            return "all" if fields else "minimal"
        enclosed = [raw_field.text.strip(" ")[1:-1] for raw_field in fields if raw_field.enclosed]
        are_numbers = all(is_number(text) or text == "NA" for text in bare)
        return "texts" if enclosed and are_numbers and not any(map(is_number, enclosed)) else "minimal"

    def has_enclosed(self) -> bool:
        """Whether any field stands in quotes."""
        return any(raw_field.enclosed for fields in self.raw for raw_field in fields or ())


@dataclass(frozen=True)
class Question:
    """Two readings of one file that are both without a fault."""

    first: Reading
    second: Reading

    def message(self) -> str:
        """Both readings as words: the columns, and the first row that differs."""
        texts = []
        for reading, row_index in zip((self.first, self.second), self.differing_rows(), strict=True):
            row = reading.rows[row_index] if row_index < len(reading.rows) else []
            cells = " | ".join(f"{value!r:.60}" for value in row[:6]) + (" | …" if len(row) > 6 else "")
            texts.append(f"\n    {reading.dialect.describe()}: {reading.width} "
                         f"{'column' if reading.width == 1 else 'columns'}; row {row_index}: {cells}")
        return "the file can be read in two ways, and nothing in it says which is meant:" + "".join(texts)

    def differing_rows(self) -> tuple[int, int]:
        """The first row in which the readings differ (the header is row 0)."""
        pairs = enumerate(zip(self.first.rows, self.second.rows, strict=False))
        index = next((index for index, (row, other_row) in pairs if row != other_row and index),
                     min(len(self.first.rows), len(self.second.rows)))
        return index, index

    def fix(self) -> str:
        """The flags for each."""
        return f"Say which: {self.first.dialect.flags()}\n  or: {self.second.dialect.flags()}"


def read_sample(lines: Sequence[str], dialect: Dialect, *, is_whole: bool, has_header: bool = True) -> Reading:
    """Read the sample's lines; unless it `is_whole`, a record that is open at its end does not count."""
    reading = Reading(dialect)
    source = iter(lines)
    taken_lines: list[str] = []

    def feed() -> Iterator[str]:
        for line in source:
            taken_lines.append(line)
            yield line

    reader = dialect.reader(feed())
    while True:
        taken_lines.clear()
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            at_end = not is_whole and taken_lines and taken_lines[-1] is lines[-1]
            reading.quote_faults += not at_end
            continue
        if not is_blank(row, reading.width, taken_lines, dialect):
            reading.rows.append(row)
            reading.raw.append(dialect.fields("".join(taken_lines)))
    count_misfits(reading, has_header)
    return reading


def is_blank(row: Sequence[str], width: int, lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether a record is an empty line, or one of blanks; in a file of one column blanks and "" are texts."""
    if not row:
        return True
    return len(row) == 1 and not row[0].strip() and (width != 1 or not row[0]) and not (
        width == 1 and dialect.quote and dialect.quote in lines[0])


def count_misfits(reading: Reading, has_header: bool) -> None:
    """How many rows have another number of fields than the header; empty ones at the end of all rows do not count."""
    width = reading.width
    rows = [row for row in reading.rows[1:] if any(row) or len(row) == width or width == 1]
    surplus = len(rows[0]) - width if rows and has_header else 0
    if surplus > 0 and width > 1 and all(len(row) == width + surplus and not any(row[width:]) for row in rows):
        reading.surplus = surplus
    reading.misfits = sum(len(row) != width + reading.surplus for row in rows)


def detect_dialect(lines: Sequence[str], suffix: str, *, delimiter: str | None, quote: str | None, escape: str | None,
                   is_whole: bool, has_header: bool = True) -> Reading | Question:
    """The reading of a file's first lines by its dialect; a Question where two are as good. What is not None is as the
    user named it.
    """
    text = "".join(lines)

    def reading_with(sign: str) -> Reading | Question:
        readings = [read_sample(lines, dialect, is_whole=is_whole, has_header=has_header)
                    for dialect in quotings(text, sign, quote, escape)]
        return choose_quoting(readings, delimiter is not None)

    if delimiter is not None:
        return reading_with(delimiter)
    readings = [reading_with(sign) for sign in DELIMITERS if sign in text] or [reading_with(default_delimiter(suffix))]
    wide = [reading for reading in readings if best(reading).width > 1]
    if not wide:
        rare = [reading_with(sign) for sign in RARE_DELIMITERS if sign in lines[0]]
        wide = [reading for reading in rare if best(reading).badness < 1 / 2]
    if suffix == "tsv" and (tabs := [reading for reading in wide if best(reading).dialect.delimiter == "\t"]):
        wide = tabs
    return choose_delimiter(wide) if wide else one_column(readings, reading_with, lines, suffix)


def default_delimiter(suffix: str) -> str:
    """What separates the fields where nothing does: the tab of a .tsv, else the comma."""
    return "\t" if suffix == "tsv" else ","


def best(reading: Reading | Question) -> Reading:
    """The likelier reading."""
    return reading.first if isinstance(reading, Question) else reading


def quotings(text: str, delimiter: str, quote: str | None, escape: str | None) -> Iterator[Dialect]:
    """The dialects of a delimiter that a file's text gives reason to try; RFC 4180 first."""
    quotes = [quote] if quote is not None else ['"']
    if quote is None and '"' in text:
        quotes.append("")
    if quote is None and re.search(rf"(?:^|{re.escape(delimiter)})'", text, re.MULTILINE):
        quotes.append("'")
    escapes = [escape] if escape is not None else [""]
    if escape is None and escapes_throughout(text, delimiter):
        escapes.append("\\")
    for escape_sign in escapes:
        for quote_sign in quotes:
            yield Dialect(delimiter, quote_sign, escape_sign)
    if quotes[0] and f"{delimiter} {quotes[0]}" in text:
        yield Dialect(delimiter, quotes[0], escapes[0], skips_blanks=True)


def escapes_throughout(text: str, delimiter: str) -> bool:
    """Whether a backslash stands only before what would have to be escaped: quotes, delimiters, line ends, backslashes
    (MySQL's \\N, an absent value, and \\0 count as well).
    """
    pairs = re.findall(r"\\(.?)", text, re.DOTALL)
    return bool(pairs) and all(sign in f"\"'\\\r\nN0{delimiter}" for sign in pairs)


def choose_quoting(readings: Sequence[Reading], is_named: bool) -> Reading | Question:
    """The best reading with one delimiter. RFC 4180 stands unless it is at fault and another reading is not."""
    plain = readings[0]
    alternatives = [reading for reading in readings[1:] if reading.rows != plain.rows]
    clean = [reading for reading in alternatives if not reading.faults and not reading.odd_quotes
             and reading.width >= plain.width]
    if plain.width == 1:  # any sign that hides delimiters makes one column of anything: quotes must speak for it, too
        has_odd_quotes = not plain.misfits or plain.quote_faults or plain.odd_quotes
        clean = [reading for reading in clean if reading.dialect.quote != "'" and (
            not reading.dialect.escape or has_odd_quotes)]
    if not plain.faults and not plain.odd_quotes:
        doubtful = [reading for reading in clean if is_doubtful(plain, reading, is_named)]
        return Question(plain, doubtful[0]) if doubtful else plain
    if not plain.faults:  # quotes inside fields without quotes: what every reader takes as characters
        escaped = [reading for reading in clean if reading.dialect.escape]
        return escaped[0] if escaped else plain
    enclosing = [reading for reading in clean if reading.dialect.quote or reading.dialect.escape]
    if enclosing:
        is_enclosed = bool(enclosing[0].dialect.quote) and enclosing[0].has_enclosed()
        alternatives = [reading for reading in enclosing[1:] if reading.rows != enclosing[0].rows
                        and (reading.dialect.quote or not is_enclosed)]
        return Question(enclosing[0], alternatives[0]) if alternatives else enclosing[0]
    unquoted = next((reading for reading in alternatives
                     if not reading.dialect.quote and not reading.dialect.escape), None)
    if unquoted is None:
        return plain
    if plain.dialect.delimiter == "\t":
        is_better = unquoted.faults < plain.faults or (plain.quote_faults > 0 and unquoted.faults == plain.faults
                                                       and not plain.uses_quotes())
        return unquoted if is_better else plain
    return Question(plain, unquoted) if plain.faults >= MANY_FAULTS and not unquoted.faults else plain


def is_doubtful(plain: Reading, alternative: Reading, is_named: bool) -> bool:
    """Whether a second reading without a fault is as likely as the one by RFC 4180, which has none either."""
    if alternative.dialect.skips_blanks:
        return False
    if alternative.dialect.escape:  # a named delimiter and no fault: the file is as RFC 4180 says
        return not is_named and (bool(alternative.dialect.quote) or not plain.has_enclosed())
    if alternative.dialect.quote:
        return not is_named and alternative.uses_quotes()
    if plain.width > 1 and plain.hides_fields():  # two rows that would be one, or a field that would be two
        return not is_named
    # Files of tabs know no quotes (IANA's text/tab-separated-values), but spreadsheets write them.
    return plain.dialect.delimiter == "\t" and not plain.uses_quotes()


def choose_delimiter(readings: Sequence[Reading | Question]) -> Reading | Question:
    """Of the delimiters that split the header, the one that fits the rows; a Question where two do."""
    ordered = sorted(readings, key=lambda reading: best(reading).badness)
    likeliest = ordered[0]
    if isinstance(likeliest, Question) or len(ordered) == 1:
        return likeliest
    alternative = best(ordered[1])
    if likeliest.badness == 0 and alternative.badness > 0:
        return likeliest
    return Question(likeliest, alternative) if alternative.badness <= 2 * likeliest.badness + 0.05 else likeliest


def one_column(readings: Sequence[Reading | Question], reading_with: Callable[[str], Reading | Question],
               lines: Sequence[str], suffix: str) -> Reading | Question:
    """A header that nothing splits: the usual delimiter, or where it splits many rows and not all alike, one that
    splits none.
    """
    default = default_delimiter(suffix)
    usual = next((reading for reading in readings if best(reading).dialect.delimiter == default), None)
    if usual is None:
        usual = reading_with(default)
    plain = best(usual)
    unsplit = next((sign for sign in DELIMITER_NAMES if not any(sign in line for line in lines)), default)
    if plain.odd_quotes and escapes_throughout("".join(lines), unsplit):
        alternative = best(reading_with(unsplit))
        if not alternative.faults and not alternative.odd_quotes and alternative.rows != plain.rows:
            return Question(plain, alternative)
    if len({len(row) for row in plain.rows[1:]}) <= 1 or plain.misfits <= len(plain.rows) / 3:
        return usual
    return next((reading for reading in (*readings, reading_with(unsplit)) if not best(reading).misfits), usual)
