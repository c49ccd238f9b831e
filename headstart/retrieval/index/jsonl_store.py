"""Records on the disk, a line of JSON each, read one by one as they are needed.

N lines. Beside NAME.jsonl stands NAME.npy: the offset of each line, and of the end of the last one, (N + 1,).
"""

from __future__ import annotations

import array
import json
import os
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np


class JsonlWriter:
    """Writes records one after the other; memory grows by 8 bytes a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb", buffering=2**20)
        self.offsets = array.array("q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if kind is None:
            np.save(self.path.with_suffix(".npy"), np.frombuffer(self.offsets, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def write(self, record: Mapping[str, Any]) -> None:
        """One more record."""
        self.write_line(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
                        + b"\n")

    def write_line(self, line: bytes) -> None:
        """One more line as it is."""
        self.file.write(line)
        self.offsets.append(self.offsets[-1] + len(line))


class JsonlReader:
    """Reads the records of a file by row; several threads may read."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        weakref.finalize(self, self.file.close)
        self.offsets = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> dict[str, Any]:
        return parse_line(self.read_line(row))

    def read_line(self, row: int) -> bytes:
        """The bytes of one line."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        begin, end = int(self.offsets[row]), int(self.offsets[row + 1])
        return os.pread(self.file.fileno(), end - begin, begin)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (parse_line(line) for line in self.lines())

    def lines(self) -> Iterator[bytes]:
        """All lines in order."""
        return (self.read_line(row) for row in range(len(self)))

    def close(self) -> None:
        """No more will be read."""
        self.file.close()


def parse_line(line: bytes) -> dict[str, Any]:
    """A line as a record."""
    record: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
    return record
