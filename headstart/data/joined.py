"""Several files of rows as one set of training rows: each keeps its own columns, and every row its file and line."""

from __future__ import annotations

import bisect
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

from headstart.contract import Row, Task
from headstart.data.columns import FieldRows
from headstart.data.examples import Examples, Reading
from headstart.data.row_store import Record
from headstart.data.table import Table
from headstart.errors import Finding, UserError


class JoinedTable(Table):
    """The rows of several tables one after the other, under the columns that all of them have; ids count on."""

    def __init__(self, tables: Sequence[Table]) -> None:
        paths = " + ".join(Path(table.path).name for table in tables)
        digest = hashlib.sha256(" ".join(table.sha256 for table in tables).encode()).hexdigest()
        super().__init__(paths, tables[0].builder, digest, sum(table.size_bytes for table in tables))
        self.tables = tables
        self.columns = tuple(name for name in tables[0].columns if all(name in table.columns for table in tables))
        self.positions = [[table.columns.index(name) for name in self.columns] for table in tables]
        self.starts = [0, *accumulate(map(len, tables))]
        # ids count faulty rows too, which are none of the table's
        self.first_ids = [0, *accumulate(1 + max((record.id for record in table[-1:]), default=-1)
                                         for table in tables)]

    @property
    def findings(self) -> list[Finding]:
        """Those of all files."""
        return [finding for table in self.tables for finding in table.findings]

    @property
    def counts(self) -> Counter[str]:
        """Those of all files."""
        return sum((table.counts for table in self.tables), Counter[str]())

    def __len__(self) -> int:
        return self.starts[-1]

    def part_of(self, index: int) -> tuple[int, int]:
        """The table that a row is of, and its place there."""
        part = bisect.bisect_right(self.starts, index) - 1
        return part, index - self.starts[part]

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        part, place = self.part_of(index if index >= 0 else index + len(self))
        record = self.tables[part][place]
        return Record(record.id + self.first_ids[part],
                      tuple(record.values[position] for position in self.positions[part]), record.line)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))


class JoinedRows(FieldRows):
    """The rows of several files under the task's field names; each knows its file."""

    def __init__(self, table: JoinedTable, parts: Sequence[FieldRows]) -> None:
        super().__init__(table, {})
        self.joined_table, self.parts = table, parts

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        part, place = self.joined_table.part_of(index)
        row = self.parts[part][place]
        return Row(row.id + self.joined_table.first_ids[part], row.values, row.file, row.line)

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))

    def rows_at(self, indices: Iterable[int]) -> Iterator[Row]:
        """The rows at these places."""
        return (self[index] for index in indices)


def join_readings(task: Task[Any], readings: Sequence[Reading]) -> Reading:
    """Several training files as one; raises UserError (2) for running text, whose files are the files of a folder."""
    if any(reading.table.is_running_text for reading in readings):
        raise UserError("Running text is trained on from one file, or from one folder of files.",
                        fix="Put the files into a folder, and name the folder.")
    import numpy as np

    table = JoinedTable([reading.table for reading in readings])
    indices = np.concatenate([reading.examples.indices.astype(np.int64) + start
                              for reading, start in zip(readings, table.starts, strict=False)])
    columns = {name: names for name, names in readings[0].columns.items()
               if all(reading.columns.get(name) == names for reading in readings)}
    return Reading(table, columns, Examples(task, JoinedRows(table, [reading.examples.rows for reading in readings]),
                                            indices),
                   [finding for reading in readings for finding in reading.findings],
                   sum((reading.counts for reading in readings), Counter[str]()), tuple(readings))


def describe_parts(readings: Sequence[Reading]) -> str:
    """How many rows each file gives, in words."""
    total = max(1, sum(len(reading.examples) for reading in readings))
    parts = (f"{reading.table.path} {len(reading.examples):,} ({len(reading.examples) / total:.0%})"
             for reading in readings)
    return f"{total:,} training rows of {len(readings)} files, drawn in these shares: {', '.join(parts)}"


def column_words(columns: Mapping[str, Sequence[str]]) -> str:
    """Which column is which field, in words."""
    return ", ".join(f"{name} = {' + '.join(names)}" for name, names in columns.items())
