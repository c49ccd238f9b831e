"""Rows of any number: in memory while they are few, else in a temporary file that vanishes with the process."""

from __future__ import annotations

import array
import json
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, overload

SPILL = 64 * 2**20  # bytes of text that stay in memory


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file: its number from 0 (faulty rows counted), its values in column order, its line from 1."""

    id: int
    values: tuple[Any, ...]
    line: int | None


class Store(Sequence[Record]):
    """Records that were appended; reading one costs a seek once they are on disk."""

    def __init__(self, spill: int = SPILL) -> None:
        self.spill, self.held = spill, 0
        self.memory: list[Record] = []
        self.file: IO[bytes] | None = None
        self.offsets = array.array("q")
        self.width = 0

    def append(self, number: int, values: tuple[Any, ...], line: int | None, size: int) -> None:
        """One more row; `size` is about how many bytes it takes."""
        if self.file is None:
            self.memory.append(Record(number, values, line))
            self.held += size + 150
            if self.held > self.spill:
                self.to_disk()
            return
        self.write(number, values, line)

    def write(self, number: int, values: tuple[Any, ...], line: int | None) -> None:
        """One row at the end of the file."""
        assert self.file is not None
        self.offsets.append(self.held)
        text = json.dumps((number, line, *values)).encode("ascii") + b"\n"
        self.file.write(text)
        self.held += len(text)

    def to_disk(self) -> None:
        """Move what is in memory into a file without a name."""
        rows, self.memory, self.held = self.memory, [], 0
        self.file = tempfile.TemporaryFile(prefix="headstart-rows-", buffering=2**20)  # noqa: SIM115 - lives as long as the store
        weakref.finalize(self, self.file.close)
        for row in rows:
            self.write(row.id, row.values, row.line)

    def close(self) -> None:
        """No more rows will come."""
        if self.file is not None:
            self.file.flush()

    def __len__(self) -> int:
        return len(self.memory) if self.file is None else len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if self.file is None:
            return self.padded(self.memory[index])
        if index < 0:
            index += len(self.offsets)
        # Rows are mostly asked for in order: then the file stands at the right place already, and its buffer is kept.
        if self.file.tell() != self.offsets[index]:
            self.file.seek(self.offsets[index])
        number, line, *values = json.loads(self.file.readline())
        return self.padded(Record(number, tuple(values), line))

    def padded(self, record: Record) -> Record:
        """The record with None for columns that the file showed only later."""
        missing = self.width - len(record.values)
        return Record(record.id, record.values + (None,) * missing, record.line) if missing > 0 else record

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))
