"""The lines of a delimited file, of which those of the current record are kept, to be looked at again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from headstart.data.readers.csv_dialect import RETURN
from headstart.data.readers.dialect_detection import SAMPLE_LINES, SAMPLE_SIZE
from headstart.data.readers.source_file import SourceFile
from headstart.data.readers.text_encoding import open_text
from headstart.data.readers.text_lines import raw_lines


class RecordLines:
    """A file's lines, of which the current record's are kept, and which can be put back."""

    def __init__(self, source_file: SourceFile, encoding: str) -> None:
        self.source_file, self.encoding = source_file, encoding
        first_line = next(raw_lines(source_file, encoding), "")
        self.line_end = next((end for end in ("\r\n", "\n", "\r") if first_line.endswith(end)), "\n")
        # Lines end with \n, and some \r are text: many writers do not quote them.
        self.keeps_returns = source_file.builder.has_returns and self.line_end == "\n"
        self.file = open_text(source_file, encoding, newline="\n" if self.keeps_returns else "")
        # The file itself where its lines are as they should be: each generator on the way costs a twentieth of all.
        self.source: Iterator[str] = self.hidden_returns(self.file) if self.keeps_returns else self.file
        self.returned: deque[str] = deque()
        self.record: list[str] = []  # lines of the current record
        self.line_number = 0  # lines before the current record
        self.is_sampled_whole = False

    def close(self) -> None:
        """No more lines are wanted."""
        self.file.close()

    def all_lines(self) -> Iterator[str]:
        """The file's lines from its start, read anew."""
        with open_text(self.source_file, self.encoding, newline="\n" if self.keeps_returns else "") as file:
            yield from self.hidden_returns(file) if self.keeps_returns else file

    def hidden_returns(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines with RETURN for each \\r that ends none."""
        for line in lines:
            content = line.removesuffix("\n").removesuffix("\r")
            yield content.replace("\r", RETURN) + line[len(content):]

    def sample(self) -> list[str]:
        """The first lines, which stay to be read."""
        size = 0
        for line in islice(self.source, SAMPLE_LINES):
            self.returned.append(line)
            size += len(line)
            if size > SAMPLE_SIZE:
                break
        else:
            self.is_sampled_whole = len(self.returned) < SAMPLE_LINES
        return list(self.returned)

    def drop_first(self) -> None:
        """Leave out the first line."""
        self.returned.popleft()
        self.line_number += 1

    def next_line(self) -> str | None:
        """The next line; None at the end."""
        return self.returned.popleft() if self.returned else next(self.source, None)

    def feed(self) -> Iterator[str]:
        """The lines for a csv reader, each also added to the current record."""
        add, returned = self.record.append, self.returned
        while True:
            while returned:
                line = returned.popleft()
                add(line)
                yield line
            for line in self.source:
                add(line)
                yield line
                if returned:
                    break
            else:
                if not returned:
                    return

    def end_record(self, count: int | None = None) -> None:
        """The record's first lines are done with (all when not given); the others are read again."""
        count = len(self.record) if count is None else count
        self.returned.extendleft(reversed(self.record[count:]))
        self.line_number += count
        self.record.clear()



def shown_returns(text: str) -> str:
    """A text with the \\r that stand in it."""
    return text.replace(RETURN, "\r")
