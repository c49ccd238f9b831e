"""The records of a delimited file as a table's rows; each that cannot be one as a fault with line and column."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

from headstart.data.readers.csv_dialect import DELIMITER_NAMES, is_number, looks_like_data
from headstart.data.readers.dialect_detection import Reading, is_blank
from headstart.data.readers.record_lines import RecordLines, shown_returns
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.data.readers.torn_records import field_place, find_tear, place, without_blanks
from headstart.errors import DataError, first_names


class RowReader:
    """Reads the records of a file into a table, once from its start to its end."""

    def __init__(self, builder: TableBuilder, lines: RecordLines, reading: Reading) -> None:
        self.builder, self.lines, self.reading = builder, lines, reading
        self.dialect = reading.dialect
        self.blank_lines = self.empty_rows = 0  # lines that hold nothing; rows of empty fields, the last ones in a row
        self.mixed_ends: list[int] = []  # lines that end with \r\n in a file whose lines end with \n
        self.has_bare_returns = False  # whether a \r stands in a field without quotes
        self.is_torn = False  # whether the record before had a quote out of place
        self.header: list[str] = []
        # Rows are looked through for what only some files hold.
        self.is_careful = bool(reading.surplus or builder.has_nul or builder.bad_bytes or lines.keeps_returns)

    def read_all(self, *, has_header: bool) -> None:
        """The header, then every record as a row or as a fault."""
        if not has_header:
            self.name_by_number()
        is_named = not has_header
        while True:
            reader = self.dialect.reader(self.lines.feed())
            try:
                if not is_named:
                    self.read_header(next(reader, None))
                    is_named = True
                self.read_rows(reader)
                break
            except csv.Error:
                self.mend_or_refuse(is_header=not is_named)
        self.finish()

    def read_rows(self, reader: Iterator[list[str]]) -> None:
        """Every record as a row; what is not plainly one is looked at with care. Raises csv.Error for a torn record."""
        lines, builder = self.lines, self.builder
        record, width, append = lines.record, len(builder.columns), builder.store.append
        for values in reader:
            if len(values) != width or self.is_careful or self.is_torn or values == self.header:
                self.add_with_care(values)
                continue
            self.empty_rows = 0 if any(values) else self.empty_rows + 1
            append(builder.row_count, tuple(values), lines.line_number + 1,
                   len(record[0]) if len(record) == 1 else sum(map(len, record)))
            builder.row_count += 1
            lines.line_number += len(record)
            record.clear()

    def add_with_care(self, values: list[str]) -> None:
        """One record as a row, as an empty line, or as a fault."""
        lines, builder, width = self.lines, self.builder, len(self.builder.columns)
        record, line = lines.record, lines.line_number + 1
        if len(values) == width + self.reading.surplus and not any(values[width:]):
            values = values[:width]
        if self.lines.keeps_returns:
            values = self.with_returns(values)
        if is_blank(values, width, record, self.dialect) or (len(values) != width > 1 and not any(values)):
            self.blank_lines += 1
        elif self.is_torn and self.dialect.fields("".join(record)) is None:
            pass  # belongs to the torn record before it
        else:
            self.is_torn = False
            if len(values) != width:
                self.add_misfit(values)
                return
            if values == self.header and width > 1:
                builder.add_finding("E132", "the row repeats the header; several files may have been joined.",
                                    f"Take it out, or {SKIP}", line=line, row=True)
                lines.end_record()
                return
            if builder.has_nul and any("\0" in value for value in values):
                row, column = place("".join(record), "".join(record).index("\0"))
                builder.add_finding("E106", "the row contains a NUL character.",
                                    f"Write the file again without it, or {SKIP}", line=line + row, column=column,
                                    row=True)
            else:
                self.empty_rows = 0 if any(values) else self.empty_rows + 1
                builder.add_row(tuple(values), line, sum(map(len, record)))
        lines.end_record()

    def add_misfit(self, values: Sequence[str]) -> None:
        """A record with another number of fields than the header. Where it goes over several lines, and all but the
        first are rows by themselves, it began with a stray quote.
        """
        lines, builder, width = self.lines, self.builder, len(self.builder.columns)
        record, line = lines.record, lines.line_number + 1
        text = "".join(record)
        if len(record) > 1 and self.are_rows(record[1:]):
            raw_fields = self.dialect.fields(text) or []
            start = next((raw.start for raw in raw_fields if raw.enclosed and "\n" in raw.text.replace("\r", "\n")), 0)
            row, column = place(text, start)
            self.add_open_quote(line + row, column)
            lines.end_record(1)
            return
        count = f"{len(values)} {'field' if len(values) == 1 else 'fields'}"
        message = f"the row has {count}, the header has {width}"
        if len(values) > width:
            row, column = field_place(text, self.dialect, width)
            builder.add_finding("E104", f"{message}.", self.misfit_fix(len(record)), line=line + row, column=column,
                                row=True)
        else:
            message += f' (no value for "{builder.columns[len(values)]}").'
            row, column = place(text, len(text.rstrip("\r\n")))
            is_cut = not text.endswith(("\n", "\r"))
            builder.add_finding("E111" if is_cut else "E104", f"the last line is cut off: {message}" if is_cut
                                else message, f"Copy the file again, or {SKIP}" if is_cut
                                else self.misfit_fix(len(record)), line=line + row, column=column, row=True)
        lines.end_record()

    def misfit_fix(self, line_count: int) -> str:
        """What to do about a row with too many or too few fields."""
        delimiter = DELIMITER_NAMES.get(self.dialect.delimiter, "delimiter")
        column = next((name for name in self.builder.columns if name), "the text")
        if line_count > 1:
            return f"It goes over {line_count} lines, because a quote is open at their ends: close it, or {SKIP}"
        if self.has_row_names:
            return ("The first field of every row counts the rows and has no name in the header (R's write.table): put "
                    f"one before \"{column}\" there (in R col.names=NA, or row.names=FALSE).")
        if len(self.builder.columns) == 1 and len(self.reading.rows) > 1 and len(
                {len(row) for row in self.reading.rows[2:]}) == 1:
            return (f"If the names of the columns stand in a later line, take out the lines above it; else quote the "
                    f"{delimiter} in \"{column}\", or {SKIP}")
        if not self.dialect.quote:
            return f"Quotes are characters in this file; take the {delimiter} out of \"{column}\", or {SKIP}"
        return f'Quote the {delimiter} in "{column}", or {SKIP}'

    @cached_property
    def has_row_names(self) -> bool:
        """Whether each of the first rows has one field more than the header, a number that counts the rows."""
        width = len(self.builder.columns)
        firsts = [row[0].strip() for row in self.reading.rows[1:] if len(row) == width + 1]
        return 1 < len(firsts) == len(self.reading.rows) - 1 and all(map(str.isdecimal, firsts)) and all(
            int(following) == int(first) + 1 for first, following in pairwise(firsts))

    def are_rows(self, lines: Sequence[str]) -> bool:
        """Whether lines are rows of this table by themselves."""
        try:
            return all(len(values) == len(self.builder.columns) for values in self.dialect.reader(iter(lines))) and all(
                self.dialect.fields(line) is not None for line in lines)
        except csv.Error:
            return False

    def mend_or_refuse(self, *, is_header: bool) -> None:
        """A record with a quote out of place: a row where only blanks stand behind its closing quotes, else a fault."""
        lines, builder = self.lines, self.builder
        tear = find_tear(lines.record, self.dialect, lines.next_line)
        text = "".join(lines.record[:tear.lines])
        mended = without_blanks(text, self.dialect) if tear.behind is not None else None
        values = next(self.dialect.reader(iter([mended]))) if mended is not None else []
        first_line = lines.line_number + 1
        if mended is not None and len(values) == len(builder.columns) and not is_header:
            builder.add_finding("N110", "spaces follow a closing quote; they are left out.",
                                line=first_line + tear.opening[0], column=tear.opening[1])
            builder.add_row(tuple(values), first_line, len(text))
            lines.end_record(tear.lines)
            return
        self.is_torn = True
        if tear.behind is not None and tear.closes_in_its_line:
            builder.add_finding("E123", "text follows the quote that closes a field.",
                                f"Double the quotes inside the field (\"\"), or {SKIP} If quotes enclose nothing in "
                                "this file: --set data.quote=none", line=first_line + tear.behind[0],
                                column=tear.behind[1], row=True)
        else:
            self.add_open_quote(first_line + tear.opening[0], tear.opening[1])
        if is_header:
            finding = builder.findings[-1]
            raise DataError([finding])
        lines.end_record(tear.lines)

    def add_open_quote(self, line: int, column: int) -> None:
        """A quote that is opened and never closed, or closed in the middle of a later row."""
        self.builder.add_finding("E105", "a quote is opened here and never closed, or closed inside a later row.",
                                 f"Close it, or double it (\"\") if it is a character of the text; or {SKIP}",
                                 line=line, column=column, row=True)

    def name_by_number(self) -> None:
        """Columns 0, 1, 2 … where there is no header."""
        builder, width = self.builder, self.reading.width
        builder.columns = tuple(str(column_index) for column_index in range(width))
        builder.add_finding("N103", f"there is no header: the columns are called {first_names(builder.columns, 6)}.")

    def read_header(self, values: list[str] | None) -> None:
        """The names of the columns; raises DataError for names that occur twice, and for a first line that is data."""
        builder, lines = self.builder, self.lines
        line = lines.line_number + 1
        if values is None:
            raise builder.fatal_error("E101", "the file holds no rows.", "Check that it was written.")
        names = [shown_returns(name).strip("\ufeff") for name in values]
        for index, name in enumerate(names):
            if name and name in names[:index]:
                row, column = field_place("".join(lines.record), self.dialect, index)
                raise builder.fatal_error("E107", f'two columns are called "{name}".', "Rename one of them" + (
                    ", or pass --no-header if the first line is a row." if is_number(name) else "."),
                                          line=line + row, column=column)
        reason = looks_like_data(names, [row[:len(names)] for row in self.reading.rows[1:]])
        if reason is not None:
            raise builder.fatal_error("E108", f"the first line looks like data, not like the names of columns: "
                                      f"{reason}.", "If so, pass --no-header (columns are then called 0, 1, 2 …); else "
                                      "add a first line with names.", line=line)
        self.header = values
        empty = [index for index, name in enumerate(names) if not name]
        builder.columns = tuple(f"column {index + 1}" if not name and len(empty) > 1 else name
                                for index, name in enumerate(names))
        lines.end_record()

    def finish(self) -> None:
        """What the end of the file tells: empty lines, and rows of empty fields at the end."""
        builder = self.builder
        if self.mixed_ends:
            self.tell_mixed_ends()
        builder.empty_rows_at_end = self.empty_rows if len(builder.columns) > 1 else 0
        if self.blank_lines:
            builder.add_finding("N107", f"{self.blank_lines:,} {'line is' if self.blank_lines == 1 else 'lines are'} "
                                "empty, and no rows.")
        if builder.empty_rows_at_end:
            rows = "row has" if self.empty_rows == 1 else "rows have"
            builder.add_finding("N107", f"the last {self.empty_rows:,} {rows} empty fields only; they are not used.")

    def with_returns(self, values: Sequence[str]) -> list[str]:
        """The fields with their carriage returns, where lines end with \\n and \\r may be text."""
        record = self.lines.record
        if record[-1].endswith("\r\n"):
            self.mixed_ends.append(self.lines.line_number + len(record))
        fields = [shown_returns(value) for value in values]
        if not self.has_bare_returns and fields != values:
            raw_fields = self.dialect.fields("".join(record)) or []
            self.has_bare_returns = any(not raw_field.enclosed and shown_returns(raw_field.text) != raw_field.text
                                        for raw_field in raw_fields)
        return fields

    def tell_mixed_ends(self) -> None:
        """Rows that end with \\r\\n among others that end with \\n; a fault where \\r is text, too."""
        count, line = len(self.mixed_ends), self.mixed_ends[0]
        if self.has_bare_returns:
            self.builder.add_finding("E126", f"\\r stands in fields without quotes, and at the end of {count:,} "
                                     f"{'line' if count == 1 else 'lines'}, where it may be text or line end.",
                                     "Write the file again with its texts in quotes.", line=line)
        else:
            rows = "row ends" if count == 1 else "rows end"
            self.builder.add_finding("W105", f"{count:,} {rows} with \\r\\n and the others with \\n; \\r is taken as "
                                     "part of the line end, not of the text.", line=line)
