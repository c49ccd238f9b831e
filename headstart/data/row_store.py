"""Rows of any number: in memory while they are few, else in a temporary file that vanishes with the process."""

from __future__ import annotations

import array
import json
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, overload

MEMORY_LIMIT = 64 * 2**20  # bytes of text that stay in memory


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file: its id from 0 (faulty rows counted), its values in column order, its line from 1."""

    id: int
    values: tuple[Any, ...]
    line: int | None


class RowStore(Sequence[Record]):
    """Records that were appended; reading one costs a seek once they are on disk."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self.memory_limit, self.used_bytes = memory_limit, 0
        self.memory_rows: list[Record] = []
        self.file: IO[bytes] | None = None
        self.offsets = array.array("q")
        self.column_count = 0

    def append(self, row_id: int, values: tuple[Any, ...], line: int | None, size: int) -> None:
        """One more row; `size` is about how many bytes it takes."""
        if self.file is None:
            self.memory_rows.append(Record(row_id, values, line))
            self.used_bytes += size + 150
            if self.used_bytes > self.memory_limit:
                self.to_disk()
            return
        self.write(row_id, values, line)

    def write(self, row_id: int, values: tuple[Any, ...], line: int | None) -> None:
        """One row at the end of the file."""
        assert self.file is not None
        self.offsets.append(self.used_bytes)
        line_bytes = json.dumps((row_id, line, *values)).encode("ascii") + b"\n"
        self.file.write(line_bytes)
        self.used_bytes += len(line_bytes)

    def to_disk(self) -> None:
        """Move what is in memory into a file without a name."""
        rows, self.memory_rows, self.used_bytes = self.memory_rows, [], 0
        self.file = tempfile.TemporaryFile(prefix="headstart-rows-", buffering=2**20)  # noqa: SIM115 - lives as long as the store
        weakref.finalize(self, self.file.close)
        for row in rows:
            self.write(row.id, row.values, row.line)

    def close(self) -> None:
        """No more rows will come."""
        if self.file is not None:
            self.file.flush()

    def __len__(self) -> int:
        return len(self.memory_rows) if self.file is None else len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if self.file is None:
            return self.padded(self.memory_rows[index])
        if index < 0:
            index += len(self.offsets)
        # Rows are mostly read in order: then the file is at the right offset already, and its buffer is kept.
        if self.file.tell() != self.offsets[index]:
            self.file.seek(self.offsets[index])
        row_id, line, *values = json.loads(self.file.readline())
        return self.padded(Record(row_id, tuple(values), line))

    def padded(self, record: Record) -> Record:
        """The record with None for columns that occur only later in the file."""
        missing_count = self.column_count - len(record.values)
        return Record(record.id, record.values + (None,) * missing_count, record.line) if missing_count > 0 else record

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))
