"""Rows of any number: in memory while they are few, else in a temporary file that vanishes with the process."""

from __future__ import annotations

import array
import pickle
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple, overload

MEMORY_LIMIT = 64 * 2**20  # bytes of text that stay in memory
BLOCK = 64  # rows that are written and read at once: one by one costs three times as much


class Record(NamedTuple):
    """One row of a file: its id from 0 (faulty rows counted), its values in column order, its line from 1."""

    id: int
    values: tuple[Any, ...]
    line: int | None


class RowStore(Sequence[Record]):
    """Records that were appended; reading one costs a block of them once they are on disk."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self.memory_limit, self.used_bytes = memory_limit, 0
        self.rows: list[tuple[int, tuple[Any, ...], int | None]] = []  # all; with a file, those that are not in it yet
        self.file: IO[bytes] | None = None
        self.offsets = array.array("q", [0])  # of the blocks in the file, and its end
        self.block: tuple[int, list[Record]] = (-1, [])  # the block that was read last
        self.column_count = 0

    def append(self, row_id: int, values: tuple[Any, ...], line: int | None, size: int) -> None:
        """One more row; `size` is about how many bytes it takes."""
        self.rows.append((row_id, values, line))
        if self.file is not None:
            if len(self.rows) == BLOCK:
                self.write_block()
            return
        self.used_bytes += size + 250
        if self.used_bytes > self.memory_limit:
            self.to_disk()

    def write_block(self) -> None:
        """The waiting rows at the end of the file."""
        assert self.file is not None
        block = pickle.dumps(self.rows, pickle.HIGHEST_PROTOCOL)
        self.file.write(block)
        self.offsets.append(self.offsets[-1] + len(block))
        self.rows = []

    def to_disk(self) -> None:
        """Move what is in memory into a file without a name."""
        # Blocks are written and read whole, at offsets: a buffer would only be filled and thrown away.
        self.file = tempfile.TemporaryFile(prefix="headstart-rows-", buffering=0)  # noqa: SIM115 - lives as long as the store
        weakref.finalize(self, self.file.close)
        rows, self.rows = self.rows, []
        for start in range(0, len(rows), BLOCK):
            self.rows = rows[start:start + BLOCK]
            if len(self.rows) == BLOCK:
                self.write_block()

    def __len__(self) -> int:
        return (len(self.offsets) - 1) * BLOCK + len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return list(self.records_at(range(*index.indices(len(self)))))
        if index < 0:
            index += len(self)
        number, place = divmod(index, BLOCK)
        if self.file is None or number == len(self.offsets) - 1:
            return self.padded(Record._make(self.rows[index if self.file is None else place]))
        return self.padded(self.read_block(number)[place])

    def read_block(self, number: int) -> list[Record]:
        """The rows of a block in the file."""
        cached_number, records = self.block
        if cached_number == number:
            return records
        assert self.file is not None
        self.file.seek(self.offsets[number])
        # The file is this process's own and has no name: nobody else can have written what is unpickled.
        block = pickle.loads(self.file.read(self.offsets[number + 1] - self.offsets[number]))
        records = list(map(Record._make, block))
        self.block = number, records
        return records

    def padded(self, record: Record) -> Record:
        """The record with None for columns that occur only later in the file."""
        missing_count = self.column_count - len(record.values)
        return record._replace(values=record.values + (None,) * missing_count) if missing_count > 0 else record

    def __iter__(self) -> Iterator[Record]:
        return self.records_at(range(len(self)))

    def records_at(self, indices: Iterable[int]) -> Iterator[Record]:
        """The records at these places; quick where many of them follow each other."""
        block_count = len(self.offsets) - 1
        current, records = -1, list[Record]()
        for index in indices:
            number, place = divmod(index, BLOCK)
            if number >= block_count:
                record = Record._make(self.rows[index - block_count * BLOCK])
            else:
                if number != current:
                    current, records = number, self.read_block(number)
                record = records[place]
            yield record if len(record.values) == self.column_count else self.padded(record)
