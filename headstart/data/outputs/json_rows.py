"""JSON lines, and one JSON list."""

from __future__ import annotations

from typing import IO

from headstart.data.outputs.writer import Row, json_text


class JsonLinesWriter:
    """One object on one line for each row."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, row: Row) -> None:
        """One object."""
        self.stream.write(json_text(row) + "\n")

    def close(self) -> list[str]:
        """Nothing more."""
        return []


class JsonArrayWriter:
    """One list of objects, an object a line, between what stands around it."""

    def __init__(self, stream: IO[str], around: tuple[str, str]) -> None:
        self.stream, self.is_first = stream, True
        self.before, self.behind = around

    def write(self, row: Row) -> None:
        """One more object."""
        self.stream.write((self.before if self.is_first else ",\n") + json_text(row))
        self.is_first = False

    def close(self) -> list[str]:
        """The closing bracket."""
        self.stream.write(self.before.rstrip("\n") + self.behind.lstrip("\n") if self.is_first else self.behind)
        return []
